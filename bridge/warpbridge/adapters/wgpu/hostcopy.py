"""Copying host memory at more than one core's rate: large copies are cut in parts for a few threads.

Measured on an H200's host: one thread copies 3 to 10 GB/s, four 20 to 26 (benchmarks/results/wgpu-h200.md).
`ctypes.memmove` gives the GIL up.
"""

from __future__ import annotations

import ctypes
import functools
import os
from concurrent.futures import ThreadPoolExecutor

_MOST_THREADS = 4
_LEAST_PART_BYTES = 1 << 20
_PAGE = 4096

# Half of the cores: software drivers of Vulkan, and the CPU device, have work for the others.
_THREADS = min(_MOST_THREADS, max(1, (os.cpu_count() or 1) // 2))


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="warpbridge-copy")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # its threads are the parent's


def host_copy(to: int, source: int, nbytes: int) -> None:
    """Copy bytes between two addresses of the host."""
    parts = min(_THREADS, nbytes // _LEAST_PART_BYTES)
    if parts < 2:
        ctypes.memmove(to, source, nbytes)
        return
    step = -(-nbytes // parts // _PAGE) * _PAGE
    pool = _pool()
    jobs = [
        pool.submit(ctypes.memmove, to + at, source + at, min(step, nbytes - at)) for at in range(step, nbytes, step)
    ]
    try:
        ctypes.memmove(to, source, min(step, nbytes))
    finally:
        for job in jobs:  # nobody may unmap the memory before
            job.result()
