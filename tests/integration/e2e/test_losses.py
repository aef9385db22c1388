# SPDX-License-Identifier: Apache-2.0
"""Workers that die, are not there, or lie: the product is right all the same, and
somebody is told. Through tessera-server, and through the controller in the
command (`tessera multiply --worker`).

  test_losses.py ENGINE [TEST...]
"""
import os
import signal
import sys
import tempfile
import threading
import time

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

    def killed(self, end):
        """One of two workers ends in mid-product."""
        a, b = integers(self.rng, 1500, 1500), integers(self.rng, 1500, 1500)
        outcome = {}
        with harness.worker("--threads", "1", "--kernel", "reference") as slow, \
             harness.worker("--threads", "1") as good, \
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
            self.assertGreater(stats.retries + stats.backups, 0)
            with Client(program.url) as client:
                self.still_answers(client)

    def test_a_worker_killed_in_mid_product(self):
        self.killed(lambda slow: slow.process.kill())

    def test_a_worker_frozen_in_mid_product(self):
        self.killed(lambda slow: slow.process.send_signal(signal.SIGSTOP))

    def test_a_worker_drained_in_mid_product(self):
        self.killed(lambda slow: slow.process.terminate())


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
                    with Client(program.url) as client:
                        for _ in range(2):
                            c, _ = client.multiply(a, b)
                            np.testing.assert_array_equal(c, exact(a, b))
                    self.assertGreater(fake.asked, 0)
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


class LiesToTheCommand(Case):
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
