"""Kernels under dask, joblib and executors, on the CPU device; the cluster of dask.distributed is in examples/.

Each test imports the library that it is about: the file can be collected where only the GPU tests' libraries are.
"""

from __future__ import annotations

import concurrent.futures
import functools
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warpbridge as wb

HERE = Path(__file__).parent
N = 40


@pytest.fixture
def host() -> np.ndarray:
    return np.arange(N, dtype=np.float32)


@pytest.fixture
def blocks(host: np.ndarray) -> Any:
    import dask.array as da

    return da.from_array(host, chunks=7)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_map_blocks_runs_on_every_scheduler(blocks: Any, host: np.ndarray, scheduler: str) -> None:
    import dask
    import dask.array as da

    y = da.map_blocks(wb.kernels.scale, blocks, 2.0, 1.0)
    with dask.config.set({"multiprocessing.context": "spawn"}):
        found = y.compute(scheduler=scheduler, num_workers=2)
    np.testing.assert_array_equal(found, 2 * host + 1)


def test_map_blocks_infers_name_and_dtype_from_the_kernel(blocks: Any) -> None:
    import dask.array as da

    y = da.map_blocks(wb.kernels.scale, blocks, 2.0)
    assert y.name.startswith("scale-")
    assert (y.dtype, y._meta.shape) == (np.float32, (0,))
    assert da.map_blocks(wb.kernels.scale, blocks, 2.0).name == y.name
    assert da.map_blocks(wb.kernels.scale, blocks, 3.0).name != y.name


def test_map_blocks_with_a_given_dtype_needs_no_inference() -> None:
    import dask.array as da

    x = np.random.default_rng(5).integers(0, 256, (6, 8, 10, 3), dtype=np.uint8)
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    y = da.map_blocks(
        wb.kernels.image_prep, da.from_array(x, chunks=(2, 8, 10, 3)), mean, std, dtype=np.float32, chunks=(2, 3, 8, 10)
    )
    np.testing.assert_array_equal(y.compute(), wb.kernels.image_prep(x, mean, std))


@pytest.mark.parametrize("shape", [(0,), (0, 5), (3, 0)])
def test_kernel_takes_an_array_of_size_zero(shape: tuple[int, ...]) -> None:
    y = wb.kernels.scale(np.empty(shape, np.float32), 2.0)
    assert (y.shape, y.dtype) == (shape, np.float32)


def test_misaligned_input_is_copied(host: np.ndarray) -> None:
    x = np.frombuffer(b"\0" + host.tobytes(), np.uint8)[1:].view(np.float32)
    assert not x.flags.aligned
    np.testing.assert_array_equal(wb.kernels.scale(x, 2.0), 2 * host)


def test_delayed_and_partial(host: np.ndarray) -> None:
    import dask

    found = dask.delayed(functools.partial(wb.kernels.scale, a=2.0))(host).compute(scheduler="threads")
    np.testing.assert_array_equal(found, 2 * host)


def test_token_is_the_same_in_every_process(run_python) -> None:
    from dask.base import tokenize

    ptx = HERE.parent / "examples" / "saxpy.ptx"
    here = f"{tokenize(wb.kernels.scale)} {tokenize(wb.load(ptx).kernels['saxpy'])}\n"
    program = (
        "import warpbridge as wb; from dask.base import tokenize\n"
        f"print(tokenize(wb.kernels.scale), tokenize(wb.load({str(ptx)!r}).kernels['saxpy']))"
    )
    for seed in ("1", "2"):
        process = run_python(program, PYTHONHASHSEED=seed)
        assert process.stdout == here, process.stderr


def test_a_wrapper_looks_like_its_kernel() -> None:
    @functools.wraps(wb.kernels.scale)
    def wrapper(*args, **keywords):
        return wb.kernels.scale(*args, **keywords)

    assert wrapper.__name__ == wrapper.__qualname__ == "scale"
    assert wrapper.__wrapped__ is wb.kernels.scale
    assert inspect.signature(wrapper) == inspect.signature(wb.kernels.scale)


def test_thread_pool_maps_a_kernel(host: np.ndarray) -> None:
    inputs = [host + i for i in range(50)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for x, y in zip(inputs, pool.map(wb.kernels.scale, inputs, [2.0] * 50), strict=True):
            np.testing.assert_array_equal(y, 2 * x)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib_runs_a_kernel(host: np.ndarray, backend: str) -> None:
    import joblib

    found = joblib.Parallel(2, backend)(joblib.delayed(wb.kernels.scale)(host, float(a)) for a in range(4))
    for a, y in enumerate(found):
        np.testing.assert_array_equal(y, a * host)


def test_the_docs_show_the_example_as_it_is() -> None:
    program = (HERE.parent / "examples" / "dask_blocks.py").read_text().partition("\n\n")[2]
    assert f"```python\n{program}```\n" in (HERE.parent / "docs" / "parallel.md").read_text()
