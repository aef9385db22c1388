# SPDX-License-Identifier: Apache-2.0
"""ray_peer.py N: Ray on this machine, two tasks of one CPU each, operands put into its shared store."""
import os
import sys

import numpy
import ray

import peer

WORKERS = 2


@ray.remote(num_cpus=1)
def multiply(a, b):
    return numpy.matmul(a, b)


def main():
    x = peer.Product(int(sys.argv[1]))
    # Room for six matrices; Ray does not give back at once what a round left.
    store = max(6 * x.a.nbytes, 256 << 20)
    ray.init(address="local", num_cpus=WORKERS, include_dashboard=False, object_store_memory=store,
             logging_level="error", log_to_driver=False, _temp_dir=os.environ.get("RAY_TMPDIR"))
    cuts = [x.n * i // WORKERS for i in range(WORKERS + 1)]

    def run():
        b = ray.put(x.b)
        parts = [multiply.remote(ray.put(x.a[cuts[i]:cuts[i + 1]]), b) for i in range(WORKERS)]
        for i, part in enumerate(ray.get(parts)):
            x.c[cuts[i]:cuts[i + 1]] = part

    peer.serve(x, run)
    ray.shutdown()


if __name__ == "__main__":
    main()
