# SPDX-License-Identifier: Apache-2.0
"""What all benchmarks share: servers started and stopped, CPU time read, runs interleaved, medians, tables.

A benchmark compares contestants. Each round runs every contestant once, in
turn, so that a noisy neighbour hits all alike; what is reported is the median
of the rounds and the ratio of medians.
"""
import contextlib
import json
import os
import pathlib
import re
import selectors
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("TESSERA_BENCH_BIN", ROOT / "build/bench/bin"))
OUT = ROOT / "build/bench/results"
# Fewer rounds: run.py --quick.
QUICK = False
# One run of a contestant, at most: what hangs fails.
LONGEST_S = 120
# Of this run, in order.
REPORTS = []
# Of the contestants: processes that run.
RUNNING = set()
# So long, at most, is waited until they all stand still.
SETTLE_S = 1
# How busy the machine was before anything ran.
LOAD = os.getloadavg()[0]


def environment():
    """The environment for measured programs: settings that slow a BLAS are taken out."""
    env = dict(os.environ)
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        env.pop(name, None)
    return env


def read_line(process, timeout):
    """The next line of its standard output; "" at the end, and where none comes in time."""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline() if selector.select(timeout) else ""


def cpu_ns(pids):
    """What these processes and their children have computed so far."""
    total = 0
    for pid in pids:
        try:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
                total += cpu_ns((task / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            pass  # it ended meanwhile
    return total


def settle():
    """Waits until no contestant computes: threads of OpenBLAS poll for another tenth of a second after each product,
    and would take a core from whoever runs next."""
    until, before = time.monotonic() + SETTLE_S, cpu_ns(RUNNING)
    while time.monotonic() < until:
        start = time.monotonic()
        time.sleep(0.02)
        now = cpu_ns(RUNNING)
        if now - before < 0.1e9 * (time.monotonic() - start):
            return
        before = now


class Server:
    """A program that prints 'listening on URL' first. Use it in a with statement."""

    def __init__(self, *command, env=None):
        self.command = [str(part) for part in command]
        self.env = {**environment(), **(env or {})}

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True, env=self.env)
        RUNNING.add(self.process.pid)
        line = read_line(self.process, 60)
        match = re.search(r"http://\S+", line)
        if not match:
            self.__exit__()
            raise SystemExit(f"{self.command[0]} did not start: {line!r}")
        self.url = match.group(0).rstrip("/")
        self.address = self.url.removeprefix("http://")
        return self

    def __exit__(self, *unused):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        RUNNING.discard(self.process.pid)
        self.process.stdout.close()

    def cpu_seconds(self):
        """User plus system time so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_resident_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def output(*command, timeout=None, env=None):
    """What a command prints; it must succeed, in `timeout` seconds (LONGEST_S)."""
    text, limit_s = " ".join(map(str, command)), timeout or LONGEST_S
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=limit_s,
                              env={**environment(), **(env or {})})
    except subprocess.TimeoutExpired:
        raise SystemExit(f"{text} did not end within {limit_s:g} s") from None
    if done.returncode != 0:
        raise SystemExit(f"{text} failed ({done.returncode}):\n{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def at_most(seconds):
    """What is inside ends after so many seconds, wherever it then stands; its own with statements clean up. In the
    main thread alone, and not one inside another."""
    def late(*unused):
        raise SystemExit(f"not done within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def times(quick, full):
    """So many rounds."""
    return quick if QUICK else full


def rounds(contestants, count, budget_s=None):
    """Runs {name: function} in turn, `count` times; {name: [results]}.

    Past budget_s no further round begins, once there are two.
    """
    results = {name: [] for name in contestants}
    start = time.monotonic()
    for index in range(count):
        if budget_s is not None and index >= 2 and time.monotonic() - start > budget_s:
            break
        names = list(contestants)
        if index % 2:
            names.reverse()
        for name in names:
            settle()
            try:
                results[name].append(contestants[name]())
            except SystemExit as why:
                raise SystemExit(f"{name}, round {index + 1}: {why}") from None
            if sys.stderr.isatty():
                print(f"\r  round {index + 1}/{count} {name:<24}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return results


def median(values):
    return statistics.median(values)


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {
        "cpu": cpu.group(1) if cpu else "unknown",
        "cores": os.cpu_count(),
        "kernel": os.uname().release,
        "load_before": round(LOAD, 2),
        "date": time.strftime("%Y-%m-%d"),
        "commit": output("git", "-C", ROOT, "describe", "--always", "--dirty").strip(),
    }


class Report:
    """Collects rows and claims of one benchmark, prints them, and keeps them as JSON."""

    def __init__(self, name, title):
        self.name, self.title, self.rows, self.claims = name, title, [], []
        self.missing, self.notes = [], []
        REPORTS.append(self)
        print(f"\n## {title}", flush=True)

    def row(self, what, value, unit, spread=None):
        self.rows.append({"what": what, "value": value, "unit": unit, "all": spread})
        text = f"  {what:<44} {value:>12,.3f} {unit}"
        if spread:
            text += f"   (min {min(spread):,.3f}, max {max(spread):,.3f})"
        print(text, flush=True)

    def claim(self, what, ratio, reach, at_most=False, possible=None):
        """possible: the ratio of a contestant that spends no time but local OpenBLAS's, where that was measured too."""
        met = ratio <= reach if at_most else ratio >= reach
        sign = "<=" if at_most else ">="
        self.claims.append({"what": what, "ratio": ratio, "reach": reach, "at_most": at_most, "met": met,
                            "possible": possible})
        limit = f"; {possible:.3f}x would be at local OpenBLAS's speed" if possible is not None else ""
        print(f"  -> {what}: {ratio:.3f}x (wanted {sign} {reach}x) {'met' if met else 'NOT MET'}{limit}", flush=True)

    def absent(self, what, why):
        """Something that this machine cannot measure: said, never guessed."""
        self.missing.append({"what": what, "why": why})
        print(f"  -> {what}: not measured here: {why}", flush=True)

    def note(self, text):
        """Something that a reader of the ratios must know."""
        self.notes.append(text)
        print(f"  note: {text}", flush=True)

    def save(self):
        OUT.mkdir(parents=True, exist_ok=True)
        path = OUT / f"{self.name}.json"
        beside = path.with_suffix(".tmp")
        beside.write_text(json.dumps({"title": self.title, "machine": machine(), "rows": self.rows,
                                      "claims": self.claims, "missing": self.missing, "notes": self.notes}, indent=1) + "\n")
        beside.replace(path)


def markdown(failed=()):
    """All ratios of this run as one table; `failed`: (benchmark, why) of those that ended early."""
    stamp = machine()
    lines = [f"\n{stamp['cores']} cores of {stamp['cpu']}, Linux {stamp['kernel']}, {stamp['date']}, "
             f"commit {stamp['commit']}, load before {stamp['load_before']}{', quick' if QUICK else ''}.\n",
             "| benchmark | what | ratio | wanted | at local OpenBLAS's speed | |", "|---|---|---|---|---|---|"]
    for report in REPORTS:
        for claim in report.claims:
            sign = "≤" if claim["at_most"] else "≥"
            lines.append(f"| `{report.name}` | {claim['what']} | {claim['ratio']:.3f}× | {sign} {claim['reach']}× | "
                         f"{'' if claim['possible'] is None else '%.3f×' % claim['possible']} | "
                         f"{'met' if claim['met'] else '**not met**'} |")
        for row in report.missing:
            lines.append(f"| `{report.name}` | {row['what']} | | | | not measured here: {row['why']} |")
    lines += [f"| `{name}` | | | | | failed: {why.splitlines()[-1] if why else 'see above'} |" for name, why in failed]
    lines += [""] + [f"- `{report.name}`: {text}" for report in REPORTS for text in report.notes]
    return "\n".join(lines) + "\n"
