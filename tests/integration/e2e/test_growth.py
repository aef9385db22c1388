# SPDX-License-Identifier: Apache-2.0
"""A thousand products through one server: memory stands still after the first.

  test_growth.py ENGINE [TEST...]
"""
import sys

import numpy as np

import harness
from harness import Case, Client, exact, integers

ENGINE = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else "native"
PRODUCTS = 1000
WARM_UP = 100
# What allocators and a JavaScript engine's collector may still settle.
SLACK_BYTES = 16 << 20


class Growth(Case):
    def grow(self, mode):
        # Operands of changing sizes, so that a leak of any buffer shows: 1000
        # products lose 300 MB if one of them is kept each time.
        shapes = [(256, 300, 280), (1, 2000, 1), (64, 64, 64), (333, 100, 250)]
        work = []
        for m, k, n in shapes:
            a, b = integers(self.rng, m, k), integers(self.rng, k, n)
            work.append((a, b, exact(a, b)))
        with harness.worker("--threads", "1") as one, harness.worker("--threads", "1") as two, \
             harness.server("--engine", ENGINE, "--mode", mode, "--worker", one.url, "--worker",
                            two.url) as program, Client(program.url) as client:
            programs = {"server": program, "worker": one}
            before = {}
            for i in range(PRODUCTS):
                a, b, expected = work[i % len(work)]
                c, _ = client.multiply(a, b)
                np.testing.assert_array_equal(c, expected)
                if i % 50 == 7:  # and errors
                    self.fails("invalid_argument", 400, client.multiply, a, a[:1, :1])
                if i == WARM_UP:
                    before = {name: peer.rss_bytes() for name, peer in programs.items()}
            for name, peer in programs.items():
                self.assertLess(peer.rss_bytes() - before[name], SLACK_BYTES, name)

    def test_proxy(self):
        self.grow("proxy")

    def test_serial(self):
        self.grow("serial")


if __name__ == "__main__":
    harness.main()
