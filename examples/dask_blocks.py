"""A kernel over the blocks of a dask array: with threads, with processes, on a cluster of worker processes."""

import dask.array as da
import warpbridge as wb
from dask.distributed import Client, LocalCluster


def main() -> None:
    x = (da.arange(1_000_000, chunks=100_000) % 5).astype("float32")
    y = da.map_blocks(wb.kernels.scale, x, 2.0, 3.0)  # y = 2 * x + 3
    print(y)  # dask learns the dtype by calling the kernel on an empty array

    print("threads:", y.mean().compute())
    print("processes:", y.mean().compute(scheduler="processes", num_workers=2))
    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster, Client(cluster):
        print("cluster:", y.mean().compute())


if __name__ == "__main__":  # worker processes import this file
    main()
