# SPDX-License-Identifier: Apache-2.0
"""Products that are larger than the memory they get, and products that are ended and
go on: what is computed, what it takes, what stays on the disk."""
import json
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

import numpy as np

import harness
from harness import Case, FilesCase, integers

MIB = 1 << 20
SANITIZED = "--sanitized" in sys.argv  # a sanitizer's own memory counts as well
HEADER, RECORD = 256, 32


def crc32c(data, crc=0):
    """RFC 3720, bit by bit."""
    crc ^= 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def read_journal(path):
    """[(row, col, rows, cols)] by the layout in docs/internals/journal.md."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < HEADER:
        return []
    assert data[:8] == b"TESSJRNL" and struct.unpack("<II", data[8:16]) == (1, HEADER)
    seed = crc32c(data[:252])
    assert struct.unpack("<I", data[252:256])[0] == seed
    tiles = []
    for at in range(HEADER, len(data) - RECORD + 1, RECORD):
        record = data[at:at + RECORD]
        magic, number, row, col, rows, cols, zero, crc = struct.unpack("<4s7I", record)
        if magic != b"TILE" or number != len(tiles) or crc != crc32c(record[:28], seed):
            break
        assert zero == 0
        tiles.append((row, col, rows, cols))
    return tiles


def area(tiles):
    return sum(rows * cols for _, _, rows, cols in tiles)


class Files(FilesCase):
    def setUp(self):
        super().setUp()
        self.a, self.b = self.path("A.npy"), self.path("B.npy")
        self.part, self.journal = self.c + ".part", self.c + ".journal"

    def start(self, *arguments, **keywords):
        environment = dict(os.environ)
        environment.pop("OPENBLAS_CORETYPE", None)
        process = subprocess.Popen(
            [harness.TESSERA, "multiply", self.a, self.b, "-o", self.c, *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment, **keywords)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
            process.communicate()

    def finish(self, process, expected=0, seconds=120):
        stdout, stderr = process.communicate(timeout=seconds)
        self.assertEqual(process.returncode, expected, stderr)
        return stdout, stderr

    def run_to(self, expected, *arguments, **keywords):
        return self.finish(self.start(*arguments, **keywords), expected)

    def peak(self, process):
        """VmHWM, in bytes, looked at until the process ends."""
        most = 0
        while process.poll() is None:
            try:
                with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                    for line in status:
                        if line.startswith("VmHWM:"):
                            most = max(most, int(line.split()[1]) * 1024)
            except (FileNotFoundError, ProcessLookupError):
                break
            time.sleep(0.005)
        self.assertGreater(most, 0)
        return most

    def nothing_left(self):
        self.assertFalse(os.path.exists(self.part))
        self.assertFalse(os.path.exists(self.journal))

    def least(self, *arguments):
        """What the command itself says is enough."""
        _, stderr = self.run_to(1, "--memory-limit", "1M", *arguments)
        self.assertFalse(os.path.exists(self.c))
        self.nothing_left()
        self.assertIn("the limit is 1048576", stderr)
        return re.search(r"--memory-limit (\d+)M is enough", stderr).group(1) + "M"


# A sanitizer's memory can be held to no limit, and leaves the blocks as they are in Kinds.
@unittest.skipIf(SANITIZED, "a sanitizer's own memory counts as well")
class Limit(Files):
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

    def test_a_large_result_on_a_server(self):
        with harness.worker() as w, harness.server("--worker", w.url, "--engine", "native") as s:
            self.one(6700, 450, 6750, ["--server", s.url])


class Kinds(Files):
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

    def test_what_is_refused(self):
        np.save(self.a, np.zeros((3, 3)))
        np.save(self.b, np.zeros((3, 3)))
        for wrong in ("0", "x", "1T", "-5M"):
            _, stderr = self.run_to(2, "--memory-limit", wrong, "--local")
            self.assertIn("--memory-limit takes bytes", stderr)
        result = harness.run_tessera("multiply", "A.mtx", self.b, "-o", self.c, "--local",
                                     "--memory-limit", "1G")
        self.assertEqual(result.returncode, 2)
        self.assertIn("A.mtx: --memory-limit, --journal and --resume work on .npy files alone",
                      result.stderr)
        name = "sha256:" + 64 * "a"
        result = harness.run_tessera("multiply", name, self.b, "-o", self.c, "--worker",
                                     "http://127.0.0.1:1", "--memory-limit", "1G")
        self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1))
        self.assertIn(name + ": --memory-limit, --journal and --resume work on .npy files alone",
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


class Resume(Files):
    def matrices(self, m, k, n):
        a, b = (self.rng.integers(-4, 5, shape).astype("float32") for shape in ((m, k), (k, n)))
        np.save(self.a, a)
        np.save(self.b, b)
        return a, b

    def interrupted(self, *arguments, tiles=1, number=signal.SIGKILL):
        """Ends a run by a signal once it has recorded so many tiles more."""
        def size():
            return os.path.getsize(self.journal) if os.path.exists(self.journal) else 0
        wanted = max(size(), HEADER) + tiles * RECORD
        process = self.start(*arguments)
        until = time.monotonic() + 60
        while process.poll() is None and size() < wanted:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.002)
        if process.poll() is None:
            process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, -number, stdout + stderr)
        return stderr

    def blocks(self):
        """Two matrices, and options with which their product is computed in many blocks."""
        a, b = self.matrices(2100, 1100, 2000)
        return a, b, ["--memory-limit", self.least("--local"), "--local"]

    def resumed(self, a, b, *arguments):
        stdout, stderr = self.run_to(0, "--resume", *arguments)
        self.assertRegex(stderr, r"resuming: \d+ % of .* was finished")
        np.testing.assert_array_equal(np.load(self.c), a @ b)
        self.nothing_left()
        return stdout

    @staticmethod
    def flops(workers):
        """Of all products so far, once nothing is being computed any more."""
        def figure(worker, name):
            with urllib.request.urlopen(worker.url + "/metrics", timeout=10) as page:
                text = page.read().decode()
            return float(re.search(rf"(?m)^tessera_worker_{name} (\S+)", text).group(1))
        harness.eventually(lambda: all(figure(worker, "calls_inflight") == 0 for worker in workers),
                           what="an end of what a killed command asked for")
        return sum(figure(worker, "flops_total") for worker in workers)

    def test_killed_again_and_again(self):
        m, k, n = 3000, 800, 2900
        a, b = self.matrices(m, k, n)
        with harness.worker("--threads", "1") as w, harness.worker("--threads", "1") as v:
            place = ["--worker", w.url, "--worker", v.url]
            options = ["--memory-limit", self.least(*place), *place]
            self.interrupted(*options)
            before = []
            for _ in range(8):
                now = read_journal(self.journal)
                self.assertEqual(now[:len(before)], before)  # what was finished stays so
                self.assertGreater(len(now), len(before))
                before = now
                self.assertFalse(os.path.exists(self.c))
                self.interrupted("--resume", *options, tiles=int(self.rng.integers(1, 40)))
            before = read_journal(self.journal)
            self.assertGreater(area(before), 0.05 * m * n)
            spent = self.flops([w, v])
            stdout = self.resumed(a, b, *options)
            self.assertIn(" 0 here", stdout)
            # What was not finished, once; tiles that were late may have had a second copy.
            left = 2.0 * k * (m * n - area(before))
            last = self.flops([w, v]) - spent
            self.assertGreaterEqual(last, left)
            self.assertLess(last, left + min(0.1 * left, 2.0 * k * area(before)))

    def test_killed_in_memory(self):
        a, b = self.matrices(2600, 5000, 2700)
        self.interrupted("--journal", "--local", "--threads", "1")
        done = area(read_journal(self.journal))
        stdout = self.resumed(a, b, "--local")
        self.assertGreater(done, 0)
        self.assertIn("1 block of 1 panel", stdout)

    def test_another_place_and_limit_may_go_on(self):
        a, b, options = self.blocks()
        self.interrupted(*options)
        with harness.worker() as w:
            self.resumed(a, b, "--worker", w.url, "--memory-limit", "64M")

    def test_scaled_and_added(self):
        a, b = self.matrices(2100, 1100, 2000)
        c0 = integers(self.rng, 2100, 2000)
        np.save(self.path("C0.npy"), c0)
        options = ["--local", "--alpha", 2, "--beta", -1, "--add", self.path("C0.npy")]
        options += ["--memory-limit", self.least(*options)]
        self.interrupted(*options)
        self.run_to(0, "--resume", *options)
        np.testing.assert_array_equal(np.load(self.c), 2 * (a @ b) - c0)

    def test_ctrl_c_says_how_to_go_on(self):
        a, b, options = self.blocks()
        stderr = self.interrupted(*options, number=signal.SIGINT)
        self.assertRegex(stderr, r"interrupted; .*C.npy is as it was; \d+ % is kept: the same "
                                 r"command with --resume goes on\n$")
        self.resumed(a, b, *options)

    def test_without_resume_an_unfinished_run_is_not_thrown_away(self):
        a, b, options = self.blocks()
        self.interrupted(*options)
        before = read_journal(self.journal)
        _, stderr = self.run_to(1, *options)
        self.assertRegex(stderr, r"an unfinished run is there \(\d+ % of its result\); --resume")
        self.assertEqual(read_journal(self.journal), before)
        self.resumed(a, b, *options)

    def test_an_ordinary_run_sees_it_too(self):
        a, b, options = self.blocks()
        self.interrupted(*options)
        _, stderr = self.run_to(1, "--local")
        self.assertIn("an unfinished run is there", stderr)
        self.resumed(a, b, *options)

    def test_long_products_have_a_journal_unasked(self):
        # 2.02e12 flops; zeros that take no room on the disk.
        for path, shape in ((self.a, (11000, 9000)), (self.b, (9000, 10200))):
            np.lib.format.open_memmap(path, "w+", "float32", shape)
        for options in ([], ["--no-journal"]):
            process = self.start("--local", *options)

            def begun():
                return process.poll() is not None or any(
                    name.startswith(("C.npy.", ".C.npy.")) for name in os.listdir(self.folder))
            harness.eventually(begun, seconds=60, what="a file beside the result")
            time.sleep(0.1)
            self.assertIsNone(process.poll())
            process.kill()
            process.communicate()
            self.assertEqual(os.path.exists(self.journal), not options)
            for path in (self.journal, self.part):
                if os.path.exists(path):
                    os.remove(path)

    def test_another_product_is_refused(self):
        a, b, options = self.blocks()
        self.interrupted(*options)
        before = read_journal(self.journal)
        for other, why in [(["--alpha", 2], "--alpha was another"),
                           (["--dtype", "float64"], "computed in float32 and would be in float64"),
                           (["--add", self.a], "A.npy is 2100 x 1100, but")]:
            _, stderr = self.run_to(1, "--resume", *other, "--local")
            self.assertIn(why, stderr)
        b[17, 19] += 1
        times = os.stat(self.b)
        np.save(self.b, b)
        os.utime(self.b, ns=(times.st_atime_ns, times.st_mtime_ns))  # nothing but the bytes tells
        _, stderr = self.run_to(1, "--resume", *options)
        self.assertIn("the file of B has other contents since", stderr)
        self.assertEqual(read_journal(self.journal), before)
        b[17, 19] -= 1
        np.save(self.b, b)  # the same contents again, at another time
        self.resumed(a, b, *options)

    def test_torn_and_damaged_journals(self):
        a, b, options = self.blocks()
        self.interrupted(*options, tiles=2)
        with open(self.journal, "rb") as file:
            good = file.read()
        tiles = len(read_journal(self.journal))
        for tail in (b"", b"TILE", good[-RECORD:], bytes(RECORD), os.urandom(3 * RECORD)):
            shutil.copy(self.part, self.path("part"))
            with open(self.journal, "wb") as file:
                file.write(good[:-5] + tail)  # the last record is torn
            self.assertEqual(len(read_journal(self.journal)), tiles - 1)
            self.resumed(a, b, *options)
            shutil.copy(self.path("part"), self.part)
        os.remove(self.c)
        damaged = bytearray(good)
        damaged[20] ^= 1
        for content, why in [(bytes(damaged), "the checksum of its header is wrong"),
                             (b"something else" * 100, "this is no journal")]:
            with open(self.journal, "wb") as file:
                file.write(content)
            _, stderr = self.run_to(1, "--resume", *options)
            self.assertIn(why, stderr)
            with open(self.journal, "rb") as file:
                self.assertEqual(file.read(), content)
        with open(self.journal, "wb") as file:
            file.write(good)
        os.truncate(self.part, 1000)
        _, stderr = self.run_to(1, "--resume", *options)
        self.assertIn("C.npy.part is not what", stderr)
        os.remove(self.part)
        _, stderr = self.run_to(1, "--resume", *options)
        self.assertIn("C.npy.part: cannot be written: No such file", stderr)

    def test_ended_between_the_renaming_and_the_end(self):
        a, b, options = self.blocks()
        self.interrupted(*options)
        os.link(self.journal, self.path("kept"))
        with open(self.path("kept"), "rb+") as file:
            stdout = self.resumed(a, b, *options)  # goes on to write to the linked file
            self.assertEqual(area(read_journal(self.path("kept"))), 2100 * 2000)
        os.rename(self.path("kept"), self.journal)
        stdout, _ = self.run_to(0, "--resume", *options)
        self.assertIn("nothing to do", stdout)
        np.testing.assert_array_equal(np.load(self.c), a @ b)
        self.nothing_left()

    def test_nothing_to_resume(self):
        a, b = self.matrices(100, 200, 300)
        _, stderr = self.run_to(0, "--resume", "--local")
        self.assertIn("nothing to resume, starting from the beginning", stderr)
        np.testing.assert_array_equal(np.load(self.c), a @ b)
        self.nothing_left()

    def test_two_runs_at_a_time(self):
        a, b, options = self.blocks()
        first = self.start(*options)
        harness.eventually(lambda: os.path.exists(self.journal) and
                           os.path.getsize(self.journal) >= HEADER, what="the journal")
        os.kill(first.pid, signal.SIGSTOP)
        _, stderr = self.run_to(1, "--resume", *options)
        self.assertIn("another run is at work on it", stderr)
        os.kill(first.pid, signal.SIGCONT)
        self.finish(first)
        np.testing.assert_array_equal(np.load(self.c), a @ b)

    def test_an_operand_that_changes_meanwhile(self):
        self.matrices(2600, 2500, 2700)
        process = self.start("--journal", "--local")
        harness.eventually(lambda: os.path.exists(self.journal) and
                           os.path.getsize(self.journal) >= HEADER, what="the journal")
        os.utime(self.a)
        _, stderr = self.finish(process, 1)
        self.assertIn("A.npy: changed while it was being used", stderr)
        self.assertFalse(os.path.exists(self.c))

    def test_no_room_on_the_disk(self):
        self.matrices(1000, 20, 1000)
        with open(self.c, "w", encoding="ascii") as file:
            file.write("as it was")

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))
        for options in (["--journal"], ["--memory-limit", "64M"], []):
            _, stderr = self.run_to(1, "--local", *options, preexec_fn=limit)
            self.assertRegex(stderr, r"tessera: .*File too large\n$")
            self.assertEqual(sorted(os.listdir(self.folder)), ["A.npy", "B.npy", "C.npy"])
        with open(self.c, encoding="ascii") as file:
            self.assertEqual(file.read(), "as it was")

    def test_mode_and_link_of_the_result_stay(self):
        a, b = self.matrices(50, 60, 70)
        with open(self.path("real.npy"), "wb"):
            pass
        os.chmod(self.path("real.npy"), 0o440)
        os.symlink("real.npy", self.c)
        self.run_to(0, "--journal", "--local")
        self.assertTrue(os.path.islink(self.c))
        self.assertEqual(os.stat(self.c).st_mode & 0o777, 0o440)
        np.testing.assert_array_equal(np.load(self.c), a @ b)
        self.assertEqual(sorted(os.listdir(self.folder)), ["A.npy", "B.npy", "C.npy", "real.npy"])


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
        for engine in ("native",) if SANITIZED else ("native", "jsc"):
            with self.subTest(engine=engine), \
                 harness.server("--memory-limit", "64M", "--engine", engine) as program:
                # 160,000 bytes each, and 32,000,000 of a result, twice.
                a, b = (integers(self.rng, *shape, "float64") for shape in ((2000, 10), (10, 2000)))
                self.refused(program, a, b, "needs 64320000 bytes at its peak",
                             "has 58720256 in all", "--memory-limit")
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
                self.assertEqual(reply.stats.peak_bytes, 240000 + 80000 + 120000 + 120000)


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
