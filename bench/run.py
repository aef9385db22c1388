#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs benchmarks and prints their ratios. Usage: bench/run.py [NAME...]; without a name, all of them.

Build first: tools/deps.sh --bench && cmake --preset bench && cmake --build --preset bench
"""
import importlib
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


def main():
    benchmarks = {}
    for path in sorted(HERE.glob("*/bench_*.py")):
        sys.path.insert(0, str(path.parent))
        benchmarks.update(importlib.import_module(path.stem).BENCHMARKS)
    names = sys.argv[1:] or list(benchmarks)
    unknown = [name for name in names if name not in benchmarks]
    if unknown:
        sys.exit(f"run.py: no benchmark {', '.join(unknown)}; there are: {', '.join(benchmarks)}")
    for name in names:
        benchmarks[name]()


if __name__ == "__main__":
    main()
