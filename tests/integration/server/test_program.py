# SPDX-License-Identifier: Apache-2.0
"""tessera-server as a program: how it starts, fails to, serves the tests' own
module over real sockets, and ends.

Usage: test_program.py BIN_DIR ECHO_DIR
"""
import http.client
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

BIN_DIR, ECHO_DIR = sys.argv[1:3]
SERVER = os.path.join(BIN_DIR, "tessera-server")
ECHO = os.path.join(ECHO_DIR, "echo.wasm")
SECONDS = 30


def run(*arguments):
    done = subprocess.run([SERVER, *arguments], capture_output=True, text=True, timeout=SECONDS)
    return done.returncode, done.stdout, done.stderr


class Server:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([SERVER, "--listen", "127.0.0.1:0", *arguments], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        first = self.process.stdout.readline()
        match = re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+)\n", first)
        if not match:
            raise AssertionError(f"{first!r} {self.process.communicate(timeout=SECONDS)}")
        self.port = int(match[1])

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=SECONDS)

    def call(self, path, body=b"", headers=None, method="POST", timeout=SECONDS, chunked=False):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {}, encode_chunked=chunked)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def metric(self, name):
        text = self.call("/metrics", method="GET")[1].decode()
        match = re.search(rf"^{name} (\d+)$", text, re.MULTILINE)
        return int(match[1]) if match else None

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, out, err


def echo_server(*arguments):
    return Server("--engine", "jsc", "--module", ECHO, *arguments)


class Start(unittest.TestCase):
    def wrong(self, code, words, *arguments):
        status, out, err = run(*arguments)
        self.assertEqual(status, code, err)
        self.assertEqual(out, "")
        self.assertEqual(err.count("\n"), 1, err)
        self.assertTrue(err.startswith("tessera-server: "), err)
        self.assertIn(words, err)

    def test_wrong_usage(self):
        self.wrong(2, "unknown option", "--nonsense")
        self.wrong(2, "http://HOST:PORT", "--worker", "localhost:8081")

    def test_help(self):
        self.assertEqual(run("--help")[0], 0)
        self.assertEqual(run("--version")[0], 0)

    def test_modules_that_are_none(self):
        self.wrong(1, "No such file", "--listen", "127.0.0.1:0", "--module", "/nowhere/module.wasm")
        self.wrong(1, "not a WebAssembly module", "--listen", "127.0.0.1:0", "--module", SERVER)
        self.wrong(1, "version 7 of the host's ABI", "--listen", "127.0.0.1:0", "--module",
                   os.path.join(ECHO_DIR, "echo_old.wasm"))
        with tempfile.NamedTemporaryFile(suffix=".wasm") as cut:
            with open(ECHO, "rb") as whole:
                cut.write(whole.read()[:500])
            cut.flush()
            self.wrong(1, "damaged", "--listen", "127.0.0.1:0", "--module", cut.name)
        with tempfile.NamedTemporaryFile(suffix=".wasm") as broken:
            with open(ECHO, "rb") as whole:  # its sections are right, its code is not
                bytes_ = bytearray(whole.read())
            at = len(bytes_) * 2 // 3
            bytes_[at:at + 40] = b"\xff" * 40
            broken.write(bytes_)
            broken.flush()
            self.wrong(1, "does not load", "--listen", "127.0.0.1:0", "--module", broken.name)

    def test_too_little_memory(self):
        self.wrong(1, "over the limit", "--listen", "127.0.0.1:0", "--module", ECHO, "--memory-limit", "64K")
        self.wrong(1, "1048576 bytes of memory are too few", "--listen", "127.0.0.1:0", "--memory-limit", "1M")

    def test_address_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.wrong(1, "--listen chooses another", "--listen", "127.0.0.1:%d" % taken.getsockname()[1])
        for listen in ("nonsense", "::1:0", "[::1:0", "127.0.0.1:x"):
            self.wrong(2, "cannot listen on", "--listen", listen)
        self.wrong(1, "cannot listen on", "--listen", "no.such.host.invalid:0")


