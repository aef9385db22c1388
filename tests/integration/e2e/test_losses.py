# SPDX-License-Identifier: Apache-2.0
"""Workers that die, are not there, or lie: the product is right all the same, and
somebody is told. Through tessera-server, and through the controller in the
command (`tessera multiply --worker`).

  test_losses.py ENGINE [TEST...]
"""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import numpy as np

import fake_worker
import harness
from harness import Case, Client, exact, integers

ENGINE = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else "native"


def server(*urls, options=()):
    arguments = [part for url in urls for part in ("--worker", url)]
    return harness.server("--engine", ENGINE, "--mode", "proxy", *arguments, *options)


class Losses(Case):
    def test_no_worker_at_all(self):
        gone = [f"http://127.0.0.1:{harness.free_port()}" for _ in range(2)]
        a, b = integers(self.rng, 97, 101), integers(self.rng, 101, 103)
        with server(*gone) as program, Client(program.url) as client:
            c, result = client.multiply(a, b)
            np.testing.assert_array_equal(c, exact(a, b))
            self.assertEqual(result.stats.proxied_tiles, 0)
            self.assertTrue(any("local" in note for note in result.stats.notes),
                            list(result.stats.notes))
            c, _ = client.multiply(a, b)
            np.testing.assert_array_equal(c, exact(a, b))

    def test_one_of_two_is_not_there(self):
        gone = f"http://127.0.0.1:{harness.free_port()}"
        a, b = integers(self.rng, 500, 300), integers(self.rng, 300, 400)
        with harness.worker() as good, server(gone, good.url) as program, \
             Client(program.url) as client:
            for _ in range(3):
                c, _ = client.multiply(a, b)
                np.testing.assert_array_equal(c, exact(a, b))

    def test_a_worker_that_comes_back(self):
        a, b = integers(self.rng, 300, 300), integers(self.rng, 300, 300)
        with harness.worker() as good:
            port = good.port
            with server(good.url) as program, Client(program.url) as client:
                client.multiply(a, b)
                good.kill()
                c, result = client.multiply(a, b)
                np.testing.assert_array_equal(c, exact(a, b))
                self.assertEqual(result.stats.proxied_tiles, 0)
                with harness.Program(harness.WORKER, "--listen", f"127.0.0.1:{port}"):
                    def proxied():
                        c, result = client.multiply(a, b)
                        np.testing.assert_array_equal(c, exact(a, b))
                        return result.stats.proxied_tiles > 0
                    harness.eventually(proxied, 20, "a tile on the worker that came back")

    def killed(self, end, lost=True):
        """One of two equal workers ends in mid-product; what it computes is lost, or it may still finish that."""
        a, b = integers(self.rng, 900, 900), integers(self.rng, 900, 900)
        outcome = {}
        with harness.worker("--threads", "1", "--kernel", "reference") as slow, \
             harness.worker("--threads", "1", "--kernel", "reference") as good, \
             server(slow.url, good.url, options=("--tile-timeout-ms", "3000")) as program:

            def run():
                with Client(program.url) as client:
                    outcome["c"], outcome["result"] = client.multiply(a, b)

            thread = threading.Thread(target=run)
            thread.start()
            with Client(slow.url) as client:
                harness.eventually(lambda: b"tessera_worker_computing 1\n" in
                                   client.post("/metrics", None, method="GET")[2], 30)
            end(slow)
            thread.join(90)
            if slow.alive():
                slow.process.send_signal(signal.SIGCONT)
            np.testing.assert_array_equal(outcome.get("c"), exact(a, b))
            stats = outcome["result"].stats
            if lost:
                self.assertGreater(stats.retries + stats.backups, 0)
            with Client(program.url) as client:
                self.still_answers(client)

    def test_a_worker_killed_in_mid_product(self):
        self.killed(lambda slow: slow.process.kill())

    def test_a_worker_frozen_in_mid_product(self):
        self.killed(lambda slow: slow.process.send_signal(signal.SIGSTOP))

    def test_a_worker_drained_in_mid_product(self):
        self.killed(lambda slow: slow.process.terminate(), lost=False)


