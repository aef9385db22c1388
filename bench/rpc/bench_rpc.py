# SPDX-License-Identifier: Apache-2.0
"""RPC benchmarks: small unary calls, large ones, streams and JSON, against bare civetweb, gRPC C++ and connect-go."""
import base64
import json
import re
import struct
import tempfile

from harness import BIN, Report, Server, median, output, rounds, times

CONNECTIONS = 64
PAYLOAD = b"x" * 100
LARGE = 64 << 20
ECHO = "/tessera.bench.v1.EchoService/Echo"


def h2load(server, body, arguments, requests, path=ECHO):
    """One run of h2load: (requests/s, server CPU in microseconds per request)."""
    before = server.cpu_seconds()
    text = output("h2load", *arguments, "-c", CONNECTIONS, "-t", 1, "-n", requests, "-d", body, server.url + path)
    done = int(re.search(r"(\d+) succeeded", text).group(1))
    if done != requests:
        raise SystemExit(f"h2load: {requests - done} of {requests} requests failed\n{text}")
    rate = float(re.search(r"([\d.]+) req/s", text).group(1))
    return rate, (server.cpu_seconds() - before) / requests * 1e6


def small(count=7, requests=60_000):
    message = b"\x0a" + bytes([len(PAYLOAD)]) + PAYLOAD
    report = Report("rpc_small", f"unary echo of {len(PAYLOAD)} bytes, {CONNECTIONS} connections, one load generator")
    with tempfile.NamedTemporaryFile() as plain, tempfile.NamedTemporaryFile() as framed, \
            Server(BIN / "bench-tessera-server", "0") as tessera, \
            Server(BIN / "bench-civetweb-server", "0") as civetweb, \
            Server(BIN / "bench-grpc-server", "0") as grpc:
        plain.write(message)
        plain.flush()
        framed.write(b"\0" + struct.pack(">I", len(message)) + message)
        framed.flush()
        connect = ["--h1", "-H", "content-type: application/proto"]
        results = rounds({
            "tessera": lambda: h2load(tessera, plain.name, connect, requests),
            "bare civetweb": lambda: h2load(civetweb, plain.name, connect, requests),
            "gRPC C++": lambda: h2load(grpc, framed.name,
                                       ["-H", "content-type: application/grpc", "-H", "te: trailers"], requests),
        }, count)
        for server, name in ((tessera, "tessera"), (civetweb, "bare civetweb"), (grpc, "gRPC C++")):
            report.row(f"{name}: requests", median([rate for rate, _ in results[name]]), "1/s",
                       [rate for rate, _ in results[name]])
            report.row(f"{name}: server CPU per request", median([cpu for _, cpu in results[name]]), "us",
                       [cpu for _, cpu in results[name]])
            report.row(f"{name}: peak resident", server.peak_resident_mib(), "MiB")
    rate = {name: median([r for r, _ in values]) for name, values in results.items()}
    cpu = {name: median([c for _, c in values]) for name, values in results.items()}
    report.claim("requests/s against gRPC C++", rate["tessera"] / rate["gRPC C++"], 1.5)
    report.claim("server CPU per request against bare civetweb", cpu["tessera"] / cpu["bare civetweb"], 1.15,
                 at_most=True)
    report.save()


def large(count=7, seconds=1.0):
    report = Report("rpc_large", "64 MiB unary request, one connection, client memory to server memory")
    with Server(BIN / "bench-tessera-server", "0") as tessera, Server(BIN / "bench-grpc-server", "0") as grpc:
        results = rounds({
            "tessera": lambda: float(output(BIN / "bench-tessera-client", tessera.url, "sink", LARGE, seconds)),
            "gRPC C++": lambda: float(output(BIN / "bench-grpc-client", grpc.address, "sink", LARGE, seconds)),
        }, count)
    for name, values in results.items():
        report.row(f"{name}: upload", median(values), "GB/s", values)
    report.claim("GB/s against gRPC C++", median(results["tessera"]) / median(results["gRPC C++"]), 8)
    report.save()