class Serve(unittest.TestCase):
    def test_echo_of_large_bodies(self):
        body = os.urandom(1 << 20) * 48
        with echo_server() as server:
            for _ in range(5):
                status, answer = server.call("/echo", body)
                self.assertEqual(status, 200)
                self.assertTrue(answer == body)
            self.assertEqual(server.end()[0], 0)

    def test_chunked_bodies(self):
        with echo_server() as server:
            pieces = [os.urandom(70000) for _ in range(20)]
            status, answer = server.call("/echo", iter(pieces), {"Transfer-Encoding": "chunked"}, chunked=True)
            self.assertEqual(status, 200)
            self.assertTrue(answer == b"".join(pieces))

    def test_body_over_the_limit(self):
        with echo_server("--max-message-bytes", "1M") as server:
            status, answer = server.call("/echo", b"x" * ((1 << 20) + 1))
            self.assertEqual(status, 429)
            self.assertIn(b"resource_exhausted", answer)
            self.assertEqual(server.call("/echo", b"y" * (1 << 20))[0], 200)

    def test_trap_and_recovery(self):
        with echo_server() as server:
            waiting = []
            thread = threading.Thread(target=lambda: waiting.append(server.call("/hang")))
            thread.start()
            while server.metric("echo_jobs") != 1:
                time.sleep(0.02)
            status, answer = server.call("/trap")
            self.assertEqual((status, b'"internal"' in answer), (500, True))
            thread.join(SECONDS)
            self.assertEqual(waiting[0][0], 500)
            self.assertEqual(server.call("/echo", b"again"), (200, b"again"))
            self.assertEqual(server.metric("tessera_module_traps_total"), 1)
            self.assertEqual(server.metric("tessera_module_restarts_total"), 1)
            code, _, err = server.end()
            self.assertEqual(code, 0)
            self.assertIn("the module trapped", err)

    def test_client_that_goes_away(self):
        with echo_server() as server:
            with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as client:
                client.sendall(b"POST /hang HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
                while server.metric("echo_jobs") != 1:
                    time.sleep(0.02)
            began = time.monotonic()
            while server.metric("echo_cancelled") != 1:
                self.assertLess(time.monotonic() - began, 10)
                time.sleep(0.02)
            self.assertEqual(server.metric("echo_jobs"), 0)

    def test_slow_reader(self):
        with echo_server() as server:
            with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                client.sendall(b"POST /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\n"
                               b"400 100000")
                time.sleep(0.5)
                # It waits with at most a window in hand, and others are served.
                self.assertLess(server.metric("tessera_host_inflight_bytes"), 3 << 20)
                self.assertEqual(server.call("/echo", b"meanwhile"), (200, b"meanwhile"))
                total = 0
                while piece := client.recv(1 << 16):
                    total += len(piece)
            self.assertGreater(total, 400 * 100000)

    def test_only_workers_are_reached(self):
        with socket.create_server(("127.0.0.1", 0)) as elsewhere, echo_server() as server:
            url = "http://127.0.0.1:%d/x" % elsewhere.getsockname()[1]
            self.assertEqual(server.call("/relay", b"secret", {"x-url": url})[0], 403)
            elsewhere.settimeout(0.3)
            self.assertRaises(TimeoutError, elsewhere.accept)

    def test_relay_over_sockets(self):
        body = os.urandom(1 << 20) * 20
        with echo_server() as behind:
            url = f"http://127.0.0.1:{behind.port}"
            with echo_server("--worker", url) as server:
                for size in 0, 1, 300000, len(body):
                    status, answer = server.call("/relay", body[:size], {"x-url": url + "/echo"})
                    self.assertEqual(status, 200)
                    self.assertTrue(answer == body[:size])

    def test_the_page_or_a_word(self):
        with Server() as server:
            status, answer = server.call("/", method="GET")
            self.assertEqual(status, 200)
            self.assertIn(b"<", answer)


class End(unittest.TestCase):
    def test_drains(self):
        with echo_server() as server:
            answers = []
            thread = threading.Thread(target=lambda: answers.append(server.call("/sleep", b"700")))
            thread.start()
            while server.metric("echo_jobs") != 1:
                time.sleep(0.02)
            self.assertEqual(server.end()[0], 0)
            thread.join(SECONDS)
            self.assertEqual(answers, [(200, b"slept")])

    def test_grace_is_over(self):
        """What is still in progress is aborted: answered if there is time, else its connection is closed."""
        with echo_server("--grace-ms", "200") as server:
            answers = []

            def hang():
                try:
                    answers.append(server.call("/hang")[0])
                except http.client.RemoteDisconnected:
                    answers.append("closed")

            thread = threading.Thread(target=hang)
            thread.start()
            while server.metric("echo_jobs") != 1:
                time.sleep(0.02)
            code, _, err = server.end(signal.SIGINT)
            thread.join(SECONDS)
            self.assertEqual(code, 0)
            self.assertIn("--grace-ms", err)
            self.assertIn(answers, ([503], ["closed"]))

    def test_stuck_module(self):
        """JavaScriptCore cannot stop a loop: all is answered, then the process ends with 3."""
        with echo_server("--watchdog-ms", "300") as server:
            answers = []
            thread = threading.Thread(target=lambda: answers.append(server.call("/hang")))
            thread.start()
            while server.metric("echo_jobs") != 1:
                time.sleep(0.02)
            status, answer = server.call("/spin")
            self.assertEqual((status, b"does not return" in answer), (500, True))
            thread.join(SECONDS)
            self.assertEqual(answers[0][0], 500)
            _, err = server.process.communicate(timeout=SECONDS)
            self.assertEqual(server.process.returncode, 3)
            self.assertIn("did not return for 300 ms", err)
            self.assertIn("start it again", err)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
