# SPDX-License-Identifier: Apache-2.0
"""Links that fail while both ends live: one that goes dark in the middle of a product
(packets vanish, nothing is refused), and one connection that stalls while the worker
answers on others. In network namespaces of its own: the far one is another machine."""
import subprocess
import threading
import time

import namespaces

NEAR, FAR = "10.78.0.1", "10.78.0.2"

if __name__ == "__main__":
    namespaces.enter(["--net"], ["ip", "link", "set", "lo", "up"], ("nsenter", "ip", "tc"))

import numpy as np

import counting_relay
import harness
from harness import Client, FilesCase, eventually, exact, integers


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=20)


class Link:
    """This namespace and another, joined by a pair of interfaces."""

    def __init__(self):
        self.keeper = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo ready; exec sleep 600"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.keeper.stdout.readline() != b"ready\n":
            raise AssertionError("no second namespace")
        self.far = ["nsenter", "--net", "--target", str(self.keeper.pid)]
        run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(self.keeper.pid))
        run("ip", "address", "add", NEAR + "/24", "dev", "near")
        run("ip", "link", "set", "near", "up")
        run(*self.far, "ip", "link", "set", "lo", "up")
        run(*self.far, "ip", "address", "add", FAR + "/24", "dev", "far")
        run(*self.far, "ip", "link", "set", "far", "up")

    def darken(self):
        """No packet is so small as to pass, either way."""
        for side, name in (((), "near"), (self.far, "far")):
            run(*side, "tc", "qdisc", "replace", "dev", name, "root", "tbf", "rate", "8kbit", "burst", "10",
                "limit", "10")

    def close(self):
        self.keeper.terminate()
        self.keeper.wait(10)
        self.keeper.stdout.close()
        subprocess.run(["ip", "link", "delete", "near"], timeout=20, stderr=subprocess.DEVNULL)


class StallingRelay(counting_relay.Relay):
    """Once told to, the next connection that carries many bytes to the worker stops in
    mid-request: it stays open and moves nothing more. All others go on."""

    LARGE = 1 << 20
    stall_next = False
    stalled = 0

    def _copy(self, source, sink, name):
        carried = 0
        try:
            while data := source.recv(1 << 16):
                carried += len(data)
                with self.lock:
                    stalls = self.stall_next and name == "to_worker" and carried > self.LARGE
                    if stalls:
                        self.stall_next = False
                        self.stalled += 1
                if stalls:
                    time.sleep(120)  # longer than the test; a daemon's thread
                    return
                sink.sendall(data)
        except OSError:
            pass
        counting_relay._end(source)
        counting_relay._end(sink)


class Links(FilesCase):
    @classmethod
    def setUpClass(cls):
        run("ip", "link", "set", "lo", "up")

    def multiply(self, program, a, b):
        """Returns (C, stats, seconds)."""
        began = time.monotonic()
        with Client(program.url) as client:
            c, result = client.multiply(a, b)
        return c, result.stats, time.monotonic() - began

    def server(self, *urls):
        program = harness.server("--engine", "native", "--mode", "proxy",
                                 *(part for url in urls for part in ("--worker", url)))
        self.addCleanup(program.kill)
        return program

    def worker(self, *options):
        worker = harness.worker("--threads", "1", *options)
        self.addCleanup(worker.kill)
        return worker

    def test_a_link_goes_dark_in_mid_product(self):
        link = Link()
        self.addCleanup(link.close)
        far = harness.Program(*link.far, harness.WORKER, "--listen", f"{FAR}:0", "--threads", "1",
                              "--kernel", "reference")
        self.addCleanup(far.kill)
        program = self.server(far.url, self.worker().url)
        a, b = integers(self.rng, 1500, 1500), integers(self.rng, 1500, 1500)
        outcome = {}

        def product():
            outcome["c"], outcome["stats"], outcome["seconds"] = self.multiply(program, a, b)

        thread = threading.Thread(target=product)
        thread.start()
        with Client(far.url) as client:
            eventually(lambda: b"tessera_worker_computing 1\n" in client.post("/metrics", None, method="GET")[2],
                       30, "the far worker computes")
        link.darken()
        dark = time.monotonic()
        thread.join(60)
        np.testing.assert_array_equal(outcome.get("c"), exact(a, b))
        self.assertLess(time.monotonic() - dark, 30)
        self.assertGreater(outcome["stats"].retries + outcome["stats"].backups, 0)
        # And the next product does not wait for it.
        c, _, seconds = self.multiply(program, a, b)
        np.testing.assert_array_equal(c, exact(a, b))
        self.assertLess(seconds, 30)

    def stalls(self, warm, workers):
        """One connection stalls; the worker behind it answers on others."""
        relay = StallingRelay(self.worker().url)
        self.addCleanup(relay.close)
        program = self.server(relay.url, *(self.worker().url for _ in range(workers - 1)))
        a, b = integers(self.rng, 1000, 1000), integers(self.rng, 1000, 1000)
        if warm:
            c, _, _ = self.multiply(program, a, b)
            np.testing.assert_array_equal(c, exact(a, b))
        relay.stall_next = True
        c, stats, seconds = self.multiply(program, a, b)
        np.testing.assert_array_equal(c, exact(a, b))
        self.assertEqual(relay.stalled, 1)
        return stats, seconds

    def test_a_connection_of_a_known_worker_stalls(self):
        """It is alone: nobody backs its tile up, and the attempt is given up by what the worker did before."""
        stats, seconds = self.stalls(warm=True, workers=1)
        self.assertGreater(stats.retries, 0)
        self.assertGreater(seconds, 4)  # not by luck
        self.assertLess(seconds, 25)

    def test_a_connection_of_a_new_worker_stalls(self):
        """By what it says of itself."""
        stats, seconds = self.stalls(warm=False, workers=1)
        self.assertGreater(stats.retries, 0)
        self.assertGreater(seconds, 4)
        self.assertLess(seconds, 35)

    def test_a_connection_stalls_beside_another_worker(self):
        stats, seconds = self.stalls(warm=False, workers=2)
        self.assertGreater(stats.retries + stats.backups, 0)
        self.assertLess(seconds, 25)


if __name__ == "__main__":
    harness.main()
