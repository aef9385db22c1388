# SPDX-License-Identifier: Apache-2.0
"""Chaos with real processes: random schedules of workers that are killed, stopped,
continued, restarted, cut off, slow, half open or lying, while products run.

  chaos.py [--path cli,native,jsc,wasm2c] [--count N] [--seed S] [--budget SECONDS]

`cli` is the native controller in `tessera multiply --worker`; the others are
tessera-server with that engine. Schedule i of a run has the seed S + i; one that
failed is repeated by its seed and path (`--seed SEED --path PATH --count 1`).

Each product must be exact (integers; NumPy says what it is) or end with a clear
error, before its time limit and some slack. A schedule also fails where a program
crashes, a sanitizer speaks, a file is left behind, a server does not go on
working once all is healed, or a worker goes on computing for nobody. So does a run
of 20 or more in which fewer than three of four products that had the time for it
are exact: errors must stay rare.
"""
import argparse
import collections
import dataclasses
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration", "e2e"))
import numpy as np  # noqa: E402

import fake_worker  # noqa: E402
import harness  # noqa: E402
import plan  # noqa: E402
from harness import pb  # noqa: E402
from liar import Liar  # noqa: E402
from relay import Relay  # noqa: E402

PATHS = ("cli", "native", "jsc", "wasm2c")
LIE_SHARE = 0.4
# A busy machine is late by so much.
SLACK_SECONDS = 6.0
HEAL_SECONDS = 20.0
MOST_PRODUCTS = 40  # of one caller
CHECKS = {"never": pb.CHECK_NEVER, "always": pb.CHECK_ALWAYS, "adaptive": pb.CHECK_ADAPTIVE}
SET_WORKERS = "/tessera.matmul.v1.ControllerService/SetWorkers"
# What a caller may be told. Anything else is no clear error.
CLEAR = {"deadline_exceeded", "unavailable", "resource_exhausted", "canceled"}


class Wrong(Exception):
    """What must not happen."""


class Worker:
    """One worker behind its relay: a process that can be ended and started again, or a liar."""

    def __init__(self, kernel, rng):
        self.kernel = kernel
        self.stopped = False
        self.lock = threading.Lock()
        self.process = self.fake = None
        if kernel is None:
            self.fake = fake_worker.FakeWorker(Liar(rng, LIE_SHARE))
            port = int(self.fake.url.rsplit(":", 1)[1])
        else:
            self.process = self._start(0)
            port = self.process.port
        self.relay = Relay(port, rng)

    def _start(self, port):
        return harness.Program(harness.WORKER, "--listen", f"127.0.0.1:{port}", "--threads", "1",
                               "--kernel", self.kernel)

    def kill(self):
        with self.lock:
            if self.process is not None:
                self.process.kill()

    def start_again(self):
        with self.lock:
            if self.process is not None and not self.process.alive():
                self.process = self._start(self.relay.target_port)

    def signal(self, number):
        with self.lock:
            if self.process is not None and self.process.alive():
                self.process.process.send_signal(number)

    def computing(self):
        if self.process is None or not self.process.alive():
            return 0
        with harness.Client(f"http://127.0.0.1:{self.relay.target_port}", timeout=10) as client:
            _, _, text = client.post("/metrics", None, method="GET")
        line = next(line for line in text.decode().splitlines() if line.startswith("tessera_worker_computing "))
        return float(line.split()[1])

    def end(self):
        self.signal(signal.SIGCONT)
        self.relay.close()
        if self.fake is not None:
            self.fake.__exit__()
        if self.process is not None:
            self.process.kill()  # also looks for sanitizers' words


