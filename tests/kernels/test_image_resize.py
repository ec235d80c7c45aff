"""`image_resize` against NumPy in float64: random sizes, boxes and mirrors, enlarged, reduced, and far reduced."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes  # noqa: F401 - gives NumPy its bfloat16
import numpy as np
import pytest
import references
import warpbridge as wb

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Absolute; results reach 2.7.
TOLERANCE = {"float32": 2e-5, "float16": 2e-3, "bfloat16": 1.6e-2}
VARIANTS = ["sm_80", "sm_90"]


@dataclass
class Case:
    """One batch, its boxes and mirrors, and the size of the results."""

    x: np.ndarray
    boxes: np.ndarray | None
    mirror: np.ndarray | None
    size: tuple[int, int]

    @classmethod
    def random(
        cls, rng: np.random.Generator, most: tuple[int, int] = (40, 90), out: tuple[int, int] = (40, 90)
    ) -> Case:
        n, h, w = (int(rng.integers(1, limit + 1)) for limit in (4, *most))
        oh, ow = (int(rng.integers(1, limit + 1)) for limit in out)
        top, left = rng.integers(0, h, n), rng.integers(0, w, n)
        boxes = np.stack([top, left, rng.integers(1, h - top + 1), rng.integers(1, w - left + 1)], axis=1)
        mirror = rng.integers(0, 2, n)
        return cls(
            rng.integers(0, 256, (n, h, w, 3), dtype=np.uint8),
            boxes.astype(np.int32) if rng.integers(4) else None,
            mirror.astype(np.uint8 if rng.integers(2) else np.bool_) if rng.integers(4) else None,
            (oh, ow),
        )

    def check(self, dtype: str = "float32", to=lambda a: a, back=np.asarray, **options: object) -> None:
        oh, ow = self.size
        arrays = [None if a is None else to(a) for a in (self.boxes, self.mirror)]
        y = wb.kernels.image_resize(to(self.x), MEAN, STD, *arrays, oh=oh, ow=ow, dtype=dtype, **options)
        assert (y.shape, str(y.dtype)) == ((len(self.x), 3, oh, ow), dtype)
        expected = references.image_resize(self.x, MEAN, STD, boxes=self.boxes, mirror=self.mirror, size=self.size)
        # Places are float32: off by 2^-24 of the size, or a little more, times a step of up to 255 from pixel to pixel.
        places = 1.5 * 2.0**-24 * max(self.x.shape[1:3]) / min(STD)
        np.testing.assert_allclose(back(y).astype(np.float64), expected, rtol=0, atol=TOLERANCE[dtype] + places)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("seed", range(6))
def test_random_batches(seed: int, dtype: str, arch: str) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(4):
        Case.random(rng).check(dtype, arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
def test_bfloat16(arch: str) -> None:
    rng = np.random.default_rng(7)
    oh, ow = 17, 23
    x = rng.integers(0, 256, (2, 31, 40, 3), dtype=np.uint8)
    y = np.empty((2, 3, oh, ow), "bfloat16")
    assert wb.kernels.image_resize(x, MEAN, STD, out=y, arch=arch) is y
    expected = references.image_resize(x, MEAN, STD, size=(oh, ow))
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=0, atol=TOLERANCE["bfloat16"])


@pytest.mark.parametrize(
    ("schedule", "seed"), [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
)
@pytest.mark.parametrize("arch", VARIANTS)
def test_every_schedule(schedule: str, seed: int, arch: str) -> None:
    rng = np.random.default_rng(5)
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        Case.random(rng, (60, 200), (30, 60)).check(arch=arch)
        Case.random(rng, (20, 30), (50, 70)).check("float16", arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize(
    ("size", "out"),
    [
        ((1, 1), (1, 1)),
        ((1, 1), (5, 9)),
        ((2, 3000), (1, 7)),
        ((3, 9000), (2, 1)),
        ((3, 6001), (2, 5999)),
        ((200, 64), (3, 64)),
        ((64, 64), (64, 64)),
        ((5, 6), (111, 130)),
        ((90, 333), (45, 166)),
        ((91, 333), (90, 335)),
        ((700, 20), (350, 10)),
        ((10, 3), (300, 20)),  # more rows than a tile has
        ((9, 150), (19, 777)),  # several times 128 columns, in strips whose rows share rows of x
        ((30, 401), (14, 390)),  # each row of y with two rows of its own
        ((21, 129), (20, 129)),
        ((3, 4), (64, 16)),  # lanes of one warp in several strips
    ],
)
def test_sizes(size: tuple[int, int], out: tuple[int, int], arch: str) -> None:
    rng = np.random.default_rng(size[1])
    x = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    Case(x, None, np.array([1, 0], np.uint8), out).check(arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
def test_reads_only_what_the_copies_brought(arch: str) -> None:
    """Boxes of one pixel, one row and one column, at the ends of images and of x, whose address is odd."""
    rng = np.random.default_rng(11)
    h, w = 7, 9
    boxes = [(0, 0, 1, 1), (6, 8, 1, 1), (0, 8, 7, 1), (6, 0, 1, 9), (5, 7, 2, 2), (0, 3, 7, 1), (6, 8, 1, 1)]
    room = rng.integers(0, 256, 5 + len(boxes) * h * w * 3, dtype=np.uint8)
    x = room[5:].reshape(len(boxes), h, w, 3)
    with wb.cpu(checks="all"):
        for out in ((1, 1), (5, 6), (40, 3)):
            Case(x, np.array(boxes, np.int32), np.arange(len(boxes), dtype=np.uint8) % 2, out).check(arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("out", "offset"), [((6, 40), 0), ((6, 40), 1), ((6, 40), 2), ((5, 39), 0), ((7, 42), 4)])
def test_y_at_any_address(out: tuple[int, int], offset: int, dtype: str, arch: str) -> None:
    x = np.random.default_rng(offset).integers(0, 256, (2, 9, 30, 3), dtype=np.uint8)
    count = 2 * 3 * out[0] * out[1]
    room = np.full(offset + count + 8, 77, dtype)
    y = room[offset : offset + count].reshape(2, 3, *out)
    wb.kernels.image_resize(x, MEAN, STD, out=y, arch=arch)
    expected = references.image_resize(x, MEAN, STD, size=out)
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=0, atol=TOLERANCE[dtype])
    assert (room[:offset] == 77).all()
    assert (room[offset + count :] == 77).all()


def test_same_size_is_what_image_prep_gives() -> None:
    x = np.random.default_rng(1).integers(0, 256, (3, 20, 33, 3), dtype=np.uint8)
    np.testing.assert_allclose(
        wb.kernels.image_resize(x, MEAN, STD), wb.kernels.image_prep(x, MEAN, STD), rtol=0, atol=2e-6
    )


def test_pixels_outside_a_box_do_not_count() -> None:
    x = np.random.default_rng(2).integers(0, 256, (1, 30, 30, 3), dtype=np.uint8)
    box = np.array([[7, 9, 11, 5]], np.int32)
    y = wb.kernels.image_resize(x, MEAN, STD, box, oh=40, ow=40)
    cut = np.ascontiguousarray(x[:, 7:18, 9:14])
    np.testing.assert_array_equal(y, wb.kernels.image_resize(cut, MEAN, STD, oh=40, ow=40))


@pytest.mark.parametrize("offset", [1, 3, 15])
def test_images_at_any_address(offset: int) -> None:
    rng = np.random.default_rng(offset)
    room = rng.integers(0, 256, offset + 2 * 13 * 17 * 3, dtype=np.uint8)
    Case(room[offset:].reshape(2, 13, 17, 3), None, None, (9, 11)).check()


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize(
    "box",
    [
        (-1, 0, 2, 2),
        (0, 6, 1, 1),
        (0, 0, 6, 1),
        (0, 0, 1, 7),
        (0, 0, 0, 1),
        (0, 0, 1, -1),
        (4, 5, 2, 1),
        (2**31 - 1,) * 4,
    ],
)
def test_box_that_leaves_its_image_is_a_fault(box: tuple[int, ...], arch: str) -> None:
    x = np.zeros((3, 5, 6, 3), np.uint8)
    boxes = np.array([[0, 0, 5, 6], box, [4, 5, 1, 1]], np.int32)
    with pytest.raises(wb.KernelFault) as caught:
        wb.kernels.image_resize(x, MEAN, STD, boxes, oh=3, ow=3, arch=arch)
    assert str(caught.value) == (
        "image_resize: boxes[1] leaves its image, expected (top, left, height, width) with at least one row and "
        "column, top + height <= h and left + width <= w with images of 5 x 6"
    )
    assert (caught.value.kernel, caught.value.code, caught.value.detail) == ("image_resize", 1, [1, 0])


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"ow": 0}, "image_resize: argument 7 (ow) is 0, expected at least 1"),
        ({"dtype": "float64"}, "image_resize: dtype of y is float64, expected float32, float16 or bfloat16"),
        (
            {"boxes": np.zeros((2, 2), np.int32)},
            "image_resize: argument 4 (boxes) has shape (2, 2), expected (2, 4); reshape or slice it first",
        ),
    ],
)
def test_refused(keywords: dict, text: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.image_resize(np.zeros((2, 5, 6, 3), np.uint8), MEAN, STD, **keywords)
    assert str(caught.value) == text


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("seed", range(10))
def test_random_batches_on_the_gpu(seed: int, dtype: str, arch: str) -> None:
    import cupy

    rng = np.random.default_rng(seed)
    for _ in range(6):
        case = Case.random(rng, (300, 700), (300, 700))
        case.check(dtype, cupy.asarray, cupy.asnumpy, arch=arch, timeout=10.0)


@pytest.mark.gpu
def test_is_what_torch_interpolates_on_the_gpu() -> None:
    import torch

    x = torch.randint(0, 256, (4, 300, 400, 3), dtype=torch.uint8, device="cuda")
    y = wb.kernels.image_resize(x, (0, 0, 0), (1, 1, 1), oh=224, ow=224)
    theirs = torch.nn.functional.interpolate(x.permute(0, 3, 1, 2).float(), (224, 224), mode="bilinear") / 255
    torch.testing.assert_close(y, theirs, rtol=0, atol=1e-4)
