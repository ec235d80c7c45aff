"""The kernels of ``emulator.py`` in Triton's language, for its interpreter.

The interpreter wants PyTorch tensors but only moves their storage, so `Host` gives NumPy arrays the methods that it
calls: the benchmark then needs no PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import triton
import triton.language as tl


class Host:
    """A NumPy array as tensor and as its storage: the methods are those of PyTorch."""

    def __init__(self, array: Any) -> None:
        self.array, self.dtype = array, array.dtype

    def data_ptr(self) -> int:
        """Give the address."""
        return int(self.array.ctypes.data)

    def untyped_storage(self) -> Host:
        """Give itself."""
        return self

    def cpu(self) -> Host:
        """Give itself."""
        return self

    def storage_offset(self) -> int:
        """Give 0: a storage begins with its tensor."""
        return 0

    def size(self) -> tuple[int, ...]:
        """Give the shape."""
        return tuple(self.array.shape)

    def stride(self) -> tuple[int, ...]:
        """Give the strides in elements."""
        return tuple(s // self.array.itemsize for s in self.array.strides)

    def new_empty(self, count: int, device: str) -> Host:
        """Make a tensor without values."""
        return Host(np.empty(count, dtype=self.dtype))

    def set_(self, storage: Host, *_layout: Any) -> None:
        """Take over the memory of another."""
        self.array = storage.array

    def copy_(self, source: Host) -> None:
        """Check that there is nothing to copy."""
        assert source.array is self.array, "the interpreter worked on another array"


@triton.jit  # type: ignore[untyped-decorator]
def add_kernel(a: Any, b: Any, c: Any, n: Any, block: tl.constexpr) -> None:
    at = tl.program_id(0) * block + tl.arange(0, block)
    inside = at < n
    tl.store(c + at, tl.load(a + at, mask=inside) + tl.load(b + at, mask=inside), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def naive_kernel(a: Any, b: Any, c: Any, n: Any, block: tl.constexpr) -> None:
    row, column = tl.program_id(1), tl.program_id(0) * block + tl.arange(0, block)
    total = tl.zeros((block,), dtype=tl.float32)
    for k in range(n):
        total += tl.load(a + row * n + k) * tl.load(b + k * n + column)
    tl.store(c + row * n + column, total)


@triton.jit  # type: ignore[untyped-decorator]
def tile_kernel(a: Any, b: Any, c: Any, n: Any, size: tl.constexpr, depth: tl.constexpr) -> None:
    rows, columns = tl.program_id(1) * size + tl.arange(0, size), tl.program_id(0) * size + tl.arange(0, size)
    total = tl.zeros((size, size), dtype=tl.float32)
    for k in range(0, n, depth):
        inner = k + tl.arange(0, depth)
        left = tl.load(a + rows[:, None] * n + inner[None, :])
        right = tl.load(b + columns[None, :] * n + inner[:, None])
        total += tl.dot(left, right)
    tl.store(c + rows[:, None] * n + columns[None, :], total)


def add(a: Any, b: Any, c: Any) -> None:
    add_kernel[(triton.cdiv(a.size, 1024),)](Host(a), Host(b), Host(c), a.size, block=1024)


def naive(a: Any, b: Any, c: Any) -> None:
    n = len(a)
    naive_kernel[(n // 128, n)](Host(a), Host(b), Host(c), n, block=128)


def tile(a: Any, b: Any, c: Any) -> None:
    n = len(a)
    tile_kernel[(n // 64, n // 64)](Host(a), Host(b), Host(c), n, size=64, depth=32)
