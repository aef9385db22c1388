#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs benchmarks and prints their ratios.

Usage: bench/run.py [--quick] [NAME...]

Without a name, all of them. --quick: fewer rounds. At the end of several, and of
product-all (every benchmark of products, peers included), comes one table of all
ratios in Markdown. Exit 1: a benchmark could not run; ratios that miss their mark
are told, and are no failure.

Build first: tools/deps.sh --bench && cmake --preset bench && cmake --build --preset bench
"""
import importlib
import pathlib
import sys
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import harness  # noqa: E402  (after its folder is on the path)


def find():
    """{name: function}, and {name of a group: [names]}."""
    benchmarks, groups = {}, {}
    for path in sorted(HERE.glob("*/bench_*.py")):
        sys.path.insert(0, str(path.parent))
        module = importlib.import_module(path.stem)
        benchmarks.update(module.BENCHMARKS)
        groups.update(getattr(module, "GROUPS", {}))
    return benchmarks, groups


def main():
    benchmarks, groups = find()
    arguments = sys.argv[1:]
    if "--help" in arguments or "-h" in arguments:
        print(__doc__ + "\nBenchmarks: " + ", ".join(benchmarks) + "\nGroups: " + ", ".join(groups))
        return 0
    harness.QUICK = "--quick" in arguments
    asked = [name for name in arguments if name != "--quick"] or list(benchmarks)
    names = [name for word in asked for name in groups.get(word, [word])]
    unknown = [name for name in names if name not in benchmarks]
    if unknown:
        sys.exit(f"run.py: no benchmark {', '.join(unknown)}; there are: {', '.join([*benchmarks, *groups])}")
    failed = []
    for name in names:
        try:
            benchmarks[name]()
        except (Exception, SystemExit) as why:  # the others are still worth measuring
            if not isinstance(why, SystemExit):
                traceback.print_exc()
            print(f"run.py: {name} failed: {why}", file=sys.stderr, flush=True)
            failed.append((name, str(why)))
    if len(names) > 1:
        print(harness.markdown(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
