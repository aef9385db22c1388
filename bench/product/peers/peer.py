# SPDX-License-Identifier: Apache-2.0
"""What the Python drivers share: peer.h in Python."""
import sys
import time

import numpy


class Product:
    """C = A B, n x n float32; small integers, so that every sum is exact."""

    def __init__(self, n):
        self.n = n
        at = numpy.arange(n * n, dtype=numpy.int64).reshape(n, n)
        self.a = (at * 7 % 11 - 5).astype(numpy.float32)
        self.b = (at * 13 % 9 - 4).astype(numpy.float32)
        self.c = numpy.zeros((n, n), dtype=numpy.float32)

    def right(self):
        rows = [at * 2654435761 % self.n for at in range(64)]
        cols = [at * 40503 % self.n for at in range(64)]
        return all(self.c[row, col] == self.a[row].dot(self.b[:, col]) for row, col in zip(rows, cols))


def serve(product, run):
    """One line, one product: prints the milliseconds."""
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        elapsed = (time.perf_counter() - start) * 1e3
        if not product.right():
            sys.exit("the product is wrong")
        product.c[:] = 0
        print(f"{elapsed:.3f}", flush=True)
