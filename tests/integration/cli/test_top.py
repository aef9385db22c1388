# SPDX-License-Identifier: Apache-2.0
"""tessera top: as text, as JSON, on a terminal."""
import json
import os
import pty
import select
import signal
import subprocess
import termios
import time

import harness
from command import Workers
from harness import integers, run_tessera


class Top(Workers):
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


if __name__ == "__main__":
    harness.main()