def stream(messages=1_000_000, size=16):
    """gRPC C++ without buffer hints: with them the callback API's next write waits for a flush that never comes.
    connect-go flushes each message and offers no other way; it streams fewer, and its rate is the same."""
    fewer = times(100_000, 400_000)
    report = Report("rpc_stream", f"server stream of {messages:,} messages of {size} bytes, each server with its own client")
    with Server(BIN / "bench-tessera-server", "0") as tessera, Server(BIN / "bench-grpc-server", "0") as grpc, \
            Server(BIN / "bench-connect-go", "server", "0") as connect_go:
        def count(program, at, number=messages):
            return lambda: float(output(BIN / program, *at, number, size))

        results = rounds({
            "tessera": count("bench-tessera-client", (tessera.url, "count")),
            "gRPC C++": count("bench-grpc-client", (grpc.address, "count")),
            "connect-go": count("bench-connect-go", ("count", connect_go.url), fewer),
        }, times(5, 9), 150)
    rate = {name: median(values) for name, values in results.items()}
    for name, values in results.items():
        report.row(f"{name}: messages", rate[name], "1/s", values)
    report.note(f"connect-go streams {fewer:,} messages")
    report.claim("messages/s against connect-go", rate["tessera"] / rate["connect-go"], 3)
    report.claim("messages/s against gRPC C++", rate["tessera"] / rate["gRPC C++"], 1.5)
    report.save()


def full_stack(count=7, requests=60_000):
    """Interceptors that read and write metadata, headers, a deadline and a trailer, against none of these."""
    message = b"\x0a" + bytes([len(PAYLOAD)]) + PAYLOAD
    report = Report("rpc_full", f"unary echo of {len(PAYLOAD)} bytes, {CONNECTIONS} connections: all of the stack against the bare call")
    with tempfile.NamedTemporaryFile() as body, Server(BIN / "bench-tessera-server", "0") as bare, \
            Server(BIN / "bench-tessera-server", "0", "full") as full:
        body.write(message)
        body.flush()
        connect = ["--h1", "-H", "content-type: application/proto"]
        extra = ["-H", "authorization: Bearer benchmark", "-H", "connect-timeout-ms: 5000",
                 "-H", "x-request-id: 6f1c2c1e-8f0e-4f0e-9a43", "-H", "connect-protocol-version: 1"]
        results = rounds({
            "bare": lambda: h2load(bare, body.name, connect, requests),
            "full": lambda: h2load(full, body.name, connect + extra, requests),
        }, count)
    for name, values in results.items():
        report.row(f"{name}: requests", median([rate for rate, _ in values]), "1/s", [rate for rate, _ in values])
        report.row(f"{name}: server CPU per request", median([cpu for _, cpu in values]), "us", [cpu for _, cpu in values])
    report.claim("requests/s, full against bare",
                 median([r for r, _ in results["full"]]) / median([r for r, _ in results["bare"]]), 0.9)
    report.save()


def record():
    """A record of about 1 KiB in JSON."""
    return json.dumps({
        "name": "crate-4711", "description": "Forty-two words about a thing on a shelf. " * 6, "id": "9007199254740993",
        "count": 1234, "price": 19.99, "active": True, "tags": ["red", "heavy", "fragile", "export"],
        "items": [{"sku": f"SKU-{i:05}", "quantity": i * 3, "weight": 0.125 * i, "updatedMs": str(1_700_000_000_000 + i)}
                  for i in range(1, 7)],
        "labels": {"region": "eu-central-1", "owner": "warehouse", "tier": "gold"}, "state": "STATE_OPEN",
        "token": base64.b64encode(bytes(range(48))).decode()}, separators=(",", ":"))


def json_echo(count=7, requests=30_000):
    text = record()
    report = Report("rpc_json", f"JSON unary echo of a record of {len(text)} bytes, {CONNECTIONS} connections, one load generator")
    with tempfile.NamedTemporaryFile("w") as body, Server(BIN / "bench-tessera-server", "0") as tessera, \
            Server(BIN / "bench-connect-go", "server", "0") as connect_go:
        body.write(text)
        body.flush()
        arguments = ["--h1", "-H", "content-type: application/json"]
        path = "/tessera.bench.v1.EchoService/EchoRecord"
        results = rounds({
            "tessera": lambda: h2load(tessera, body.name, arguments, requests, path),
            "connect-go": lambda: h2load(connect_go, body.name, arguments, requests, path),
        }, count)
    for name, values in results.items():
        report.row(f"{name}: requests", median([rate for rate, _ in values]), "1/s", [rate for rate, _ in values])
        report.row(f"{name}: server CPU per request", median([cpu for _, cpu in values]), "us", [cpu for _, cpu in values])
    report.claim("requests per server CPU second against connect-go",
                 median([c for _, c in results["connect-go"]]) / median([c for _, c in results["tessera"]]), 2)
    report.save()


BENCHMARKS = {"rpc-small": small, "rpc-large": large, "rpc-stream": stream, "rpc-full": full_stack,
              "rpc-json": json_echo}
