# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: programs under test on free ports, an
independent client (Python's protobuf and http.client), and bounded waits.

Every program runs in its own process, is told apart by its pid, and is ended
when the test that started it ends, whatever happens.

Environment: TESSERA_BIN_DIR (the programs), TESSERA_SOURCE_DIR (the schemas).
"""
import atexit
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import zlib

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
# Told to every program; without a sanitizer it means nothing.
os.environ.setdefault("TSAN_OPTIONS", f"suppressions={HERE}/tsan.supp")
BIN_DIR = os.environ["TESSERA_BIN_DIR"]
SOURCE_DIR = os.environ["TESSERA_SOURCE_DIR"]
WORKER = os.path.join(BIN_DIR, "tessera-worker")
SERVER = os.path.join(BIN_DIR, "tessera-server")
TESSERA = os.path.join(BIN_DIR, "tessera")
START_SECONDS = 30
# What a program does at once takes a sanitizer's build so much longer.
SANITIZED = bool(os.environ.get("TESSERA_SANITIZE"))
PATIENCE = 5 if SANITIZED else 1
MULTIPLY = "/tessera.matmul.v1.MatmulService/Multiply"
MULTIPLY_TILES = "/tessera.matmul.v1.MatmulService/MultiplyTiles"
DESCRIBE = "/tessera.matmul.v1.MatmulService/Describe"
HEALTH = "/grpc.health.v1.Health/Check"


def _load_messages():
    """Python modules for the schemas, made by protoc: independent of our stubs."""
    out = tempfile.mkdtemp(prefix="tessera-e2e-proto-")
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    subprocess.run(
        ["protoc", "-I", os.path.join(SOURCE_DIR, "proto"), "--python_out", out,
         "tessera/matmul/v1/matmul.proto", "grpc/health/v1/health.proto"],
        check=True, timeout=60)
    sys.path.insert(0, out)
    from tessera.matmul.v1 import matmul_pb2
    import importlib.util
    # Loaded by path: a package called grpc may be installed.
    spec = importlib.util.spec_from_file_location(
        "tessera_health_pb2", os.path.join(out, "grpc/health/v1/health_pb2.py"))
    health_pb2 = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(health_pb2)
    return matmul_pb2, health_pb2


pb, health_pb = _load_messages()
DTYPES = {np.dtype("float32"): pb.DTYPE_FLOAT32, np.dtype("float64"): pb.DTYPE_FLOAT64}
NP_TYPES = {value: key for key, value in DTYPES.items()}


# ---- programs ----

class Program:
    """A program under test that listens. Use as a context manager."""

    def __init__(self, *argv, env=None):
        self.argv = [str(part) for part in argv]
        self.log = tempfile.TemporaryFile(mode="w+b", prefix="tessera-e2e-log-")
        environment = dict(os.environ)
        environment.pop("OPENBLAS_CORETYPE", None)
        environment.update(env or {})
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.log, env=environment)
        self.url = self._read_url()
        parts = urllib.parse.urlsplit(self.url)
        self.host, self.port = parts.hostname, parts.port

    def _read_url(self):
        line = []
        thread = threading.Thread(target=lambda: line.append(self.process.stdout.readline()),
                                  daemon=True)
        thread.start()
        thread.join(START_SECONDS)
        text = line[0].decode() if line else ""
        match = re.fullmatch(r"listening on (https?://\S+)\n", text)
        if not match:
            self.kill()
            raise AssertionError(f"{self.argv[0]} said {text!r} first; log: {self.log_text()}")
        return match.group(1)

    @property
    def pid(self):
        return self.process.pid

    def log_text(self):
        if self.log.closed:
            return self.text
        # Without a seek: the program writes where this file's offset is.
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), size, 0).decode(errors="replace")

    def alive(self):
        return self.process.poll() is None

    def kill(self):
        if self.alive():
            self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()
        if not self.log.closed:
            self.text = self.log_text()  # for whoever asks afterwards
            self.log.close()
            if re.search(r"(?m)Sanitizer: |: runtime error: ", self.text):
                raise AssertionError(f"{self.argv[0]}: {self.text}")

    def stop(self, seconds=20):
        """SIGTERM; returns the exit code."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.argv[0]} did not end on SIGTERM; log: {self.log_text()}")

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def worker(*options, **keywords):
    return Program(WORKER, "--listen", "127.0.0.1:0", *options, **keywords)


def server(*options, **keywords):
    # What jsc makes at run time no sanitizer looks into.
    if SANITIZED and "--engine" not in options:
        options += ("--engine", "native")
    return Program(SERVER, "--listen", "127.0.0.1:0", *options, **keywords)


