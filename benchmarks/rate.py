"""The bundled kernels' bytes per second against the size of their data, beside the device-to-device copy.

Needs an NVIDIA GPU and CuPy:  python benchmarks/rate.py [--markdown FILE]     (rate_plot.py draws the table)

Every launch finds its data cold: each case has so many copies of its arrays, launched in turn, that they take up
several times the L2. All runners of a size in turn, bursts of the stream's own time (`stream_time.py`), medians. Bytes
counted: each input read once, each output written once. Poisoned outputs are looked at after the first launches;
kernels.py compares them.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cupy as cp
import numpy as np
import warpbridge as wb
from bandwidth import MEAN, STD, header
from stream_time import burst_s

ROUNDS = 7
BURST = 20
COLD_BYTES = 384 << 20
"""What one case's arrays take up at least, together."""
SIZES = tuple(1 << power for power in range(18, 31, 2))
"""Bytes of a case's first input: 256 KiB to 1 GiB."""


@dataclass(frozen=True)
class Case:
    """One launch on arrays of its own."""

    moved_bytes: int
    launch: Callable[[], Any]
    out: cp.ndarray


def noise(*shape: int, dtype: type = np.float32) -> cp.ndarray:
    return cp.random.standard_normal(shape, dtype=np.float32).astype(dtype, copy=False)


def poisoned(*shape: int, dtype: type = np.float32) -> cp.ndarray:
    return cp.full(shape, 99 if np.dtype(dtype).kind == "u" else np.nan, dtype=dtype)


def launched(bound: Any, out: cp.ndarray, *inputs: cp.ndarray) -> Case:
    stream = cp.cuda.get_current_stream()
    return Case(out.nbytes + sum(x.nbytes for x in inputs), lambda: bound.launch(stream), out)


