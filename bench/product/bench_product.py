# SPDX-License-Identifier: Apache-2.0
"""Products of real matrices: two one-thread workers against local OpenBLAS, and the sandbox against none."""
import subprocess

from harness import BIN, Report, Server, environment, median, rounds


class Runner:
    """A program that computes one product for each line it reads."""

    def __init__(self, *command):
        self.command = [str(part) for part in command]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment())
        return self

    def __exit__(self, *unused):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

    def run(self, word="go"):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.command} ended")
        return float(line)


def worker():
    return Server(BIN / "tessera-worker", "--listen", "127.0.0.1:0", "--threads", 1)


def products(n, count, wanted):
    report = Report(f"product_{n}", f"{n} x {n} float32, operands in memory to result in memory, two one-thread workers")
    with worker() as one, worker() as two:
        workers = ["--worker", one.url, "--worker", two.url]
        with Server(BIN / "tessera-server", "--listen", "127.0.0.1:0", "--mode", "proxy", *workers) as server, \
                Runner(BIN / "bench-product", n, "blas", 2) as blas, \
                Runner(BIN / "bench-product", n, "workers", one.url, two.url) as native, \
                Runner(BIN / "bench-product", n, "server", server.url) as wasm:
            for runner in (blas, native, wasm):
                runner.run()
            results = rounds({"OpenBLAS here, 2 threads": blas.run, "native controller": native.run,
                              "WASM server (jsc)": wasm.run}, count)
            for name, values in results.items():
                report.row(name, median(values), "ms", values)
            for name, program in (("server", server), ("worker", one)):
                report.row(f"peak resident, {name}", program.peak_resident_mib(), "MiB")
    blas, native, wasm = (median(values) for values in results.values())
    report.claim("native controller against local OpenBLAS, 2 threads", blas / native, wanted)
    report.claim("WASM server against native controller", native / wasm, 0.80)
    report.save()


def tile(count=15):
    report = Report("tile", "a worker's tile, 1024 x 1024 x 1024 float32, one thread")
    with Runner(BIN / "bench-tile") as runner:
        runner.run("blas")
        runner.run("kernel")
        results = rounds({"OpenBLAS directly": lambda: runner.run("blas"),
                          "kernel table": lambda: runner.run("kernel")}, count)
    for name, values in results.items():
        report.row(name, median(values), "ms", values)
    report.claim("kernel table against OpenBLAS", median(results["OpenBLAS directly"]) / median(results["kernel table"]),
                 0.95)
    report.save()


BENCHMARKS = {
    "tile": tile,
    "product-4096": lambda: products(4096, 9, 0.80),
    "product-8192": lambda: products(8192, 3, 0.90),
}
