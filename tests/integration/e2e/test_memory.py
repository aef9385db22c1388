# SPDX-License-Identifier: Apache-2.0
"""Products that are larger than the memory they get: what is computed, what it takes, what
is refused beforehand."""
import contextlib
import json
import os
import pty
import re
import shutil
import signal
import sys
import tempfile
import time
import unittest

import numpy as np

import fake_worker
import harness
from harness import MULTIPLY, Case, integers
from long_files import MIB, LongFiles

SANITIZED = "--sanitized" in sys.argv  # a sanitizer's own memory counts as well


# A sanitizer's memory can be held to no limit, and leaves the blocks as they are in Kinds.
@unittest.skipIf(SANITIZED, "a sanitizer's own memory counts as well")
class Limit(LongFiles):
    LIMIT = 48 * MIB

    def one(self, m, k, n, place):
        a, b = (self.rng.integers(-4, 5, shape).astype("float32") for shape in ((m, k), (k, n)))
        self.assertGreaterEqual(a.nbytes + b.nbytes + 4 * m * n, 4 * self.LIMIT)
        np.save(self.a, a)
        np.save(self.b, b)
        process = self.start("--memory-limit", str(self.LIMIT), *place)
        peak = self.peak(process)
        stdout, _ = self.finish(process)
        self.assertLess(peak, self.LIMIT, stdout)
        self.nothing_left()
        # The sums stay below 2^24: float32 adds them without rounding.
        np.testing.assert_array_equal(np.load(self.c, mmap_mode="r"), a @ b)

    def test_a_large_result_here(self):
        self.one(6700, 450, 6750, ["--local"])

    def test_large_operands_here(self):
        self.one(500, 52000, 480, ["--local"])

    def test_a_large_result_on_workers(self):
        with harness.worker("--threads", "1") as w, harness.worker("--threads", "1") as v:
            self.one(6700, 450, 6750, ["--worker", w.url, "--worker", v.url])

    def test_large_operands_on_workers(self):
        with harness.worker("--threads", "1") as w, harness.worker("--threads", "1") as v:
            self.one(500, 52000, 480, ["--worker", w.url, "--worker", v.url])

    def test_workers_that_answer_without_end(self):
        with fake_worker.FakeWorker(fake_worker.without_end) as w, \
             fake_worker.FakeWorker(fake_worker.without_end) as v:
            self.one(6700, 450, 6750, ["--worker", w.url, "--worker", v.url])
            self.assertGreater(w.asked + v.asked, 0)

    def test_a_large_result_on_a_server(self):
        with harness.worker() as w, harness.server("--worker", w.url, "--engine", "native") as s:
            self.one(6700, 450, 6750, ["--server", s.url])


