# SPDX-License-Identifier: Apache-2.0
"""The tessera command: files in and out, where it computes, what it says, how it
ends. Files are written and read by NumPy and by hand, never by the command."""
import hashlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

import numpy as np

import fake_worker
import harness
from harness import FilesCase, exact, integers, run_tessera


class Files(FilesCase):
    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)

    def done(self, *arguments, **keywords):
        result = run_tessera("multiply", *arguments, **keywords)
        self.assertEqual((result.returncode, self.leftovers()), (0, []), result.stderr)
        return result

    def leftovers(self):
        return [name for name in os.listdir(self.folder) if name.startswith(".")]

    def not_done(self, code, word, *arguments, **keywords):
        """Fails in one line that holds the word, and leaves nothing behind."""
        result = run_tessera(*arguments, **keywords)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertTrue(result.stderr.startswith("tessera: "), result.stderr)
        self.assertIn(word, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertEqual(self.leftovers(), [])
        return result


class Local(Files):
    def test_both_types_every_shape(self):
        for dtype in ("float32", "float64"):
            for m, k, n in harness.SHAPES:
                a, b = integers(self.rng, m, k, dtype), integers(self.rng, k, n, dtype)
                self.done(self.save("A.npy", a), self.save("B.npy", b), "-o", self.c, "--local")
                c = np.load(self.c)
                self.assertEqual(c.dtype, a.dtype)
                np.testing.assert_array_equal(c, exact(a, b))

    def test_random_stays_in_the_bound(self):
        a = self.rng.standard_normal((300, 4000)).astype("float32")
        b = self.rng.standard_normal((4000, 200)).astype("float32")
        self.done(self.save("A.npy", a), self.save("B.npy", b), "-o", self.c, "--local")
        harness.assert_close(np.load(self.c), a, b)

    def test_orders_and_byte_orders(self):
        a, b = integers(self.rng, 23, 31, "float64"), integers(self.rng, 31, 17, "float64")
        ways = [lambda x: x, np.asfortranarray, lambda x: x.astype(">f8"),
                lambda x: np.asfortranarray(x.astype(">f8"))]
        for way_a in ways:
            for way_b in ways:
                self.done(self.save("A.npy", way_a(a)), self.save("B.npy", way_b(b)), "-o", self.c,
                          "--local")
                np.testing.assert_array_equal(np.load(self.c), exact(a, b))

    def test_transposes_alpha_beta_in_fortran_order_too(self):
        for order in ("C", "F"):
            for ta in (False, True):
                for tb in (False, True):
                    a = np.asarray(integers(self.rng, *((9, 5) if ta else (5, 9))), order=order)
                    b = np.asarray(integers(self.rng, *((7, 9) if tb else (9, 7))), order=order)
                    c0 = np.asarray(integers(self.rng, 5, 7), order=order)
                    options = ["--transpose-a"] * ta + ["--transpose-b"] * tb
                    self.done(self.save("A.npy", a), self.save("B.npy", b), "-o", self.c, "--local",
                              "--alpha", "-2", "--beta", "0.5", "--add", self.save("D.npy", c0),
                              *options)
                    expected = -2 * exact(a.T if ta else a, b.T if tb else b) + 0.5 * c0
                    np.testing.assert_array_equal(np.load(self.c), expected.astype("float32"))

    def test_add_alone_adds_once(self):
        a, c0 = integers(self.rng, 4, 4), integers(self.rng, 4, 4)
        self.done(self.save("A.npy", a), self.path("A.npy"), "-o", self.c, "--local", "--add",
                  self.save("D.npy", c0))
        np.testing.assert_array_equal(np.load(self.c), exact(a, a) + c0)

    def test_the_result_may_replace_an_operand(self):
        a = integers(self.rng, 30, 30)
        path = self.save("A.npy", a)
        self.done(path, path, "-o", path, "--local", "--add", path)
        np.testing.assert_array_equal(np.load(path), exact(a, a) + a)

    def test_matrix_market(self):
        a = self.write("A.mtx", "%%MatrixMarket matrix coordinate real symmetric\n% comment\n\n"
                                "3 3 4\n1 1 1\n2 1 -2.5\n3 3 4e0\n3 2 0.5\n")
        b = self.write("B.mtx", "%%MatrixMarket matrix array integer general\n3 2\n1\n2\n3\n4\n5\n6\n")
        expected = np.array([[1, -2.5, 0], [-2.5, 0, 0.5], [0, 0.5, 4]]) @ [[1, 4], [2, 5], [3, 6]]
        self.done(a, b, "-o", self.c, "--local")
        np.testing.assert_array_equal(np.load(self.c), expected)
        self.done(a, b, "-o", self.path("C.mtx"), "--local")
        with open(self.path("C.mtx"), encoding="ascii") as file:
            lines = file.read().split("\n")
        self.assertEqual(lines[:2], ["%%MatrixMarket matrix array real general", "3 2"])
        numbers = [float(line) for line in lines[2:] if line]
        np.testing.assert_array_equal(np.array(numbers).reshape(2, 3).T, expected)

    def test_vectors_are_rows(self):
        a, v = integers(self.rng, 1, 5), integers(self.rng, 1, 6)[0]
        self.done(self.save("A.npy", a[0]), self.save("V.npy", v), "-o", self.c, "--local",
                  "--transpose-a")
        np.testing.assert_array_equal(np.load(self.c), np.outer(a, v))

    def test_mixed_types_are_computed_in_float64_with_a_note(self):
        a, b = integers(self.rng, 5, 6, "float32"), integers(self.rng, 6, 7, "float64")
        result = self.done(self.save("A.npy", a), self.save("B.npy", b), "-o", self.c, "--local")
        self.assertEqual(np.load(self.c).dtype, np.float64)
        self.assertIn("float64", result.stderr)
        result = self.done(self.path("A.npy"), self.path("B.npy"), "-o", self.c, "--local", "-q")
        self.assertEqual((result.stdout, result.stderr), ("", ""))
        result = self.done(self.path("A.npy"), self.path("B.npy"), "-o", self.c, "--local",
                           "--dtype", "float32")
        self.assertEqual((np.load(self.c).dtype, result.stderr), (np.dtype("float32"), ""))
        np.testing.assert_array_equal(np.load(self.c), exact(a, b).astype("float32"))

    def test_empty_dimensions(self):
        for m, k, n in [(0, 3, 4), (3, 0, 4), (3, 4, 0)]:
            self.done(self.save("A.npy", np.zeros((m, k))), self.save("B.npy", np.zeros((k, n))),
                      "-o", self.c, "--local")
            np.testing.assert_array_equal(np.load(self.c), np.zeros((m, n)))

    def test_summary(self):
        a = self.save("A.npy", integers(self.rng, 5, 6))
        result = self.done(a, a, "-o", self.c, "--local", "--transpose-b", "--threads", "1")
        self.assertRegex(result.stdout, r"^\S+C\.npy: 5 x 5 float32 in [\d.]+ s \([\d.]+ GFLOP/s; "
                                        r"here, \w+, 1 thread\)\n$")
        self.assertEqual(result.stderr, "")  # no bar where there is no terminal

    def test_2048_squared(self):
        a, b = integers(self.rng, 2048, 2048), integers(self.rng, 2048, 2048)
        self.done(self.save("A.npy", a), self.save("B.npy", b), "-o", self.c, "--local")
        np.testing.assert_array_equal(np.load(self.c), exact(a, b))


class Refused(Files):
    def setUp(self):
        super().setUp()
        self.a = self.save("A.npy", integers(self.rng, 4, 5))
        self.old = self.save("C.npy", np.ones((1, 1)))

    def tearDown(self):
        np.testing.assert_array_equal(np.load(self.c), np.ones((1, 1)))  # as it was

    def multiply(self, code, word, a, b, *options):
        return self.not_done(code, word, "multiply", a, b, "-o", self.c, "--local", *options)

    def test_shapes(self):
        self.multiply(1, "inner dimensions 5 and 4", self.a, self.a)
        self.multiply(1, "the product is 4 x 4", self.a, self.a, "--transpose-b", "--add", self.a)

    def test_files_that_are_not_there(self):
        self.multiply(1, "none.npy: No such file", self.path("none.npy"), self.a)
        self.multiply(1, "none.npy: No such file", self.a, self.path("none.npy"))

    def test_files_cut_short(self):
        with open(self.a, "rb") as file:
            whole = file.read()
        for size in (0, 5, 9, 60, len(whole) - 1):
            self.multiply(1, "cut.npy", self.write("cut.npy", whole[:size]), self.a)
        self.multiply(1, "long.npy", self.write("long.npy", whole + b"x"), self.a)

    def header(self, text):
        text = text.ljust(117) + "\n"
        return self.write("odd.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") +
                          text.encode() + bytes(80))

    def test_headers_that_cannot_be(self):
        good = "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 5), }"
        for old, new in [("(4, 5)", "(nan, 5)"), ("(4, 5)", "(-4, 5)"), ("(4, 5)", "(4.0, 5)"),
                         ("(4, 5)", "(99999999999999999999, 5)"), ("(4, 5)", "(4294967295, 4294967295)"),
                         ("(4, 5)", "(2, 2, 5)"), ("(4, 5)", "()"), ("<f4", "<i4"), ("<f4", "<c8"),
                         ("<f4", "|O"), ("False", "maybe"), ("{", "["), ("'shape'", "'shade'")]:
            self.multiply(1, "odd.npy", self.header(good.replace(old, new)), self.a)

    def test_matrix_market_that_cannot_be(self):
        head = "%%MatrixMarket matrix coordinate real general\n"
        for text in ["", "hello\n", head, head + "2 2\n", head + "nan 2 1\n1 1 1\n",
                     head + "2 2 2\n1 1 1\n", head + "2 2 1\n3 1 1\n", head + "2 2 1\n1 1 x\n",
                     head + "2 2 1\n0 1 1\n", head + "2 2 1\n1 1 1\n1 2 1\n",
                     head.replace("real", "complex") + "1 1 1\n1 1 1 1\n",
                     head + "99999999999999999999 2 1\n1 1 1\n", head + "4000000 4000000 1\n1 1 1\n"]:
            self.multiply(1, "odd.mtx", self.write("odd.mtx", text), self.a)

    def test_other_files(self):
        os.mkdir(self.path("folder.npy"))
        self.multiply(1, "not a regular file", self.path("folder.npy"), self.a)
        self.multiply(2, ".npy", self.write("A.csv", "1,2\n"), self.a)

    def test_places_that_cannot_be_written(self):
        self.not_done(1, "No such file or directory", "multiply", self.a, self.a, "--transpose-b",
                      "-o", "/nowhere/C.npy", "--local")
        os.mkdir(self.path("D.npy"))
        self.not_done(1, "not a regular file", "multiply", self.a, self.a, "--transpose-b", "-o",
                      self.path("D.npy"), "--local")

    def test_nobody_at_the_url(self):
        url = f"http://127.0.0.1:{harness.free_port()}"
        self.not_done(1, url, "multiply", self.a, self.a, "--transpose-b", "-o", self.c,
                      "--server", url)
        self.not_done(1, url, "describe", url)
        self.not_done(1, url, "mode", url)

    def test_urls_that_are_none(self):
        for url in ("", "nonsense", "ftp://x", "http://", "http://x:99999"):
            result = run_tessera("multiply", self.a, self.a, "--transpose-b", "-o", self.c,
                                 "--server", url)
            self.assertEqual((result.returncode, result.stderr.count("\n")), (1, 1), result.stderr)
            result = run_tessera("multiply", self.a, self.a, "--transpose-b", "-o", self.c,
                                 "--worker", url)
            self.assertEqual((result.returncode, result.stderr.count("\n")), (1, 1), result.stderr)

    def test_wrong_usage(self):
        for arguments in (["multiply"], ["multiply", self.a, self.a, "-o", self.c],
                          ["frobnicate"], ["describe"], ["describe", "a", "b"], ["mode"],
                          ["mode", "http://x:1", "sideways"], ["version", "now"],
                          ["describe", "--frob"], ["multiply", "--frob"]):
            self.not_done(2, "tessera: ", *arguments)
        result = run_tessera()
        self.assertEqual(result.returncode, 2)
        self.assertIn("Usage", result.stderr)

    def test_help_and_version(self):
        for arguments in (["help"], ["--help"], ["help", "multiply"], ["multiply", "--help"],
                          ["describe", "--help"], ["mode", "-h"]):
            result = run_tessera(*arguments)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertIn("Usage: tessera", result.stdout)
        self.assertRegex(run_tessera("version").stdout, r"^tessera \d+\.\d+\.\d+\n$")


