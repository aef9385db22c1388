# SPDX-License-Identifier: Apache-2.0
"""Who multiplies: programs that compute one product for each line they read, and print its milliseconds."""
import contextlib
import os
import pathlib
import subprocess
import sys

from harness import BIN, ROOT, RUNNING, Server, environment, read_line

PEERS = pathlib.Path(os.environ.get("PEERS_DIR", ROOT / "build/bench/peers"))
HERE = pathlib.Path(__file__).resolve().parent
# One product, at most: what hangs fails.
LONGEST_S = 180
ONE_THREAD = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}


class Runner:
    """A program that computes one product for each line it reads. Use it in a with statement."""

    def __init__(self, *command, env=None):
        self.command = [str(part) for part in command]
        self.env = {**environment(), **(env or {})}
        self.sent = self.received = 0

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=self.env)
        RUNNING.add(self.process.pid)
        return self

    def __exit__(self, *unused):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        RUNNING.discard(self.process.pid)
        self.process.stdout.close()

    def run(self, word="cold"):
        """Milliseconds. Where the program counts bytes: those of the elements, in sent and received."""
        try:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
            line = read_line(self.process, LONGEST_S)
        except BrokenPipeError:
            line = ""
        if not line:
            raise SystemExit(f"{' '.join(self.command)} ended, or did not answer in {LONGEST_S} s")
        fields = line.split()
        if len(fields) == 3:
            self.sent, self.received = int(fields[1]), int(fields[2])
        return float(fields[0])

    def warmed(self, word="cold", count=2):
        """Runs some products that nobody counts."""
        for _ in range(count):
            self.run(word)
        return self


# ---- Tessera ----

def worker(*options, inside=(), host="127.0.0.1"):
    """One thread, as every contestant's workers. `inside`: a command to start it with."""
    return Server(*inside, BIN / "tessera-worker", "--listen", f"{host}:0", "--threads", 1, *options)


def pinned(core):
    """To start a program on one core."""
    return ("taskset", "--cpu-list", str(core))


@contextlib.contextmanager
def crowded(core, share):
    """A core of which a program on it gets a share alone: others compute there all the time. (To stop and continue the
    program many times a second would cost it a third of its time: each of its many threads wakes up.)"""
    command = [*pinned(core), sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command) for _ in range(round(1 / share) - 1)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def native(n, *workers, check="never", inside=()):
    """The controller in the caller's process."""
    return Runner(*inside, BIN / "bench-product", n, "workers", check, *[w.url for w in workers])


def server(n, at, check="-"):
    return Runner(BIN / "bench-product", n, "server", check, at.url)


def wasm_server(*workers, engine="jsc"):
    return Server(BIN / "tessera-server", "--listen", "127.0.0.1:0", "--mode", "proxy", "--engine", engine,
                  *[word for w in workers for word in ("--worker", w.url)])


def blas(n, threads):
    return Runner(BIN / "bench-product", n, "blas", threads)


# ---- the others ----

class Absent(Exception):
    """A peer that is not installed here; says why."""


def need(peer):
    """What install.sh says of a peer: its version. Absent, if it is not here."""
    try:
        word, _, rest = (PEERS / "status" / peer).read_text().strip().partition(" ")
    except OSError:
        raise Absent(f"not installed: bench/product/peers/install.sh {peer}") from None
    if word != "ok":
        raise Absent(rest)
    return rest


def peer_worker(name):
    return Server(PEERS / "bin" / f"peer-{name}-worker", env=ONE_THREAD)


def peer(name, n, *workers):
    return Runner(PEERS / "bin" / f"peer-{name}", n, *[w.address for w in workers], env=ONE_THREAD)


def mpi_peer(name, *arguments):
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    return Runner("mpirun", *root, "-np", 2, PEERS / "bin" / f"peer-{name}", *arguments, env=ONE_THREAD)


def python_peer(name, n):
    return Runner(PEERS / "venv/bin/python", HERE / "peers" / f"{name}_peer.py", n, env=ONE_THREAD)
