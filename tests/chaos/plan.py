# SPDX-License-Identifier: Apache-2.0
"""A random schedule, from its seed alone: workers, products, and what goes wrong when.

Times are seconds from the start. The same seed gives the same schedule; what the
programs make of it depends on the machine's timing, too.
"""
import dataclasses
import random

TILE_TIMEOUTS_MS = (500, 1500, 60000)
# Most of it happens while products run.
STORM_SECONDS = 1.6


@dataclasses.dataclass
class Product:
    """What one caller asks for, again and again while the storm lasts."""
    at: float
    shape: tuple  # m, k, n
    dtype: str
    transpose: tuple
    alpha: int
    beta: int
    timeout_ms: int
    streams: bool          # MultiplyTiles, where there is a server
    leaves_after: float    # the caller goes away; 0: it stays
    seed: int


@dataclasses.dataclass
class Fault:
    at: float
    name: str
    worker: int
    lasts: float  # 0: for good
    amount: float

    def __str__(self):
        text = f"{self.at:.2f}s {self.name} {self.worker}"
        if self.amount:
            text += f" {self.amount:g}"
        return text + (f" for {self.lasts:.2f}s" if self.lasts else "")


@dataclasses.dataclass
class Schedule:
    seed: int
    path: str
    kernels: list  # of each worker; None: a liar
    check: str
    tile_timeout_ms: int
    products: list
    faults: list

    def __str__(self):
        liars = sum(kernel is None for kernel in self.kernels)
        return (f"{len(self.kernels)} workers, {liars} lying, {len(self.products)} callers; "
                f"tile timeout {self.tile_timeout_ms} ms; " + "; ".join(map(str, self.faults)))


PROCESS_FAULTS = ("kill", "stop")
NETWORK_FAULTS = ("cut", "stall", "half_open", "partition", "delay", "throttle", "garble", "refuse")


def _product(rng, path, checked):
    dtype = rng.choice(("float32", "float64"))
    shape = tuple(rng.choice((1, 37, 128, 300, 400, 520)) for _ in range(3))
    if rng.random() < 0.8:
        shape = tuple(max(side, rng.choice((256, 500, 700))) for side in shape)  # large enough to be cut
    plain = checked or rng.random() < 0.6
    return Product(at=rng.uniform(0, 0.4), shape=shape, dtype=dtype,
                   transpose=(rng.random() < 0.3, rng.random() < 0.3),
                   alpha=1 if plain else rng.choice((-2, 1, 3)), beta=0 if plain else rng.choice((0, 1, -1)),
                   timeout_ms=rng.choice((1200, 10000, 10000, 10000, 10000)),
                   streams=path != "cli" and rng.random() < 0.25,
                   leaves_after=rng.uniform(0.05, 1.0) if rng.random() < 0.12 else 0.0, seed=rng.randrange(2 ** 32))


def _fault(rng, workers, path):
    names = PROCESS_FAULTS * 3 + NETWORK_FAULTS + (() if path == "cli" else ("set_workers",))
    name = rng.choice(names)
    amount = {"delay": lambda: rng.choice((0.005, 0.05, 0.3)), "throttle": lambda: rng.choice((3e4, 3e5, 3e6)),
              "garble": lambda: float(rng.randrange(1, 5))}.get(name, lambda: 0.0)()
    lasts = rng.uniform(0.1, 2.0) if rng.random() < 0.6 else 0.0
    return Fault(at=rng.uniform(0.0, STORM_SECONDS), name=name, worker=rng.randrange(workers), lasts=lasts,
                 amount=amount)


def make(seed, path):
    rng = random.Random(f"{seed}/{path}")
    workers = rng.choice((1, 2, 2, 3, 4))
    kernels = [None if rng.random() < 0.15 else rng.choice(("reference", "reference", "scalar", "openblas"))
               for _ in range(workers)]
    checked = None in kernels
    products = [_product(rng, path, checked) for _ in range(rng.choice((1, 1, 2, 3)))]
    faults = sorted((_fault(rng, workers, path) for _ in range(rng.choice((1, 2, 3, 5)))), key=lambda f: f.at)
    return Schedule(seed=seed, path=path, kernels=kernels,
                    check="always" if checked else rng.choice(("never", "adaptive", "always")),
                    tile_timeout_ms=rng.choice(TILE_TIMEOUTS_MS), products=products, faults=faults)