class Run:
    """One schedule, as it happens."""

    def __init__(self, schedule, folder):
        self.schedule, self.folder = schedule, folder
        self.rng = random.Random(schedule.seed)
        self.server = None
        self.workers = []
        self.wrong = []
        self.outcomes = collections.Counter()
        self.in_time = self.exact_in_time = 0
        self.lock = threading.Lock()
        self.timers = []

    def note(self, text):
        with self.lock:
            self.wrong.append(text)

    # ---- faults ----

    def at(self, seconds, action):
        def guarded():
            try:
                action()
            except Exception as error:  # told at the end, on the main thread
                self.note(f"the test itself: {error!r}")
        timer = threading.Timer(max(0.0, self.started + seconds - time.monotonic()), guarded)
        timer.daemon = True
        self.timers.append(timer)
        timer.start()

    def set_workers(self, urls):
        with harness.Client(self.server.url, timeout=20) as client:
            client.call(SET_WORKERS, pb.SetWorkersRequest(urls=urls), pb.SetWorkersResponse)

    def begin_fault(self, fault):
        worker = self.workers[fault.worker]
        relay = worker.relay
        everyone = [w.relay.url for w in self.workers]
        begin, end = {
            "kill": (worker.kill, worker.start_again),
            "stop": (lambda: worker.signal(signal.SIGSTOP), lambda: worker.signal(signal.SIGCONT)),
            "cut": (relay.cut, None),
            "stall": (relay.stall, None),
            "half_open": (lambda: (relay.set(half_open=True), relay.stall()), lambda: relay.set(half_open=False)),
            "partition": (lambda: relay.set(held=True), lambda: relay.set(held=False)),
            "delay": (lambda: relay.set(delay=fault.amount), lambda: relay.set(delay=0.0)),
            "throttle": (lambda: relay.set(rate=fault.amount), lambda: relay.set(rate=0.0)),
            "garble": (lambda: relay.set(garbles=int(fault.amount)), None),
            "refuse": (lambda: (relay.set(refuses=True), relay.cut()), lambda: relay.set(refuses=False)),
            "set_workers": (lambda: self.set_workers(everyone[:fault.worker]), lambda: self.set_workers(everyone)),
        }[fault.name]
        self.at(fault.at, begin)
        if fault.lasts and end is not None:
            self.at(fault.at + fault.lasts, end)

    # ---- products ----

    def operands(self, product):
        rng = np.random.default_rng(product.seed)
        m, k, n = product.shape
        a = harness.integers(rng, *((k, m) if product.transpose[0] else (m, k)), product.dtype)
        b = harness.integers(rng, *((n, k) if product.transpose[1] else (k, n)), product.dtype)
        c0 = harness.integers(rng, m, n, product.dtype) if product.beta else None
        expected = product.alpha * harness.exact(a.T if product.transpose[0] else a,
                                                 b.T if product.transpose[1] else b)
        if product.beta:
            expected = expected + product.beta * c0
        return a, b, c0, expected.astype(product.dtype)

    def judge(self, product, outcome, seconds, c=None, expected=None, healthy=False):
        """outcome: a code; None: c holds the product."""
        limit = product.timeout_ms / 1e3 + SLACK_SECONDS
        if seconds > limit:
            self.note(f"a product of {product.shape} took {seconds:.1f} s; its limit is {product.timeout_ms} ms")
        if outcome is None and not np.array_equal(c, expected):
            self.note(f"a product of {product.shape} {product.dtype} is wrong in "
                      f"{int((c != expected).sum())} elements")
        if outcome is not None and outcome not in CLEAR:
            self.note(f"a product of {product.shape} ended with {outcome}")
        with self.lock:
            self.outcomes[outcome or "exact"] += 1
            if product.timeout_ms >= 5000 and not product.leaves_after:
                self.in_time += 1
                self.exact_in_time += outcome is None

    def through_server(self, product):
        a, b, c0, expected = self.operands(product)
        request = harness.request_of(a, b, c=c0, alpha=product.alpha, beta=product.beta,
                                     transpose_a=product.transpose[0], transpose_b=product.transpose[1])
        request.check = CHECKS[self.schedule.check]
        headers = {"Connect-Timeout-Ms": str(product.timeout_ms)}
        m, _, n = product.shape
        started = time.monotonic()
        with harness.Client(self.server.url, timeout=product.timeout_ms / 1e3 + SLACK_SECONDS) as client:
            if product.leaves_after:
                self.at(time.monotonic() - self.started + product.leaves_after, lambda: self.hang_up(client))
            try:
                if product.streams:
                    tiles = client.stream(harness.MULTIPLY_TILES, request, pb.TileResult, headers)
                    c = harness.assemble(tiles, m, n, product.dtype)
                else:
                    c = harness.array_of(client.call(harness.MULTIPLY, request, pb.TileResult, headers).c)
            except harness.RpcError as error:
                self.judge(product, error.code, time.monotonic() - started)
                return
            except Exception as error:
                if product.leaves_after:  # it went away itself
                    self.outcomes["left"] += 1
                    return
                self.note(f"a product of {product.shape} ended with {error!r} after "
                          f"{time.monotonic() - started:.1f} s")
                return
        self.judge(product, None, time.monotonic() - started, c, expected)

    @staticmethod
    def hang_up(client):
        if client.http.sock is not None:
            try:
                client.http.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # over already

    def through_command(self, product, index):
        a, b, c0, expected = self.operands(product)
        folder = os.path.join(self.folder, str(index))
        inputs = os.path.join(self.folder, f"in{index}")
        os.mkdir(folder)
        os.mkdir(inputs)
        paths = {name: os.path.join(inputs, name + ".npy") for name in "ABD"}
        target = os.path.join(folder, "C.npy")
        np.save(paths["A"], a)
        np.save(paths["B"], b)
        arguments = [harness.TESSERA, "multiply", paths["A"], paths["B"], "-o", target, "--quiet",
                     "--timeout", product.timeout_ms, "--tile-timeout-ms", self.schedule.tile_timeout_ms,
                     "--check", self.schedule.check, "--alpha", product.alpha]
        if product.beta:
            np.save(paths["D"], c0)
            arguments += ["--add", paths["D"], "--beta", product.beta]
        arguments += ["--transpose-a"] * product.transpose[0] + ["--transpose-b"] * product.transpose[1]
        for worker in self.workers:
            arguments += ["--worker", worker.relay.url]
        started = time.monotonic()
        process = subprocess.Popen([str(part) for part in arguments], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if product.leaves_after:
            self.at(time.monotonic() - self.started + product.leaves_after,
                    lambda: process.send_signal(signal.SIGINT))
        try:
            _, text = process.communicate(timeout=product.timeout_ms / 1e3 + SLACK_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.note(f"the command hung: a product of {product.shape}, {product.timeout_ms} ms")
            return
        self.judge_command(product, process.returncode, text, folder, target, expected, time.monotonic() - started)

    def judge_command(self, product, exit_code, text, folder, target, expected, seconds):
        there = os.listdir(folder)
        if "Sanitizer" in text or "runtime error:" in text:
            self.note(f"the command said: {text}")
        if exit_code == 0:
            if there != ["C.npy"]:
                self.note(f"the command left {there}")
            self.judge(product, None, seconds, np.load(target), expected)
            return
        if there:
            self.note(f"the command failed and left {there}")
        if product.leaves_after and exit_code == -signal.SIGINT:
            self.outcomes["left"] += 1
        elif exit_code != 1 or text.count("\n") != 1:
            self.note(f"the command ended with {exit_code} and said {text!r}")
        else:
            code = "deadline_exceeded" if "deadline" in text or "timeout" in text else text.strip()
            self.judge(product, code, seconds)

    def caller(self, product, index):
        """Asks until the storm is over; at least once."""
        try:
            time.sleep(max(0.0, self.started + product.at - time.monotonic()))
            for turn in range(MOST_PRODUCTS):
                asked = dataclasses.replace(product, seed=product.seed + turn)
                if self.server is not None:
                    self.through_server(asked)
                else:
                    self.through_command(asked, f"{index}.{turn}")
                if time.monotonic() - self.started > plan.STORM_SECONDS or self.wrong:
                    break
        except Exception as error:  # told at the end, on the main thread
            self.note(f"the test itself: {error!r}")

    # ---- from the beginning to the end ----

    def start_programs(self):
        threads = []

        def start(index, kernel):
            try:
                self.workers[index] = Worker(kernel, random.Random(self.rng_seeds[index]))
            except BaseException as error:
                self.note(f"a worker did not start: {error}")

        self.workers = [None] * len(self.schedule.kernels)
        self.rng_seeds = [self.rng.random() for _ in self.workers]
        for index, kernel in enumerate(self.schedule.kernels):
            threads.append(threading.Thread(target=start, args=(index, kernel)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        if None in self.workers:
            raise Wrong("not all workers started")
        if self.schedule.path != "cli":
            options = [part for worker in self.workers for part in ("--worker", worker.relay.url)]
            self.server = harness.server("--engine", self.schedule.path, "--mode", "proxy", "--tile-timeout-ms",
                                         self.schedule.tile_timeout_ms, *options)

    def heal(self):
        """All is well again: the server goes on working, and nobody computes for nobody."""
        for timer in self.timers:
            timer.cancel()
        for timer in self.timers:
            timer.join(10)
        for worker in self.workers:
            worker.signal(signal.SIGCONT)
            worker.relay.heal()
            worker.start_again()
        for worker in self.workers:
            harness.eventually(lambda w=worker: w.computing() == 0, HEAL_SECONDS,
                               "the end of a computation that nobody waits for")
        if self.server is None:
            return
        if not self.server.alive():
            raise Wrong(f"the server ended with {self.server.process.returncode}")
        self.set_workers([worker.relay.url for worker in self.workers])
        rng = np.random.default_rng(self.schedule.seed)
        a, b = harness.integers(rng, 130, 70), harness.integers(rng, 70, 90)
        with harness.Client(self.server.url, timeout=HEAL_SECONDS) as client:
            request = harness.request_of(a, b)
            request.check = CHECKS[self.schedule.check]
            c = harness.array_of(client.call(harness.MULTIPLY, request, pb.TileResult).c)
        if not np.array_equal(c, harness.exact(a, b)):
            raise Wrong("after it all a product is wrong")
        code = self.server.stop(HEAL_SECONDS)
        if code != 0:
            raise Wrong(f"the server ended with {code}")

    def run(self):
        try:
            self.start_programs()
            self.started = time.monotonic()
            for fault in self.schedule.faults:
                self.begin_fault(fault)
            threads = [threading.Thread(target=self.caller, args=(product, index))
                       for index, product in enumerate(self.schedule.products)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.heal()
        except Exception as error:
            self.note(str(error) or repr(error))
        finally:
            self.end()

    def end(self):
        for timer in self.timers:
            timer.cancel()
        ends = [worker.end for worker in self.workers if worker is not None]
        if self.server is not None:
            ends.append(self.server.kill)
        for end in ends:
            try:
                end()
            except (Exception, AssertionError) as error:  # a sanitizer's report
                self.note(str(error))


def one(seed, path):
    schedule = plan.make(seed, path)
    with tempfile.TemporaryDirectory(prefix="tessera-chaos-") as folder:
        started = time.monotonic()
        run = Run(schedule, folder)
        run.run()
        seconds = time.monotonic() - started
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(run.outcomes.items())) or "nothing"
    print(f"{'FAIL' if run.wrong else 'ok  '} seed {seed} {path:<6} {seconds:5.1f} s: {told} | {schedule}", flush=True)
    if run.wrong:
        for text in run.wrong:
            print(f"     {text}")
        if run.server is not None:
            print("     the server's log:\n" + "\n".join(
                "       " + line for line in run.server.log_text().splitlines()[-30:]))
        print(f"     again: {os.path.basename(__file__)} --seed {seed} --path {path} --count 1", flush=True)
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", default=",".join(PATHS), help="one or several, with commas (%(default)s)")
    parser.add_argument("--count", type=int, default=8, help="schedules, in turn over the paths")
    parser.add_argument("--seed", type=int, default=1, help="of the first")
    parser.add_argument("--budget", type=float, default=0.0, help="begin no further schedule after so many seconds")
    options = parser.parse_args()
    paths = options.path.split(",")
    if not set(paths) <= set(PATHS):
        parser.error(f"--path takes {', '.join(PATHS)}")
    signal.alarm(int(os.environ.get("TESSERA_TEST_SECONDS", "7200")))  # nothing runs for ever
    started = time.monotonic()
    failed, done, in_time, exact = [], 0, 0, 0
    outcomes = collections.Counter()
    for index in range(options.count):
        if options.budget and time.monotonic() - started > options.budget:
            break
        run = one(options.seed + index, paths[index % len(paths)])
        done += 1
        outcomes += run.outcomes
        in_time, exact = in_time + run.in_time, exact + run.exact_in_time
        if run.wrong:
            failed.append((run.schedule.seed, run.schedule.path))
    print(f"{done} schedules in {time.monotonic() - started:.0f} s, seeds from {options.seed}: {len(failed)} failed"
          f"{' ' + str(failed) if failed else ''}; products: {dict(sorted(outcomes.items()))}; "
          f"of {in_time} with 5 s or more, {exact} exact")
    rare = done < 20 or exact >= 0.75 * in_time
    if not rare:
        print("errors are not rare: fewer than three of four products came out")
    sys.exit(0 if not failed and rare else 1)


if __name__ == "__main__":
    main()
