# SPDX-License-Identifier: Apache-2.0
"""dask_peer.py N: Dask distributed, a LocalCluster of two workers with a thread each.

Of the ways its users go, the fastest here: scatter straight to the workers, submit
one product a worker, gather. (An array by rows, `da.from_array(a) @ b`, is slower.)
"""
import sys

import numpy
from distributed import Client, LocalCluster

import peer

WORKERS = 2


def main():
    x = peer.Product(int(sys.argv[1]))
    with LocalCluster(n_workers=WORKERS, threads_per_worker=1, processes=True, host="127.0.0.1",
                      dashboard_address=None) as cluster, Client(cluster) as client:
        client.wait_for_workers(WORKERS)
        addresses = list(client.scheduler_info()["workers"])
        cuts = [x.n * i // WORKERS for i in range(WORKERS + 1)]

        def run():
            b = client.scatter(x.b, broadcast=True, hash=False, direct=True)
            rows = [client.scatter(x.a[cuts[i]:cuts[i + 1]], workers=[addresses[i]], hash=False, direct=True)
                    for i in range(WORKERS)]
            parts = [client.submit(numpy.matmul, rows[i], b, workers=[addresses[i]], pure=False)
                     for i in range(WORKERS)]
            for i, part in enumerate(client.gather(parts, direct=True)):
                x.c[cuts[i]:cuts[i + 1]] = part

        peer.serve(x, run)


if __name__ == "__main__":
    main()
