"""histogram against NumPy: sizes around a tile's, odd addresses, every schedule of the CPU device, and a GPU."""

from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb

histogram = wb.load(Path(__file__).parent / "histogram.ptx").kernels["histogram"]

SIZES = [0, 1, 8191, 8192, 8193, 100_003]
SCHEDULES = [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]


def values(size: int) -> np.ndarray:
    return np.random.default_rng(size).integers(0, 256, size).astype(np.uint8)


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize(("schedule", "seed"), SCHEDULES)
@pytest.mark.parametrize("size", SIZES)
def test_histogram_on_the_cpu_device(size: int, schedule: str, seed: int, arch: str) -> None:
    x = values(size)
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        y = histogram.bind(x, arch=arch)()
    np.testing.assert_array_equal(y, np.bincount(x, minlength=256))


def test_histogram_of_an_array_at_an_odd_address_that_holds_one_value() -> None:
    x = np.full((3, 5000), 255, np.uint8).reshape(-1)[7:]
    assert histogram(x).tolist() == [0] * 255 + [14_993]


@pytest.mark.skipif(len(wb.devices()) == 1, reason="no CUDA device")
@pytest.mark.parametrize("size", [*SIZES, 10_000_019])
def test_histogram_on_the_gpu(size: int) -> None:
    cupy = pytest.importorskip("cupy")
    x = values(size)
    np.testing.assert_array_equal(cupy.asnumpy(histogram(cupy.asarray(x))), np.bincount(x, minlength=256))
