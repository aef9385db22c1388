# SPDX-License-Identifier: Apache-2.0
"""Products that are ended and go on: what is computed again, what stays on the disk."""
import os
import re
import resource
import shutil
import signal
import struct
import time
import urllib.request

import numpy as np

import harness
from harness import integers
from long_files import MIB, LongFiles

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


class Resume(LongFiles):
    def matrices(self, m, k, n):
        a, b = (self.rng.integers(-4, 5, shape).astype("float32") for shape in ((m, k), (k, n)))
        np.save(self.a, a)
        np.save(self.b, b)
        return a, b

    def interrupted(self, *arguments, tiles=1, number=signal.SIGKILL, **keywords):
        """Ends a run by a signal once it has recorded so many tiles more."""
        def size():
            return os.path.getsize(self.journal) if os.path.exists(self.journal) else 0
        wanted = max(size(), HEADER) + tiles * RECORD
        process = self.start(*arguments, **keywords)
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
        self.assertRegex(stderr, "C.npy.part is not there.*; remove the journal to start afresh")

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

    def test_a_result_that_cannot_be_read_is_not_told_as_missing(self):
        _, _, options = self.blocks()
        process = self.start(*options)
        harness.eventually(lambda: os.path.exists(self.journal), what="the journal")
        os.link(self.journal, self.path("kept"))
        self.finish(process)
        os.rename(self.path("kept"), self.journal)
        os.chmod(self.c, 0)
        os.chmod(self.folder, 0o777)
        os.chmod(self.journal, 0o666)

        def without_rights():
            if os.getuid() == 0:
                os.setuid(65534)
        _, stderr = self.run_to(1, "--resume", *options, preexec_fn=without_rights)
        self.assertRegex(stderr, r"C\.npy: Permission denied\n$")
        os.chmod(self.c, 0o444)  # to be read is enough: nothing more is written
        stdout, _ = self.run_to(0, "--resume", *options, preexec_fn=without_rights)
        self.assertIn("nothing to do", stdout)

    def test_an_older_result_is_not_taken_for_this_one(self):
        a, b, options = self.blocks()
        np.save(self.c, np.zeros((2100, 2000), "float32"))
        process = self.start(*options)
        harness.eventually(lambda: os.path.exists(self.journal), what="the journal")
        os.link(self.journal, self.path("kept"))
        self.finish(process)
        os.rename(self.path("kept"), self.journal)
        self.assertEqual(area(read_journal(self.journal)), 2100 * 2000)
        np.save(self.c, np.zeros((2100, 2000), "float32"))
        _, stderr = self.run_to(1, "--resume", *options)
        self.assertIn("remove the journal to start afresh", stderr)
        os.remove(self.journal)
        self.run_to(0, "--resume", *options)
        np.testing.assert_array_equal(np.load(self.c), a @ b)

    def test_a_folder_that_is_removed_meanwhile(self):
        self.matrices(2600, 2500, 2700)
        os.mkdir(self.path("gone"))
        self.c = self.path("gone/C.npy")
        process = self.start("--journal", "--local", "--threads", "1")
        harness.eventually(lambda: os.path.exists(self.c + ".journal") and
                           os.path.getsize(self.c + ".journal") > HEADER, what="a finished tile")
        shutil.rmtree(self.path("gone"))
        _, stderr = self.finish(process, 1)
        self.assertRegex(stderr, r"gone/C.npy.journal: was removed or replaced meanwhile\n$")

    def test_nothing_to_resume(self):
        a, b = self.matrices(100, 200, 300)
        _, stderr = self.run_to(0, "--resume", "--local")
        self.assertIn("nothing to resume, starting from the beginning", stderr)
        np.testing.assert_array_equal(np.load(self.c), a @ b)
        self.nothing_left()

    def test_what_is_printed_goes_into_no_file(self):
        a, b, options = self.blocks()
        self.interrupted("--resume", *options, preexec_fn=lambda: os.closerange(0, 3))
        self.assertGreater(len(read_journal(self.journal)), 0)
        self.resumed(a, b, *options)

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

if __name__ == "__main__":
    harness.main()