class Text(LongFiles):
    """Matrix Market files, of which copies are made that can be read in parts."""
    LIMIT = 48 * MIB

    def setUp(self):
        super().setUp()
        self.a = self.path("A.mtx")

    def coordinates(self, path, rows, cols, count, symmetry="general"):
        """Written without order, places more than once; what they come to."""
        dense = np.zeros((rows, cols), "float32")
        row, col = self.rng.integers(0, rows, count), self.rng.integers(0, cols, count)
        if symmetry == "symmetric":
            row, col = np.maximum(row, col), np.minimum(row, col)
        value = self.rng.integers(-4, 5, count)
        np.add.at(dense, (row, col), value)
        if symmetry == "symmetric":
            off = row != col
            np.add.at(dense, (col[off], row[off]), value[off])
        with open(path, "w", encoding="ascii") as file:
            file.write(f"%%MatrixMarket matrix coordinate integer {symmetry}\n%\n")
            file.write(f"{rows} {cols} {count}\n")
            file.write("\n".join(map("{} {} {}".format, (row + 1).tolist(), (col + 1).tolist(), value.tolist())))
        return dense

    def test_the_copy_shows_how_far_it_is(self):
        a = self.coordinates(self.a, 2500, 2500, 300000)
        b = self.rng.integers(-4, 5, (2500, 10)).astype("float32")
        np.save(self.b, b)
        options = ["--local", "--dtype", "float64"]
        master, slave = pty.openpty()
        process = self.start("--memory-limit", self.least(*options), *options, stderr=slave)
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError), open(master, "rb", buffering=0) as terminal:
            while part := terminal.read(1 << 16):
                shown += part
        self.finish(process)
        self.assertRegex(shown, rb"copying A .* \d+ %  .* of .*B ")
        np.testing.assert_array_equal(np.load(self.c), a @ b)

    def beside(self):
        return sorted(os.listdir(os.path.dirname(self.c)))

    @unittest.skipIf(SANITIZED, "a sanitizer's own memory counts as well")
    def test_larger_than_memory(self):
        a = self.coordinates(self.a, 3000, 8000, 300000)
        b = self.rng.integers(-4, 5, (8000, 900)).astype("float32")
        self.b = self.path("B.mtx")
        with open(self.b, "w", encoding="ascii") as file:
            file.write("%%MatrixMarket matrix array real general\n8000 900\n")
            file.write("\n".join(map(str, b.T.reshape(-1).astype(int).tolist())))
        there = self.beside()
        self.assertGreater(a.nbytes, 1.5 * self.LIMIT)
        process = self.start("--memory-limit", str(self.LIMIT), "--dtype", "float32", "--local")
        peak = self.peak(process)
        stdout, stderr = self.finish(process)
        self.assertEqual(stderr, "")
        self.assertLess(peak, self.LIMIT, stdout)
        self.assertEqual(self.beside(), sorted([*there, "C.npy"]))
        np.testing.assert_array_equal(np.load(self.c), a @ b)

    def test_every_place_of_text(self):
        a = self.coordinates(self.path("A.mtx"), 1400, 1400, 20000, "symmetric")
        b = self.coordinates(self.path("B.mtx"), 1300, 1400, 20000)
        c0 = self.coordinates(self.path("C0.mtx"), 1400, 1300, 5000)
        np.save(self.path("A.npy"), a)
        self.b = self.path("B.mtx")
        flags = ["--local", "--dtype", "float64", "--transpose-b", "--add", self.path("C0.mtx")]
        for first in ("A.npy", "A.mtx"):
            with self.subTest(first=first):
                self.a = self.path(first)
                limit = self.least(*flags)
                stdout, stderr = self.run_to(0, "--memory-limit", limit, *flags)
                self.assertEqual(stderr, "")
                self.assertNotIn("; 1 block of 1 panel", stdout)
                expected = a.astype("float64") @ b.astype("float64").T + c0
                np.testing.assert_array_equal(np.load(self.c), expected)
                self.nothing_left()
                os.remove(self.c)

    def test_ended_and_resumed(self):
        a = self.coordinates(self.a, 2000, 3000, 100000)
        b = self.rng.integers(-4, 5, (3000, 4000)).astype("float32")
        np.save(self.b, b)
        there = self.beside()
        process = self.start("--journal", "--dtype", "float32", "--local", "--threads", "1")
        while not os.path.exists(self.part) and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        self.assertLessEqual(set(self.beside()), {*there, "C.npy.part", "C.npy.journal"})
        self.run_to(0, "--resume", "--dtype", "float32", "--local")
        np.testing.assert_array_equal(np.load(self.c), a @ b)
        self.assertEqual(self.beside(), sorted([*there, "C.npy"]))

    def test_a_text_that_is_wrong(self):
        np.save(self.b, np.zeros((3, 3)))
        with open(self.a, "w", encoding="ascii") as file:
            file.write("%%MatrixMarket matrix array real general\n3 3\n" + "1\n" * 8 + "x\n")
        _, stderr = self.run_to(1, "--memory-limit", "1G", "--local")
        self.assertIn("A.mtx: line 11 of the .mtx file: not a number", stderr)
        self.assertEqual(stderr.count("\n"), 1)
        self.assertFalse(os.path.exists(self.c))


