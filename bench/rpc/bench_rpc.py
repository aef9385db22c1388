# SPDX-License-Identifier: Apache-2.0
"""RPC benchmarks: small unary calls and large ones, against bare civetweb and gRPC C++."""
import re
import struct
import tempfile

from harness import BIN, Report, Server, median, output, rounds

CONNECTIONS = 64
PAYLOAD = b"x" * 100
LARGE = 64 << 20
ECHO = "/tessera.bench.v1.EchoService/Echo"


def h2load(server, body, arguments, requests):
    """One run of h2load: (requests/s, server CPU in microseconds per request)."""
    before = server.cpu_seconds()
    text = output("h2load", *arguments, "-c", CONNECTIONS, "-t", 1, "-n", requests, "-d", body, server.url + ECHO)
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


BENCHMARKS = {"rpc-small": small, "rpc-large": large}
