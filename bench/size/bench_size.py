# SPDX-License-Identifier: Apache-2.0
"""What programs weigh: stripped, static echo servers, and the client in WebAssembly."""
from harness import BIN, Report, Server

KB = 1024


def size():
    report = Report("rpc_size", "stripped static echo servers without TLS; the client with nanopb in wasm32")
    sizes = {}
    for name, program in (("tessera, glibc", "size-tessera-server"), ("tessera, musl", "size-tessera-server-musl"),
                          ("gRPC C++, glibc", "size-grpc-server")):
        path = BIN / program
        if not path.exists():
            report.absent(name, f"{program} was not built")
            continue
        with Server(path, "0"):  # it runs
            sizes[name] = path.stat().st_size
        report.row(name, sizes[name] / KB, "KiB")
    grpc = sizes.get("gRPC C++, glibc")
    for name in ("tessera, glibc", "tessera, musl"):
        if grpc and name in sizes:
            report.claim(f"echo server against gRPC C++: {name}", sizes[name] / grpc, 0.05, at_most=True)
    module = BIN / "size-client.wasm"
    if module.exists():
        report.row("client in wasm32", module.stat().st_size / KB, "KiB")
        report.claim("client in wasm32 against 40 KiB", module.stat().st_size / (40 * KB), 1, at_most=True)
    else:
        report.absent("client in wasm32", "size-client.wasm was not built: clang or wasm-ld is missing")
    report.save()


BENCHMARKS = {"rpc-size": size}
