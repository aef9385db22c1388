# SPDX-License-Identifier: Apache-2.0
"""A worker's tile, through the kernel table, against OpenBLAS called directly."""
from contestants import Runner
from harness import BIN, Report, median, rounds


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


BENCHMARKS = {"tile": tile}
