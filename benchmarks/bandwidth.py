"""How fast the bundled kernels move bytes, as a ratio to the device-to-device copy of the same run.

Needs an NVIDIA GPU and CuPy:  python benchmarks/bandwidth.py [--markdown FILE]

Method: fresh random inputs, outputs poisoned with NaN and checked before anything is timed, CUDA events around bursts
of launches, each case and the copy in turn (so that drift hits both), medians. Bytes counted: each input read once,
each output written once.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cupy as cp
import numpy as np
import warpbridge as wb

GIB = 1 << 30
ROUNDS = 15
BURST = 10
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Case:
    """One row: ``run`` queues one launch on CuPy's current stream, ``check`` raises on a wrong result."""

    name: str
    moved_bytes: int
    run: Callable[[], Any]
    check: Callable[[], None]
    arrays: tuple[Any, ...] = ()
    """Inputs and output, for those who compare others on the same."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", type=Path, help="also write the table there")
    arguments = parser.parse_args()
    cases = [scale_case(np.float32), scale_case(np.float16), scale_case(np.float32, odd=3)]
    cases += [image_case("float16"), image_case("float32"), peer_case()]
    for case in cases:
        case.run()
        case.check()
    text = header() + table(cases)
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)
    return 0


def scale_case(dtype: type, odd: int = 0) -> Case:
    count = GIB // np.dtype(dtype).itemsize - odd
    x = cp.random.standard_normal(count, dtype=np.float32).astype(dtype)
    y = cp.full(count, np.nan, dtype=dtype)
    bound = wb.kernels.scale.bind(x, 1.5, -0.25, out=y)

    def check() -> None:
        exact = x[: 1 << 22].astype(np.float64) * 1.5 - 0.25
        cp.testing.assert_allclose(y[: 1 << 22].astype(np.float64), exact, rtol=np.finfo(dtype).eps, atol=1e-7)
        assert not bool(cp.isnan(y).any()), "poison left in the output"

    label = f"scale {np.dtype(dtype).name}, 1 GiB" + (f" less {odd} elements" if odd else "")
    return Case(label, 2 * x.nbytes, lambda: bound.launch(cp.cuda.get_current_stream()), check)


def image_case(dtype: str) -> Case:
    n, h, w, size = 4096, 256, 256, 224
    x = cp.random.randint(0, 256, (n, h, w, 3), dtype=np.uint8)
    offsets = cp.random.randint(0, h - size + 1, (n, 2), dtype=np.int32)
    mirror = cp.random.randint(0, 2, n, dtype=np.uint8)
    y = cp.full((n, 3, size, size), np.nan, dtype=dtype)
    bound = wb.kernels.image_prep.bind(x, MEAN, STD, offsets, mirror, oh=size, ow=size, out=y)

    def check() -> None:
        assert not bool(cp.isnan(y).any()), "poison left in the output"
        for i in (0, n - 1):
            r, c = (int(v) for v in offsets[i])
            crop = x[i, r : r + size, c : c + size].transpose(2, 0, 1)
            crop = (crop[:, :, ::-1] if int(mirror[i]) else crop).astype(np.float64) / 255
            exact = (crop - cp.asarray(MEAN).reshape(3, 1, 1)) / cp.asarray(STD).reshape(3, 1, 1)
            cp.testing.assert_allclose(y[i].astype(np.float64), exact, rtol=2e-3, atol=1e-5)

    moved = n * size * size * 3 * (1 + np.dtype(dtype).itemsize)
    name = f"image_prep to {dtype}, {n} x {size}^2"
    arrays = (x, offsets, mirror, y)
    return Case(name, moved, lambda: bound.launch(cp.cuda.get_current_stream()), check, arrays)


def peer_case() -> Case:
    x = cp.random.standard_normal(GIB // 4, dtype=np.float32)
    y = cp.full_like(x, np.nan)

    def check() -> None:
        assert not bool(cp.isnan(y).any())

    name = "cupy.multiply float32, 1 GiB (peer)"
    return Case(name, 2 * x.nbytes, lambda: cp.multiply(x, np.float32(1.5), out=y), check)


def copy_case() -> Case:
    x = cp.random.standard_normal(GIB // 4, dtype=np.float32)
    y = cp.empty_like(x)
    stream = cp.cuda.get_current_stream

    def run() -> None:
        y.data.copy_from_device_async(x.data, x.nbytes, stream())

    return Case("device-to-device copy, 1 GiB", 2 * x.nbytes, run, lambda: None)


def burst_s(run: Callable[[], Any], count: int = BURST) -> float:
    """Seconds per launch in one burst, by events."""
    start, end = cp.cuda.Event(), cp.cuda.Event()
    start.record()
    for _ in range(count):
        run()
    end.record()
    end.synchronize()
    return float(cp.cuda.get_elapsed_time(start, end)) / 1e3 / count


def table(cases: list[Case]) -> str:
    copy = copy_case()
    lines = ["| case | median | TB/s | copy, same rounds, TB/s | ratio to copy (min .. max) |", "|---|---|---|---|---|"]
    for case in cases:
        burst_s(case.run), burst_s(copy.run)
        times, copies = [], []
        for _ in range(ROUNDS):
            copies.append(burst_s(copy.run))
            times.append(burst_s(case.run))
        rate = [case.moved_bytes / t for t in times]
        floor = [copy.moved_bytes / t for t in copies]
        ratios = [r / f for r, f in zip(rate, floor, strict=True)]
        lines.append(
            f"| {case.name} | {statistics.median(times) * 1e6:.1f} us | {statistics.median(rate) / 1e12:.3f} | "
            f"{statistics.median(floor) / 1e12:.3f} | "
            f"{statistics.median(ratios):.3f} ({min(ratios):.3f} .. {max(ratios):.3f}) |"
        )
    return "\n".join(lines) + "\n"


def header(rounds: int = ROUNDS) -> str:
    device = wb.device(f"cuda:{cp.cuda.Device().id}")
    properties = cp.cuda.runtime.getDeviceProperties(device.ordinal)
    return (
        f"Measured {datetime.date.today().isoformat()} on {properties['name'].decode()}, CUDA driver "
        f"{cp.cuda.runtime.driverGetVersion()}, Python {sys.version.split()[0]}, CuPy {cp.__version__}, "
        f"NumPy {np.__version__}, warpbridge {wb.__version__}; median of {rounds} bursts of {BURST} launches.\n\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