def eventually(condition, seconds=10, what="it"):
    """Waits until condition() is true; fails after so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {seconds} s")


# ---- the independent client ----

class RpcError(Exception):
    def __init__(self, http_status, code, message):
        super().__init__(f"{code}: {message} (HTTP {http_status})")
        self.http_status, self.code, self.message = http_status, code, message


class Client:
    """Connect unary with binary protobuf over one keep-alive connection."""

    # The programs close connections that were idle for 60 s: one that nearly was is not used again.
    IDLE_SECONDS = 30

    def __init__(self, url, timeout=120):
        parts = urllib.parse.urlsplit(url)
        self.http = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        self.used = time.monotonic()

    def close(self):
        self.http.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def post(self, path, body, headers=None, method="POST"):
        """Returns (HTTP status, headers, body)."""
        sent = {"Content-Type": "application/proto", "Connect-Protocol-Version": "1"}
        sent.update(headers or {})
        if time.monotonic() - self.used > self.IDLE_SECONDS:
            self.http.close()  # request() opens another
        self.http.request(method, path, body=body, headers=sent)
        reply = self.http.getresponse()
        text = reply.read()
        self.used = time.monotonic()
        return reply.status, reply.headers, text

    def call_bytes(self, path, body, headers=None):
        status, reply_headers, reply = self.post(path, body, headers)
        if status == 200:
            if reply_headers["Content-Type"] != "application/proto":
                raise AssertionError(f"content type {reply_headers['Content-Type']}")
            return reply
        if reply_headers["Content-Type"] != "application/json":
            raise AssertionError(f"HTTP {status} without error JSON: {reply[:200]!r}")
        error = json.loads(reply)
        raise RpcError(status, error.get("code"), error.get("message", ""))

    def call(self, path, request, reply_type, headers=None):
        reply = reply_type()
        reply.ParseFromString(self.call_bytes(path, request.SerializeToString(), headers))
        return reply

    def stream(self, path, request, reply_type, headers=None):
        """A server stream: yields messages; raises RpcError at its end if it failed."""
        body = request.SerializeToString()
        sent = {"Content-Type": "application/connect+proto", "Connect-Protocol-Version": "1"}
        sent.update(headers or {})
        self.http.request("POST", path, struct.pack(">BI", 0, len(body)) + body, sent)
        reply = self.http.getresponse()
        if reply.status != 200 or reply.headers["Content-Type"] != "application/connect+proto":
            raise AssertionError(f"HTTP {reply.status} {reply.headers['Content-Type']}")
        while True:
            head = reply.read(5)
            if len(head) < 5:
                raise AssertionError("the stream ends without an end")
            flags, size = struct.unpack(">BI", head)
            payload = reply.read(size)
            if len(payload) < size:
                raise AssertionError("a message ends early")
            if flags & 2:
                if reply.read(1):
                    raise AssertionError("something follows the end of the stream")
                error = json.loads(payload).get("error")
                if error:
                    raise RpcError(reply.status, error.get("code"), error.get("message", ""))
                return
            yield reply_type.FromString(payload)

    def multiply_tiles(self, a, b, headers=None, **options):
        return self.stream(MULTIPLY_TILES, request_of(a, b, **options), pb.TileResult, headers)

    def multiply(self, a, b, timeout_ms=None, **options):
        """Returns (C as an array, TileResult)."""
        headers = {"Connect-Timeout-Ms": str(timeout_ms)} if timeout_ms else None
        result = self.call(MULTIPLY, request_of(a, b, **options), pb.TileResult, headers)
        return array_of(result.c), result

    def describe(self):
        return self.call(DESCRIBE, pb.DescribeRequest(), pb.DescribeResponse)


def set_matrix(message, array):
    message.rows, message.cols = array.shape
    message.dtype = DTYPES[array.dtype]
    message.data = np.ascontiguousarray(array).tobytes()


def request_of(a, b, c=None, alpha=None, beta=None, transpose_a=False, transpose_b=False):
    request = pb.MatmulRequest(transpose_a=transpose_a, transpose_b=transpose_b)
    set_matrix(request.a, a)
    set_matrix(request.b, b)
    if c is not None:
        set_matrix(request.c, c)
    if alpha is not None or beta is not None:
        request.scaling.alpha = 1.0 if alpha is None else alpha
        request.scaling.beta = 0.0 if beta is None else beta
    return request


def array_of(matrix):
    dtype = NP_TYPES[matrix.dtype]
    if matrix.values:
        return np.array(matrix.values, dtype).reshape(matrix.rows, matrix.cols)
    return np.frombuffer(matrix.data, dtype).reshape(matrix.rows, matrix.cols)


# ---- matrices ----

def integers(rng, rows, cols, dtype="float32"):
    """Small integers: every sum is exact in float32 up to k = 40000."""
    return rng.integers(-20, 21, (rows, cols)).astype(dtype)


def exact(a, b):
    """The exact product of integer-valued matrices, in their dtype. float64 adds
    them without rounding, whatever BLAS NumPy has."""
    return (a.astype("float64") @ b.astype("float64")).astype(a.dtype)


def assert_close(actual, a, b, c=None, alpha=1.0, beta=0.0):
    """|computed - exact| <= gamma(k + 3) (|alpha| |A| |B| + |beta| |C|), with the
    reference in higher precision (Higham, Accuracy and Stability, 3.5)."""
    wide = "float64" if a.dtype == np.float32 else "longdouble"
    unit = 2.0 ** -24 if a.dtype == np.float32 else 2.0 ** -53
    k = a.shape[1]
    gamma = (k + 3) * unit / (1 - (k + 3) * unit)
    if wide == "longdouble" and a.shape[0] * k * b.shape[1] > 10 ** 7:
        wide, gamma = "float64", 2 * gamma  # no BLAS is wider: two errors at most
    wa, wb = a.astype(wide), b.astype(wide)
    expected = alpha * (wa @ wb)
    size = abs(alpha) * (abs(wa) @ abs(wb))
    if beta != 0.0:
        expected = expected + beta * c.astype(wide)
        size = size + abs(beta) * abs(c.astype(wide))
    if actual.shape != expected.shape:
        raise AssertionError(f"shape {actual.shape}, not {expected.shape}")
    # What the reference itself rounds is far below one unit of the result.
    difference = abs(actual.astype(wide) - expected)
    worst = float(np.max(difference - gamma * size)) if difference.size else 0.0
    if not worst <= 0.0:
        raise AssertionError(f"an element is {worst} beyond its bound")


def assemble(tiles, rows, cols, dtype):
    """C from its tiles, which must cover every element exactly once."""
    c = np.zeros((rows, cols), dtype)
    covered = np.zeros((rows, cols), int)
    for result in tiles:
        t = result.tile
        place = np.s_[t.row:t.row + t.rows, t.col:t.col + t.cols]
        c[place] = array_of(result.c)
        covered[place] += 1
    if not (covered == 1).all():
        raise AssertionError("the tiles do not cover C once")
    return c


SHAPES = [(1, 1, 1), (1, 17, 1), (17, 1, 1), (1, 1, 17), (1, 64, 300), (300, 64, 1), (7, 11, 13),
          (97, 101, 103), (64, 64, 64), (129, 1, 257), (1000, 37, 513)]


class Case(unittest.TestCase):
    """A test with numbers of its own, the same in every run."""

    def setUp(self):
        seed = int(os.environ.get("TESSERA_SEED", zlib.crc32(self.id().encode())))
        self.rng = np.random.default_rng(seed)

    def fails(self, code, http_status, call, *arguments, **keywords):
        with self.assertRaises(RpcError) as caught:
            call(*arguments, **keywords)
        self.assertEqual((caught.exception.code, caught.exception.http_status),
                         (code, http_status), caught.exception.message)
        return caught.exception

    def still_answers(self, client):
        """The next good request is answered."""
        a = integers(self.rng, 5, 6)
        b = integers(self.rng, 6, 7)
        c, _ = client.multiply(a, b)
        np.testing.assert_array_equal(c, exact(a, b))


class BadRequests:
    """In front of a Case with a client: a good request to spoil, and that wrong ones are refused."""

    def setUp(self):
        super().setUp()
        self.request = request_of(integers(self.rng, 2, 3), integers(self.rng, 3, 4))

    def refused(self, code, http_status, request=None):
        body = request if isinstance(request, bytes) else (request or self.request).SerializeToString()
        error = self.fails(code, http_status, self.client.call_bytes, MULTIPLY, body)
        self.assertNotEqual(error.message, "")
        self.still_answers(self.client)


class FilesCase(Case):
    """A test with a folder for matrices, in which results go to C.npy."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="tessera-files-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.c = self.path("C.npy")

    def path(self, name):
        return os.path.join(self.folder, name)

    def save(self, name, array):
        np.save(self.path(name), array)
        return self.path(name)


def run_tessera(*arguments, timeout=120, **keywords):
    environment = dict(os.environ)
    environment.pop("OPENBLAS_CORETYPE", None)
    return subprocess.run([TESSERA, *map(str, arguments)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                          text=True, env=environment, **keywords)


def free_port():
    """A port where nobody listens (for a moment)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    signal.alarm(int(os.environ.get("TESSERA_TEST_SECONDS", "900")))  # nothing runs for ever
    unittest.main(verbosity=2)
