# SPDX-License-Identifier: Apache-2.0
"""What programs weigh: stripped, static echo servers, and the client in WebAssembly. Each is called once."""
import pathlib
import shutil
import subprocess

from harness import BIN, LONGEST_S, Report, Server, output

HERE = pathlib.Path(__file__).resolve().parent
KB = 1024
TEXT = "mosaïque"  # the answer has to be the same
METHOD = "tessera.bench.size.v1.EchoService/Echo"
# EchoRequest and EchoResponse alike: field 1, a string.
MESSAGE = bytes([1 << 3 | 2, len(TEXT.encode())]) + TEXT.encode()
CONNECT = ["-H", "content-type: application/proto"]
GRPC = ["--http2-prior-knowledge", "-H", "content-type: application/grpc", "-H", "te: trailers"]


def check_echo(server, options, body):
    """Calls the server once with curl; body is a request and must be the response."""
    done = subprocess.run(["curl", "-sS", "--fail", "--max-time", "10", *options, "--data-binary", "@-",
                           f"{server.url}/{METHOD}"], input=body, capture_output=True, timeout=LONGEST_S)
    if done.returncode != 0 or done.stdout != body:
        raise SystemExit(f"{server.command[0]} does not echo: {done.stdout!r} {done.stderr.decode()}")


def size():
    report = Report("rpc_size", "stripped static echo servers without TLS; the client with nanopb in wasm32")
    sizes = {}
    framed = b"\0" + len(MESSAGE).to_bytes(4, "big") + MESSAGE
    for name, program, options, body in (
            ("tessera, glibc", "size-tessera-server", CONNECT, MESSAGE),
            ("tessera, musl", "size-tessera-server-musl", CONNECT, MESSAGE),
            ("gRPC C++, glibc", "size-grpc-server", GRPC, framed)):
        path = BIN / program
        if not path.exists():
            report.absent(name, f"{program} was not built")
            continue
        with Server(path, "0") as server:
            check_echo(server, options, body)
        sizes[name] = path.stat().st_size
        report.row(name, sizes[name] / KB, "KiB")
    grpc = sizes.get("gRPC C++, glibc")
    for name in ("tessera, glibc", "tessera, musl"):
        if grpc and name in sizes:
            report.claim(f"echo server against gRPC C++: {name}", sizes[name] / grpc, 0.05, at_most=True)
    client(report)
    report.save()


def client(report):
    """The module that is weighed calls a server of ours through the host for Node."""
    module, server = BIN / "size-client.wasm", BIN / "size-tessera-server"
    if not module.exists():
        report.absent("client in wasm32", "size-client.wasm was not built: clang or wasm-ld is missing")
        return
    if shutil.which("node") is None or not server.exists():
        report.absent("client in wasm32", "node or size-tessera-server is missing: it cannot be run")
        return
    with Server(server, "0") as running:
        answer = output("node", HERE / "call_wasm.mjs", module, running.url, TEXT)
    if answer != f"{TEXT}\n":
        raise SystemExit(f"the client in WebAssembly answers {answer!r}")
    report.row("client in wasm32", module.stat().st_size / KB, "KiB")
    report.claim("client in wasm32 against 40 KiB", module.stat().st_size / (40 * KB), 1, at_most=True)


BENCHMARKS = {"rpc-size": size}