class Kinds(LongFiles):
    """Whatever the files hold: blocks and panels of it come to the same product."""

    def check(self, a, b, place, *arguments, c0=None, alpha=1.0, beta=1.0):
        # Under what the command itself calls enough: several blocks.
        extra = [*place, *arguments]
        limit = self.least(*extra)
        stdout, stderr = self.run_to(0, "--memory-limit", limit, *extra)
        self.assertEqual(stderr, "")
        wide_a, wide_b = a.astype("float64"), b.astype("float64")
        if "--transpose-a" in arguments:
            wide_a = wide_a.T
        if "--transpose-b" in arguments:
            wide_b = wide_b.T
        expected = alpha * (wide_a @ wide_b)
        if c0 is not None:
            expected = expected + beta * c0.astype("float64")
        result = np.load(self.c)
        np.testing.assert_array_equal(result, expected.astype(result.dtype))
        os.remove(self.c)
        self.nothing_left()
        return stdout

    def everything(self, place):
        m, k, n = 1300, 1400, 1200
        kinds = [("<f4", "<f4"), ("<f8", "<f8"), (">f4", "<f8"), ("<f8", ">f4")]
        for index, (kind_a, kind_b) in enumerate(kinds):
            with self.subTest(kinds=(kind_a, kind_b)):
                ta, tb, order_a, order_b = index & 1, index >> 1, "CF"[index % 2], "FC"[index >> 1]
                a = integers(self.rng, *((k, m) if ta else (m, k))).astype(kind_a)
                b = integers(self.rng, *((n, k) if tb else (k, n))).astype(kind_b)
                c0 = integers(self.rng, m, n).astype(">f8" if index % 2 else "<f4")
                np.save(self.a, np.array(a, order=order_a))
                np.save(self.b, np.array(b, order=order_b))
                np.save(self.path("C0.npy"), np.array(c0, order=order_b))
                flags = ["--transpose-a"] * ta + ["--transpose-b"] * tb
                if kind_a[1:] != kind_b[1:]:
                    flags += ["--dtype", "float64"]
                stdout = self.check(a, b, place, *flags, "--alpha", 2, "--beta", -3, "--add",
                                    self.path("C0.npy"), c0=c0, alpha=2.0, beta=-3.0)
                self.assertNotIn("; 1 block of 1 panel", stdout)

    def test_here(self):
        self.everything(["--local"])

    def test_on_workers(self):
        with harness.worker("--threads", "1") as w, harness.worker("--threads", "1") as v:
            self.everything(["--worker", w.url, "--worker", v.url])

    def test_empty_and_tiny(self):
        for m, k, n in [(0, 3, 4), (3, 0, 4), (3, 4, 0), (1, 1, 1), (1, 70, 1)]:
            a, b = integers(self.rng, m, k), integers(self.rng, k, n)
            np.save(self.a, a)
            np.save(self.b, b)
            self.run_to(0, "--memory-limit", "200M", "--local")
            np.testing.assert_array_equal(np.load(self.c), a @ b)
            self.nothing_left()

    def test_what_is_enough_depends_on_no_limit(self):
        np.save(self.a, np.zeros((1300, 1400), "float32"))
        np.save(self.b, np.zeros((1400, 1200), "float32"))

        def need(limit):
            _, stderr = self.run_to(1, "--memory-limit", limit, "--local")
            return int(re.search(r"needs at least (\d+) bytes", stderr).group(1))
        need_of_all = need("1M")
        # The step in which the program's own size counts.
        self.assertLessEqual(abs(need(need_of_all - 2 * MIB - 1) - need_of_all), 2 * MIB)

    def test_what_is_refused(self):
        np.save(self.a, np.zeros((3, 3)))
        np.save(self.b, np.zeros((3, 3)))
        for wrong in ("0", "x", "1T", "-5M"):
            _, stderr = self.run_to(2, "--memory-limit", wrong, "--local")
            self.assertIn("--memory-limit takes bytes", stderr)
        result = harness.run_tessera("multiply", self.a, self.b, "-o", "C.mtx", "--local",
                                     "--memory-limit", "1G")
        self.assertEqual(result.returncode, 2)
        self.assertIn("C.mtx: --memory-limit, --journal and --resume write .npy files alone",
                      result.stderr)
        name = "sha256:" + 64 * "a"
        result = harness.run_tessera("multiply", name, self.b, "-o", self.c, "--worker",
                                     "http://127.0.0.1:1", "--memory-limit", "1G")
        self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1))
        self.assertIn(name + ": --memory-limit, --journal and --resume work on files alone",
                      result.stderr)
        np.save(self.b, np.zeros((4, 3)))
        _, stderr = self.run_to(1, "--memory-limit", "1G", "--local")
        self.assertIn("the inner dimensions 3 and 4 differ", stderr)

    def figures(self, *where):
        """Those of a product of several parts, and the summary."""
        a, b = integers(self.rng, 1300, 1400), integers(self.rng, 1400, 1200)
        np.save(self.a, a)
        np.save(self.b, b)
        path = self.path("stats.json")
        limit = self.least(*where)
        stdout, _ = self.run_to(0, "--memory-limit", limit, "--stats", path, *where)
        self.assertNotIn("; 1 block of 1 panel", stdout)
        np.testing.assert_array_equal(np.load(self.c), harness.exact(a, b))
        with open(path, encoding="utf-8") as file:
            stats = json.load(file)
        self.assertEqual(stats["mode"], "MODE_PROXY")
        self.assertEqual(sum(w.get("tiles", 0) for w in stats["workers"]), stats["tiles"])
        self.assertEqual(sum(int(w.get("bytesReceived", 0)) for w in stats["workers"]),
                         int(stats["bytesReceived"]))
        # Each panel of the inner dimension brings an answer of the size of its block.
        self.assertGreaterEqual(int(stats["bytesReceived"]), 1300 * 1200 * 4)
        self.assertEqual(int(stats["bytesReceived"]) % (1200 * 4), 0)
        speed = 2e-6 * 1300 * 1400 * 1200 / stats["elapsedMs"]
        self.assertAlmostEqual(stats["gflops"] / speed, 1, places=3)
        return stats, stdout

    def test_figures_of_workers(self):
        with harness.worker("--threads", "1") as w, harness.worker("--threads", "1") as v:
            stats, stdout = self.figures("--worker", w.url, "--worker", v.url, "--check", "always")
            self.assertLessEqual({worker["worker"] for worker in stats["workers"]}, {w.url, v.url})
            self.assertEqual(stats["checked"], stats["tiles"])
            self.assertIn(f"; {stats['checked']} checked, 0 wrong", stdout)
            self.assertIn(f"{stats['tiles']} tiles: ", stdout)
            self.assertGreater(stats["tiles"], 2)

    def test_figures_of_a_server(self):
        with harness.server("--engine", "native") as s:
            stats, _ = self.figures("--server", s.url)
            self.assertEqual([worker["worker"] for worker in stats["workers"]], [s.url])

    def test_a_server_that_is_not_there(self):
        np.save(self.a, np.zeros((3, 3)))
        np.save(self.b, np.zeros((3, 3)))
        _, stderr = self.run_to(1, "--memory-limit", "1G", "--server",
                                f"http://127.0.0.1:{harness.free_port()}")
        self.assertIn("does not answer", stderr)
        self.nothing_left()


