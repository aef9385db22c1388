# SPDX-License-Identifier: Apache-2.0
"""The tessera command with workers and servers: products, checks, names of files; peers that
lie."""
import hashlib
import json
import os
import re
import subprocess

import numpy as np

import fake_worker
import harness
from command import Files, Workers
from harness import exact, integers, run_tessera


class Remote(Workers):
    def test_products(self):
        for where in self.everywhere():
            for m, k, n in [(1, 1, 1), (1, 300, 1), (97, 101, 103), (1000, 37, 513)]:
                for dtype in ("float32", "float64"):
                    a, b = integers(self.rng, m, k, dtype), integers(self.rng, k, n, dtype)
                    self.done(self.save("A.npy", a), self.save("B.npy", b), "-o", self.c, *where)
                    np.testing.assert_array_equal(np.load(self.c), exact(a, b))

    def test_everything_of_gemm(self):
        for where in self.everywhere():
            for order in ("C", "F"):
                a = np.asarray(integers(self.rng, 40, 60), order=order)
                b = np.asarray(integers(self.rng, 50, 40), order=order)
                c0 = np.asarray(integers(self.rng, 60, 50), order=order)
                self.done(self.save("A.npy", a), self.save("B.npy", b), "-o", self.c, *where,
                          "--transpose-a", "--transpose-b", "--alpha", "3", "--beta", "-2", "--add",
                          self.save("D.npy", c0))
                np.testing.assert_array_equal(np.load(self.c), 3 * exact(a.T, b.T) - 2 * c0)

    def test_2048_squared(self):
        a, b = integers(self.rng, 2048, 2048), integers(self.rng, 2048, 2048)
        self.save("A.npy", a), self.save("B.npy", b)
        for where in self.everywhere():
            self.done(self.path("A.npy"), self.path("B.npy"), "-o", self.c, *where)
            np.testing.assert_array_equal(np.load(self.c), exact(a, b))

    def test_empty_dimensions(self):
        for where in self.everywhere():
            for m, k, n in [(0, 3, 4), (3, 0, 4), (3, 4, 0)]:
                self.done(self.save("A.npy", np.zeros((m, k))), self.save("B.npy", np.zeros((k, n))),
                          "-o", self.c, *where)
                np.testing.assert_array_equal(np.load(self.c), np.zeros((m, n)))

    def test_one_worker_of_two_is_not_there(self):
        a, b = integers(self.rng, 700, 500), integers(self.rng, 500, 600)
        gone = f"http://127.0.0.1:{harness.free_port()}"
        self.done(self.save("A.npy", a), self.save("B.npy", b), "-o", self.c, "--worker", gone,
                  "--worker", self.workers[0].url)
        np.testing.assert_array_equal(np.load(self.c), exact(a, b))

    def test_no_worker_at_all_is_noted(self):
        a, b = integers(self.rng, 70, 50), integers(self.rng, 50, 60)
        gone = f"http://127.0.0.1:{harness.free_port()}"
        result = self.done(self.save("A.npy", a), self.save("B.npy", b), "-o", self.c, "--worker",
                           gone)
        np.testing.assert_array_equal(np.load(self.c), exact(a, b))
        self.assertRegex(result.stderr, f"note: {gone} does not answer: .*connect")
        self.assertIn("note: no worker answered: computed locally", result.stderr)
        self.assertIn("0 on 0 workers", result.stdout)

    def test_a_worker_killed_in_mid_product(self):
        a, b = integers(self.rng, 1500, 1500), integers(self.rng, 1500, 1500)
        self.save("A.npy", a), self.save("B.npy", b)
        with harness.worker("--threads", "1", "--kernel", "reference") as slow:
            command = subprocess.Popen(
                [harness.TESSERA, "multiply", self.path("A.npy"), self.path("B.npy"), "-o", self.c,
                 "--worker", slow.url, "--worker", self.workers[0].url],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.addCleanup(command.kill)
            with harness.Client(slow.url) as client:
                harness.eventually(lambda: re.search(rb"(?m)^tessera_worker_computing 1$",
                                                     client.post("/metrics", None, method="GET")[2]))
            slow.kill()
            _, errors = command.communicate(timeout=60)
        self.assertEqual(command.returncode, 0, errors)
        np.testing.assert_array_equal(np.load(self.c), exact(a, b))

    def test_describe(self):
        result = run_tessera("describe", self.workers[0].url)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertRegex(result.stdout, rf"^tessera-worker \S+ at {self.workers[0].url}\n")
        self.assertRegex(result.stdout, r"(?m)^kernels +\w+ \(float32, float64\)$")
        self.assertRegex(result.stdout, r"(?m)^largest call +1.1 GB$")

    def test_checks_and_figures(self):
        a, b = integers(self.rng, 300, 200), integers(self.rng, 200, 400)
        self.save("A.npy", a), self.save("B.npy", b)
        command = [self.path("A.npy"), self.path("B.npy"), "-o", self.c]
        where = ["--worker", self.workers[0].url]
        result = self.done(*command, *where, "--check", "always", "--stats", self.path("s.json"))
        self.assertIn("; 1 checked, 0 wrong)", result.stdout)
        with open(self.path("s.json"), encoding="utf-8") as file:
            stats = json.load(file)
        self.assertEqual((stats["checked"], stats["workers"][0]["checked"]), (1, 1))
        self.assertEqual(int(stats["bytesSent"]), (300 * 200 + 200 * 400) * 4)
        self.assertEqual(stats["workers"][0]["worker"], self.workers[0].url)
        self.assertNotIn("checked", self.done(*command, *where, "--check", "never").stdout)
        self.not_done(1, "none/s.json", "multiply", *command, *where, "--stats",
                      self.path("none/s.json"))

    def test_figures_do_not_replace_a_matrix(self):
        a = self.save("A.npy", integers(self.rng, 3, 3))
        b = self.save("B.npy", integers(self.rng, 3, 3))
        os.symlink("B.npy", self.path("link"))
        before = open(b, "rb").read()
        command = ["multiply", a, b, "-o", self.c, "--worker", self.workers[0].url]
        for stats in (a, b, self.path("link"), self.path("./B.npy"), self.c, ""):
            with self.subTest(stats=stats):
                self.not_done(2, "--stats", *command, "--stats", stats)
                self.assertEqual(open(b, "rb").read(), before)
                self.assertFalse(os.path.exists(self.c))
        stats = self.write("s.json", "older figures, which are longer" * 100)
        self.not_done(1, "broken.npy", "multiply", a, self.write("broken.npy", "?"), *command[3:], "--stats", stats)
        self.assertIn("older figures", open(stats, encoding="utf-8").read())
        self.not_done(1, "/dev/full", *command, "-q", "--stats", "/dev/full")
        self.assertTrue(os.path.exists(self.c))
        self.done(*command[1:], "--stats", stats)
        with open(stats, encoding="utf-8") as file:
            self.assertEqual(json.load(file)["tiles"], 1)

    def test_figures_follow_what_is_printed(self):
        a = self.save("A.npy", integers(self.rng, 3, 3))
        with open(self.path("log"), "w+", encoding="utf-8") as log:
            subprocess.run([harness.TESSERA, "multiply", a, a, "-o", self.c, "--worker",
                            self.workers[0].url, "--stats", "/dev/stdout"], stdout=log, timeout=60,
                           check=True)
            log.seek(0)
            self.assertRegex(log.read(), r"^\S+C\.npy: 3 x 3 [^\n]*\n\{")

    def test_a_wrong_authority_is_told(self):
        a = self.save("A.npy", integers(self.rng, 3, 3))
        for authority in (self.path("none.pem"), self.write("no.pem", "no certificate")):
            with self.subTest(authority=authority):
                result = self.not_done(1, "certificate", "multiply", a, a, "-o", self.c, "--worker",
                                       self.workers[0].url.replace("http:", "https:"), "--tls-ca", authority)
                self.assertNotIn("not a URL", result.stderr)

    def test_workers_that_speak_otherwise(self):
        a = self.save("A.npy", integers(self.rng, 3, 3))
        url = self.workers[0].url.replace("http:", "https:")
        for command in (["multiply", a, a, "-o", self.c], ["plan", "10", "10", "10"]):
            result = run_tessera(*command, "--worker", url, "--worker", self.workers[1].url)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("; it does not speak TLS: http://?\n", result.stderr)

    def test_names_that_nobody_can_read(self):
        a = self.save("A.npy", integers(self.rng, 3, 3))
        with open("/dev/full", "w") as full:
            result = subprocess.run([harness.TESSERA, "put", a, "--worker", self.workers[0].url],
                                    stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("standard output could not be written", result.stderr)

    def test_blocks_of_files_with_odd_names(self):
        for name in ('a "b" \\ c.npy', "line\nfeed\x01\x1b[1m.npy", "na\u00efve \U0001f600.npy",
                     "no text \udcff.npy", "'{}[],.npy"):
            with self.subTest(name=name):
                matrix = integers(self.rng, 7, 11)
                file = self.save(name, matrix)
                result = run_tessera("put", file, "--json", "--worker", self.workers[0].url)
                self.assertEqual((result.returncode, result.stdout.count("\n")), (0, 1), result.stderr)
                block = json.loads(result.stdout)
                name = "sha256:" + hashlib.sha256(matrix.tobytes()).hexdigest()
                self.assertEqual(block, {"block": name, "rows": 7, "cols": 11, "dtype": "float32"})
                listed = run_tessera("blocks", self.workers[0].url, "--json").stdout.splitlines()
                self.assertEqual(json.loads(listed[0]), {**block, "bytes": 7 * 11 * 4})

    def test_no_text_commands_the_terminal(self):
        """Arguments, and what a peer says of its error."""
        a = self.save("A.npy", integers(self.rng, 2, 2))
        self.not_done(2, "?[2J?", "describe", "http://\x1b[2J\n:1")
        self.not_done(2, "?31m", "mode", "http://127.0.0.1:1", "\u009b31m")
        with fake_worker.FakeWorker(fake_worker.commands_the_terminal) as peer:
            self.not_done(1, "go ?]0;title??2J", "multiply", a, a, "-o", self.c, "--server", peer.url)

    def test_a_worker_has_no_mode(self):
        self.not_done(1, "unimplemented", "mode", self.workers[0].url)


class LyingServers(Files):
    """A peer that is not what it says: a clear end, and C as it was."""

    def test_every_lie(self):
        a = self.save("A.npy", integers(self.rng, 30, 30))
        np.save(self.c, np.ones((1, 1)))
        for lie in fake_worker.LIES:
            with self.subTest(lie=lie.__name__), fake_worker.FakeWorker(lie) as fake:
                if lie is fake_worker.wrong_tile:
                    continue  # of one reply that is the whole product
                self.not_done(1, fake.url, "multiply", a, a, "-o", self.c, "--server", fake.url,
                              "--timeout", "1500")
                np.testing.assert_array_equal(np.load(self.c), np.ones((1, 1)))


if __name__ == "__main__":
    harness.main()
