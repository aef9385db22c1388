# SPDX-License-Identifier: Apache-2.0
"""tessera-worker over the wire: right products of all shapes and kinds, one by one, many at
once and as streams; what it tells of itself. Bad requests: test_worker_bad_input.py, limits
and endings: test_worker_limits.py."""
import os
import re
import subprocess
import tempfile
import threading
import time

import numpy as np

import harness
from harness import Client, HEALTH, MULTIPLY, Case, exact, integers, pb, request_of


class Products(Case):
    @classmethod
    def setUpClass(cls):
        cls.worker = harness.worker("--threads", "2")
        cls.addClassCleanup(cls.worker.kill)

    def setUp(self):
        super().setUp()
        self.client = Client(self.worker.url)
        self.addCleanup(self.client.close)

    def test_integers_are_exact(self):
        for dtype in ("float32", "float64"):
            for m, k, n in harness.SHAPES:
                with self.subTest(dtype=dtype, m=m, k=k, n=n):
                    a = integers(self.rng, m, k, dtype)
                    b = integers(self.rng, k, n, dtype)
                    c, result = self.client.multiply(a, b)
                    np.testing.assert_array_equal(c, exact(a, b))
                    self.assertEqual((result.tile.row, result.tile.col, result.tile.rows,
                                      result.tile.cols), (0, 0, m, n))

    def test_random_stays_in_the_bound(self):
        for dtype in ("float32", "float64"):
            for m, k, n in [(97, 1009, 103), (1000, 37, 513), (3, 20000, 2)]:
                a = self.rng.standard_normal((m, k)).astype(dtype)
                b = self.rng.standard_normal((k, n)).astype(dtype)
                c, _ = self.client.multiply(a, b)
                harness.assert_close(c, a, b)

    def test_2048_squared(self):
        for dtype in ("float32", "float64"):
            a = integers(self.rng, 2048, 2048, dtype)
            b = integers(self.rng, 2048, 2048, dtype)
            c, result = self.client.multiply(a, b)
            np.testing.assert_array_equal(c, exact(a, b))
            self.assertGreater(result.compute_ms, 0)

    def test_transposes_alpha_beta(self):
        for ta in (False, True):
            for tb in (False, True):
                a = integers(self.rng, *((37, 53) if ta else (53, 37)))
                b = integers(self.rng, *((41, 37) if tb else (37, 41)))
                c0 = integers(self.rng, 53, 41)
                c, _ = self.client.multiply(a, b, c=c0, alpha=-2, beta=3, transpose_a=ta,
                                            transpose_b=tb)
                expected = -2 * exact(a.T if ta else a, b.T if tb else b) + 3 * c0
                np.testing.assert_array_equal(c, expected)

    def test_nan_in_c_does_not_survive_beta_zero_and_does_survive_beta_one(self):
        a, b = integers(self.rng, 3, 4), integers(self.rng, 4, 5)
        c0 = np.full((3, 5), np.nan, "float32")
        c, _ = self.client.multiply(a, b, c=c0, beta=0)
        np.testing.assert_array_equal(c, exact(a, b))
        c, _ = self.client.multiply(a, b, c=c0, beta=1)
        self.assertTrue(np.isnan(c).all())

    def test_nan_and_infinity_propagate(self):
        a, b = integers(self.rng, 4, 4), integers(self.rng, 4, 4)
        a[1, 2], b[2, 3] = np.nan, np.inf
        c, _ = self.client.multiply(a, b)
        self.assertTrue(np.isnan(c[1]).all())
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(c[0], (a[0].astype("float64") @ b.astype("float64")))

    def test_empty_dimensions(self):
        for m, k, n in [(0, 3, 4), (3, 4, 0), (0, 0, 0)]:
            c, _ = self.client.multiply(np.zeros((m, k), "float32"), np.zeros((k, n), "float32"))
            self.assertEqual(c.shape, (m, n))
        c, _ = self.client.multiply(np.zeros((2, 0), "float64"), np.zeros((0, 3), "float64"))
        np.testing.assert_array_equal(c, np.zeros((2, 3)))
        c0 = integers(self.rng, 2, 3, "float64")
        c, _ = self.client.multiply(np.zeros((2, 0)), np.zeros((0, 3)), c=c0, beta=2)
        np.testing.assert_array_equal(c, 2 * c0)

    def test_numbers_typed_by_people(self):
        for dtype in (pb.DTYPE_FLOAT32, pb.DTYPE_FLOAT64):
            request = pb.MatmulRequest()
            request.a.CopyFrom(pb.Matrix(rows=2, cols=2, dtype=dtype, values=[1, 2, 3, 4]))
            request.b.CopyFrom(pb.Matrix(rows=2, cols=1, dtype=dtype, values=[0.5, -1]))
            result = self.client.call(MULTIPLY, request, pb.TileResult)
            self.assertEqual(list(result.c.values), [-1.5, -2.5])
            self.assertEqual(result.c.data, b"")
        # One matrix as data: the answer is data.
        request.b.ClearField("values")
        harness.set_matrix(request.b, np.array([[0.5], [-1]]))
        result = self.client.call(MULTIPLY, request, pb.TileResult)
        self.assertEqual(result.c.data, np.array([-1.5, -2.5]).tobytes())

    def test_echoes(self):
        a, b = integers(self.rng, 2, 3), integers(self.rng, 3, 4)
        request = request_of(a, b)
        request.tile.row, request.tile.col, request.tile.rows, request.tile.cols = 100, 200, 2, 4
        request.product_id = "tiles of the Alhambra é"
        result = self.client.call(MULTIPLY, request, pb.TileResult)
        self.assertEqual(result.tile, request.tile)
        self.assertEqual(result.product_id, request.product_id)
        self.assertEqual(result.worker, self.worker.url)
        self.assertNotEqual(result.kernel, "")

    def test_data_at_every_alignment(self):
        a, b = integers(self.rng, 5, 7, "float64"), integers(self.rng, 7, 3, "float64")
        for padding in range(9):
            request = request_of(a, b)
            request.a.padding = bytes(padding)
            result = self.client.call(MULTIPLY, request, pb.TileResult)
            np.testing.assert_array_equal(harness.array_of(result.c), exact(a, b))

    def test_fields_in_any_order_and_unknown_ones(self):
        a, b = integers(self.rng, 2, 3), integers(self.rng, 3, 4)
        request = request_of(a, b)
        parts = [pb.MatmulRequest(b=request.b), pb.MatmulRequest(a=request.a)]
        unknown = bytes([0xf8, 0x01, 0x05])  # field 31, varint
        body = unknown + b"".join(part.SerializeToString() for part in parts) + unknown
        result = pb.TileResult.FromString(self.client.call_bytes(MULTIPLY, body))
        np.testing.assert_array_equal(harness.array_of(result.c), exact(a, b))

    def test_several_at_once(self):
        failures = []

        def one(seed):
            try:
                rng = np.random.default_rng(seed)
                with Client(self.worker.url) as client:
                    for _ in range(5):
                        m, k, n = rng.integers(1, 400, 3)
                        a, b = integers(rng, m, k), integers(rng, k, n)
                        c, _ = client.multiply(a, b)
                        np.testing.assert_array_equal(c, exact(a, b))
            except BaseException as error:  # reported below, on the main thread
                failures.append(error)

        threads = [threading.Thread(target=one, args=(seed,)) for seed in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        self.assertEqual(failures, [])

    def test_chunked_body(self):
        a, b = integers(self.rng, 50, 60), integers(self.rng, 60, 70)
        body = request_of(a, b).SerializeToString()
        pieces = [body[at:at + 1000] for at in range(0, len(body), 1000)]
        status, _, reply = self.client.post(MULTIPLY, iter(pieces))
        self.assertEqual(status, 200)
        c = harness.array_of(pb.TileResult.FromString(reply).c)
        np.testing.assert_array_equal(c, exact(a, b))

    def test_tiles_of_a_stream(self):
        for m, k, n in [(1, 1, 1), (300, 200, 100), (3000, 50, 1000)]:
            a, b = integers(self.rng, m, k), integers(self.rng, k, n)
            c0 = integers(self.rng, m, n)
            tiles = list(self.client.multiply_tiles(a, b, c=c0, beta=2))
            c = harness.assemble(tiles, m, n, "float32")
            np.testing.assert_array_equal(c, exact(a, b) + 2 * c0)
            self.assertEqual(tiles[-1].stats.tiles, len(tiles))
            self.assertFalse(any(tile.HasField("stats") for tile in tiles[:-1]))
            if m == 3000:
                self.assertGreater(len(tiles), 5)
        tiles = list(self.client.multiply_tiles(np.zeros((0, 3)), np.zeros((3, 4))))
        self.assertEqual((len(tiles), tiles[0].c.rows, tiles[0].c.cols), (1, 0, 4))
        self.still_answers(self.client)

    def test_a_stream_that_is_read_slowly(self):
        a, b = integers(self.rng, 4000, 20), integers(self.rng, 20, 3000)  # 48 MB come back
        tiles = []
        for tile in self.client.multiply_tiles(a, b):
            tiles.append(tile)
            if len(tiles) < 10:
                time.sleep(0.05)
        np.testing.assert_array_equal(harness.assemble(tiles, 4000, 3000, "float32"), exact(a, b))

    def test_bad_requests_of_a_stream(self):
        a = integers(self.rng, 2, 3)
        with self.assertRaises(harness.RpcError) as caught:
            list(self.client.multiply_tiles(a, a))
        self.assertEqual(caught.exception.code, "invalid_argument")
        self.still_answers(self.client)

    def test_curl_with_a_binary_file(self):
        a, b = integers(self.rng, 30, 40), integers(self.rng, 40, 20)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "request.bin")
            with open(path, "wb") as file:
                file.write(request_of(a, b).SerializeToString())
            reply = subprocess.run(
                ["curl", "-sS", "--fail", "--max-time", "30", "-H", "Content-Type: application/proto",
                 "--data-binary", "@" + path, self.worker.url + MULTIPLY],
                stdout=subprocess.PIPE, check=True, timeout=60).stdout
        c = harness.array_of(pb.TileResult.FromString(reply).c)
        np.testing.assert_array_equal(c, exact(a, b))

    def test_curl_waits_for_no_continue(self):
        """Bodies over 1 MiB come with Expect: 100-continue, which must be answered."""
        a, b = integers(self.rng, 700, 700), integers(self.rng, 700, 700)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "request.bin")
            with open(path, "wb") as file:
                file.write(request_of(a, b).SerializeToString())
            # Unanswered it waits for a second, every time; a busy machine is not busy every time.
            fastest = 60
            for _ in range(20):
                started = time.monotonic()
                subprocess.run(
                    ["curl", "-sS", "--fail", "--max-time", "30", "-H", "Content-Type: application/proto",
                     "-H", "Expect: 100-continue", "--data-binary", "@" + path, "-o", "/dev/null",
                     self.worker.url + MULTIPLY], check=True, timeout=60)
                fastest = min(fastest, time.monotonic() - started)
                if fastest < 0.9:
                    break
            self.assertLess(fastest, 0.9)

    def test_describe(self):
        reply = self.client.describe()
        self.assertEqual(reply.name, "tessera-worker")
        self.assertEqual(reply.engine, "native")
        self.assertEqual(reply.cores, 2)
        self.assertEqual(reply.max_message_bytes, 1 << 30)
        self.assertGreaterEqual(reply.memory_limit_bytes, 1 << 30)
        self.assertGreater(reply.max_concurrent_products, 1)
        dtypes = {dtype for kernel in reply.kernels for dtype in kernel.dtypes}
        self.assertEqual(dtypes, {pb.DTYPE_FLOAT32, pb.DTYPE_FLOAT64})

    def test_health(self):
        for name in ("", "tessera.matmul.v1.MatmulService", "grpc.health.v1.Health"):
            reply = self.client.call(HEALTH, harness.health_pb.HealthCheckRequest(service=name),
                                     harness.health_pb.HealthCheckResponse)
            self.assertEqual(reply.status, 1)
        self.fails("not_found", 404, self.client.call, HEALTH,
                   harness.health_pb.HealthCheckRequest(service="no.such.Service"),
                   harness.health_pb.HealthCheckResponse)

    def test_pages(self):
        for path in ("/livez", "/readyz"):
            status, _, _ = self.client.post(path, None, method="GET")
            self.assertEqual(status, 200)
        self.still_answers(self.client)
        status, _, text = self.client.post("/metrics", None, method="GET")
        self.assertEqual(status, 200)
        line = re.search(r'^tessera_worker_calls_total\{method="[^"]*/Multiply",code="ok"\} (\d+)$',
                         text.decode(), re.M)
        self.assertGreaterEqual(int(line.group(1)), 1)
        self.assertRegex(text.decode(), r"(?m)^tessera_worker_flops_total [1-9]")


if __name__ == "__main__":
    harness.main()
