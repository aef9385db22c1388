# SPDX-License-Identifier: Apache-2.0
"""dns+http:// with a name that has several addresses, looked up by the system: in
namespaces of its own, where /etc/hosts is the test's and 127.0.0.0/8 is empty."""
import fcntl
import socket
import struct
import subprocess
import tempfile

import namespaces

NAME, PORT = "workers.test", 8081

if __name__ == "__main__":
    namespaces.enter(["--mount", "--net"], ["mount", "--bind", "/etc/hosts", "/etc/hosts"])

import numpy as np

import harness
from harness import Client, FilesCase, eventually, exact, integers, run_tessera


def loopback_up():
    """SIOCSIFFLAGS with IFF_UP: a new network namespace has its loopback down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))


class Names(FilesCase):
    @classmethod
    def setUpClass(cls):
        loopback_up()
        hosts = tempfile.NamedTemporaryFile(mode="w", prefix="tessera-hosts-")
        cls.addClassCleanup(hosts.close)
        subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True, timeout=20)
        cls.addClassCleanup(subprocess.run, ["umount", "/etc/hosts"], check=True, timeout=20)

    def lead_to(self, *addresses):
        # In its place: a renamed file would not be the one that is mounted.
        with open("/etc/hosts", "w", encoding="ascii") as hosts:
            hosts.writelines(f"{address} {NAME}\n" for address in addresses)

    def start_worker(self, address):
        worker = harness.Program(harness.WORKER, "--listen", f"{address}:{PORT}", "--threads", "1")
        self.addCleanup(worker.kill)
        self.assertEqual(worker.url, f"http://{address}:{PORT}")
        return worker

    def tiles(self, address):
        with Client(f"http://{address}:{PORT}") as client:
            _, _, text = client.post("/metrics", None, method="GET")
        lines = [line.split() for line in text.decode().splitlines()]
        return next(int(line[1]) for line in lines if line[0] == "tessera_worker_products_total")

    def test_the_command_uses_every_address(self):
        self.lead_to("127.0.0.2", "127.0.0.3")
        for address in ("127.0.0.2", "127.0.0.3"):
            self.start_worker(address)
        a, b = integers(self.rng, 1500, 1000), integers(self.rng, 1000, 1500)
        result = run_tessera("multiply", self.save("A.npy", a), self.save("B.npy", b), "-o", self.c,
                             "--worker", f"dns+http://{NAME}:{PORT}")
        self.assertEqual(result.returncode, 0, result.stderr)
        np.testing.assert_array_equal(np.load(self.c), exact(a, b))
        for address in ("127.0.0.2", "127.0.0.3"):
            self.assertGreater(self.tiles(address), 0, address)
        result = run_tessera("plan", 100, 100, 100, "--link", 100, "--json", "--worker",
                             f"dns+http://{NAME}:{PORT}")
        self.assertIn(f'"url":"http://127.0.0.2:{PORT}"', result.stdout, result.stderr)
        self.assertIn(f'"url":"http://127.0.0.3:{PORT}"', result.stdout)

    def test_a_server_follows_the_name(self):
        self.lead_to("127.0.0.2", "127.0.0.3")
        second = self.start_worker("127.0.0.2")
        self.start_worker("127.0.0.3")
        server = harness.server("--engine", "native", "--mode", "proxy",
                                "--worker", f"dns+http://{NAME}:{PORT}")
        self.addCleanup(server.kill)

        def workers():
            with Client(server.url) as client:
                return {w.url.removeprefix("http://").split(":")[0]: w.available
                        for w in client.describe().workers}

        self.assertEqual(workers(), {"127.0.0.2": True, "127.0.0.3": True})
        # One address is given to another machine; the product that finds the old one gone goes on.
        self.start_worker("127.0.0.4")
        self.lead_to("127.0.0.3", "127.0.0.4")
        second.kill()
        a, b = integers(self.rng, 600, 500), integers(self.rng, 500, 700)
        with Client(server.url) as client:
            c, _ = client.multiply(a, b)
        np.testing.assert_array_equal(c, exact(a, b))
        eventually(lambda: set(workers()) == {"127.0.0.3", "127.0.0.4"}, 30, "the new list")
        with Client(server.url) as client:
            c, _ = client.multiply(a, b)
        np.testing.assert_array_equal(c, exact(a, b))
        # A name that is gone changes nothing.
        self.lead_to()
        with Client(server.url) as client:
            c, _ = client.multiply(a, b)
        np.testing.assert_array_equal(c, exact(a, b))


if __name__ == "__main__":
    harness.main()
