# SPDX-License-Identifier: Apache-2.0
"""tessera-worker over the wire: right products, every kind of bad request with
its code and a good answer after it, limits, cancellation, draining."""
import json
import os
import re
import signal
import socket
import struct
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


class BadInput(Case):
    @classmethod
    def setUpClass(cls):
        cls.worker = harness.worker("--max-message-bytes", "8M")
        cls.addClassCleanup(cls.worker.kill)

    def setUp(self):
        super().setUp()
        self.client = Client(self.worker.url)
        self.addCleanup(self.client.close)
        self.request = request_of(integers(self.rng, 2, 3), integers(self.rng, 3, 4))

    def refused(self, code, http_status, request=None):
        body = request if isinstance(request, bytes) else (request or self.request).SerializeToString()
        error = self.fails(code, http_status, self.client.call_bytes, MULTIPLY, body)
        self.assertNotEqual(error.message, "")
        self.still_answers(self.client)

    def test_truncated_protobuf(self):
        body = self.request.SerializeToString()
        for size in (1, 2, 5, len(body) // 2, len(body) - 1):
            self.refused("invalid_argument", 400, body[:size])

    def test_garbage(self):
        self.refused("invalid_argument", 400, b"\xff" * 100)
        self.refused("invalid_argument", 400, b"\x0a")

    def test_empty_request(self):
        self.refused("invalid_argument", 400, b"")

    def test_a_gigabyte_claimed_in_a_kilobyte(self):
        field = bytes([0x0a])  # a: length-delimited
        self.refused("invalid_argument", 400, field + b"\x80\x80\x80\x80\x04" + bytes(1000))
        self.refused("invalid_argument", 400, field + b"\xff" * 9 + b"\x01" + bytes(1000))

    def test_mismatched_shapes(self):
        harness.set_matrix(self.request.b, integers(self.rng, 4, 3))
        self.refused("invalid_argument", 400)

    def test_data_of_the_wrong_length(self):
        for data in (b"", bytes(23), bytes(25), bytes(48)):
            self.request.a.data = data
            self.refused("invalid_argument", 400)

    def test_overflowing_shapes(self):
        for rows, cols in ((2 ** 32 - 1, 2 ** 32 - 1), (2 ** 31, 2 ** 31), (65536, 65536)):
            self.request.a.rows, self.request.a.cols = rows, cols
            self.refused("invalid_argument", 400)

    def test_data_and_values(self):
        self.request.a.values.extend([1.0] * 6)
        self.refused("invalid_argument", 400)

    def test_values_of_the_wrong_count(self):
        self.request.a.data = b""
        self.request.a.values.extend([1.0] * 7)
        self.refused("invalid_argument", 400)

    def test_dtypes(self):
        self.request.a.dtype = pb.DTYPE_UNSPECIFIED
        self.refused("invalid_argument", 400)
        for dtype in (pb.DTYPE_FLOAT16, pb.DTYPE_INT8):
            self.request.a.dtype = dtype
            self.refused("unimplemented", 501)
        harness.set_matrix(self.request.a, integers(self.rng, 2, 3, "float64"))
        self.refused("invalid_argument", 400)

    def test_unknown_dtype(self):
        body = self.request.SerializeToString() + pb.MatmulRequest().SerializeToString()
        matrix = bytes([0x0a, 0x03, 0x18, 0xe8, 0x07])  # a { dtype: 1000 }, merged into a
        self.refused("unimplemented", 501, body + matrix)

    def test_a_block_that_is_not_held(self):
        self.request.a.ClearField("data")
        self.request.a.block.sha256 = bytes(32)
        self.refused("not_found", 404)

    def test_beta_without_c_and_c_of_another_shape(self):
        self.request.scaling.alpha, self.request.scaling.beta = 1, 1
        self.refused("invalid_argument", 400)
        harness.set_matrix(self.request.c, integers(self.rng, 4, 2))
        self.refused("invalid_argument", 400)

    def test_a_scalar_too_large_for_float32(self):
        self.request.scaling.alpha = 1e300
        self.refused("invalid_argument", 400)

    def test_product_id_that_is_not_utf8(self):
        self.refused("invalid_argument", 400,
                     self.request.SerializeToString() + bytes([0x42, 0x02, 0xc3, 0x28]))

    def test_a_result_larger_than_a_reply(self):
        a, b = np.ones((2000, 1), "float32"), np.ones((1, 2000), "float32")
        self.refused("resource_exhausted", 429, request_of(a, b))

    def test_a_body_over_the_limit(self):
        a = np.ones((2000, 2000), "float32")
        with Client(self.worker.url) as client:
            try:
                self.fails("resource_exhausted", 429, client.multiply, a, a)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused from its Content-Length, before it was sent
        self.still_answers(self.client)

    def test_unknown_paths(self):
        for path in ("/tessera.matmul.v1.MatmulService/Divide", "/no.such.Service/Multiply", "/x",
                     "/"):
            status, _, _ = self.client.post(path, b"")
            self.assertEqual(status, 404, path)
        self.still_answers(self.client)

    def test_wrong_verb(self):
        for method in ("PUT", "DELETE", "PATCH"):
            status, headers, _ = self.client.post(MULTIPLY, b"", method=method)
            self.assertEqual(status, 405, method)
        self.still_answers(self.client)

    def test_wrong_content_type(self):
        body = self.request.SerializeToString()
        for kind in ("text/plain", "application/x-protobuf", "application/grpc", ""):
            status, _, _ = self.client.post(MULTIPLY, body, {"Content-Type": kind})
            self.assertEqual(status, 415, kind)
        self.still_answers(self.client)

    def test_unknown_compression(self):
        status, _, reply = self.client.post(MULTIPLY, self.request.SerializeToString(),
                                            {"Content-Encoding": "rot13"})
        self.assertEqual((status, json.loads(reply)["code"]), (501, "unimplemented"))
        self.still_answers(self.client)

    def test_bad_timeout(self):
        for value in ("soon", "-1", "12345678901"):
            status, _, reply = self.client.post(MULTIPLY, self.request.SerializeToString(),
                                                {"Connect-Timeout-Ms": value})
            self.assertEqual((status, json.loads(reply)["code"]), (400, "invalid_argument"), value)
        self.still_answers(self.client)

    def raw(self, data, seconds=10):
        """Sends bytes, closes that side, returns what comes."""
        with socket.create_connection((self.worker.host, self.worker.port), seconds) as peer:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            received = b""
            while True:
                piece = peer.recv(65536)
                if not piece:
                    return received
                received += piece

    def test_a_body_that_ends_early(self):
        head = (f"POST {MULTIPLY} HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\n"
                "Content-Length: 4000000\r\n\r\n").encode()
        self.assertNotIn(b"HTTP/1.1 200", self.raw(head + bytes(1000)))
        self.still_answers(self.client)

    def test_half_sent_heads_keep_nobody_waiting(self):
        open_ones = []
        try:
            for _ in range(20):
                peer = socket.create_connection((self.worker.host, self.worker.port), 10)
                peer.sendall(b"POST /tessera.matmul.v1.MatmulService/Mul")
                open_ones.append(peer)
            started = time.monotonic()
            with Client(self.worker.url) as client:
                self.still_answers(client)
            self.assertLess(time.monotonic() - started, 5)
        finally:
            for peer in open_ones:
                peer.close()

    def test_nothing_of_http(self):
        self.raw(b"\x00\x01\x02\x03\r\n\r\n")
        self.raw(b"GET\r\n\r\n")
        with Client(self.worker.url) as client:
            self.still_answers(client)


def slow_product(rng):
    """One that takes the reference kernel many seconds, and is sent in a moment."""
    return integers(rng, 4000, 200), integers(rng, 200, 4000)


class Limits(Case):
    def slow_worker(self, *options):
        return harness.worker("--kernel", "reference", "--threads", "1", *options)

    def start(self, program, a, b, **keywords):
        """A product in a thread; returns (thread, outcome)."""
        outcome = {}

        def run():
            try:
                with Client(program.url) as client:
                    outcome["c"], _ = client.multiply(a, b, **keywords)
            except Exception as error:
                outcome["error"] = error

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread, outcome

    def test_connections_outlive_a_stop(self):
        """As with Ctrl-Z and fg, or a debugger, while the connection is idle."""
        with self.slow_worker() as program, Client(program.url) as client:
            for _ in range(3):
                client.describe()
                time.sleep(0.05)
                program.process.send_signal(signal.SIGSTOP)
                time.sleep(0.05)
                program.process.send_signal(signal.SIGCONT)
                time.sleep(0.3)
            client.describe()

    def metric(self, program, name):
        with Client(program.url) as client:
            _, _, text = client.post("/metrics", None, method="GET")
        return float(re.search(rf"(?m)^{name} (\S+)$", text.decode()).group(1))

    def settles(self, program, name, value):
        """A call's end is told before all that it held is given back."""
        harness.eventually(lambda: self.metric(program, name) == value, 20, f"{name} {value}")

    def test_too_many_wait(self):
        a, b = slow_product(self.rng)
        with self.slow_worker("--queue", "1") as program:
            self.start(program, a, b, timeout_ms=20000)
            self.settles(program, "tessera_worker_computing", 1)
            self.start(program, a, b, timeout_ms=20000)
            self.settles(program, "tessera_worker_waiting", 1)
            started = time.monotonic()
            with Client(program.url) as client:
                self.fails("resource_exhausted", 429, client.multiply, a, b)
                self.assertLess(time.monotonic() - started, 5)
                self.still_answers(client)  # small ones do not wait for large ones
            self.assertEqual(self.metric(program, "tessera_worker_queue_refused_total"), 1)

    def test_over_the_memory_budget(self):
        a = integers(self.rng, 1000, 1000, "float64")  # 8 MB each
        with self.slow_worker("--max-inflight-bytes", "30M", "--max-message-bytes", "20M") as program:
            self.start(program, a, a, timeout_ms=20000)
            self.settles(program, "tessera_worker_computing", 1)
            with Client(program.url) as client:
                self.fails("resource_exhausted", 429, client.multiply, a, a)
            with Client(program.url) as client:
                self.still_answers(client)

    def test_a_deadline_ends_the_work(self):
        a, b = slow_product(self.rng)
        with self.slow_worker() as program, Client(program.url) as client:
            started = time.monotonic()
            # Long enough for the body to come in: computing is what is to be ended.
            self.fails("deadline_exceeded", 504, client.multiply, a, b, timeout_ms=2000)
            self.assertLess(time.monotonic() - started, 6)
            self.settles(program, "tessera_worker_computing", 0)
            self.settles(program, "tessera_worker_products_abandoned_total", 1)
            self.settles(program, "tessera_worker_buffer_used_bytes", 0)
            self.still_answers(client)

    def test_a_client_that_goes_away_ends_the_work(self):
        a, b = slow_product(self.rng)
        body = request_of(a, b).SerializeToString()
        head = (f"POST {MULTIPLY} HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode()
        with self.slow_worker() as program:
            with socket.create_connection((program.host, program.port), 10) as running, \
                 socket.create_connection((program.host, program.port), 10) as waiting:
                running.sendall(head + body)
                self.settles(program, "tessera_worker_computing", 1)
                waiting.sendall(head + body)
                self.settles(program, "tessera_worker_waiting", 1)
            self.settles(program, "tessera_worker_computing", 0)
            self.settles(program, "tessera_worker_waiting", 0)
            self.settles(program, "tessera_worker_products_abandoned_total", 2)
            with Client(program.url) as client:
                self.still_answers(client)

    def test_a_stream_that_nobody_reads_ends(self):
        a, b = slow_product(self.rng)
        wide = integers(self.rng, 20, 20000)
        with self.slow_worker() as program:
            with Client(program.url) as client:  # computing
                with self.assertRaises(harness.RpcError) as caught:
                    list(client.multiply_tiles(a, b, headers={"Connect-Timeout-Ms": "2000"}))
                self.assertEqual(caught.exception.code, "deadline_exceeded")
            tall = integers(self.rng, 2000, 20)
            with Client(program.url) as client:  # computed, and not taken
                tiles = client.multiply_tiles(tall, wide)
                next(tiles)
            self.settles(program, "tessera_worker_calls_inflight", 0)
            self.settles(program, "tessera_worker_buffer_used_bytes", 0)
            with Client(program.url) as client:
                self.still_answers(client)

    def test_sigterm_lets_products_finish(self):
        a = integers(self.rng, 600, 600, "float64")
        with self.slow_worker("--grace-ms", "60000") as program:
            thread, outcome = self.start(program, a, a)
            self.settles(program, "tessera_worker_computing", 1)
            self.assertEqual(program.stop(70), 0)
            thread.join(20)
            np.testing.assert_array_equal(outcome.get("c"), exact(a, a))

    def test_sigterm_ends_what_takes_too_long(self):
        a, b = slow_product(self.rng)
        with self.slow_worker("--grace-ms", "300") as program:
            thread, outcome = self.start(program, a, b)
            self.settles(program, "tessera_worker_computing", 1)
            started = time.monotonic()
            self.assertEqual(program.stop(), 0)
            self.assertLess(time.monotonic() - started, 8)
            thread.join(20)
            self.assertIn("error", outcome)

    def test_a_taken_port_is_told(self):
        with harness.worker() as program:
            second = subprocess.run([harness.WORKER, "--listen", f"127.0.0.1:{program.port}"],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
            self.assertEqual(second.returncode, 1)
            self.assertEqual(second.stderr.decode().count("\n"), 1)
            self.assertIn(str(program.port), second.stderr.decode())

    def test_memory_is_reused(self):
        """Resident memory stands still after the first products."""
        a = integers(self.rng, 512, 512)
        if os.environ.get("TESSERA_SANITIZE"):
            self.skipTest("a sanitizer keeps freed memory, on purpose")
        with harness.worker("--threads", "1") as program, Client(program.url) as client:
            expected = exact(a, a)
            for _ in range(120):
                client.multiply(a, a)
            before = program.rss_bytes()
            for i in range(300):
                c, _ = client.multiply(a, a)
                if i % 50 == 0:
                    np.testing.assert_array_equal(c, expected)
            self.assertLess(program.rss_bytes() - before, 4 << 20)


if __name__ == "__main__":
    harness.main()
