"""Row-wise running sum, running index of the maximum, and sort in Triton; a histogram with atomics.

Exercises: associative scans over shared memory and shuffles, bitonic sorting networks, arg-max reductions, atom.add.
"""

import triton
import triton.language as tl


@triton.jit
def running_sum(x_ptr, y_ptr, where_ptr, columns, BLOCK: tl.constexpr):  # noqa: N803
    row = tl.program_id(0)
    offsets = tl.arange(0, BLOCK)
    mask = offsets < columns
    x = tl.load(x_ptr + row * columns + offsets, mask=mask, other=0)
    tl.store(y_ptr + row * columns + offsets, tl.cumsum(x, axis=0), mask=mask)
    tl.store(where_ptr + row, tl.argmax(tl.where(mask, x, -2147483648), axis=0))


@triton.jit
def sort_rows(x_ptr, y_ptr, BLOCK: tl.constexpr):  # noqa: N803
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + offsets, tl.sort(tl.load(x_ptr + offsets)))


@triton.jit
def histogram(x_ptr, bins_ptr, n, BLOCK: tl.constexpr, BINS: tl.constexpr):  # noqa: N803
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    x = tl.load(x_ptr + offsets, mask=mask, other=0)
    counts = tl.histogram(x, BINS, mask=mask)
    tl.atomic_add(bins_ptr + tl.arange(0, BINS), counts, sem="relaxed")


SPECIALISATIONS = {
    "triton_scan": {
        "function": running_sum,
        "signature": {"x_ptr": "*i32:16", "y_ptr": "*i32:16", "where_ptr": "*i32", "columns": "i32"},
        "constants": {"BLOCK": 512},
        "warps": 4,
        "stages": 2,
    },
    "triton_sort": {
        "function": sort_rows,
        "signature": {"x_ptr": "*i32:16", "y_ptr": "*i32:16"},
        "constants": {"BLOCK": 128},
        "warps": 2,
        "stages": 2,
    },
    "triton_histogram": {
        "function": histogram,
        "signature": {"x_ptr": "*i32:16", "bins_ptr": "*i32:16", "n": "i32"},
        "constants": {"BLOCK": 512, "BINS": 64},
        "warps": 4,
        "stages": 2,
    },
}
