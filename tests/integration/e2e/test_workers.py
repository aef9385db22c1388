# SPDX-License-Identifier: Apache-2.0
"""Lists of workers that change while the programs run: a file that is read again, and
what SetWorkers may do. argv: the engine."""
import os
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np

import harness
from harness import Case, RpcError, eventually, exact, integers, pb

ENGINE = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else "native"
SET_WORKERS = "/tessera.matmul.v1.ControllerService/SetWorkers"


class Lists(Case):
    @classmethod
    def setUpClass(cls):
        cls.workers = [harness.worker("--threads", "1") for _ in range(2)]
        for program in cls.workers:
            cls.addClassCleanup(program.kill)

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="tessera-workers-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.list = os.path.join(folder.name, "workers")

    def write(self, *lines):
        """As careful people write a file that others read."""
        with open(self.list + ".new", "w", encoding="ascii") as file:
            file.write("".join(f"{line}\n" for line in lines))
        os.replace(self.list + ".new", self.list)

    def serve(self, *options):
        server = harness.server("--engine", ENGINE, "--workers-file", self.list, *options)
        self.addCleanup(server.kill)
        return server

    @staticmethod
    def urls(client):
        """In no order: a newcomer takes a place that is free."""
        return {worker.url for worker in client.describe().workers}

    def test_a_file_that_changes_under_products(self):
        one, two = (worker.url for worker in self.workers)
        self.write("# the rack", one)
        server = self.serve("--mode", "proxy")
        a, b = integers(self.rng, 600, 500), integers(self.rng, 500, 700)
        with harness.Client(server.url) as client:
            self.assertEqual(self.urls(client), {one})
            lists = [[two], [one, two], [], [one]]
            for number, urls in enumerate(lists):
                self.write(*urls)
                until = time.monotonic() + 10
                while self.urls(client) != set(urls):
                    self.assertLess(time.monotonic(), until, server.log_text())
                    c, _ = client.multiply(a, b)
                    np.testing.assert_array_equal(c, exact(a, b))
                c, result = client.multiply(a, b)
                np.testing.assert_array_equal(c, exact(a, b))
                took_part = {w.worker for w in result.stats.workers}
                self.assertTrue(took_part <= set(urls) | {"local"}, (number, took_part))
                self.assertEqual(took_part == {"local"}, not urls)

    def test_a_broken_list_changes_nothing_and_sighup_reads_at_once(self):
        one, two = (worker.url for worker in self.workers)
        self.write(one)
        server = self.serve()
        with harness.Client(server.url) as client:
            self.write(one, "not a worker")
            server.process.send_signal(signal.SIGHUP)
            eventually(lambda: "line 2: no URL" in server.log_text(), 10, "the complaint")
            self.assertEqual(self.urls(client), {one})
            self.write(one, two)
            server.process.send_signal(signal.SIGHUP)
            eventually(lambda: self.urls(client) == {one, two}, 10, "the new list")
        self.assertEqual(server.stop(), 0)

    def test_set_workers_stays_on_the_hosts_list(self):
        one, two = (worker.url for worker in self.workers)
        self.write(one)
        server = self.serve("--mode", "proxy")

        def set_workers(*urls):
            return client.call(SET_WORKERS, pb.SetWorkersRequest(urls=urls), pb.SetWorkersResponse)

        with harness.Client(server.url) as client:
            with self.assertRaises(RpcError) as refused:
                set_workers(two)
            self.assertEqual(refused.exception.code, "permission_denied")
            self.assertEqual(set_workers().left, 1)
            self.assertEqual(self.urls(client), set())
            self.assertEqual(set_workers(one).joined, 1)
            # Once the file says so, it may.
            self.write(one, two)
            eventually(lambda: self.urls(client) == {one, two}, 10, "the new list")
            self.assertEqual(set_workers(two).left, 1)
            with self.assertRaises(RpcError) as refused:
                set_workers("http://127.0.0.1:1/../x")
            self.assertIn(refused.exception.code, ("invalid_argument", "permission_denied"))

    def test_many_workers_have_all_their_figures(self):
        # What nobody listens on is never asked: there is no product.
        urls = [f"http://127.0.0.1:{20000 + i}" for i in range(300)]
        self.write(*urls)
        server = self.serve("--mode", "serial")
        with harness.Client(server.url) as client:
            status, _, text = client.post("/metrics", None, method="GET")
            self.assertEqual(status, 200)
            self.assertEqual(len(client.describe().workers), 300)
        lines = [line for line in text.decode().splitlines()
                 if line.startswith("tessera_worker_mflops{")]
        self.assertEqual(len(lines), 300)  # the last of the series, for the last worker
        self.assertIn(urls[-1], lines[-1])

    def test_multiply_follows_its_list(self):
        one = self.workers[0].url
        a, b = integers(self.rng, 1500, 1500), integers(self.rng, 1500, 1500)
        paths = {name: os.path.join(self.folder, name) for name in ("A.npy", "B.npy", "C.npy")}
        np.save(paths["A.npy"], a), np.save(paths["B.npy"], b)
        with harness.worker("--threads", "1", "--kernel", "reference") as slow:
            self.write(slow.url)
            command = subprocess.Popen(
                [harness.TESSERA, "multiply", paths["A.npy"], paths["B.npy"], "-o", paths["C.npy"],
                 "--workers-file", self.list], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.addCleanup(command.kill)
            with harness.Client(slow.url) as client:
                eventually(lambda: b"\ntessera_worker_computing 1\n" in
                           client.post("/metrics", None, method="GET")[2], 20, "the product")
            self.write(one)
            command.send_signal(signal.SIGHUP)
            out, errors = command.communicate(timeout=60)
        self.assertEqual(command.returncode, 0, errors)
        self.assertIn(f"{slow.url} leaves".encode(), errors)
        self.assertIn(f"{one} joins".encode(), errors)
        self.assertIn(b"1 on 1 worker", out)
        np.testing.assert_array_equal(np.load(paths["C.npy"]), exact(a, b))

    def test_a_name_stands_for_its_addresses(self):
        port = self.workers[0].port
        server = harness.server("--engine", ENGINE, "--worker", f"dns+http://localhost:{port}",
                                "--mode", "proxy")
        self.addCleanup(server.kill)
        with harness.Client(server.url) as client:
            self.assertIn(f"http://127.0.0.1:{port}", self.urls(client))
            a, b = integers(self.rng, 100, 100), integers(self.rng, 100, 100)
            c, result = client.multiply(a, b)
            np.testing.assert_array_equal(c, exact(a, b))
            self.assertEqual(result.stats.local_tiles, 0)


if __name__ == "__main__":
    harness.main()
