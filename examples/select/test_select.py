"""select against NumPy: sizes around a tile's, odd addresses, every schedule of the CPU device, and a GPU."""

from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb

select = wb.load(Path(__file__).parent / "select.ptx").kernels["select"]

SIZES = [0, 1, 31, 2047, 2048, 2049, 100_003]
SCHEDULES = [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]


def numbers(size: int) -> np.ndarray:
    return np.random.default_rng(size).standard_normal(size).astype(np.float32)


def check(places: np.ndarray, count: np.ndarray, expected: np.ndarray) -> None:
    assert count.tolist() == [len(expected)]
    np.testing.assert_array_equal(np.sort(places[: count[0]]), expected)


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize(("schedule", "seed"), SCHEDULES)
@pytest.mark.parametrize("size", SIZES)
def test_select_on_the_cpu_device(size: int, schedule: str, seed: int, arch: str) -> None:
    x = numbers(size)
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        places, count = select.bind(x, 0.5, arch=arch)()
    check(places, count, np.flatnonzero(x > 0.5))


def test_select_of_a_matrix_at_an_odd_address_with_a_nan() -> None:
    x = np.ones((3, 5000), np.float32).reshape(-1)[7:]
    x[100] = np.nan
    check(*select(x), np.flatnonzero(x > 0))


@pytest.mark.skipif(len(wb.devices()) == 1, reason="no CUDA device")
@pytest.mark.parametrize("size", [*SIZES, 10_000_019])
def test_select_on_the_gpu(size: int) -> None:
    cupy = pytest.importorskip("cupy")
    x = numbers(size)
    places, count = select(cupy.asarray(x), 0.5)
    check(cupy.asnumpy(places), cupy.asnumpy(count), np.flatnonzero(x > 0.5))
