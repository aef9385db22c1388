# SPDX-License-Identifier: Apache-2.0
"""Blocks of a worker: put once, named in products, verified, bounded, and gone
when the worker is."""
import socket
import threading
import time

import numpy as np

import blocks
import harness
from harness import Case, Client, exact, integers, pb

OVERHEAD = 256  # what a block counts beside its elements


class Blocks(Case):
    def setUp(self):
        super().setUp()
        self.worker = harness.worker("--threads", "1", "--cache-bytes", "1M")
        self.addCleanup(self.worker.kill)
        self.client = Client(self.worker.url)
        self.addCleanup(self.client.close)

    def multiply(self, request):
        result = self.client.call(harness.MULTIPLY, request, pb.TileResult)
        return harness.array_of(result.c)

    def test_put_once_and_multiply_by_name(self):
        a, b = integers(self.rng, 120, 90), integers(self.rng, 90, 70)
        for matrix in (a, b):
            reply = blocks.put(self.client, matrix)
            self.assertEqual(reply.sha256, blocks.name_of(matrix))
            self.assertFalse(reply.known)
            self.assertTrue(blocks.put(self.client, matrix, blocks.name_of(matrix)).known)
        request = pb.MatmulRequest()
        blocks.set_block(request.a, a)
        blocks.set_block(request.b, b)
        self.assertLess(request.ByteSize(), 200)
        np.testing.assert_array_equal(self.multiply(request), exact(a, b))
        self.assertEqual(blocks.metric(self.worker, "tessera_worker_block_hits_total"), 2)

    def test_a_block_that_is_on_its_way_is_awaited(self):
        a, b = integers(self.rng, 120, 90), integers(self.rng, 90, 70)
        self.assertTrue(blocks.listed(self.client).awaits_puts)
        request = pb.MatmulRequest()
        blocks.set_block(request.a, a)
        harness.set_matrix(request.b, b)
        request.a.block.coming = True
        self.assertEqual(blocks.missing(self.client, request), [blocks.name_of(a)])  # no put: at once
        put = pb.PutBlockRequest(sha256=blocks.name_of(a))
        harness.set_matrix(put.matrix, a)
        body = put.SerializeToString()
        host, port = self.worker.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as putter:
            putter.sendall((f"POST {blocks.SERVICE}PutBlock HTTP/1.1\r\nHost: {host}\r\n"
                            "Content-Type: application/proto\r\nConnect-Protocol-Version: 1\r\n"
                            f"Content-Length: {len(body)}\r\n\r\n").encode() + body[:-1])
            time.sleep(0.2)  # its head is there
            answers = []
            product = threading.Thread(target=lambda: answers.append(self.multiply(request)))
            product.start()
            product.join(0.3)
            self.assertTrue(product.is_alive())
            putter.sendall(body[-1:])
            product.join(10)
        np.testing.assert_array_equal(answers[0], exact(a, b))

    def test_rectangles_of_blocks(self):
        a, b = integers(self.rng, 50, 60, "float64"), integers(self.rng, 80, 90, "float64")
        blocks.put(self.client, a)
        blocks.put(self.client, b)
        for transpose_a in (False, True):
            for _ in range(20):
                m, k, n = (int(x) for x in self.rng.integers(1, 40, 3))
                rows, cols = (k, m) if transpose_a else (m, k)
                r, c = (int(self.rng.integers(0, 50 - rows + 1)),
                        int(self.rng.integers(0, 60 - cols + 1)))
                s, t = int(self.rng.integers(0, 80 - k + 1)), int(self.rng.integers(0, 90 - n + 1))
                request = pb.MatmulRequest(transpose_a=transpose_a)
                blocks.set_block(request.a, a, r, c, rows, cols)
                blocks.set_block(request.b, b, s, t, k, n)
                part = a[r:r + rows, c:c + cols]
                expected = exact(part.T if transpose_a else part, b[s:s + k, t:t + n])
                np.testing.assert_array_equal(self.multiply(request), expected)

    def test_c_may_be_a_rectangle_of_a_block(self):
        a, b, c = integers(self.rng, 9, 5), integers(self.rng, 5, 7), integers(self.rng, 30, 30)
        blocks.put(self.client, c)
        request = harness.request_of(a, b, alpha=2, beta=3)
        blocks.set_block(request.c, c, 11, 13, 9, 7)
        np.testing.assert_array_equal(self.multiply(request),
                                      2 * exact(a, b) + 3 * c[11:20, 13:20])

    def test_what_is_missing_is_said_and_kept_when_it_comes(self):
        a, b = integers(self.rng, 40, 50), integers(self.rng, 50, 60)
        request = pb.MatmulRequest()
        blocks.set_block(request.a, a, data=True)
        blocks.set_block(request.b, b)
        self.assertEqual(blocks.missing(self.client, request), [blocks.name_of(b)])
        request.a.ClearField("data")  # it was kept all the same
        request.b.data = b.tobytes()
        np.testing.assert_array_equal(self.multiply(request), exact(a, b))
        request.b.ClearField("data")
        np.testing.assert_array_equal(self.multiply(request), exact(a, b))
        for matrix in (a, b):
            self.assertTrue(blocks.drop(self.client, blocks.name_of(matrix)))
            self.assertFalse(blocks.drop(self.client, blocks.name_of(matrix)))
        self.assertEqual(blocks.missing(self.client, request),
                         [blocks.name_of(a), blocks.name_of(b)])

    def test_a_wrong_name_is_refused_and_nothing_is_kept(self):
        a, b = integers(self.rng, 40, 50), integers(self.rng, 50, 60)
        request = pb.MatmulRequest()
        blocks.set_block(request.a, a, data=True)
        harness.set_matrix(request.b, b)
        request.a.data = (a + 1).tobytes()
        self.fails("invalid_argument", 400, self.multiply, request)
        self.fails("invalid_argument", 400, blocks.put, self.client, a, blocks.name_of(b))
        self.fails("invalid_argument", 400, blocks.put, self.client, a, b"short")
        self.fails("invalid_argument", 400, blocks.drop, self.client, b"")
        self.fails("invalid_argument", 400, blocks.listed, self.client, b"x" * 33)
        reply = blocks.listed(self.client)
        self.assertEqual((len(reply.blocks), reply.used_bytes), (0, 0))

    def test_the_budget_holds_and_the_oldest_go(self):
        matrices = [integers(self.rng, 250, 100) for _ in range(15)]  # 100 kB each, 10 fit
        for matrix in matrices:
            blocks.put(self.client, matrix)
            reply = blocks.listed(self.client)
            self.assertLessEqual(reply.used_bytes, reply.capacity_bytes)
        self.assertEqual(reply.capacity_bytes, 1 << 20)
        self.assertEqual([block.sha256 for block in reply.blocks],
                         [blocks.name_of(matrix) for matrix in reversed(matrices[5:])])
        self.assertEqual(reply.used_bytes, 10 * (matrices[0].nbytes + OVERHEAD))
        self.assertEqual(blocks.metric(self.worker, "tessera_worker_block_evictions_total"), 5)
        info = blocks.listed(self.client, blocks.name_of(matrices[0]),
                             blocks.name_of(matrices[7])).blocks
        self.assertEqual([(block.rows, block.cols, block.dtype, block.bytes) for block in info],
                         [(250, 100, pb.DTYPE_FLOAT32, 100000)])
        description = self.client.describe()
        self.assertEqual(description.block_bytes, reply.used_bytes)
        self.assertEqual(description.block_capacity_bytes, reply.capacity_bytes)

    def test_larger_than_the_budget(self):
        large = integers(self.rng, 600, 600)
        self.fails("resource_exhausted", 429, blocks.put, self.client, large)
        request = pb.MatmulRequest()  # a product is computed all the same, and nothing kept
        blocks.set_block(request.a, large, 5, 7, 100, 200, data=True)
        harness.set_matrix(request.b, large[:200])
        np.testing.assert_array_equal(self.multiply(request), exact(large[5:105, 7:207],
                                                                    large[:200]))
        request.a.ClearField("data")
        self.assertEqual(blocks.missing(self.client, request), [blocks.name_of(large)])

    def test_a_worker_that_keeps_nothing(self):
        a = integers(self.rng, 10, 10)
        with harness.worker("--threads", "1", "--cache-bytes", "0") as program, \
             Client(program.url) as client:
            self.fails("resource_exhausted", 429, blocks.put, client, a)
            request = pb.MatmulRequest()
            blocks.set_block(request.a, a)
            harness.set_matrix(request.b, a)
            self.assertEqual(blocks.missing(client, request), [blocks.name_of(a)])
            c, _ = client.multiply(a, a)
            np.testing.assert_array_equal(c, exact(a, a))

    def test_a_restart_forgets(self):
        a = integers(self.rng, 30, 30)
        blocks.put(self.client, a)
        port = self.worker.port
        self.worker.kill()
        with harness.Program(harness.WORKER, "--listen", f"127.0.0.1:{port}") as again, \
             Client(again.url) as client:
            request = pb.MatmulRequest()
            blocks.set_block(request.a, a)
            harness.set_matrix(request.b, a)
            self.assertEqual(blocks.missing(client, request), [blocks.name_of(a)])

    def test_many_clients_in_a_budget_that_is_too_small(self):
        """Every answer is right, whatever is dropped meanwhile."""
        matrices = [integers(self.rng, 200, 200) for _ in range(12)]  # 6 fit
        products = {(i, j): exact(matrices[i], matrices[j]) for i in range(12) for j in range(12)}
        wrong, missed, finished = [], [], []

        def run(seed):
            rng = np.random.default_rng(seed)
            with Client(self.worker.url) as client:
                for _ in range(60):
                    i, j = (int(x) for x in rng.integers(0, 12, 2))
                    request = pb.MatmulRequest()
                    blocks.set_block(request.a, matrices[i])
                    blocks.set_block(request.b, matrices[j])
                    for _ in range(8):
                        status, _, body = client.post(harness.MULTIPLY,
                                                      request.SerializeToString())
                        if status == 200:
                            break
                        names = blocks.missing_in(status, body)
                        missed.append(len(names))
                        for matrix, which in ((request.a, i), (request.b, j)):
                            if matrix.block.sha256 in names:
                                matrix.data = matrices[which].tobytes()
                    result = pb.TileResult.FromString(body)
                    if not np.array_equal(harness.array_of(result.c), products[i, j]):
                        wrong.append((i, j))
                finished.append(seed)

        threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
            self.assertFalse(thread.is_alive())
        self.assertEqual(sorted(finished), [0, 1, 2, 3])
        self.assertEqual(wrong, [])
        self.assertGreater(len(missed), 20)
        reply = blocks.listed(self.client)
        self.assertLessEqual(reply.used_bytes, reply.capacity_bytes)


if __name__ == "__main__":
    harness.main()
