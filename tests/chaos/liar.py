# SPDX-License-Identifier: Apache-2.0
"""A worker that answers most products rightly and some with a plausible lie: a tile
of the right shape that is wrong by more than rounding, one of yesterday, one that
is cut short, one of another shape. Checks must be on where it takes part."""
import os
import sys
import threading

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration", "e2e"))
import fake_worker  # noqa: E402
from harness import array_of, set_matrix  # noqa: E402


class Liar:
    """Answers for fake_worker.FakeWorker. share: of the answers that are lies."""

    def __init__(self, rng, share):
        self.rng, self.share = rng, share
        self.lock = threading.Lock()
        self.yesterday = {}  # shape and type: elements of an earlier answer

    def __call__(self, request):
        result = fake_worker.honest(request)
        with self.lock:  # one generator, many connections
            key = (result.c.rows, result.c.cols, result.c.dtype)
            stale = self.yesterday.get(key)
            self.yesterday[key] = result.c.data
            if self.rng.random() >= self.share:
                return result
            lie = self.rng.choice([self.off, self.negated, self.rows_swapped, self.stale, self.short, self.shape,
                                   self.cut])
            return lie(result, stale)

    def _edit(self, result, change):
        c = array_of(result.c).copy()
        if c.size:
            change(c)
        set_matrix(result.c, c)
        return result

    def off(self, result, _):
        def change(c):
            c[self.rng.randrange(c.shape[0]), self.rng.randrange(c.shape[1])] += 1e7
        return self._edit(result, change)

    def negated(self, result, _):
        def change(c):
            c += 1e6
            np.negative(c, out=c)
        return self._edit(result, change)

    def rows_swapped(self, result, _):
        def change(c):
            c[[0, -1]] = c[[-1, 0]] + 1e6
        return self._edit(result, change)

    def stale(self, result, before):
        if before is None or before == result.c.data:
            return self.off(result, None)
        old = np.frombuffer(before, array_of(result.c).dtype)
        new = array_of(result.c).ravel()
        # Products of a schedule may begin with the same numbers: then it is no lie.
        if np.abs(old - new).max() < 1e4:
            return self.off(result, None)
        result.c.data = before
        return result

    def short(self, result, _):
        result.c.data = result.c.data[:len(result.c.data) // 2]
        return result

    def shape(self, result, _):
        result.c.rows, result.c.cols = result.c.cols + 1, result.c.rows
        return result

    def cut(self, result, _):
        body = result.SerializeToString()
        return body[:self.rng.randrange(len(body))]
