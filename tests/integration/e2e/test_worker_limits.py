# SPDX-License-Identifier: Apache-2.0
"""tessera-worker at its limits: queue, memory, deadlines, clients that go away, draining."""
import os
import re
import signal
import socket
import subprocess
import threading
import time

import numpy as np

import harness
from harness import Client, MULTIPLY, Case, exact, integers, request_of


def slow_product(rng):
    """One that takes the reference kernel many seconds, and is sent in a moment."""
    return integers(rng, 4000, 200), integers(rng, 200, 4000)


class Limits(Case):
    def slow_worker(self, *options):
        return harness.worker("--kernel", "reference", "--threads", "1", *options)

    def start(self, program, a, b, **keywords):
        """A product in a thread; returns (thread, outcome)."""
        outcome = {}

        def run():
            try:
                with Client(program.url) as client:
                    outcome["c"], _ = client.multiply(a, b, **keywords)
            except Exception as error:
                outcome["error"] = error

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread, outcome

    def test_connections_outlive_a_stop(self):
        """As with Ctrl-Z and fg, or a debugger, while the connection is idle."""
        with self.slow_worker() as program, Client(program.url) as client:
            for _ in range(3):
                client.describe()
                time.sleep(0.05)
                program.process.send_signal(signal.SIGSTOP)
                time.sleep(0.05)
                program.process.send_signal(signal.SIGCONT)
                time.sleep(0.3)
            client.describe()

    def metric(self, program, name):
        with Client(program.url) as client:
            _, _, text = client.post("/metrics", None, method="GET")
        return float(re.search(rf"(?m)^{name} (\S+)$", text.decode()).group(1))

    def settles(self, program, name, value):
        """A call's end is told before all that it held is given back."""
        harness.eventually(lambda: self.metric(program, name) == value, 20, f"{name} {value}")

    def test_too_many_wait(self):
        a, b = slow_product(self.rng)
        with self.slow_worker("--queue", "1") as program:
            self.start(program, a, b, timeout_ms=20000)
            self.settles(program, "tessera_worker_computing", 1)
            self.start(program, a, b, timeout_ms=20000)
            self.settles(program, "tessera_worker_waiting", 1)
            started = time.monotonic()
            with Client(program.url) as client:
                self.fails("resource_exhausted", 429, client.multiply, a, b)
                self.assertLess(time.monotonic() - started, 5)
                self.still_answers(client)  # small ones do not wait for large ones
            self.assertEqual(self.metric(program, "tessera_worker_queue_refused_total"), 1)

    def test_over_the_memory_budget(self):
        a = integers(self.rng, 1000, 1000, "float64")  # 8 MB each
        with self.slow_worker("--max-inflight-bytes", "30M", "--max-message-bytes", "20M") as program:
            self.start(program, a, a, timeout_ms=20000)
            self.settles(program, "tessera_worker_computing", 1)
            with Client(program.url) as client:
                self.fails("resource_exhausted", 429, client.multiply, a, a)
            with Client(program.url) as client:
                self.still_answers(client)

    def test_a_deadline_ends_the_work(self):
        a, b = slow_product(self.rng)
        with self.slow_worker() as program, Client(program.url) as client:
            started = time.monotonic()
            # Long enough for the body to come in: computing is what is to be ended.
            self.fails("deadline_exceeded", 504, client.multiply, a, b, timeout_ms=2000)
            self.assertLess(time.monotonic() - started, 6)
            self.settles(program, "tessera_worker_computing", 0)
            self.settles(program, "tessera_worker_products_abandoned_total", 1)
            self.settles(program, "tessera_worker_buffer_used_bytes", 0)
            self.still_answers(client)

    def test_a_client_that_goes_away_ends_the_work(self):
        a, b = slow_product(self.rng)
        body = request_of(a, b).SerializeToString()
        head = (f"POST {MULTIPLY} HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode()
        with self.slow_worker() as program:
            with socket.create_connection((program.host, program.port), 10) as running, \
                 socket.create_connection((program.host, program.port), 10) as waiting:
                running.sendall(head + body)
                self.settles(program, "tessera_worker_computing", 1)
                waiting.sendall(head + body)
                self.settles(program, "tessera_worker_waiting", 1)
            self.settles(program, "tessera_worker_computing", 0)
            self.settles(program, "tessera_worker_waiting", 0)
            self.settles(program, "tessera_worker_products_abandoned_total", 2)
            with Client(program.url) as client:
                self.still_answers(client)

    def test_a_stream_that_nobody_reads_ends(self):
        a, b = slow_product(self.rng)
        wide = integers(self.rng, 20, 20000)
        with self.slow_worker() as program:
            with Client(program.url) as client:  # computing
                with self.assertRaises(harness.RpcError) as caught:
                    list(client.multiply_tiles(a, b, headers={"Connect-Timeout-Ms": "2000"}))
                self.assertEqual(caught.exception.code, "deadline_exceeded")
            tall = integers(self.rng, 2000, 20)
            with Client(program.url) as client:  # computed, and not taken
                tiles = client.multiply_tiles(tall, wide)
                next(tiles)
            self.settles(program, "tessera_worker_calls_inflight", 0)
            self.settles(program, "tessera_worker_buffer_used_bytes", 0)
            with Client(program.url) as client:
                self.still_answers(client)

    def test_sigterm_lets_products_finish(self):
        a = integers(self.rng, 600, 600, "float64")
        with self.slow_worker("--grace-ms", "60000") as program:
            thread, outcome = self.start(program, a, a)
            self.settles(program, "tessera_worker_computing", 1)
            self.assertEqual(program.stop(70), 0)
            thread.join(20)
            np.testing.assert_array_equal(outcome.get("c"), exact(a, a))

    def test_sigterm_ends_what_takes_too_long(self):
        a, b = slow_product(self.rng)
        with self.slow_worker("--grace-ms", "300") as program:
            thread, outcome = self.start(program, a, b)
            self.settles(program, "tessera_worker_computing", 1)
            started = time.monotonic()
            self.assertEqual(program.stop(), 0)
            self.assertLess(time.monotonic() - started, 8)
            thread.join(20)
            self.assertIn("error", outcome)

    def test_a_taken_port_is_told(self):
        with harness.worker() as program:
            second = subprocess.run([harness.WORKER, "--listen", f"127.0.0.1:{program.port}"],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
            self.assertEqual(second.returncode, 1)
            self.assertEqual(second.stderr.decode().count("\n"), 1)
            self.assertIn(str(program.port), second.stderr.decode())

    def test_memory_is_reused(self):
        """Resident memory stands still after the first products."""
        a = integers(self.rng, 512, 512)
        if harness.SANITIZED:
            self.skipTest("a sanitizer keeps freed memory, on purpose")
        with harness.worker("--threads", "1") as program, Client(program.url) as client:
            expected = exact(a, a)
            for _ in range(120):
                client.multiply(a, a)
            before = program.rss_bytes()
            for i in range(300):
                c, _ = client.multiply(a, a)
                if i % 50 == 0:
                    np.testing.assert_array_equal(c, expected)
            self.assertLess(program.rss_bytes() - before, 4 << 20)


if __name__ == "__main__":
    harness.main()