class Remote(Files):
    @classmethod
    def setUpClass(cls):
        cls.workers = [harness.worker("--threads", "1"), harness.worker("--threads", "1")]
        for program in cls.workers:
            cls.addClassCleanup(program.kill)

    def everywhere(self):
        yield ["--server", self.workers[0].url]  # a worker is a server of one
        yield ["--worker", self.workers[0].url]
        yield ["--worker", self.workers[0].url, "--worker", self.workers[1].url]

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
        self.assertIn("note: ", result.stderr)
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

    def plan(self, *arguments):
        result = run_tessera("plan", *arguments, "--json", "--link", "1000")
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout), result.stderr

    def test_a_plan_covers_the_product_and_counts_its_bytes(self):
        urls = [worker.url for worker in self.workers]
        where = [word for url in urls for word in ("--worker", url)]
        for m, n, k, options in [(4096, 4096, 4096, []), (5000, 300, 700, ["--watched"]),
                                 (300, 300, 200000, []), (1, 1, 1, []),
                                 (900, 800, 700, ["--dtype", "float64", "--add", "--watched"])]:
            plan, _ = self.plan(str(m), str(n), str(k), *where, *options)
            size = 8 if "float64" in options else 4
            cells = np.zeros((m, n), dtype=np.int64)
            out = back = 0
            for tile in plan["tiles"]:
                rows = slice(tile["row"], tile["row"] + tile["rows"])
                cols = slice(tile["col"], tile["col"] + tile["cols"])
                cells[rows, cols] += tile["depth"]
                out += (tile["rows"] + tile["cols"]) * tile["depth"] * size
                back += tile["rows"] * tile["cols"] * size
                if "--add" in options and tile["depth"] == k:  # parts carry no C0
                    out += tile["rows"] * tile["cols"] * size
                self.assertIn(tile["worker"], urls)
            self.assertTrue((cells == k).all())
            self.assertEqual((plan["bytesOutUnkept"], plan["bytesIn"]), (out, back))
            self.assertLessEqual(plan["bytesOut"], out)
            matrices = (m * k + k * n + m * n * (2 if "--add" in options else 1)) * size
            self.assertEqual(plan["matricesBytes"], matrices)
            self.assertGreater(plan["peakBytes"], matrices)
            self.assertGreater(plan["ms"], 0)
            self.assertEqual(sum(w["flops"] for w in plan["workers"]), 2 * m * n * k)

    def test_the_plan_is_what_is_done(self):
        a, b = integers(self.rng, 1200, 900), integers(self.rng, 900, 1100)
        where = ["--worker", self.workers[0].url, "--worker", self.workers[1].url]
        plan, _ = self.plan("1200", "1100", "900", *where)
        result = self.done(self.save("A.npy", a), self.save("B.npy", b), "-o", self.c, *where,
                           "--stats", self.path("stats.json"))
        with open(self.path("stats.json"), encoding="utf-8") as file:
            stats = json.load(file)
        self.assertIn(f"{len(plan['tiles'])} tiles", result.stdout)
        self.assertEqual(stats["tiles"], len(plan["tiles"]))
        if stats.get("retries", 0) == stats.get("backups", 0) == 0:  # nothing was moved twice
            self.assertEqual(int(stats["bytesSent"]), plan["bytesOut"])
            self.assertEqual(int(stats["bytesReceived"]), plan["bytesIn"])

    def test_a_plan_without_some_workers_or_any(self):
        gone = f"http://127.0.0.1:{harness.free_port()}"
        plan, errors = self.plan("500", "500", "500", "--worker", gone, "--worker",
                                 self.workers[0].url)
        self.assertIn(f"note: {gone} does not answer", errors)
        self.assertEqual({tile["worker"] for tile in plan["tiles"]}, {self.workers[0].url})
        result = run_tessera("plan", "5", "5", "5", "--worker", gone)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("no worker answers", result.stderr)

    def test_a_plan_with_an_odd_url(self):
        odd = "/it's,{a}&[b]<c>|`$^;*"  # as odd as URLs of workers may be
        with fake_worker.FakeWorker(fake_worker.honest, odd) as fake:
            plan, _ = self.plan("50", "60", "70", "--worker", fake.url)
        self.assertEqual([worker["url"] for worker in plan["workers"]], [fake.url])
        self.assertEqual({tile["worker"] for tile in plan["tiles"]}, {fake.url})

    def test_a_plan_that_nobody_reads(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([harness.TESSERA, "plan", "5", "5", "5", "--json", "--link", "1000",
                                     "--worker", self.workers[0].url], stdout=full,
                                    stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual((result.returncode, result.stderr),
                         (1, "tessera: the output could not be written\n"))

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

    def test_a_plan_of_a_file_and_its_links(self):
        listed = self.write("workers", f"# two\n{self.workers[0].url}\n{self.workers[1].url}\n")
        result = run_tessera("plan", "2000", "2000", "2000", "--workers-file", listed)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertRegex(result.stdout, r"\A2000 x 2000 x 2000 float32, 16 Gflop: 2 tiles on 2 workers\n")
        self.assertRegex(result.stdout, r"(?m)^bytes out +\d+ MB, \d\.\d\d times the least")
        self.assertRegex(result.stdout, r"(?m)^time .*by the links as measured just now$")

    def test_wrong_plans(self):
        worker = ["--worker", self.workers[0].url]
        for arguments in (["0", "1", "1", *worker], ["1", "1", *worker], ["1", "1", "x", *worker],
                          ["2147483648", "1", "1", *worker], ["1", "1", "1"],
                          [*["2147483647"] * 3, *worker], ["1", "1", "1", "--worker", "ftp://a"],
                          ["1", "1", "1", "--worker", 'http://a/"'],
                          ["1", "1", "1", "--worker", "http://a/\x01"],
                          ["1", "1", "1", "--worker", "http://a/\u00e9"],
                          ["1", "1", "1", "--workers-file", self.path("none")],
                          ["1", "1", "1", *worker, "--dtype", "int8"]):
            self.not_done(2, "", "plan", *arguments)

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

    def test_top_as_text(self):
        result = run_tessera("top", self.workers[0].url, "--once")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertRegex(result.stdout, rf"\Atessera-worker \S+ \(native\)  {self.workers[0].url}\n")
        self.assertRegex(result.stdout, r"(?m)^products  0 computing, 0 waiting, \d+ done, ")
        gone = f"http://127.0.0.1:{harness.free_port()}"
        self.not_done(1, gone, "top", gone, "--once")

    def top_json(self, *arguments):
        result = run_tessera("top", "--json", *arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return [json.loads(line) for line in result.stdout.splitlines()]

    def test_top_as_json_of_a_worker(self):
        url = self.workers[0].url
        before = time.time() * 1e3 - 1
        lines = self.top_json(url, "--count", 3, "--interval", 100)
        self.assertEqual([(line["url"], line["answers"], line["kind"]) for line in lines],
                         [(url, True, "worker")] * 3)
        times = [line["timeMs"] for line in lines]
        self.assertTrue(before <= times[0] < times[1] < times[2] <= time.time() * 1e3, times)
        self.assertIsNone(lines[0]["gflops"])
        self.assertEqual((lines[1]["gflops"], lines[1]["busy"]), (0, 0))
        done = lines[0]["products"]["done"]
        a, b = integers(self.rng, 40, 50), integers(self.rng, 50, 60)
        with harness.Client(url) as client:
            client.multiply(a, b)
        line, = self.top_json(url, "--once")
        self.assertEqual(line["products"], {"computing": 0, "waiting": 0, "done": done + 1,
                                            "abandoned": 0, "refused": 0})
        self.assertGreaterEqual(line["bytesIn"] - lines[0]["bytesIn"], (40 * 50 + 50 * 60) * 4)

    def test_top_as_json_of_a_server(self):
        server = harness.server("--engine", "native", "--mode", "proxy",
                                *(part for w in self.workers for part in ("--worker", w.url)))
        self.addCleanup(server.kill)
        a, b = integers(self.rng, 300, 200), integers(self.rng, 200, 400)
        self.done(self.save("A.npy", a), self.save("B.npy", b), "-o", self.c, "--server", server.url)
        line, = self.top_json(server.url, "--count", 1)
        self.assertEqual((line["kind"], line["mode"], line["running"]), ("server", "proxy", []))
        self.assertEqual(line["products"], {"running": 0, "done": 1, "failed": 0, "cancelled": 0,
                                            "refused": 0})
        self.assertEqual([w["url"] for w in line["workers"]], [w.url for w in self.workers])
        self.assertEqual({w["state"] for w in line["workers"]}, {"available"})
        self.assertEqual(sum(w["tiles"] for w in line["workers"]), line["tiles"]["onWorkers"])
        self.assertGreaterEqual(sum(w["bytesReceived"] for w in line["workers"]), 300 * 400 * 4)
        # Where it no longer answers, a line says so; one look alone is then an error.
        server.kill()
        for line in self.top_json(server.url, "--count", 2, "--interval", 100):
            self.assertEqual(set(line), {"timeMs", "url", "answers", "problem"})
            self.assertIs(line["answers"], False)
            self.assertIn("unavailable", line["problem"])
        self.not_done(1, server.url, "top", server.url, "--once", "--json")

    def test_top_looks_so_often(self):
        result = run_tessera("top", self.workers[0].url, "--count", 2, "--interval", 100)
        self.assertEqual((result.returncode, result.stdout.count("tessera-worker")), (0, 2))
        self.not_done(2, "not with --count", "top", self.workers[0].url, "--once", "--count", 2)
        self.not_done(2, "--count takes a whole number from 1", "top", self.workers[0].url,
                      "--count", 0)

    def test_top_on_a_terminal(self):
        for ending in (b"q", signal.SIGINT, signal.SIGTERM):
            with self.subTest(ending=ending):
                primary, secondary = pty.openpty()
                before = termios.tcgetattr(secondary)
                command = subprocess.Popen(
                    [harness.TESSERA, "top", self.workers[0].url, "--interval", "100"],
                    stdin=secondary, stdout=secondary, stderr=secondary)
                self.addCleanup(command.kill)
                screen = b""
                until = time.monotonic() + 20
                while screen.count(b"tessera-worker") < 3:
                    self.assertLess(time.monotonic(), until, screen)
                    if select.select([primary], [], [], 0.2)[0]:
                        screen += os.read(primary, 65536)
                if ending == b"q":
                    os.write(primary, ending)
                else:
                    command.send_signal(ending)
                until = time.monotonic() + 20
                while command.poll() is None and time.monotonic() < until:
                    if select.select([primary], [], [], 0.1)[0]:
                        screen += os.read(primary, 65536)
                while select.select([primary], [], [], 0.1)[0]:
                    screen += os.read(primary, 65536)
                self.assertEqual(command.returncode, 0 if ending == b"q" else -ending)
                self.assertTrue(screen.startswith(b"\x1b[?1049h"), screen[:80])
                self.assertTrue(screen.endswith(b"\x1b[?1049l"), screen[-80:])
                self.assertEqual(termios.tcgetattr(secondary), before)
                os.close(primary)
                os.close(secondary)

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


class Ending(Files):
    """Ctrl-C, time limits: how a long product ends early."""

    def setUp(self):
        super().setUp()
        a = integers(self.rng, 3000, 3000, "float64")
        self.save("A.npy", a)
        np.save(self.c, np.ones((1, 1)))

    def places(self):
        slow = harness.worker("--threads", "1", "--kernel", "reference")
        self.addCleanup(slow.kill)
        yield ["--server", slow.url]
        yield ["--worker", slow.url]

    def command(self, where):
        return [harness.TESSERA, "multiply", self.path("A.npy"), self.path("A.npy"), "-o", self.c,
                *where]

    def test_signals(self):
        for where in [*self.places(), ["--local", "--threads", "1"]]:
            for number in (signal.SIGINT, signal.SIGTERM):
                with self.subTest(where=where, signal=number):
                    if where[0] == "--local":  # long enough for any machine
                        a = np.zeros((6000, 6000))
                        np.save(self.path("A.npy"), a)
                    command = subprocess.Popen(self.command(where), stdout=subprocess.PIPE,
                                               stderr=subprocess.PIPE)
                    self.addCleanup(command.kill)
                    harness.eventually(self.leftovers, what="a temporary file")
                    time.sleep(0.3)
                    started = time.monotonic()
                    command.send_signal(number)
                    _, errors = command.communicate(timeout=20)
                    self.assertLess(time.monotonic() - started, 5)
                    self.assertEqual(command.returncode, -number, errors)
                    self.assertEqual(errors.decode().count("\n"), 1, errors)
                    self.assertIn(b"interrupted", errors)
                    self.assertEqual(sorted(os.listdir(self.folder)), ["A.npy", "C.npy"])
                    self.assertEqual(self.leftovers(), [])
                    np.testing.assert_array_equal(np.load(self.c), np.ones((1, 1)))

    def test_time_limits(self):
        for where in [*self.places(), ["--local", "--threads", "1"]]:
            with self.subTest(where=where):
                if where[0] == "--local":
                    np.save(self.path("A.npy"), np.zeros((6000, 6000)))
                started = time.monotonic()
                self.not_done(1, "--timeout", "multiply", *self.command(where)[2:], "--timeout", "700")
                self.assertLess(time.monotonic() - started, 6)
                np.testing.assert_array_equal(np.load(self.c), np.ones((1, 1)))

    def test_the_bar_on_a_terminal(self):
        for where in self.places():
            with self.subTest(where=where):
                primary, secondary = pty.openpty()
                command = subprocess.Popen(self.command(where), stdout=subprocess.PIPE,
                                           stderr=secondary,
                                           env={**os.environ, "LC_ALL": "C.UTF-8"})
                os.close(secondary)
                screen = b""
                until = time.monotonic() + 20
                while time.monotonic() < until and not (screen.count(b"computing") > 2 and
                                                        b" %" in screen):
                    if select.select([primary], [], [], 0.2)[0]:
                        screen += os.read(primary, 65536)
                command.send_signal(signal.SIGINT)
                command.communicate(timeout=20)
                while select.select([primary], [], [], 0.2)[0]:
                    try:
                        piece = os.read(primary, 65536)
                    except OSError:  # the other end is closed
                        break
                    if not piece:
                        break
                    screen += piece
                os.close(primary)
                text = screen.decode()
                self.assertIn("computing", text)
                self.assertRegex(text, r"\d+ %")
                self.assertIn("\r", text)
                self.assertRegex(text.rsplit("\x1b[K", 1)[1], r"^tessera: interrupted; .*\r?\n$")


if __name__ == "__main__":
    harness.main()
