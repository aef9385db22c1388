# SPDX-License-Identifier: Apache-2.0
"""The HTTP adapters by themselves: against a bare civetweb callback, and the transport's latency."""
import re
import tempfile

from harness import BIN, Report, Server, median, output, rounds

CONNECTIONS = 64


def h2load(server, body, requests):
    """One run: (requests/s, server CPU in microseconds per request)."""
    before = server.cpu_seconds()
    text = output("h2load", "--h1", "-c", CONNECTIONS, "-t", 1, "-n", requests, "-d", body, server.url + "/echo")
    done = int(re.search(r"(\d+) succeeded", text).group(1))
    if done != requests:
        raise SystemExit(f"h2load: {requests - done} of {requests} requests failed\n{text}")
    rate = float(re.search(r"([\d.]+) req/s", text).group(1))
    return rate, (server.cpu_seconds() - before) / requests * 1e6


def adapter(count=7, requests=60_000):
    report = Report("http_adapter", f"HTTP adapter alone: echo of 100 bytes, {CONNECTIONS} connections")
    with tempfile.NamedTemporaryFile() as body, Server(BIN / "bench-http-server", "0") as ours, \
            Server(BIN / "bench-civetweb-server", "0") as bare:
        body.write(b"x" * 100)
        body.flush()
        results = rounds({"adapter": lambda: h2load(ours, body.name, requests),
                          "bare civetweb": lambda: h2load(bare, body.name, requests)}, count)
    for name, values in results.items():
        report.row(f"{name}: requests", median([rate for rate, _ in values]), "1/s", [rate for rate, _ in values])
        report.row(f"{name}: server CPU per request", median([cpu for _, cpu in values]), "us",
                   [cpu for _, cpu in values])
    report.claim("server CPU per request against bare civetweb",
                 median([cpu for _, cpu in results["adapter"]]) / median([cpu for _, cpu in results["bare civetweb"]]),
                 1.15, at_most=True)
    report.save()


def transport(count=7, calls=5_000):
    report = Report("http_transport", "libcurl transport: blocking calls of 100 bytes, uploads of 64 MiB")
    with Server(BIN / "bench-http-server", "0") as server:
        client = BIN / "bench-http-client"
        results = rounds({
            "latency": lambda: [float(line) for line in output(client, server.url, "latency", calls, 100).split()],
            "upload": lambda: float(output(client, server.url, "upload", 64 << 20, 1)),
        }, count)
    columns = list(zip(*results["latency"]))
    for index, what in enumerate(("caller moves the bytes: median", "caller moves the bytes: client CPU",
                                  "hop to the thread: median", "hop to the thread: client CPU")):
        report.row(what, median(columns[index]), "us", list(columns[index]))
    report.row("upload of 64 MiB", median(results["upload"]), "GB/s", results["upload"])
    report.save()


BENCHMARKS = {"http-adapter": adapter, "http-transport": transport}
