# SPDX-License-Identifier: Apache-2.0
"""Files in and out of the tessera command where it computes itself, what it refuses, how
it is used wrongly."""
import os
import subprocess

import numpy as np

import harness
from command import Files
from harness import exact, integers, run_tessera


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

    def test_a_file_that_is_printed_to(self):
        a = integers(self.rng, 5, 6)
        path = self.save("A.npy", a)
        command = [harness.TESSERA, "multiply", path, path, "--transpose-b", "--local"]
        os.symlink("/dev/stdout", self.c)
        for options in ([], ["--journal"]):
            with open(self.path("log"), "w+", encoding="ascii") as log:
                result = subprocess.run(command + ["-o", self.c, *options], stdout=log, text=True,
                                        stderr=subprocess.PIPE, timeout=60, check=False)
                self.assertEqual(result.returncode, 1)
                self.assertIn("C.npy: is where this command prints to", result.stderr)
                self.assertEqual(os.fstat(log.fileno()).st_size, 0)
                self.assertTrue(os.path.samefile(self.path("log"), log.fileno()))

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
        for pipe in ("pipe.npy", "pipe.mtx"):  # refused, not waited for
            os.mkfifo(self.path(pipe))
            self.multiply(1, "not a regular file", self.path(pipe), self.a)
            self.not_done(1, "not a regular file", "multiply", self.path(pipe), self.a, "-o", self.c, "--local",
                          "--memory-limit", "200M")

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
        for url in ("", "nonsense", "localhost:1", "ftp://x", "http://", "http://:1"):
            for command in (["multiply", self.a, self.a, "-o", self.c, "--server", url],
                            ["multiply", self.a, self.a, "-o", self.c, "--worker", url],
                            ["put", self.a, "--server", url], ["describe", url], ["mode", url],
                            ["blocks", url], ["top", url, "--once"]):
                self.not_done(2, f"{url}: not a URL like http://HOST:PORT", *command)
        self.not_done(2, "localhost:1: not a URL like http://HOST:PORT", "call", "localhost:1/a.B/C", "{}")
        # A server's is as far as libcurl takes it, a worker's is also held to the lists'.
        for option, code in (("--server", 1), ("--worker", 2)):
            self.not_done(code, "http://x:99999", "multiply", self.a, self.a, "--transpose-b", "-o", self.c,
                          option, "http://x:99999")

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


if __name__ == "__main__":
    harness.main()
