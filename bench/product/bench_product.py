# SPDX-License-Identifier: Apache-2.0
"""Products of real matrices, float32, operands in memory to result in memory, on two one-thread workers.

Against local OpenBLAS, against what others use for remote products, over a slow
link, through the sandbox, and with every answer checked. Every ratio comes from
rounds in which its two sides ran in turn.
"""
import contextlib
import sys

from contestants import (Absent, HERE, Runner, blas, crowded, mpi_peer, native, need, peer, peer_worker, pinned,
                         python_peer, server, wasm_server, worker)
from harness import Report, Server, median, rounds, times
from link import Link, bits_per_second

WORD = 4  # bytes
GIGABIT = "1gbit"


def show(report, results):
    """Rows of milliseconds; the medians, by name."""
    for name, values in results.items():
        report.row(name, median(values), "ms", values)
    return {name: median(values) for name, values in results.items()}


# ---- against local OpenBLAS ----

# n: rounds (quick, full), wanted cold, wanted with the operands on the workers
SIZES = {1024: (15, 41, 0.65, 0.75), 2048: (9, 21, 0.80, 0.88), 4096: (5, 11, 0.90, 0.95), 8192: (2, 5, 0.96, 0.98)}


def local(n):
    quick, full, cold_wanted, warm_wanted = SIZES[n]
    report = Report(f"product_{n}", f"{n} x {n}: two one-thread workers against local OpenBLAS")
    with contextlib.ExitStack() as stack:
        start = stack.enter_context
        # A pair of workers each, so that what one sends does not push the other's blocks out.
        cold = start(native(n, start(worker()), start(worker())))
        warm = start(native(n, first := start(worker()), start(worker())))
        one, two = start(blas(n, 1)), start(blas(n, 2))
        for runner, word in ((cold, "cold"), (warm, "warm"), (one, "warm"), (two, "warm")):
            runner.warmed(word, 2 if n < 8192 else 1)
        warm.run("warm")
        medians = show(report, rounds({
            "OpenBLAS here, 2 threads": lambda: two.run("warm"),
            "OpenBLAS here, 1 thread": lambda: one.run("warm"),
            "cold": lambda: cold.run("cold"),
            "operands on the workers": lambda: warm.run("warm")}, times(quick, full), 60))
        report.row("peak resident, a worker", first.peak_resident_mib(), "MiB")
        bytes_cold = cold.sent + cold.received
        warm.run("one")
        bytes_one = warm.sent + warm.received
    limit = medians["OpenBLAS here, 2 threads"]
    if medians["OpenBLAS here, 1 thread"] < 1.6 * limit:
        report.note("local OpenBLAS gained little by its second thread: something else was running, and the ratios "
                    "say little")
    report.claim(f"{n}² cold against local OpenBLAS, 2 threads", limit / medians["cold"], cold_wanted)
    report.claim(f"{n}² with operands on the workers against the same", limit / medians["operands on the workers"],
                 warm_wanted)
    report.claim(f"{n}² cold: bytes through the coordinator against 4n² words", bytes_cold / (4 * n * n * WORD), 1.01,
                 at_most=True)
    report.claim(f"{n}² with one operand on the workers: bytes against 2n² words", bytes_one / (2 * n * n * WORD),
                 1.01, at_most=True)
    report.save()


# ---- the sandbox, and the checks ----

def wasm(n=4096):
    report = Report("product_wasm", f"{n} x {n} cold: the WASM server (jsc) against the native controller")
    with worker() as one, worker() as two, wasm_server(one, two) as host, \
            native(n, one, two) as here, server(n, host, "never") as there:
        here.warmed()
        there.warmed()
        medians = show(report, rounds({"native controller": here.run, "WASM server (jsc)": there.run},
                                      times(5, 11), 60))
        for name, program in (("server", host), ("worker", one)):
            report.row(f"peak resident, {name}", program.peak_resident_mib(), "MiB")
    report.claim(f"{n}² cold through the WASM server (jsc) against the native controller",
                 medians["native controller"] / medians["WASM server (jsc)"], 0.92)
    report.save()


def check(n=4096):
    report = Report("product_check", f"{n} x {n} cold: every tile checked against none")
    with worker() as one, worker() as two, native(n, one, two) as never, \
            native(n, one, two, check="always") as always:
        never.warmed()
        always.warmed()
        medians = show(report, rounds({"never": never.run, "always": always.run}, times(7, 15), 60))
    report.claim(f"{n}² cold: verification always on against off", medians["never"] / medians["always"], 0.97)
    report.save()


# ---- unequal workers ----

def unequal(n=3072):
    """Each on a core of its own; one gets a quarter of it alone, whoever computes."""
    report = Report("product_unequal", f"{n} x {n}: two workers, one at a quarter of the speed")
    with contextlib.ExitStack() as stack:
        start = stack.enter_context
        fast, slow = start(worker(inside=pinned(0))), start(worker(inside=pinned(1)))
        start(crowded(1, 0.25))
        # Warm is about who computes what; cold, also about who is sent what.
        runners = {"the fast one alone": start(native(n, fast)), "the slow one alone": start(native(n, slow)),
                   "both": start(native(n, fast, slow))}
        for runner in runners.values():
            runner.warmed(count=1).warmed("warm", 2)
        warm = show(report, rounds({name: lambda r=runner: r.run("warm") for name, runner in runners.items()},
                                   times(5, 15), 60))
        cold = show(report, rounds({f"{name}, cold": lambda r=runner: r.run("cold") for name, runner in runners.items()},
                                   times(3, 7), 60))
    fast_ms, slow_ms, both_ms = warm.values()
    report.claim(f"{n}² with operands on unequal workers: speed against the sum of their speeds",
                 (1 / both_ms) / (1 / fast_ms + 1 / slow_ms), 0.90)
    fast_ms, slow_ms, both_ms = cold.values()
    report.row("cold: speed against the sum of their speeds", (1 / both_ms) / (1 / fast_ms + 1 / slow_ms), "x")
    report.save()


