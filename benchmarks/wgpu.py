"""Bytes between a wgpu buffer and a kernel's memory: wgpu's own read_buffer and write_buffer beside every transport.

Needs wgpu and a Vulkan driver; measures a GPU where there is one:  python benchmarks/wgpu.py [--markdown FILE]

Method: one run, one buffer per size, fresh random bytes checked once in each direction before anything is timed; then
every path in turn, round after round (so that drift hits all), medians. `fill` is wgpu's buffer to the kernel's memory,
`back` the reverse; both are timed until the last byte is there. Bytes copied are counted by the transports themselves.
"""

# ruff: noqa: E402 - what the imports need comes before them
from __future__ import annotations

import argparse
import datetime
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# This file has the name of the library it measures: without this, `import wgpu` would find the file itself.
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]

import numpy as np
import warpbridge as wb
from warpbridge.adapters import wgpu as wbgpu

try:  # before the library makes its first instance
    wbgpu.enable()
    WHY_NOT_ENABLED = ""
except wb.DeviceError as error:
    WHY_NOT_ENABLED = str(error)

import wgpu

ROUNDS = 11
SIZES = (4 << 10, 1 << 20, 64 << 20, 256 << 20)
WRONG: list[str] = []
USAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST


@dataclass(frozen=True)
class Case:
    """One row: `run` moves the bytes once and returns when they are there."""

    name: str
    direction: str
    run: Callable[[], Any]
    is_ours: bool = True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="bytes")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--markdown", type=Path, help="also write the table there")
    arguments = parser.parse_args()
    adapter = wgpu.gpu.request_adapter_sync(power_preference="high-performance")
    device = adapter.request_device_sync()
    text = header(adapter, arguments.rounds) + table(device, arguments.sizes, arguments.rounds)
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)
    return 1 if WRONG else 0


def cases(device: Any, nbytes: int) -> list[Case]:
    """Every path for buffers of one size, each checked once."""
    data = np.random.default_rng(nbytes).integers(0, 256, nbytes, dtype=np.uint8)
    buffer = device.create_buffer(size=nbytes, usage=USAGE)

    def write() -> None:
        device.queue.write_buffer(buffer, 0, data)
        device.queue.submit([])
        device._poll_wait()

    write()
    assert np.array_equal(np.frombuffer(device.queue.read_buffer(buffer), np.uint8), data)
    found = [
        Case("queue.read_buffer", "fill", lambda: device.queue.read_buffer(buffer), is_ours=False),
        Case("queue.write_buffer", "back", write, is_ours=False),
    ]
    places = [str(place) for place in wb.devices()]
    for place in places:
        staged = wbgpu.view(buffer, dtype="uint8", on=place, require="staged")
        found += both(device, staged, data, f"staged, {place}")
    for place in places:
        for transport in ("pinned", "shared"):
            try:
                view = (
                    wbgpu.view(buffer, dtype="uint8", on=place, require="pinned")
                    if transport == "pinned"
                    else wbgpu.share(device, size=nbytes, usage=USAGE, require="shared", on=place)
                )
            except wb.WarpbridgeError as error:
                print(f"{transport}, {place}: {error}", file=sys.stderr)
                continue
            try:
                found += both(device, view, data, f"{transport}, {place}")
            except AssertionError as error:  # the others are still worth their rows; the exit status tells
                WRONG.append(f"{transport}, {place}, {nbytes} bytes: WRONG BYTES {error}")
                print(WRONG[-1], file=sys.stderr)
    return found


def both(device: Any, view: Any, data: np.ndarray, name: str) -> list[Case]:
    """Both directions of a view, without a kernel: what a launch would wait for before and after."""

    def fill() -> None:
        view.begin(0, True, False)
        view.end(False, False)

    def back() -> None:
        view.begin(0, False, True)
        view.end(True, False)
        device._poll_wait()

    device.queue.write_buffer(view.buffer, 0, data)
    assert view.copy("cpu").tobytes() == data.tobytes(), name
    device.queue.write_buffer(view.buffer, 0, np.zeros_like(data))
    view.begin(0, False, True)  # the memory still holds the bytes
    view.end(True, False)
    if view.transport != "shared":
        assert np.array_equal(np.frombuffer(device.queue.read_buffer(view.buffer), np.uint8), data), name
    return [Case(name, "fill", fill), Case(name, "back", back)]


def table(device: Any, sizes: list[int], rounds: int) -> str:
    lines = ["| bytes | path | direction | copied | median | GB/s |", "|---|---|---|---|---|---|"]
    for nbytes in sizes:
        rows = cases(device, nbytes)
        times: dict[Case, list[float]] = {row: [] for row in rows}
        copied = {}
        for turn in range(rounds + 1):
            for row in rows:
                before, start = wbgpu.copied_bytes(), time.perf_counter()
                row.run()
                elapsed = time.perf_counter() - start
                copied[row] = wbgpu.copied_bytes() - before
                if turn:  # the first round warms up
                    times[row].append(elapsed)
        for row in sorted(rows, key=lambda row: row.direction, reverse=True):
            median = statistics.median(times[row])
            moved = copied[row] if row.is_ours else nbytes
            rate = f"{nbytes / median / 1e9:.2f}" if moved else "none copied"
            lines.append(f"| {nbytes:,} | {row.name} | {row.direction} | {moved:,} | {median * 1e3:.3f} ms | {rate} |")
    return "\n".join(lines) + "\n"


def header(adapter: Any, rounds: int) -> str:
    info = adapter.info
    enabled = f"; not enabled: {WHY_NOT_ENABLED}" if WHY_NOT_ENABLED else ""
    places = ", ".join(f"{place} ({place.name})" for place in wb.devices())
    return (
        f"Measured {datetime.date.today().isoformat()}: wgpu {wgpu.__version__} on {info['device']} "
        f"({info['backend_type']}, {info['description']}), kernels on {places}, {platform.machine()}, "
        f"Python {sys.version.split()[0]}, NumPy {np.__version__}, warpbridge {wb.__version__}; medians of {rounds} "
        f"rounds{enabled}.\n\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