def copy_case(size: int) -> Case:
    x, out = noise(size // 4), poisoned(size // 4)
    stream = cp.cuda.get_current_stream()
    return Case(2 * size, lambda: out.data.copy_from_device_async(x.data, size, stream), out)


def scale_case(size: int) -> Case:
    x, out = noise(size // 4), poisoned(size // 4)
    return launched(wb.kernels.scale.bind(x, 2.0, 1.0, out=out), out, x)


def softmax_case(size: int) -> Case:
    x, out = noise(size // 8192, 4096, dtype=np.float16), poisoned(size // 8192, 4096, dtype=np.float16)
    return launched(wb.kernels.softmax.bind(x, out=out), out, x)


def norm_case(size: int, name: str) -> Case:
    x, out = noise(size // 8192, 4096, dtype=np.float16), poisoned(size // 8192, 4096, dtype=np.float16)
    return launched(getattr(wb.kernels, name).bind(x, noise(4096, dtype=np.float16), out=out), out, x)


def entropy_case(size: int) -> Case:
    x, out = noise(size // 8192, 4096, dtype=np.float16), poisoned(size // 8192)
    target = cp.random.randint(0, 4096, len(x), dtype=np.int32)
    return launched(wb.kernels.cross_entropy.bind(x, target, out=out), out, x, target)


def gather_case(size: int) -> Case:
    src, out = noise(size // 4096, 1024), poisoned(size // 4096, 1024)
    idx = cp.random.permutation(len(src)).astype(np.int32)
    return launched(wb.kernels.gather_rows.bind(src, idx, out=out), out, src, idx)


def image_case(size: int) -> Case:
    x = cp.random.randint(0, 256, (max(1, size // (256 * 256 * 3)), 256, 256, 3), dtype=np.uint8)
    out = poisoned(len(x), 3, 224, 224, dtype=np.float16)
    run = launched(wb.kernels.image_prep.bind(x, MEAN, STD, oh=224, ow=224, out=out), out)
    return replace(run, moved_bytes=out.nbytes * 3 // 2)


def resize_case(size: int) -> Case:
    x = cp.random.randint(0, 256, (max(1, size // (256 * 256 * 3)), 256, 256, 3), dtype=np.uint8)
    out = poisoned(len(x), 3, 224, 224, dtype=np.float16)
    return launched(wb.kernels.image_resize.bind(x, MEAN, STD, out=out), out, x)


def frames_case(size: int) -> Case:
    x = cp.random.randint(-30_000, 30_000, (size // 4, 2), dtype=np.int16)
    out = poisoned(len(x) // 1024, 2048).view(np.complex64)
    return launched(wb.kernels.fft_frames.bind(x, noise(1024), 1024, out=out), out, x)


def matvec_case(size: int) -> Case:
    w = cp.random.randint(0, 256, (size // 4096, 4096), dtype=np.uint8)
    scales, x, out = (
        noise(len(w), 64, dtype=np.float16),
        noise(1, 8192, dtype=np.float16),
        poisoned(1, len(w), dtype=np.float16),
    )
    return launched(wb.kernels.dequant_matvec.bind(w, scales, x, out=out), out, w, scales, x)


def stencil_case(size: int) -> Case:
    u = noise(size // (4 * 64 * 64), 64, 64)
    out, weights = poisoned(*u.shape), cp.asarray(np.full((3, 3), 0.1, np.float32))
    return launched(wb.kernels.stencil3d.bind(u, weights, 1, out=out), out, u)


def power_case(size: int) -> Case:
    x, out = noise(size // 8192, 2048).view(np.complex64), poisoned(size // 8192, 1024)
    return launched(wb.kernels.fft_power.bind(x, 1, 1.0, 1, out=out), out, x)


def product_case(size: int) -> Case:
    a, b = (noise(size // 8192, 2048).view(np.complex64) for _ in range(2))
    out = poisoned(size // 8192, 1024, dtype=np.complex64)
    return launched(wb.kernels.spectral_multiply.bind(a, b, 0.25, 1, out=out), out, a, b)


def field_case(size: int) -> Case:
    x, out = noise(size // 4096, 1024), poisoned(size // 4096, 1024, 4, dtype=np.uint8)
    lut = cp.random.randint(0, 90, (256, 4), dtype=np.uint8)
    return launched(wb.kernels.field_to_rgba.bind(x, lut, -3.0, 3.0, out=out), out, x)


CASES: dict[str, Callable[[int], Case]] = {
    "copy": copy_case,
    "scale": scale_case,
    "softmax": softmax_case,
    "rms_norm": partial(norm_case, name="rms_norm"),
    "layer_norm": partial(norm_case, name="layer_norm"),
    "cross_entropy": entropy_case,
    "gather_rows": gather_case,
    "dequant_matvec": matvec_case,
    "image_prep": image_case,
    "image_resize": resize_case,
    "fft_frames": frames_case,
    "fft_power": power_case,
    "spectral_multiply": product_case,
    "field_to_rgba": field_case,
    "stencil3d": stencil_case,
}
"""The columns of the table; rate_plot.py draws as many as it has colours for beside each other."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--markdown", type=Path, help="also write the table there")
    options = parser.parse_args()
    text = header(ROUNDS).replace("bursts of 10 launches", f"bursts of {BURST} launches on cold data")
    text += "TB/s by bytes of the first input.\n\n"
    text += f"| MiB | {' | '.join(CASES)} |\n|{'---|' * (len(CASES) + 1)}\n"
    for size in SIZES:
        text += f"| {size / (1 << 20):g} | {' | '.join(f'{rate:.3f}' for rate in measure(size).values())} |\n"
        print(text.splitlines()[-1], flush=True)
        cp.get_default_memory_pool().free_all_blocks()
    print(text)
    if options.markdown:
        options.markdown.write_text(text)
    return 0


def measure(size: int) -> dict[str, float]:
    """Return TB/s by name, for inputs of this size."""
    cases = {name: [make(size) for _ in range(max(2, -(-COLD_BYTES // (2 * size))))] for name, make in CASES.items()}
    for name, several in cases.items():
        for case in several:
            case.launch()
        bad = cp.isnan(several[-1].out).any() if several[-1].out.dtype.kind != "u" else (several[-1].out == 99).any()
        assert not bool(bad), f"{name}: poison left in the output"
    turns = {name: itertools.cycle(several) for name, several in cases.items()}
    rates: dict[str, list[float]] = {name: [] for name in cases}
    for warm in (True, *[False] * ROUNDS):
        for name, several in cases.items():
            seconds = burst_s(lambda turn=turns[name]: next(turn).launch(), BURST)
            if not warm:
                rates[name].append(several[0].moved_bytes / seconds / 1e12)
    return {name: statistics.median(found) for name, found in rates.items()}


if __name__ == "__main__":
    raise SystemExit(main())
