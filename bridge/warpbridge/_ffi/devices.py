"""Devices and the driver: what there is, and whose memory an address is in."""

from __future__ import annotations

from typing import Any

from .native import check, ffi, lib, read_json


def devices() -> list[dict[str, Any]]:
    """Return the facts about each device; the CPU device is the first."""
    count = ffi.new("uint32_t *")
    check(lib.wb_device_count(count))
    return [read_json(lib.wb_device_json, index) for index in range(count[0])]


def device_of_address(address: int) -> int | None:
    """Return the index of the device whose memory an address is in; None for host memory and what no device knows."""
    index = ffi.new("int32_t *")
    check(lib.wb_device_of_address(address, index))
    return int(index[0]) if index[0] >= 0 else None


def driver() -> dict[str, Any]:
    """Return what is known about the CUDA driver, and why there is none."""
    facts: dict[str, Any] = read_json(lib.wb_driver_json)
    return facts
