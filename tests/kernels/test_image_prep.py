"""`image_prep` against NumPy in float64, to one unit in the last place: random sizes, crops, mirrors, odd widths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import references
import warpbridge as wb

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DTYPES = ["float32", "float16"]
VARIANTS = ["sm_80", "sm_90"]


@dataclass
class Case:
    """One batch, its crops and mirrors."""

    x: np.ndarray
    offsets: np.ndarray | None
    mirror: np.ndarray | None
    size: tuple[int, int]

    @classmethod
    def random(cls, rng: np.random.Generator, height_most: int = 40, width_most: int = 90) -> Case:
        n, h, w = (int(rng.integers(1, most + 1)) for most in (4, height_most, width_most))
        oh, ow = int(rng.integers(1, h + 1)), int(rng.integers(1, w + 1))
        corners = np.stack([rng.integers(0, h - oh + 1, n), rng.integers(0, w - ow + 1, n)], axis=1)
        mirror = rng.integers(0, 2, n)
        return cls(
            rng.integers(0, 256, (n, h, w, 3), dtype=np.uint8),
            corners.astype(np.int32) if rng.integers(4) else None,
            mirror.astype(np.uint8 if rng.integers(2) else np.bool_) if rng.integers(4) else None,
            (oh, ow),
        )

    def expected(self, dtype: str) -> np.ndarray:
        return references.image_prep(
            self.x, MEAN, STD, offsets=self.offsets, mirror=self.mirror, size=self.size, dtype=dtype
        )

    def check(self, dtype: str, **options: object) -> None:
        oh, ow = self.size
        y = wb.kernels.image_prep(self.x, MEAN, STD, self.offsets, self.mirror, oh=oh, ow=ow, dtype=dtype, **options)
        assert (y.shape, y.dtype) == ((len(self.x), 3, oh, ow), dtype)
        assert references.ulps(y, self.expected(dtype)).max() <= 1


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(6))
def test_random_batches(seed: int, dtype: str, arch: str) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(4):
        Case.random(rng).check(dtype, arch=arch)


@pytest.mark.parametrize("schedule", ["eager", "latest", "seeded"])
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_schedule(dtype: str, arch: str, schedule: str) -> None:
    rng = np.random.default_rng(5)
    for seed in range(3):
        with wb.cpu(schedule=schedule, seed=seed, checks="all"):
            Case.random(rng, 60, 200).check(dtype, arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("width", [1, 2, 3, 5, 15, 16, 17, 31, 33, 63, 65, 127, 129, 255])
def test_widths_around_every_boundary(width: int, arch: str) -> None:
    rng = np.random.default_rng(width)
    x = rng.integers(0, 256, (2, 3, width, 3), dtype=np.uint8)
    for mirror in (None, np.array([1, 0], np.uint8)):
        for dtype in DTYPES:
            Case(x, None, mirror, (3, width)).check(dtype, arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
def test_rows_longer_than_a_tile(arch: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (1, 2, 9001, 3), dtype=np.uint8)
    Case(x, np.array([[1, 3]], np.int32), np.array([1], np.uint8), (1, 8997)).check("float32", arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
def test_all_byte_values(arch: str) -> None:
    x = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 16, 16, 3)
    for dtype in DTYPES:
        Case(x, None, None, (16, 16)).check(dtype, arch=arch)


@pytest.mark.parametrize("dtype", DTYPES)
def test_output_given_says_size_and_type(dtype: str) -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(0, 256, (2, 9, 11, 3), dtype=np.uint8)
    y = np.empty((2, 3, 4, 5), dtype)
    assert wb.kernels.image_prep(x, MEAN, STD, out=y) is y
    assert references.ulps(y, references.image_prep(x, MEAN, STD, size=(4, 5), dtype=dtype)).max() <= 1


@pytest.mark.parametrize(
    "form", [tuple, list, np.array, lambda v: np.array(v, np.float32)], ids=["tuple", "list", "f8", "f4"]
)
def test_mean_and_std_of_any_form(form) -> None:
    x = np.random.default_rng(3).integers(0, 256, (1, 4, 4, 3), dtype=np.uint8)
    y = wb.kernels.image_prep(x, form(MEAN), form(STD))
    np.testing.assert_array_equal(y, wb.kernels.image_prep(x, MEAN, STD))


def test_default_is_the_whole_image_in_float32() -> None:
    x = np.random.default_rng(4).integers(0, 256, (2, 5, 6, 3), dtype=np.uint8)
    y = wb.kernels.image_prep(x, MEAN, STD)
    assert (y.shape, y.dtype) == ((2, 3, 5, 6), np.float32)


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"oh": 6}, "image_prep: oh is 6, expected at most the image height h = 5"),
        ({"ow": 7}, "image_prep: ow is 7, expected at most the image width w = 6"),
        ({"oh": 0}, "image_prep: argument 6 (oh) is 0, expected at least 1"),
    ],
)
def test_crop_that_is_larger_than_the_image(keywords: dict, text: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.image_prep(np.zeros((2, 5, 6, 3), np.uint8), MEAN, STD, **keywords)
    assert str(caught.value) == text


@pytest.mark.parametrize(("size", "found"), [((0, 6), "0 by 6"), ((5, 0), "5 by 0")])
@pytest.mark.parametrize("kernel", [wb.kernels.image_prep, wb.kernels.image_resize])
def test_images_without_pixels_are_refused_by_their_own_size(kernel, size: tuple[int, int], found: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        kernel(np.zeros((2, *size, 3), np.uint8), MEAN, STD)
    name = kernel.__name__
    assert str(caught.value) == f"{name}: x has images of {found} pixels, expected at least one"


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("corner", [(-1, 0), (0, -1), (3, 0), (0, 4), (2**31 - 1, 0), (0, -(2**31))])
def test_crop_outside_its_image_is_a_fault(corner: tuple[int, int], arch: str) -> None:
    x = np.zeros((3, 5, 6, 3), np.uint8)
    offsets = np.array([[2, 3], corner, [0, 0]], np.int32)
    with pytest.raises(wb.KernelFault) as caught:
        wb.kernels.image_prep(x, MEAN, STD, offsets, oh=3, ow=3, arch=arch)
    assert str(caught.value) == (
        "image_prep: offsets[1] puts the crop outside its image, expected 0 <= row <= h - oh and 0 <= column <= w - ow "
        "with images of 5 x 6 and crops of 3 x 3"
    )
    assert (caught.value.kernel, caught.value.code, caught.value.detail) == ("image_prep", 1, [1, 0])


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("std", [(0.2, 0.0, 0.3), (-0.0, 0.1, 0.2)])
@pytest.mark.parametrize("kernel", [wb.kernels.image_prep, wb.kernels.image_resize])
def test_std_of_zero_is_a_fault_that_names_its_channel(kernel, std: tuple[float, ...], arch: str) -> None:
    with pytest.raises(wb.KernelFault) as caught:
        kernel(np.ones((2, 5, 6, 3), np.uint8), MEAN, std, arch=arch)
    channel = std.index(0.0)
    text = f"std[{channel}] is zero, expected another number: each channel is divided by its own"
    assert str(caught.value) == f"{kernel.__name__}: {text}"
    assert (caught.value.code, caught.value.detail) == (2, [channel, 0])


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("kernel", [wb.kernels.image_prep, wb.kernels.image_resize])
def test_std_of_zero_in_the_gpus_memory(kernel, arch: str) -> None:
    import cupy

    std = cupy.asarray([0.2, 0.3, 0.0], "f4")
    with pytest.raises(wb.KernelFault, match=r"std\[2\] is zero"):
        kernel(cupy.ones((2, 5, 6, 3), "u1"), cupy.asarray(MEAN, "f4"), std, arch=arch, timeout=10.0)


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(20))
def test_random_batches_on_the_gpu(seed: int, dtype: str, arch: str) -> None:
    import cupy

    rng = np.random.default_rng(seed)
    for _ in range(10):
        case = Case.random(rng, 300, 700)
        arrays = [None if a is None else cupy.asarray(a) for a in (case.offsets, case.mirror)]
        oh, ow = case.size
        y = wb.kernels.image_prep(
            cupy.asarray(case.x), MEAN, STD, *arrays, oh=oh, ow=ow, dtype=dtype, arch=arch, timeout=10.0
        )
        assert references.ulps(cupy.asnumpy(y), case.expected(dtype)).max() <= 1
