"""Tensor maps of arrays: checked and encoded for the array's device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from warpbridge.buffer import Buffer

from .native import NULL, check, ffi, lib, optional
from .values import tensor_of


class MapOptions(NamedTuple):
    """What a tensor map is to be; lists have one item per axis of the array."""

    box: Sequence[int]
    strides: Sequence[int] | None
    element_strides: Sequence[int] | None
    element: str | None
    interleave: str | None
    swizzle: str | None
    l2_promotion: str | None
    oob_fill: str | None


def tensor_map_encode(buffer: Buffer, options: MapOptions) -> bytes:
    """Check a tensor map of an array and return its bytes for the array's device."""
    keep: list[Any] = []
    lists = [NULL if items is None else ffi.new("int64_t[]", list(items)) for items in options[:3]]
    counts = [0 if items is None else len(items) for items in options[:3]]
    names = [optional(name) for name in options[3:]]
    raw = ffi.new("wb_map_options *", (*lists, *counts, 0, *names))
    encoded = ffi.new("uint8_t[128]")
    check(lib.wb_tensor_map_encode(tensor_of(buffer, keep), raw, encoded))
    del keep
    return bytes(encoded)
