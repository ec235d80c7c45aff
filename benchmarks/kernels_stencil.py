"""Rows of kernels.py's tables: `stencil3d`, beside a CUDA C++ kernel called once per step, and PyTorch's conv3d."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cupy as cp
import numpy as np
import torch
import warpbridge as wb
from kernels_table import Row, Runner, null


def stencil_case(n: int, steps: int, radius: int = 1) -> Row:
    u = cp.random.standard_normal((n, n, n), dtype=np.float32)
    weights = np.full((3, 2 * radius + 1), 0.4 / (6 * radius), np.float32)
    weights[:, radius] = 0.2
    out = cp.full(u.shape, np.nan, dtype=np.float32)
    on_gpu = cp.asarray(weights)
    bound = wb.kernels.stencil3d.bind(u, on_gpu, steps, out=out)
    raw = naive_star(u, on_gpu, steps)

    def check() -> None:
        cp.testing.assert_allclose(out, raw(), rtol=1e-4, atol=1e-5)

    moved = 2 * u.nbytes * steps
    peers = {"CuPy RawKernel": raw}
    if radius == 1 and steps <= 4:  # slow, and slower for larger stencils
        peers["torch conv3d"] = conv3d(u, weights, steps)
    return Row(moved, lambda: bound.launch(null()), check, peers)


def naive_star(u: cp.ndarray, weights: cp.ndarray, steps: int) -> Runner:
    """Return the plain kernel, called once per step, on two fields in turn."""
    n, radius = len(u), weights.shape[1] // 2
    fields = [cp.empty_like(u) for _ in range(2)]
    kernel = cp.RawKernel(NAIVE_STAR, "star")
    grid, block = ((n + 31) // 32, (n + 7) // 8, n), (32, 8, 1)

    def run() -> Any:
        before = u
        for step in range(steps):
            after = fields[step % 2]
            kernel(grid, block, (before, after, np.int32(n), np.int32(radius), weights))
            before = after
        return before

    return run


def conv3d(u: cp.ndarray, weights: np.ndarray, steps: int) -> Runner:
    """Return PyTorch's convolution with the star as a dense cube."""
    taps = weights.shape[1]
    radius = taps // 2
    cube = torch.zeros(1, 1, taps, taps, taps, device="cuda")
    for axis in range(3):
        for place in range(taps):
            index = [radius] * 3
            index[axis] = place
            cube[(0, 0, *index)] += float(weights[axis, place])
    field = torch.from_dlpack(u)[None, None]

    def run() -> torch.Tensor:
        y = field
        for _ in range(steps):
            y = torch.nn.functional.conv3d(y, cube, padding=radius)
        return y

    return run


NAIVE_STAR = """
extern "C" __global__ void star(const float* u, float* y, int n, int r, const float* w) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y, z = blockIdx.z;
    if (x >= n || row >= n) return;
    size_t at = ((size_t)z * n + row) * n + x, plane = (size_t)n * n;
    int taps = 2 * r + 1;
    if (x < r || x >= n - r || row < r || row >= n - r || z < r || z >= n - r) { y[at] = u[at]; return; }
    float sum = (w[r] + w[taps + r] + w[2 * taps + r]) * u[at];
    for (int d = 1; d <= r; d++) {
        sum += w[r - d] * u[at - d * plane] + w[r + d] * u[at + d * plane];
        sum += w[taps + r - d] * u[at - d * n] + w[taps + r + d] * u[at + d * n];
        sum += w[2 * taps + r - d] * u[at - d] + w[2 * taps + r + d] * u[at + d];
    }
    y[at] = sum;
}
"""


STENCILS = [(512, 4, 1), (512, 4, 2), (512, 4, 4), (256, 32, 1)]
ROWS: dict[str, Callable[[], Row]] = {
    f"stencil3d {n}^3, radius {radius}, {steps} steps": partial(stencil_case, n, steps, radius)
    for n, steps, radius in STENCILS
}
