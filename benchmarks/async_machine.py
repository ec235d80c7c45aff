"""Where the cases of async_cost.py run: a GPU, whose arrays are PyTorch's, or the CPU device, whose arrays are NumPy's.

PyTorch rather than CuPy, as its kernels come compiled: checks of many types would cost CuPy minutes of compiling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import warpbridge as wb
from stream_time import waiting

KERNELS = Path(__file__).resolve().parent.parent / "kernels"
POISON = 0x7F  # as bytes: no result of any case

Array = Any


@dataclass(frozen=True)
class Runner:
    """One way to do a case's work: its name, the PTX file and entry behind it, dynamic shared memory, launch."""

    name: str
    ptx: Path
    entry: str
    shared_bytes: int
    bound: wb.Bound | None

    def unbound(self) -> Runner:
        """Let go of the arrays."""
        return replace(self, bound=None)


@dataclass(frozen=True)
class Machine:
    """The CPU device; `Gpu` is the other. ``twins`` is their PTX by kernel, ``kernels`` the directory of ours."""

    twins: dict[str, Path]
    kernels: Path = KERNELS
    multiprocessors: int = 2

    def ours(self, kernel: str, entry: str, shared_bytes: int, *args: Any, **named: Any) -> Runner:
        """Bind a kernel of ours as its manifest says; `entry` and `shared_bytes` are for the record."""
        path = self.kernels / "ptx" / f"{kernel}.sm_90.ptx"
        module = wb.load(path, self.kernels / f"{kernel}.toml")
        return Runner("ours", path, entry, shared_bytes, module.kernels[kernel].bind(*args, **named))

    def by_hand(
        self, name: str, kernel: str, entry: str, grid: int, block: int, args: Sequence[Any], shared_bytes: int = 0
    ) -> Runner:
        """Bind an entry of the twins' PTX."""
        path = self.twins[kernel]
        bound = wb.load(path).entries[entry].bind(grid, block, list(args), shared_bytes)
        return Runner(name, path, entry, shared_bytes, bound)

    def normal(self, shape: Sequence[int], dtype: str) -> Array:
        """Draw normal deviates."""
        return np.random.default_rng().standard_normal(tuple(shape), dtype=np.float32).astype(dtype)

    def integers(self, low: int, high: int, shape: Sequence[int], dtype: str) -> Array:
        """Draw uniformly from ``low`` to ``high - 1``."""
        return np.random.default_rng().integers(low, high, tuple(shape), dtype=dtype)

    def empty(self, shape: Sequence[int], dtype: str) -> Array:
        """Make an output."""
        return np.empty(tuple(shape), dtype=dtype)

    def take(self, array: Array, index: Any) -> np.ndarray:
        """Bring a part to the host."""
        return np.asarray(array[index])

    def poison(self, out: Array) -> None:
        """Fill an output with what is no result."""
        out.view(np.uint8)[...] = POISON

    def differs(self, a: Array, b: Array, tolerance: float, absolute: float) -> float:
        """Give the share of elements that differ: in bits, or by more than `tolerance` times `b` and `absolute`."""
        if tolerance == 0.0:
            bits = f"u{a.dtype.itemsize}"
            return float((a.view(bits) != b.view(bits)).mean())
        return float((~(abs(a - b) <= tolerance * abs(b) + absolute)).mean())

    def run(self, runner: Runner) -> None:
        """Launch and wait."""
        assert runner.bound is not None
        runner.bound()


@dataclass(frozen=True)
class Gpu(Machine):
    """The current CUDA device, by way of PyTorch."""

    def normal(self, shape: Sequence[int], dtype: str) -> Array:
        """Draw normal deviates."""
        import torch

        return torch.randn(tuple(shape), device="cuda", dtype=getattr(torch, dtype))

    def integers(self, low: int, high: int, shape: Sequence[int], dtype: str) -> Array:
        """Draw uniformly from ``low`` to ``high - 1``."""
        import torch

        return torch.randint(low, high, tuple(shape), device="cuda", dtype=getattr(torch, dtype))

    def empty(self, shape: Sequence[int], dtype: str) -> Array:
        """Make an output."""
        import torch

        return torch.empty(tuple(shape), device="cuda", dtype=getattr(torch, dtype))

    def take(self, array: Array, index: Any) -> np.ndarray:
        """Bring a part to the host."""
        return array[index].cpu().numpy()

    def poison(self, out: Array) -> None:
        """Fill an output with what is no result."""
        import torch

        out.view(torch.uint8).fill_(POISON)

    def differs(self, a: Array, b: Array, tolerance: float, absolute: float) -> float:
        """Give the share of elements that differ: in bits, or by more than `tolerance` times `b` and `absolute`."""
        import torch

        if tolerance == 0.0:
            bits = {2: torch.int16, 4: torch.int32}[a.element_size()]
            return float((a.view(bits) != b.view(bits)).float().mean())
        return float((~((a - b).abs() <= tolerance * b.abs() + absolute)).float().mean())


def burst_s(run: Callable[[], None], launches: int) -> float:
    """Seconds of the stream's own time per launch in a burst, on PyTorch's current stream; as in `stream_time.py`."""
    import torch

    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    waiting().launch(torch.cuda.current_stream())
    run()
    start.record()
    for _ in range(launches):
        run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3 / launches
