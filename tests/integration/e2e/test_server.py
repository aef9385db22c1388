# SPDX-License-Identifier: Apache-2.0
"""tessera-server with two workers, every engine and every mode: right products,
bad input with its code, modes that change while products run.

  test_server.py ENGINE [TEST...]
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

import harness
from harness import BadRequests, Case, Client, MULTIPLY, exact, integers, pb, request_of

GET_MODE = "/tessera.matmul.v1.ControllerService/GetMode"
SET_MODE = "/tessera.matmul.v1.ControllerService/SetMode"
MODES = {"serial": pb.MODE_SERIAL, "proxy": pb.MODE_PROXY, "adaptive": pb.MODE_ADAPTIVE}
ENGINE = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else "native"


class Server(Case):
    """Two workers and a server in front of them."""

    options = ()

    @classmethod
    def setUpClass(cls):
        cls.workers = [harness.worker("--threads", "1") for _ in range(2)]
        for program in cls.workers:
            cls.addClassCleanup(program.kill)
        arguments = [part for program in cls.workers for part in ("--worker", program.url)]
        cls.server = harness.server("--engine", ENGINE, *arguments, *cls.options)
        cls.addClassCleanup(cls.server.kill)

    def setUp(self):
        super().setUp()
        self.client = Client(self.server.url)
        self.addCleanup(self.client.close)

    def set_mode(self, name):
        return self.client.call(SET_MODE, pb.SetModeRequest(mode=MODES[name]), pb.SetModeResponse)

    def get_mode(self):
        return self.client.call(GET_MODE, pb.GetModeRequest(), pb.GetModeResponse)


class Products(Server):
    def each_mode(self):
        for mode in MODES:
            self.set_mode(mode)
            with self.subTest(mode=mode):
                yield mode

    def test_integers_are_exact(self):
        for mode in self.each_mode():
            for dtype in ("float32", "float64"):
                for m, k, n in harness.SHAPES:
                    a, b = integers(self.rng, m, k, dtype), integers(self.rng, k, n, dtype)
                    c, result = self.client.multiply(a, b)
                    np.testing.assert_array_equal(c, exact(a, b))
                    tile = result.tile
                    self.assertEqual((tile.row, tile.col, tile.rows, tile.cols), (0, 0, m, n))
                    self.assertEqual(result.stats.tiles,
                                     result.stats.local_tiles + result.stats.proxied_tiles)
                    if mode == "serial":
                        self.assertEqual(result.stats.proxied_tiles, 0)
                    if mode == "proxy":
                        self.assertEqual(result.stats.local_tiles, 0)

    def test_random_stays_in_the_bound(self):
        for _ in self.each_mode():
            for dtype in ("float32", "float64"):
                for m, k, n in [(97, 1009, 103), (300, 37, 513)]:
                    a = self.rng.standard_normal((m, k)).astype(dtype)
                    b = self.rng.standard_normal((k, n)).astype(dtype)
                    c, _ = self.client.multiply(a, b)
                    harness.assert_close(c, a, b)

    def test_everything_of_gemm(self):
        for _ in self.each_mode():
            for ta in (False, True):
                for tb in (False, True):
                    a = integers(self.rng, *((37, 53) if ta else (53, 37)))
                    b = integers(self.rng, *((41, 37) if tb else (37, 41)))
                    c0 = integers(self.rng, 53, 41)
                    c, _ = self.client.multiply(a, b, c=c0, alpha=-2, beta=3, transpose_a=ta,
                                                transpose_b=tb)
                    expected = -2 * exact(a.T if ta else a, b.T if tb else b) + 3 * c0
                    np.testing.assert_array_equal(c, expected)

    def test_empty_dimensions(self):
        for _ in self.each_mode():
            for m, k, n in [(0, 3, 4), (3, 4, 0), (2, 0, 3)]:
                c, _ = self.client.multiply(np.zeros((m, k)), np.zeros((k, n)))
                np.testing.assert_array_equal(c, np.zeros((m, n)))

    def test_nan_and_infinity_propagate(self):
        for _ in self.each_mode():
            a, b = integers(self.rng, 4, 4), integers(self.rng, 4, 4)
            a[1, 2], b[2, 3] = np.nan, np.inf
            c, _ = self.client.multiply(a, b)
            self.assertTrue(np.isnan(c[1]).all())
            with np.errstate(invalid="ignore"):
                expected = a[0].astype("float64") @ b.astype("float64")
            np.testing.assert_array_equal(c[0], expected)

    def test_large_ones(self):
        n = 512 if ENGINE == "wasm2c" else 1024
        for _ in self.each_mode():
            a, b = integers(self.rng, n, n), integers(self.rng, n, n)
            c, _ = self.client.multiply(a, b)
            np.testing.assert_array_equal(c, exact(a, b))

    def test_2048_squared_through_workers(self):
        self.set_mode("proxy")
        for dtype in ("float32", "float64"):
            a, b = integers(self.rng, 2048, 2048, dtype), integers(self.rng, 2048, 2048, dtype)
            c, result = self.client.multiply(a, b)
            np.testing.assert_array_equal(c, exact(a, b))
            self.assertEqual(result.stats.local_tiles, 0)
            self.assertEqual({worker.worker for worker in result.stats.workers},
                             {program.url for program in self.workers})

    def test_numbers_typed_by_people(self):
        for _ in self.each_mode():
            request = pb.MatmulRequest()
            for matrix, values in ((request.a, [1, 2, 3, 4]), (request.b, [0.5, -1, 2, 8])):
                matrix.rows = matrix.cols = 2
                matrix.dtype = pb.DTYPE_FLOAT64
                matrix.values.extend(values)
            result = self.client.call(MULTIPLY, request, pb.TileResult)
            np.testing.assert_array_equal(harness.array_of(result.c), [[4.5, 15], [9.5, 29]])

    def test_several_at_once_while_the_mode_changes(self):
        failures = []
        stop = threading.Event()

        def one(seed):
            try:
                rng = np.random.default_rng(seed)
                with Client(self.server.url) as client:
                    for _ in range(8):
                        m, k, n = rng.integers(1, 300, 3)
                        a, b = integers(rng, m, k), integers(rng, k, n)
                        c, _ = client.multiply(a, b)
                        np.testing.assert_array_equal(c, exact(a, b))
            except BaseException as error:  # reported below, on the main thread
                failures.append(error)

        def switch():
            try:
                with Client(self.server.url) as client:
                    while not stop.is_set():
                        for mode in MODES.values():
                            client.call(SET_MODE, pb.SetModeRequest(mode=mode), pb.SetModeResponse)
                            time.sleep(0.01)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=one, args=(seed,)) for seed in range(6)]
        switcher = threading.Thread(target=switch)
        for thread in [*threads, switcher]:
            thread.start()
        for thread in threads:
            thread.join(180)
        stop.set()
        switcher.join(30)
        self.assertEqual(failures, [])

    def test_modes_are_told(self):
        self.set_mode("serial")
        self.assertEqual(self.set_mode("proxy").previous, pb.MODE_SERIAL)
        self.assertEqual(self.get_mode().mode, pb.MODE_PROXY)
        self.assertEqual(self.get_mode().effective, pb.MODE_PROXY)
        self.set_mode("serial")
        self.assertEqual(self.get_mode().effective, pb.MODE_SERIAL)
        self.fails("invalid_argument", 400, self.client.call, SET_MODE, pb.SetModeRequest(),
                   pb.SetModeResponse)

    def test_the_command_reads_and_switches_the_mode(self):
        result = harness.run_tessera("mode", self.server.url, "serial")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertRegex(result.stdout, r"^serial \(was \w+\)\n$")
        result = harness.run_tessera("mode", self.server.url)
        self.assertEqual((result.returncode, result.stdout), (0, "serial\n"))

    def test_describe(self):
        reply = self.client.describe()
        self.assertEqual((reply.name, reply.engine), ("tessera-server", ENGINE))
        self.assertEqual({worker.url for worker in reply.workers},
                         {program.url for program in self.workers})
        result = harness.run_tessera("describe", self.server.url)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn(ENGINE, result.stdout)
        for program in self.workers:
            self.assertIn(program.url, result.stdout)

    def test_the_command_multiplies(self):
        a, b = integers(self.rng, 300, 200), integers(self.rng, 200, 250)
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("A.npy", "B.npy", "C.npy")]
            np.save(paths[0], a)
            np.save(paths[1], np.asfortranarray(b))
            for _ in self.each_mode():
                result = harness.run_tessera("multiply", paths[0], paths[1], "-o", paths[2],
                                             "--server", self.server.url)
                self.assertEqual(result.returncode, 0, result.stderr)
                np.testing.assert_array_equal(np.load(paths[2]), exact(a, b))

    def test_curl_with_a_binary_file(self):
        a, b = integers(self.rng, 30, 40), integers(self.rng, 40, 20)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "request.bin")
            with open(path, "wb") as file:
                file.write(request_of(a, b).SerializeToString())
            reply = subprocess.run(
                ["curl", "-sS", "--fail", "--max-time", "30", "-H", "Content-Type: application/proto",
                 "--data-binary", "@" + path, self.server.url + MULTIPLY],
                stdout=subprocess.PIPE, check=True, timeout=60).stdout
        c = harness.array_of(pb.TileResult.FromString(reply).c)
        np.testing.assert_array_equal(c, exact(a, b))

    def test_pages(self):
        for path in ("/livez", "/readyz", "/metrics", "/"):
            status, _, text = self.client.post(path, None, method="GET")
            self.assertEqual(status, 200, path)
            self.assertTrue(text)


class BadInput(BadRequests, Server):
    options = ("--max-message-bytes", "8M", "--mode", "serial")

    def test_truncated_protobuf_and_garbage(self):
        body = self.request.SerializeToString()
        for size in (1, 2, 5, len(body) // 2, len(body) - 1):
            self.refused("invalid_argument", 400, body[:size])
        self.refused("invalid_argument", 400, b"\xff" * 100)
        self.refused("invalid_argument", 400, b"")

    def test_a_gigabyte_claimed_in_a_kilobyte(self):
        self.refused("invalid_argument", 400, b"\x0a\x80\x80\x80\x80\x04" + bytes(1000))
        self.refused("invalid_argument", 400, b"\x0a" + b"\xff" * 9 + b"\x01" + bytes(1000))

    def test_shapes_and_lengths(self):
        harness.set_matrix(self.request.b, integers(self.rng, 4, 3))
        self.refused("invalid_argument", 400)
        harness.set_matrix(self.request.b, integers(self.rng, 3, 4))
        for data in (b"", bytes(23), bytes(25), bytes(48)):
            self.request.a.data = data
            self.refused("invalid_argument", 400)
        for rows, cols in ((2 ** 32 - 1, 2 ** 32 - 1), (2 ** 31, 2 ** 31), (65536, 65536)):
            self.request.a.rows, self.request.a.cols = rows, cols
            self.refused("invalid_argument", 400)

    def test_dtypes(self):
        self.request.a.dtype = pb.DTYPE_UNSPECIFIED
        self.refused("invalid_argument", 400)
        self.request.a.dtype = self.request.b.dtype = pb.DTYPE_FLOAT16
        self.request.a.data, self.request.b.data = bytes(12), bytes(24)
        self.refused("unimplemented", 501)
        harness.set_matrix(self.request.a, integers(self.rng, 2, 3, "float64"))
        harness.set_matrix(self.request.b, integers(self.rng, 3, 4))
        self.refused("invalid_argument", 400)

    def test_block_references(self):
        self.request.a.ClearField("data")
        self.request.a.block.sha256 = bytes(32)
        self.refused("invalid_argument", 400)  # no name
        self.request.a.block.sha256 = bytes(range(32))
        self.refused("not_found", 404)

    def test_beta_without_c(self):
        self.request.scaling.alpha, self.request.scaling.beta = 1, 1
        self.refused("invalid_argument", 400)

    def test_large_bodies_and_results(self):
        a, b = np.ones((2000, 1), "float32"), np.ones((1, 2000), "float32")
        self.refused("resource_exhausted", 429, request_of(a, b))
        a = np.ones((2000, 2000), "float32")
        with Client(self.server.url) as client:
            try:
                self.fails("resource_exhausted", 429, client.multiply, a, a)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused from its Content-Length, before it was sent
        self.still_answers(self.client)

    def test_paths_verbs_and_types(self):
        for path in ("/tessera.matmul.v1.MatmulService/Divide", "/no.such.Service/Multiply"):
            status, _, _ = self.client.post(path, b"")
            self.assertEqual(status, 404, path)
        for method in ("PUT", "DELETE"):
            status, _, _ = self.client.post(MULTIPLY, b"", method=method)
            self.assertEqual(status, 405, method)
        for kind in ("text/plain", "application/grpc"):
            status, _, _ = self.client.post(MULTIPLY, self.request.SerializeToString(),
                                            {"Content-Type": kind})
            self.assertEqual(status, 415, kind)
        status, _, reply = self.client.post(MULTIPLY, self.request.SerializeToString(),
                                            {"Content-Encoding": "rot13"})
        self.assertEqual((status, json.loads(reply)["code"]), (501, "unimplemented"))
        self.still_answers(self.client)


class Ending(Server):
    def metric(self, program, name):
        with Client(program.url) as client:
            _, _, text = client.post("/metrics", None, method="GET")
        return float(re.search(rf"(?m)^{name} (\S+)$", text.decode()).group(1))

    def test_a_deadline_ends_a_product_and_its_tiles(self):
        slow = harness.worker("--threads", "1", "--kernel", "reference")
        self.addCleanup(slow.kill)
        server = harness.server("--engine", ENGINE, "--worker", slow.url, "--mode", "proxy")
        self.addCleanup(server.kill)
        a = integers(self.rng, 1500, 1500, "float64")
        with Client(server.url) as client:
            started = time.monotonic()
            self.fails("deadline_exceeded", 504, client.multiply, a, a, timeout_ms=700)
            self.assertLess(time.monotonic() - started, 4)
            harness.eventually(lambda: self.metric(slow, "tessera_worker_computing") == 0)
            self.still_answers(client)

    def test_a_client_that_goes_away_frees_the_workers(self):
        slow = harness.worker("--threads", "1", "--kernel", "reference")
        self.addCleanup(slow.kill)
        server = harness.server("--engine", ENGINE, "--worker", slow.url, "--mode", "proxy")
        self.addCleanup(server.kill)
        a = integers(self.rng, 1500, 1500, "float64")
        body = request_of(a, a).SerializeToString()
        client = Client(server.url)
        client.http.putrequest("POST", MULTIPLY)
        client.http.putheader("Content-Type", "application/proto")
        client.http.putheader("Content-Length", str(len(body)))
        client.http.endheaders(body)
        harness.eventually(lambda: self.metric(slow, "tessera_worker_computing") == 1, 30)
        client.close()
        harness.eventually(lambda: self.metric(slow, "tessera_worker_computing") == 0, 30)
        with Client(server.url) as other:
            self.still_answers(other)

    def test_sigterm(self):
        server = harness.server("--engine", ENGINE, "--worker", self.workers[0].url)
        self.addCleanup(server.kill)
        with Client(server.url) as client:
            self.still_answers(client)
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    harness.main()