class Cancellation(Case):
    """Whoever gives a product up frees the workers at once: they compute for nobody."""

    # A busy machine is late, a worker looks around after its first 2e8 operations (a second
    # and more under a sanitizer). That none has come to the product's end is looked at.
    SOON_SECONDS = 5 * harness.PATIENCE
    DEADLINE_MS = 5000

    def setUp(self):
        super().setUp()
        # Many times the deadline for the reference kernel, on the fastest machine too.
        m, k = (3000, 1500) if harness.SANITIZED else (4000, 2000)
        self.a, self.b = integers(self.rng, m, k), integers(self.rng, k, m)
        self.workers = []
        for _ in range(2):
            self.workers.append(harness.worker("--threads", "1", "--kernel", "reference"))
            self.addCleanup(self.workers[-1].kill)

    @staticmethod
    def metric(worker, name):
        with Client(worker.url) as client:
            _, _, text = client.post("/metrics", None, method="GET")
        line = next(line for line in text.decode().splitlines() if line.startswith(name + " "))
        return float(line.split()[1])

    @staticmethod
    def answers_to_describe(worker):
        with Client(worker.url) as client:
            _, _, text = client.post("/metrics", None, method="GET")
        calls = re.search(r'(?m)^tessera_worker_calls_total\{method="[^"]*/Describe",code="ok"\} (\d+)$', text.decode())
        return int(calls.group(1)) if calls else 0

    def all_compute(self):
        return all(self.metric(worker, "tessera_worker_computing") == 1 for worker in self.workers)

    def expect_freed(self):
        harness.eventually(
            lambda: all(self.metric(worker, "tessera_worker_computing") == 0 for worker in self.workers),
            self.SOON_SECONDS, "the end of the computations")
        for worker in self.workers:
            self.assertGreater(self.metric(worker, "tessera_worker_products_abandoned_total"), 0)
            self.assertEqual(self.metric(worker, "tessera_worker_products_total"), 0)

    def test_a_client_that_leaves(self):
        body = harness.request_of(self.a, self.b).SerializeToString()
        head = (f"POST {harness.MULTIPLY} HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode()
        with server(*(worker.url for worker in self.workers)) as program:
            with socket.create_connection((program.host, program.port), 30) as peer:
                peer.sendall(head + body)
                harness.eventually(self.all_compute, 30, "both workers compute")
            self.expect_freed()
            with Client(program.url) as client:
                self.still_answers(client)

    def test_a_deadline(self):
        with server(*(worker.url for worker in self.workers)) as program, Client(program.url) as client:
            self.fails("deadline_exceeded", 504, client.multiply, self.a, self.b, timeout_ms=self.DEADLINE_MS)
            harness.eventually(lambda: not self.all_compute(), self.SOON_SECONDS)
            self.expect_freed()
            self.still_answers(client)

    @unittest.skipUnless(ENGINE == "native", "no server, no engine: once is enough")
    def test_the_command_is_interrupted(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("A.npy", "B.npy", "C.npy")]
            np.save(paths[0], self.a)
            np.save(paths[1], self.b)
            workers = [part for worker in self.workers for part in ("--worker", worker.url)]
            process = subprocess.Popen([harness.TESSERA, "multiply", *paths[:2], "-o", paths[2], *workers],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                harness.eventually(self.all_compute, 30, "both workers compute")
                process.send_signal(signal.SIGINT)
                _, text = process.communicate(timeout=10)
            finally:
                process.kill()
                process.communicate()
            self.assertEqual(process.returncode, -signal.SIGINT, text)
            self.expect_freed()
            self.assertEqual(sorted(os.listdir(folder)), ["A.npy", "B.npy"])

    @unittest.skipUnless(ENGINE == "native", "no server, no engine: once is enough")
    def test_the_command_is_interrupted_while_it_asks(self):
        """One worker has answered, another never does."""
        with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as silent:
            paths = [os.path.join(folder, name) for name in ("A.npy", "B.npy", "C.npy")]
            np.save(paths[0], self.a)
            np.save(paths[1], self.b)
            process = subprocess.Popen([harness.TESSERA, "multiply", *paths[:2], "-o", paths[2],
                                        "--worker", self.workers[0].url,
                                        "--worker", f"http://127.0.0.1:{silent.getsockname()[1]}"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                harness.eventually(lambda: self.answers_to_describe(self.workers[0]) > 0, 30, "an answer")
                process.send_signal(signal.SIGINT)
                _, text = process.communicate(timeout=10)
            finally:
                process.kill()
                process.communicate()
            self.assertEqual(process.returncode, -signal.SIGINT, text)
            self.assertNotIn(b"Sanitizer", text)
            self.assertEqual(sorted(os.listdir(folder)), ["A.npy", "B.npy"])


class Lies(Case):
    """Each way to lie, beside a good worker and alone."""

    def ways(self):
        for lie in fake_worker.LIES:
            with self.subTest(lie=lie.__name__), fake_worker.FakeWorker(lie) as fake:
                yield fake

    def test_through_the_server(self):
        a, b = integers(self.rng, 300, 200), integers(self.rng, 200, 250)
        with harness.worker("--threads", "1") as good:
            for fake in self.ways():
                with server(fake.url, good.url, options=("--tile-timeout-ms", "1000")) as program:
                    backups = 0
                    with Client(program.url) as client:
                        for _ in range(2):
                            c, result = client.multiply(a, b)
                            np.testing.assert_array_equal(c, exact(a, b))
                            backups += result.stats.backups
                    self.assertGreater(fake.asked, 0)
                    # One that is only silent may be beaten before its time is over.
                    if fake.answer is not fake_worker.never or backups == 0:
                        self.assertIn(fake.url, program.log_text())  # named in the log

    def test_alone_behind_the_server(self):
        a, b = integers(self.rng, 50, 60), integers(self.rng, 60, 70)
        for fake in self.ways():
            with server(fake.url, options=("--tile-timeout-ms", "700")) as program, \
                 Client(program.url) as client:
                c, result = client.multiply(a, b)
                np.testing.assert_array_equal(c, exact(a, b))
                self.assertEqual(result.stats.proxied_tiles, 0)
                self.assertGreater(len(result.stats.notes), 0)
                self.assertIn(fake.url, program.log_text())
                if fake.answer in (fake_worker.with_padding, fake_worker.without_end):
                    self.assertIn("larger than it can be", result.stats.notes[0])
                    self.assertIn(b"tessera_wrong_answers_total 1\n",
                                  client.post("/metrics", None, method="GET")[2])
                # What waits in sockets, and no more.
                self.assertLess(fake.endless_bytes, 32 << 20)


class LiesToTheCommand(Case):
    @unittest.skipUnless(ENGINE == "native", "no server, no engine: once is enough")
    def test_beside_a_good_worker(self):
        a, b = integers(self.rng, 300, 200), integers(self.rng, 200, 250)
        with tempfile.TemporaryDirectory() as folder, harness.worker("--threads", "1") as good:
            paths = [os.path.join(folder, name) for name in ("A.npy", "B.npy", "C.npy")]
            np.save(paths[0], a)
            np.save(paths[1], b)
            for lie in fake_worker.LIES:
                if lie is fake_worker.never:
                    continue  # the command gives a tile a minute
                with self.subTest(lie=lie.__name__), fake_worker.FakeWorker(lie) as fake:
                    result = harness.run_tessera("multiply", paths[0], paths[1], "-o", paths[2],
                                                 "--worker", fake.url, "--worker", good.url)
                    self.assertEqual(result.returncode, 0, result.stderr)
                    np.testing.assert_array_equal(np.load(paths[2]), exact(a, b))
                    self.assertGreater(fake.asked, 0)
                    os.unlink(paths[2])


if __name__ == "__main__":
    harness.main()
