# SPDX-License-Identifier: Apache-2.0
"""How a long product of the tessera command ends early, and what it shows meanwhile."""
import os
import pty
import select
import signal
import subprocess
import time

import numpy as np

import harness
from command import Files
from harness import integers


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
