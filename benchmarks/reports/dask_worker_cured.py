"""The same in thirty partitions."""

import time

from dask.distributed import Client, LocalCluster


def load(number):
    rows = []
    for row in range(number):
        rows.append(bytearray(b"x") * (1 << 20))
        time.sleep(0.003)
    return sum(len(row) for row in rows)


if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, memory_limit=0, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            print(sum(client.gather([client.submit(load, 10, pure=False) for _ in range(30)])))
