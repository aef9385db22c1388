#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs benchmarks and prints their ratios.

Usage: bench/run.py [--quick] [--limit SECONDS] [NAME...]

Without a name, all of them. --quick: fewer rounds. --limit: what one benchmark may
take (1800), whatever hangs in it; one run of a contestant has a bound of its own.
At the end of several, and of product-all (every benchmark of products, peers
included), comes one table of all ratios in Markdown. Exit 1: a benchmark could not
run, or not in time; ratios that miss their mark are told, and are no failure.

Build first: tools/deps.sh --bench && cmake --preset bench && cmake --build --preset bench
"""
import argparse
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


def seconds(text):
    value = float(text)
    if not 0 < value <= 1e6:
        raise argparse.ArgumentTypeError(f"{text} is no time")
    return value


def main():
    benchmarks, groups = find()
    parser = argparse.ArgumentParser(
        prog="run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS,
        epilog="Benchmarks: " + ", ".join(benchmarks) + "\nGroups: " + ", ".join(groups))
    parser.add_argument("--quick", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=seconds, default=1800, help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    harness.QUICK = asked.quick
    names = [name for word in asked.names or benchmarks for name in groups.get(word, [word])]
    unknown = [name for name in names if name not in benchmarks]
    if unknown:
        parser.exit(2, f"run.py: no benchmark {', '.join(unknown)}; there are: {', '.join([*benchmarks, *groups])}\n")
    failed = []
    for name in names:
        try:
            with harness.at_most(asked.limit):
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
