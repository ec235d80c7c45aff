"""Every Python block of the docs runs as written, in a fresh process, behind what its page takes for granted.

Blocks for a GPU's arrays run with `-m gpu`. A block that is neither here nor in ELSEWHERE fails the last test.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Pages whose blocks other files run.
ELSEWHERE = {
    "docs/adapters.md": "test_plugins.py",
    "docs/wgpu.md": "test_wgpu_enable.py",
    "docs/write-a-kernel.md": "test_guide.py",
}
ELSEWHERE_TOO = {("docs/parallel.md", 0): "test_parallel.py"}

GIVEN = f"""
import sys, threading
import numpy, numpy as np
import warpbridge as wb
sys.path.insert(0, {str(Path(__file__).parent)!r})
k, s = wb.kernels.scale, wb.device("cpu").stream()
x = np.arange(8, dtype=np.float32)
y = np.empty_like(x)
"""
TENSOR_MAP = """
from test_tensor_map import PTX, aligned
x, y = aligned((128, 64), "float32"), np.zeros(3, np.uint64)
e, grid, block = wb.load(PTX).entries["show"], 1, 1
"""
CALLBACKS = """
called = [threading.Event(), threading.Event()]
f, g = lambda p: called[0].set(), lambda p: called[1].set()
"""
NORM = """
rng = np.random.default_rng(0)
x, residual = rng.standard_normal((2, 4, 64), np.float32)
weight, total = np.ones(64, np.float32), x + residual
"""
FIELD = """
field = np.array([[-1.0, 0.0, 1.0, 4.0]])
lut = np.arange(4, dtype=np.uint8)[:, None].repeat(4, axis=1)
"""
WEIGHTS = """
rows, k = 6, 256
weights = np.random.default_rng(0).standard_normal((rows, k), np.float32)
x = np.ones((1, k), np.float16)
"""
HEAT = """
a, z = 0.1, np.arange(6, dtype=np.float32)
u = np.ascontiguousarray(np.broadcast_to(z[:, None, None], (6, 6, 6)))  # a slope that heat keeps
"""
# Page and number of the block, what stands before it, what must hold after it.
BLOCKS = [
    ("docs/calling.md", 0, TENSOR_MAP, "assert y[:2].tobytes() == a.encoded[:16]"),
    ("docs/calling/blocking.md", 0, "", "assert b.result is y and y.tolist() == (2 * x).tolist()"),
    (
        "docs/calling/callback.md",
        0,
        CALLBACKS,
        "assert y.tolist() == (2 * x).tolist() and all(one.wait(60) for one in called)",
    ),
    ("docs/calling/stream.md", 0, "", "s.synchronize(); wb.device('cpu').synchronize()\nassert y[3] == 6"),
    ("docs/cpu-device.md", 0, "k = wb.kernels.softmax; x = np.ones((2, 4), np.float32)", "assert y[1, 3] == 0.25"),
    (
        "docs/kernels.md",
        1,
        NORM,
        "exact = total / np.sqrt(np.mean(total**2, axis=1, keepdims=True) + 1e-6)\n"
        "assert np.allclose(residual, total) and np.abs(q * scales[:, None] - exact).max() < 0.02",
    ),
    ("docs/kernels.md", 2, FIELD, "assert picture[0, :, 0].tolist() == [0, 0, 1, 3]"),
    ("docs/kernels.md", 3, WEIGHTS, "assert y.shape == (1, rows) and np.abs(y - weights.sum(1)).max() < 8"),
    ("docs/kernels.md", 4, HEAT, "assert np.allclose(pending.result(60), u, atol=1e-3)"),
]
GPU_GIVEN = """
import cupy
import numpy, numpy as np
import warpbridge as wb
stream = cupy.cuda.Stream()
iq = cupy.zeros((1 << 16, 2), "int16")
window = cupy.ones(1024, "float32")
"""
GPU_BLOCKS = [
    ("docs/arrays.md", 0, "assert str(x.device) == 'cuda:0' and x.shape == (1000, 3)"),
    ("docs/kernels.md", 0, "stream.synchronize()\nassert float(power.max()) <= -100"),
]


def blocks(path: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / path).read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize(("path", "number", "before", "after"), BLOCKS, ids=lambda value: str(value)[:24])
def test_block_runs_as_written(run_python, path: str, number: int, before: str, after: str) -> None:
    found = run_python(f"{GIVEN}\n{before}\n{blocks(path)[number]}\n{after}\n")
    assert found.returncode == 0, found.stderr


@pytest.mark.gpu
@pytest.mark.parametrize(("path", "number", "after"), GPU_BLOCKS)
def test_block_for_gpus_runs_as_written(run_python, path: str, number: int, after: str) -> None:
    found = run_python(f"{GPU_GIVEN}\n{blocks(path)[number]}\n{after}\n")
    assert found.returncode == 0, found.stderr


def test_every_block_is_run_somewhere() -> None:
    pages = sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md"))
    there = {(page, number) for page in pages if page not in ELSEWHERE for number in range(len(blocks(page)))}
    here = [tuple(row[:2]) for row in (*BLOCKS, *GPU_BLOCKS)]
    assert sorted(here + list(ELSEWHERE_TOO)) == sorted(there)
    for test in {*ELSEWHERE.values(), *ELSEWHERE_TOO.values()}:
        assert re.search(r"docs\W+\w+\.md|\w+\.md", (ROOT / "tests" / test).read_text(encoding="utf-8"))
