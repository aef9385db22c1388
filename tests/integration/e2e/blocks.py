# SPDX-License-Identifier: Apache-2.0
"""Operand blocks, told to a program by an independent client: names from Python's
hashlib, messages from Python's protobuf."""
import base64
import hashlib
import http.client
import json
import urllib.parse

import harness
from harness import pb

SERVICE = "/tessera.matmul.v1.BlockService/"


def name_of(array):
    return hashlib.sha256(array.tobytes()).digest()


def put(client, array, name=b""):
    request = pb.PutBlockRequest(sha256=name)
    harness.set_matrix(request.matrix, array)
    return client.call(SERVICE + "PutBlock", request, pb.PutBlockResponse)


def listed(client, *names):
    return client.call(SERVICE + "ListBlocks", pb.ListBlocksRequest(sha256=names),
                       pb.ListBlocksResponse)


def drop(client, name):
    return client.call(SERVICE + "DropBlock", pb.DropBlockRequest(sha256=name),
                       pb.DropBlockResponse).dropped


def set_block(matrix, array, row=0, col=0, rows=None, cols=None, data=False):
    """Makes the matrix a rectangle of a block; data: the block travels with it."""
    matrix.rows = array.shape[0] if rows is None else rows
    matrix.cols = array.shape[1] if cols is None else cols
    matrix.dtype = harness.DTYPES[array.dtype]
    matrix.block.sha256 = name_of(array)
    matrix.block.rows, matrix.block.cols = array.shape
    matrix.block.row, matrix.block.col = row, col
    if data:
        matrix.data = array.tobytes()


def missing(client, request):
    """The names in MissingBlocks; fails if the call ends otherwise."""
    status, _, body = client.post(harness.MULTIPLY, request.SerializeToString())
    return missing_in(status, body)


def missing_in(status, body):
    if status != 404:
        raise AssertionError(f"HTTP {status}: {body[:300]!r}")
    error = json.loads(body)
    if error["code"] != "not_found":
        raise AssertionError(f"HTTP {status}: {body[:300]!r}")
    (detail,) = error["details"]
    if detail["type"] != "tessera.matmul.v1.MissingBlocks":
        raise AssertionError(f"detail {detail['type']}")
    value = base64.b64decode(detail["value"] + "=" * (-len(detail["value"]) % 4))
    return list(pb.MissingBlocks.FromString(value).sha256)


def metric(program, name):
    """The value of a metric without labels."""
    parts = urllib.parse.urlsplit(program.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    values = [float(line.split()[1]) for line in lines if line.split()[0] == name]
    if len(values) != 1:
        raise AssertionError(f"{name} stands {len(values)} times in /metrics")
    return values[0]