# ---- a slow link ----

def link():
    report = Report("product_link", "over a 1 Gbit/s link (network namespaces, tc tbf)")
    try:
        with Link(GIGABIT) as way:
            link_cold(report, way)
            link_one(report, way)
    except OSError as why:
        report.absent("products over a 1 Gbit/s link", str(why))
    report.save()


def link_cold(report, way, n=4096):
    with worker(inside=way.far, host=way.host) as one, worker(inside=way.far, host=way.host) as two, \
            native(n, one, two, inside=way.near) as ours, \
            Server(*way.far, sys.executable, HERE / "link.py", "sink", way.host) as sink, \
            Runner(*way.near, sys.executable, HERE / "link.py", "source", sink.address) as bare:
        ours.warmed(count=1)
        same_bytes = f"{ours.sent} {ours.received}"
        bare.run(same_bytes)
        medians = show(report, rounds({
            "4096² cold": ours.run,
            "the same bytes, both ways at once, bare sockets": lambda: bare.run(same_bytes)}, times(4, 9), 45))
        bits = 8 * max(ours.sent, ours.received)
    report.row("the fuller direction's bytes at 1 Gbit/s", bits / bits_per_second(GIGABIT) * 1e3, "ms")
    report.row("all bytes one after another at 1 Gbit/s",
               8 * (ours.sent + ours.received) / bits_per_second(GIGABIT) * 1e3, "ms")
    ours_ms, bare_ms = medians.values()
    report.claim("4096² cold over 1 Gbit/s against the time that the link needs for the bytes", ours_ms / bare_ms, 1.08,
                 at_most=True)


def link_one(report, way, n=8192):
    with worker(inside=way.far, host=way.host) as one, worker(inside=way.far, host=way.host) as two, \
            native(n, one, two, inside=way.near) as ours, blas(n, 1) as here:
        ours.warmed("one", 1)
        here.run("warm")
        medians = show(report, rounds({"OpenBLAS here, 1 thread, 8192²": lambda: here.run("warm"),
                                       "8192² with one operand on the workers": lambda: ours.run("one")},
                                      times(2, 5), 60))
    here_ms, ours_ms = medians.values()
    report.claim("8192² over 1 Gbit/s with one operand on the workers against local OpenBLAS, 1 thread",
                 here_ms / ours_ms, 1.35)


# ---- against others ----

@contextlib.contextmanager
def with_workers(name, n):
    """A peer that has workers of its own."""
    with peer_worker(name) as one, peer_worker(name) as two, peer(name, n, one, two) as runner:
        yield runner


def against(name, title, wanted, contestant, n=4096, what="cold", suffix=""):
    """Tessera, cold, and one peer in turn, nobody else running; and local OpenBLAS, which is what bounds the ratio:
    where computing takes long, no transport can be far ahead of another."""
    report = Report(f"product_{name}{suffix}", f"{n} x {n}: against {title}")
    claim = f"{n}² {what} against {title}"
    try:
        version = need(name)
    except Absent as why:
        report.absent(claim, str(why))
        report.save()
        return
    print(f"  {version}")
    with worker() as one, worker() as two, native(n, one, two) as ours, contestant(n) as theirs, \
            blas(n, 2) as here:
        ours.warmed()
        theirs.warmed()
        here.run("warm")
        results = rounds({"cold": ours.run, title: theirs.run, "OpenBLAS here, 2 threads": lambda: here.run("warm")},
                         times(5 if n < 8192 else 2, 11 if n < 8192 else 5), 45)
    medians = show(report, results)
    report.claim(claim, medians[title] / medians["cold"], wanted,
                 possible=medians[title] / medians["OpenBLAS here, 2 threads"])
    report.save()


def grpc():
    against("grpc", "gRPC C++, unary", 1.8, lambda n: with_workers("grpc", n))


def ggml():
    against("ggml", "ggml's RPC backend with BLAS", 1.7, lambda n: with_workers("ggml", n))


def dask():
    against("dask", "Dask distributed", 1.6, lambda n: python_peer("dask", n))


def ray():
    against("ray", "Ray", 1.0, lambda n: python_peer("ray", n))


def scalapack():
    against("scalapack", "ScaLAPACK psgemm with scatter and gather", 2.0, lambda n: mpi_peer("scalapack", n))


def cosma():
    for n in (2048, 4096) if times(True, False) else (2048, 4096, 8192):
        against("cosma", "COSMA without its scatter and gather", 1.0, lambda n: mpi_peer("cosma", n, "spread"), n,
                suffix=f"_{n}")
    against("cosma", "COSMA with its scatter and gather", 1.0, lambda n: mpi_peer("cosma", n, "whole"), suffix="_whole")


BENCHMARKS = {
    **{f"product-{n}": (lambda n=n: local(n)) for n in SIZES},
    "product-wasm": wasm,
    "product-check": check,
    "product-unequal": unequal,
    "product-link": link,
    "product-grpc": grpc,
    "product-ggml": ggml,
    "product-dask": dask,
    "product-ray": ray,
    "product-scalapack": scalapack,
    "product-cosma": cosma,
}
GROUPS = {
    "product-peers": ["product-grpc", "product-ggml", "product-dask", "product-ray", "product-scalapack",
                      "product-cosma"],
    "product-all": list(BENCHMARKS),
}
