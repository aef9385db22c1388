# SPDX-License-Identifier: Apache-2.0
"""A slow link between two network namespaces, made with unshare, veth and tc tbf; no root needed.

    with Link("1gbit") as link:
        Server(*link.far, ..., listening on link.host), Runner(*link.near, ...)

`near` and `far` are commands to put in front of another. Both directions are
limited to the rate, each by itself, as on a full-duplex Ethernet.

Run as a program it is the far or the near end of a bare pair of sockets, which
tells how long the link takes for so many bytes both ways at once:

    link.py sink HOST
    link.py source HOST:PORT       reads lines "SENT RECEIVED"; prints milliseconds
"""
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time

CONNECTIONS = 2
PIECE = 1 << 20


class Link:
    near_host, host = "10.77.0.1", "10.77.0.2"

    def __init__(self, rate):
        self.rate = rate
        self.processes = []

    def __enter__(self):
        try:
            self.near = self._enter(["unshare", "--map-root-user", "--net"])
            self.far = self._enter([*self.near, "unshare", "--net"])
            far_id = self.processes[1].pid
            for command in (
                    [*self.near, "ip", "link", "set", "lo", "up"],
                    [*self.near, "ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns",
                     str(far_id)],
                    [*self.near, "ip", "address", "add", self.near_host + "/24", "dev", "near"],
                    [*self.near, "ip", "link", "set", "near", "up"],
                    [*self.far, "ip", "link", "set", "lo", "up"],
                    [*self.far, "ip", "address", "add", self.host + "/24", "dev", "far"],
                    [*self.far, "ip", "link", "set", "far", "up"],
                    [*self.near, "tc", "qdisc", "add", "dev", "near", "root", "tbf", "rate", self.rate,
                     "burst", "128kb", "limit", "4mb"],
                    [*self.far, "tc", "qdisc", "add", "dev", "far", "root", "tbf", "rate", self.rate,
                     "burst", "128kb", "limit", "4mb"]):
                self._run(command)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        for process in reversed(self.processes):
            process.terminate()
            process.wait(10)
            process.stdout.close()
        self.processes = []

    def _enter(self, command):
        """Starts a namespace's keeper; the command that enters it."""
        keeper = subprocess.Popen([*command, "sh", "-c", "echo ready; exec sleep 3600"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        self.processes.append(keeper)
        if keeper.stdout.readline() != "ready\n":
            raise OSError(f"no network namespace: {keeper.stderr.read().strip() or 'unshare failed'}")
        keeper.stderr.close()
        return ["nsenter", "--preserve-credentials", "--user", "--net", "--target", str(keeper.pid)]

    @staticmethod
    def _run(command):
        env = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}  # where ip and tc are
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=env)
        if done.returncode != 0:
            raise OSError(f"no limited link: {' '.join(command[6:])}: {done.stderr.strip()}")


def bits_per_second(rate):
    number, unit = re.fullmatch(r"(\d+)(mbit|gbit)", rate).groups()
    return int(number) * {"mbit": 10**6, "gbit": 10**9}[unit]


# ---- bare sockets ----

def receive(connection, count):
    buffer = bytearray(PIECE)
    while count > 0:
        got = connection.recv_into(buffer, min(count, PIECE))
        if got == 0:
            raise OSError("the other end closed")
        count -= got


def send(connection, count):
    piece = memoryview(bytearray(PIECE))
    while count > 0:
        count -= connection.send(piece[:min(count, PIECE)])


def both_ways(connection, out, back):
    thread = threading.Thread(target=send, args=(connection, out))
    thread.start()
    receive(connection, back)
    thread.join()


def sink(host):
    listener = socket.create_server((host, 0))
    print("listening on http://%s:%d" % listener.getsockname()[:2], flush=True)

    def serve(connection):
        with connection:
            header = struct.Struct("!QQ")
            while len(data := connection.recv(header.size, socket.MSG_WAITALL)) == header.size:
                their_out, our_out = header.unpack(data)
                both_ways(connection, our_out, their_out)
                connection.sendall(b"!")

    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def source(address):
    host, port = address.rsplit(":", 1)
    connections = [socket.create_connection((host, int(port))) for _ in range(CONNECTIONS)]

    def one(connection, out, back):
        connection.sendall(struct.pack("!QQ", out, back))
        both_ways(connection, out, back)
        receive(connection, 1)

    for line in sys.stdin:
        out, back = map(int, line.split())
        start = time.perf_counter()
        threads = [threading.Thread(target=one, args=(c, out // CONNECTIONS, back // CONNECTIONS))
                   for c in connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(f"{(time.perf_counter() - start) * 1e3:.3f}", flush=True)


if __name__ == "__main__":
    {"sink": sink, "source": source}[sys.argv[1]](sys.argv[2])
