# SPDX-License-Identifier: Apache-2.0
"""Blocks end to end: what a server and its two workers keep, counted in bytes on the
wire between them: 4n² words for a product of n x n, 2n² with an operand by name.

  test_blocks_server.py ENGINE [TEST...]
"""
import sys
import threading
import unittest

import numpy as np

import blocks
import harness
from harness import Case, Client, MULTIPLY, exact, integers, pb
from counting_relay import Relay

ENGINE = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else "native"
N = 1024
WORDS = N * N * 4  # bytes of one operand


class Blocks(Case):
    worker_options = ()
    server_options = ()

    def setUp(self):
        super().setUp()
        self.workers = [self.start_worker() for _ in range(2)]
        self.relays = [Relay(worker.url) for worker in self.workers]
        arguments = []
        for relay in self.relays:
            self.addCleanup(relay.close)
            arguments += ["--worker", relay.url]
        self.stats = None
        self.server = harness.server("--engine", ENGINE, "--mode", "proxy", *arguments,
                                     *self.server_options)
        self.addCleanup(self.server.kill)
        self.client = Client(self.server.url)
        self.addCleanup(self.client.close)

    def start_worker(self):
        worker = harness.worker("--threads", "1", *self.worker_options)
        self.addCleanup(worker.kill)
        return worker

    def product(self, a, b, a_named=False, b_named=False, client=None):
        """The product, checked; returns its stats."""
        request = pb.MatmulRequest()
        for matrix, array, named in ((request.a, a, a_named), (request.b, b, b_named)):
            if named:
                blocks.set_block(matrix, array)
            else:
                harness.set_matrix(matrix, array)
        result = (client or self.client).call(MULTIPLY, request, pb.TileResult)
        np.testing.assert_array_equal(harness.array_of(result.c), exact(a, b))
        self.assertEqual(result.stats.local_tiles, 0)
        return result.stats

    def zero(self):
        for relay in self.relays:
            relay.zero()

    def quietly(self, product):
        """A product without second copies of tiles, which a busy machine makes: asked for up
        to 8 times. Keeps its stats for expect_traffic, and returns them."""
        for _ in range(8):
            self.zero()
            self.stats = product()
            if self.stats.backups == 0 and self.stats.retries == 0:
                break
        return self.stats

    def expect_traffic(self, to_workers, from_workers):
        """In operands of n x n, within 1 %, of the last product. A second copy of a tile costs
        at most half of one operand and half of C; nothing else may come."""
        copies = self.stats.backups + self.stats.retries if self.stats else 0
        for name, operands in (("to_worker", to_workers), ("from_worker", from_workers)):
            seen = sum(getattr(relay, name) for relay in self.relays) / WORDS
            what = f"{name}: {seen:.4f} n² words, not {operands}; {copies} copies of tiles"
            slack = 0.01 * max(operands, 1)  # names and heads are not free
            self.assertLess(seen, operands + slack + copies / 2, what)
            if copies == 0:
                self.assertGreater(seen, operands - slack, what)
        self.zero()
        self.stats = None