class Admission(Case):
    """What cannot fit is refused beforehand, and says how much it would need."""

    def refused(self, program, a, b, *words):
        with harness.Client(program.url) as client:
            error = self.fails("resource_exhausted", 429, client.multiply, a, b)
            for word in words:
                self.assertIn(word, error.message)
        with harness.Client(program.url) as client:
            self.still_answers(client)

    def test_a_worker(self):
        # A kernel without scratch: others count theirs, and which is fastest is measured.
        with harness.worker("--kernel", "reference", "--max-inflight-bytes", "2M",
                            "--max-message-bytes", "8M") as program:
            # 40,000 bytes each, and 4,000,000 of a result.
            self.refused(program, integers(self.rng, 1000, 10), integers(self.rng, 10, 1000),
                         "needs 4080000 bytes", "has 2097152", "--max-inflight-bytes")
            big = integers(self.rng, 1000, 700)
            self.refused(program, big, big.T.copy(), "larger than all that is held", "2097152")

    def test_a_server(self):
        # What jsc makes at run time no sanitizer looks into.
        for engine in ("native", "wasm2c") if SANITIZED else ("native", "wasm2c", "jsc"):
            with self.subTest(engine=engine), \
                 harness.server("--memory-limit", "64M", "--engine", engine) as program:
                # 160,000 bytes each, and 32,000,000 of a result, twice.
                a, b = (integers(self.rng, *shape, "float64") for shape in ((2000, 10), (10, 2000)))
                self.refused(program, a, b, "needs 64320000 bytes at its peak",
                             "has 58720256 in all", "--memory-limit")
                if engine != "native":  # its memory is the process's: the module refuses
                    with harness.Client(program.url) as client:
                        status, _, reply = client.post(MULTIPLY, bytes(66000000),
                                                       {"Content-Type": "application/proto"})
                    self.assertEqual(status, 429)
                    for word in (b"66000000 bytes", b"memory of 67108864 (--memory-limit)"):
                        self.assertIn(word, reply)
                # A request that is refused before it is sent: Python's client does not look.
                folder = tempfile.mkdtemp(prefix="tessera-files-")
                self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
                names = [os.path.join(folder, f"{name}.npy") for name in "ABC"]
                np.save(names[0], np.zeros((1, 9000000)))
                np.save(names[1], np.zeros((9000000, 1), "float64"))
                result = harness.run_tessera("multiply", *names[:2], "-o", names[2], "--server",
                                             program.url)
                self.assertEqual(result.returncode, 1)
                self.assertIn("larger than the module's memory of 67108864", result.stderr)

    def test_the_peak_is_told(self):
        with harness.worker() as worker, \
             harness.server("--worker", worker.url, "--mode", "proxy", "--engine", "native") as program:
            with harness.Client(program.url) as client:
                a, b = integers(self.rng, 300, 200), integers(self.rng, 200, 100)
                _, reply = client.multiply(a, b)
                # Operands, result, and the answer on its way.
                self.assertEqual(reply.stats.peak_bytes,
                                 240000 + 80000 + 120000 + 120000 + (64 << 10))  # beside an answer's elements


class Parts(Case):
    """A part of the inner dimension is named in the answer, or the product of a
    coordinator that splits k goes home."""

    def test_workers_and_servers_name_the_part(self):
        with harness.worker() as w, harness.server("--engine", "native") as s:
            for program in (w, s):
                with harness.Client(program.url) as client:
                    request = harness.request_of(integers(self.rng, 3, 4), integers(self.rng, 4, 5))
                    request.tile.rows, request.tile.cols = 3, 5
                    request.tile.row, request.tile.k, request.tile.depth = 7, 12, 4
                    reply = client.call(harness.MULTIPLY, request, harness.pb.TileResult)
                    self.assertEqual(reply.tile, request.tile)


if __name__ == "__main__":
    sys.argv = [argument for argument in sys.argv if argument != "--sanitized"]
    harness.main()