class Traffic(Blocks):
    def fresh_product(self, a_named=False, b_named=False):
        """Of operands that no worker has seen; the server has the named ones."""
        a, b = integers(self.rng, N, N), integers(self.rng, N, N)
        for matrix, named in ((a, a_named), (b, b_named)):
            if named:
                blocks.put(self.client, matrix)
        return self.product(a, b, a_named, b_named)

    def test_a_product_moves_4_n_squared_and_2_with_a_name(self):
        a, b = integers(self.rng, N, N), integers(self.rng, N, N)
        self.quietly(lambda: self.product(a, b))
        self.expect_traffic(3, 1)  # half of A and all of B for each
        blocks.put(self.client, b)
        self.expect_traffic(0, 0)  # to the server alone
        self.quietly(lambda: self.fresh_product(b_named=True))
        self.expect_traffic(3, 1)
        b = integers(self.rng, N, N)
        blocks.put(self.client, b)
        self.product(a, b, b_named=True)
        for _ in range(3):
            a = integers(self.rng, N, N)
            stats = self.quietly(lambda: self.product(a, b, b_named=True))
            self.expect_traffic(1, 1)
            if stats.backups == 0:
                self.assertEqual((stats.bytes_sent, stats.bytes_received, stats.cache_bytes),
                                 (WORDS, WORDS, 2 * WORDS))

    def test_the_first_operand_by_name(self):
        """Then C is cut into columns: B travels once."""
        a = integers(self.rng, N, N)
        blocks.put(self.client, a)
        self.quietly(lambda: self.fresh_product(a_named=True))
        self.expect_traffic(3, 1)
        self.product(a, integers(self.rng, N, N), a_named=True)
        self.quietly(lambda: self.product(a, integers(self.rng, N, N), a_named=True))
        self.expect_traffic(1, 1)

    def test_both_operands_by_name(self):
        a, b = integers(self.rng, N, N), integers(self.rng, N, N)
        blocks.put(self.client, a)
        blocks.put(self.client, b)
        # Whoever has both first may well compute a copy of the other's tile meanwhile, for
        # no more than its half of C.
        self.fresh_product(a_named=True, b_named=True)
        self.assertLess(sum(relay.to_worker for relay in self.relays), 4.04 * WORDS)
        self.assertLess(sum(relay.from_worker for relay in self.relays), 2.02 * WORDS)
        self.product(a, b, a_named=True, b_named=True)
        for x, y in ((a, b), (b, a), (a, a)):
            self.quietly(lambda: self.product(x, y, a_named=True, b_named=True))
            self.expect_traffic(0, 1)

    def test_a_worker_that_restarts_gets_it_again(self):
        b = integers(self.rng, N, N)
        blocks.put(self.client, b)
        self.product(integers(self.rng, N, N), b, b_named=True)
        self.workers[1].kill()
        self.workers[1] = self.start_worker()
        self.relays[1].target(self.workers[1].url)
        self.zero()
        stats = self.product(integers(self.rng, N, N), b, b_named=True)
        # Half of A for each and B for the new one; its half of A again, once it said what it
        # lacks, and once more for a connection that was lost.
        self.assertLess(sum(relay.to_worker for relay in self.relays),
                        (3.1 + stats.backups) * WORDS)
        self.quietly(lambda: self.product(integers(self.rng, N, N), b, b_named=True))
        for worker in self.workers:
            self.assertEqual(blocks.metric(worker, "tessera_worker_block_kept_total"), 1)

    def test_products_at_a_time_share_a_block(self):
        b = integers(self.rng, N, N)
        blocks.put(self.client, b)
        failures = []

        def one():
            try:
                with Client(self.server.url) as client:
                    for _ in range(2):
                        a = integers(np.random.default_rng(threading.get_ident()), N, N)
                        self.product(a, b, b_named=True, client=client)
            except Exception as error:  # told below, on the test's thread
                failures.append(error)

        threads = [threading.Thread(target=one) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(240)
        self.assertEqual(failures, [])
        for worker in self.workers:
            self.assertLessEqual(blocks.metric(worker, "tessera_worker_block_kept_total"), 1)
        # Eight times A, and B once for each worker, however the products meet.
        sent = sum(relay.to_worker for relay in self.relays)
        backups = sum(w.backups for w in self.client.describe().workers)
        self.assertLess(sent, (10.1 + backups) * WORDS)

    def test_many_rectangles_of_one_block(self):
        whole = integers(self.rng, 400, 300)
        blocks.put(self.client, whole)
        for _ in range(10):
            rows, cols = (int(x) for x in self.rng.integers(1, 200, 2))
            row = int(self.rng.integers(0, 400 - rows + 1))
            col = int(self.rng.integers(0, 300 - cols + 1))
            b = integers(self.rng, cols, 50)
            request = pb.MatmulRequest()
            blocks.set_block(request.a, whole, row, col, rows, cols)
            harness.set_matrix(request.b, b)
            result = self.client.call(MULTIPLY, request, pb.TileResult)
            np.testing.assert_array_equal(harness.array_of(result.c),
                                          exact(whole[row:row + rows, col:col + cols], b))


class SmallCaches(Blocks):
    """Room for one operand and a half, everywhere."""

    worker_options = ("--cache-bytes", str(WORDS * 3 // 2))
    server_options = ("--cache-bytes", str(WORDS * 3 // 2))

    def test_the_least_recently_used_goes_and_comes_again(self):
        first, second = integers(self.rng, N, N), integers(self.rng, N, N)
        for b in (first, second, first):
            blocks.put(self.client, b)
            for _ in range(2):
                self.product(integers(self.rng, N, N), b, b_named=True)
        for worker in self.workers:
            self.assertEqual(blocks.metric(worker, "tessera_worker_block_evictions_total"), 2)
        self.assertEqual(blocks.metric(self.server, "tessera_block_evictions_total"), 2)
        self.assertEqual(blocks.metric(self.server, "tessera_blocks"), 1)

    def test_what_is_not_held_is_named_and_comes_with_the_request(self):
        a, b = integers(self.rng, N, N), integers(self.rng, N, N)
        request = pb.MatmulRequest()
        harness.set_matrix(request.a, a)
        blocks.set_block(request.b, b)
        self.assertEqual(blocks.missing(self.client, request), [blocks.name_of(b)])
        blocks.set_block(request.b, b, data=True)
        for _ in range(2):
            result = self.client.call(MULTIPLY, request, pb.TileResult)
            np.testing.assert_array_equal(harness.array_of(result.c), exact(a, b))
        self.assertEqual(list(blocks.listed(self.client).blocks[0].sha256.hex()),
                         list(blocks.name_of(b).hex()))
        self.product(a, b, b_named=True)
        self.assertTrue(blocks.drop(self.client, blocks.name_of(b)))
        request.b.ClearField("data")
        self.assertEqual(blocks.missing(self.client, request), [blocks.name_of(b)])

    def test_names_are_verified(self):
        a, b = integers(self.rng, 300, 200), integers(self.rng, 200, 100)
        self.fails("invalid_argument", 400, blocks.put, self.client, a, blocks.name_of(b))
        request = pb.MatmulRequest()
        harness.set_matrix(request.a, a)
        blocks.set_block(request.b, b, data=True)
        request.b.block.sha256 = blocks.name_of(a)
        self.fails("invalid_argument", 400, self.client.call, MULTIPLY, request, pb.TileResult)
        self.assertEqual(len(blocks.listed(self.client).blocks), 0)

    def test_too_large_for_the_budget(self):
        large = integers(self.rng, 2 * N, N)
        self.fails("resource_exhausted", 429, blocks.put, self.client, large)
        self.still_answers(self.client)

    def test_describe_and_metrics(self):
        b = integers(self.rng, N, N)
        blocks.put(self.client, b)
        about = self.client.describe()
        self.assertEqual((about.block_bytes, about.block_capacity_bytes),
                         (WORDS + 256, WORDS * 3 // 2))
        self.assertEqual(blocks.metric(self.server, "tessera_block_bytes"), WORDS + 256)


@unittest.skipIf(ENGINE == "native", "it has no memory of its own")
class LittleMemory(Case):
    """Memory for seven blocks, or for four and a product."""

    def test_blocks_give_way_to_products(self):
        with harness.server("--engine", ENGINE, "--memory-limit", "64M", "--cache-bytes",
                            "32M") as program, Client(program.url) as client:
            matrices = [integers(self.rng, N, N) for _ in range(7)]
            for matrix in matrices:
                blocks.put(client, matrix)
            self.assertEqual(blocks.metric(program, "tessera_blocks"), 7)
            a, b = integers(self.rng, 1900, 1900), integers(self.rng, 1900, 1900)
            np.testing.assert_array_equal(client.multiply(a, b)[0], exact(a, b))
            held = int(blocks.metric(program, "tessera_blocks"))
            self.assertIn(held, range(1, 7))
            # Those that were used last stay.
            self.assertEqual([bytes(block.sha256) for block in blocks.listed(client).blocks],
                             [blocks.name_of(matrix) for matrix in matrices[:-held - 1:-1]])


if __name__ == "__main__":
    harness.main()
