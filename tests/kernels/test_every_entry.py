"""Every entry of every kernel, in both variants, under the eager, the latest-legal and three seeded schedules with
every check; and, with `-m gpu`, on a GPU, against the same references.

Manifest and PTX are cut down to the one entry, so that no other can run in its stead, nor has to be compiled; a new
entry is here of itself, and a new kernel has to say in CASES what it is given. Sizes are small and odd: a kernel's own
file has the others.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import references
import warpbridge as wb
from test_dequant_matvec import Case as Product
from test_dequant_matvec import near as near_product
from test_field_to_rgba import field
from test_image_prep import MEAN, STD
from test_image_resize import TOLERANCE
from test_norm_forms import check_quantised
from test_rows import near, values
from test_signal import numbers, signal

KERNELS = Path(__file__).resolve().parents[2] / "kernels"
SCHEDULES = [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
BITS = {1: "uint8", 2: "int16"}  # PyTorch and NumPy both have these
VARIANT = re.compile(r"^\[\[variants\]\]\n(?:(?!\[).*\n)*", re.M)
ENTRY = re.compile(r"^\.visible \.entry (\w+)\(.*?^\}\n", re.M | re.S)

Dtypes = dict[str, str]
Call = Callable[..., Any]
# Rows and columns: odd; of one warp's registers; of several pieces, held or not; longer than a ring; of whole pieces.
SHAPES = [(11, 301), (13, 512), (13, 1024), (5, 4101), (3, 9001), (1, 28_700), (1, 57_400), (5, 12_288)]
# Rows, k, group, batch: of several stages; x too long for the shared memory of an sm_80, of an sm_90.
PRODUCTS = [(37, 352, 32, 3), (21, 4480, 128, 8), (18, 9600, 128, 8), (3, 20_480, 128, 8)]


def scale(call: Call, types: Dtypes, rng: np.random.Generator) -> None:
    x = values(rng, (9001,), types["T"])
    assert references.ulps(call(x, -2.5, 0.125), references.scale(x, -2.5, 0.125)).max() <= 1


def pictures(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, 256, (3, 31, 75, 3), dtype=np.uint8), np.array([1, 0, 1], np.uint8)


def image_prep(call: Call, types: Dtypes, rng: np.random.Generator) -> None:
    x, mirror = pictures(rng)
    offsets = np.array([[0, 3], [2, 0], [1, 1]], np.int32)
    y = call(x, MEAN, STD, offsets, mirror, oh=29, ow=71, dtype=types["T"])
    expected = references.image_prep(
        x, MEAN, STD, offsets=offsets, mirror=mirror, size=(29, 71), dtype=np.dtype(types["T"])
    )
    assert references.ulps(y, expected).max() <= 1


def image_resize(call: Call, types: Dtypes, rng: np.random.Generator) -> None:
    x, mirror = pictures(rng)
    boxes = np.array([[0, 0, 31, 75], [5, 7, 9, 33], [30, 74, 1, 1]], np.int32)
    for size in ((17, 90), (64, 23)):
        y = call(x, MEAN, STD, boxes, mirror, oh=size[0], ow=size[1], dtype=types["T"])
        expected = references.image_resize(x, MEAN, STD, boxes=boxes, mirror=mirror, size=size)
        np.testing.assert_allclose(y.astype(np.float64), expected, rtol=0, atol=TOLERANCE[types["T"]] + 5e-5)


def gather_rows(call: Call, types: Dtypes, rng: np.random.Generator) -> None:
    for shape, kind in (((40, 33), np.int64), ((5, 5000), np.int32)):
        src = values(rng, shape, types["T"], spread=20.0)
        idx = rng.integers(0, shape[0], 41).astype(kind)
        assert call(src, idx).tobytes() == src[idx].tobytes()
        if types["T"] in ("float32", "float16", "bfloat16"):
            scaled = (src[idx].astype(np.float32) * np.float32(3.0)).astype(src.dtype)
            assert call(src, idx, 3.0).tobytes() == scaled.tobytes()


def fft_frames(call: Call, types: Dtypes, rng: np.random.Generator) -> None:
    for samples, length, hop in ((3001, 257, 100), (9000, 4500, 1500)):
        x, window = signal(rng, samples, np.dtype(types["S"]).type), (np.hanning(length) + 0.1).astype(np.float32)
        np.testing.assert_allclose(
            call(x, window, hop, scale=0.25), references.fft_frames(x, window, hop, 0.25), rtol=2e-7
        )


def fft_power(call: Call, types: Dtypes, rng: np.random.Generator) -> None:
    x, digits = numbers(rng, (9, 2345)), 2e-6 if types["T"] == "float32" else 1e-3
    for average in (1, 2):
        for decibel in (0, 1):
            y = call(x, average, 2.0, decibel, dtype=types["T"])
            expected = references.fft_power(x, average, 2.0, decibel)
            np.testing.assert_allclose(y, expected, rtol=digits, atol=1e-5 if types["T"] == "float32" else 1e-3)


def spectral_multiply(call: Call, types: Dtypes, rng: np.random.Generator) -> None:
    a = numbers(rng, (3, 2345), types["C"])
    for conjugate, rows in ((0, 1), (1, 1), (0, 3), (1, 3)):
        b = numbers(rng, (rows, 2345), types["C"])
        off = np.abs(call(a, b, 0.5, conjugate) - references.spectral_multiply(a, b, 0.5, conjugate)).max()
        assert off <= 16 * np.finfo(types["C"]).eps


def field_to_rgba(call: Call, types: Dtypes, rng: np.random.Generator) -> None:
    x, lut = field(rng, (30, 333), np.dtype(types["T"]).type), rng.integers(0, 256, (256, 4)).astype(np.uint8)
    expected = references.field_to_rgba(x, lut, 1000.0, 50_000.0, 0xFF0000FF)
    np.testing.assert_array_equal(call(x, lut, 1000.0, 50_000.0, 0xFF0000FF), expected)


def field_to_rgba_own_range(call: Call, types: Dtypes, rng: np.random.Generator) -> None:
    x, lut = field(rng, (41, 333), np.dtype(types["T"]).type), rng.integers(0, 256, (256, 4)).astype(np.uint8)
    for ends in ({}, {"vmin": 1000.0}, {"vmax": 50_000.0}):
        expected = references.field_to_rgba_own_range(x, lut, ends.get("vmin"), ends.get("vmax"), 0xFF0000FF)
        np.testing.assert_array_equal(call(x, lut, **ends, nan=0xFF0000FF), expected)


def softmax(call: Call, types: Dtypes, rng: np.random.Generator) -> None:
    x = values(rng, fitting(call, types), types["T"])
    near(call(x), references.softmax(x))


def cross_entropy(call: Call, types: Dtypes, rng: np.random.Generator) -> None:
    for shape in ((11, 301), (3, 9001)):
        x, target = values(rng, shape, types["T"]), rng.integers(0, shape[1], shape[0])
        target[0] = -100
        for kind in (np.int64, np.int32):
            near(call(x, target.astype(kind)), references.cross_entropy(x, target), least=4e-6)


def norm(name: str, *, residual: bool = False, quantised: bool = False) -> Callable[..., None]:
    """Return the case of a norm: its columns' arrays all given, all missing, and for 8 bits with a scale of its own."""

    def check(call: Call, types: Dtypes, rng: np.random.Generator) -> None:
        shape = fitting(call, types)
        x, more = values(rng, shape, types["T"]), values(rng, shape, types["T"])
        columns = [values(rng, shape[1:], types["T"]) for _ in range(1 + (name == "layer_norm"))]
        inputs = {"x": x, "residual": more} if residual else {"x": x}
        z = references.rounded_sum(x, more) if residual else x
        for given in (columns, []):
            named = dict(zip(("weight", "bias"), given, strict=False))
            options = {"dtype": types["Q"]} if quantised else {}
            found = call(**inputs, **named, eps=1e-3, **options)
            y, *others = found if isinstance(found, tuple) else (found,)
            exact = getattr(references, name)(z, *(given or [None] * len(columns)), 1e-3)
            if residual:
                assert others.pop(0).tobytes() == z.tobytes()
            if quantised:
                check_quantised(y, others[0], exact, np.dtype(types["Q"]))
            else:
                near(y, exact, least=1e-5)

    return check


def long(name: str, *, quantised: bool = False) -> Callable[..., None]:
    def check(call: Call, types: Dtypes, rng: np.random.Generator) -> None:
        x = values(rng, (3, 9001), types["T"])
        if quantised:
            for weight in (values(rng, x.shape[1:], types["T"]), None):
                found = call(x, weight, eps=1e-3, dtype=types["Q"])
                check_quantised(*found, getattr(references, name)(x, weight, 1e-3), np.dtype(types["Q"]))
        else:
            near(call(x), getattr(references, name)(x), least=1e-5)

    return check


def dequant_matvec(call: Call, types: Dtypes, rng: np.random.Generator) -> None:
    for zeros in (False, True):
        made = [Product.random(size, np.dtype(types["W"]).type, np.dtype(types["T"]), zeros=zeros) for size in PRODUCTS]
        case = next((c for c in made if takes(call, c.w, c.scales, c.x, c.zeros)), None)
        assert case is not None, "no product here is one that this entry is for"
        near_product(call(case.w, case.scales, case.x, case.zeros), case)


def stencil3d(call: Call, types: Dtypes, rng: np.random.Generator) -> None:
    for shape, radius, steps, periodic in (((5, 16, 132), 1, 2, 0), ((9, 11, 13), 2, 3, 1)):
        u = rng.standard_normal(shape, np.float32)
        weights = rng.random((3, 2 * radius + 1), np.float32) / np.float32(6 * radius)
        expected = references.stencil3d(u, weights, steps, periodic)
        assert call(u, weights, steps, periodic).tobytes() == expected.tobytes()


CASES: dict[str, Callable[..., None]] = {
    "cross_entropy": cross_entropy,
    "dequant_matvec": dequant_matvec,
    "fft_frames": fft_frames,
    "fft_power": fft_power,
    "field_to_rgba": field_to_rgba,
    "field_to_rgba_own_range": field_to_rgba_own_range,
    "gather_rows": gather_rows,
    "image_prep": image_prep,
    "image_resize": image_resize,
    "scale": scale,
    "softmax": softmax,
    "softmax_long": long("softmax"),
    "spectral_multiply": spectral_multiply,
    "stencil3d": stencil3d,
}
for plain in ("rms_norm", "layer_norm"):
    CASES[plain] = norm(plain)
    CASES[f"{plain}_long"] = long(plain)
    CASES[f"{plain}_residual"] = norm(plain, residual=True)
    CASES[f"{plain}_quantised"] = norm(plain, quantised=True)
    CASES[f"{plain}_residual_quantised"] = norm(plain, residual=True, quantised=True)
CASES["rms_norm_quantised_long"] = long("rms_norm", quantised=True)


def takes(kernel: Any, *arrays: Any, **options: Any) -> bool:
    """Return whether the one entry is for these: where the manifest's `when` is not met, there is no variant."""
    try:
        kernel.bind(*arrays, **options)
    except wb.ArgumentError as error:
        if ": no variant for these sizes" in str(error):
            return False
        raise
    return True


def fitting(kernel: Any, types: Dtypes) -> tuple[int, int]:
    """Return the first shape of rows that the one entry is for."""
    for shape in SHAPES:
        x = np.zeros(shape, types["T"])
        more = {"residual": x} if "residual" in kernel.__name__ else {}
        if takes(kernel, x=x, **more, **({"dtype": types["Q"]} if "Q" in types else {})):
            return shape
    raise AssertionError(f"{kernel.__name__}: no shape here is one that this entry is for")


def entries() -> Iterator[tuple[str, str, str]]:
    """Yield kernel, architecture and entry, each once."""
    for name in sorted(CASES):
        manifest = tomllib.loads((KERNELS / f"{name}.toml").read_text(encoding="utf-8"))
        yield from dict.fromkeys((name, variant["arch"], variant["entry"]) for variant in manifest["variants"])


def alone(name: str, arch: str, entry: str, folder: Path) -> tuple[Any, Dtypes]:
    """Return the kernel with no other entry than this one, and the dtypes that it is for."""
    text = (KERNELS / f"{name}.toml").read_text(encoding="utf-8")
    wanted = [f'arch = "{arch}"\n', f'entry = "{entry}"\n']
    kept = next(block for block in VARIANT.findall(text) if all(line in block for line in wanted))
    (folder / "ptx").mkdir()
    ptx = folder / "ptx" / f"{name}.{arch}.ptx"
    whole = (KERNELS / "ptx" / ptx.name).read_text(encoding="utf-8")
    ptx.write_text(ENTRY.sub(lambda found: found[0] if found[1] == entry else "", whole), encoding="utf-8")
    manifest = folder / f"{name}.toml"
    manifest.write_text(VARIANT.sub(lambda block: block[0] if block[0] == kept else "", text), encoding="utf-8")
    return wb.load(ptx, manifest).kernels[name], tomllib.loads(kept)["variants"][0].get("dtypes", {})


def test_every_kernel_has_a_case() -> None:
    assert sorted(CASES) == dir(wb.kernels)
    assert {name for name, _, _ in entries()} == set(CASES)


@pytest.mark.parametrize(("name", "arch", "entry"), list(entries()))
def test_entry_is_right_under_every_schedule(name: str, arch: str, entry: str, tmp_path: Path) -> None:
    kernel, types = alone(name, arch, entry, tmp_path)
    assert [variant["entry"] for variant in kernel.manifest["variants"]] == [entry]
    for schedule, seed in SCHEDULES:
        with wb.cpu(schedule=schedule, seed=seed, checks="all"):
            CASES[name](kernel, types, np.random.default_rng(seed))


class OnGpu:
    """A kernel whose arrays go to the GPU and come back: by CuPy, or by PyTorch for the types of ml_dtypes."""

    def __init__(self, kernel: Any, types: Dtypes) -> None:
        self.kernel, self.__name__ = kernel, kernel.__name__
        by_torch = any(hasattr(ml_dtypes, dtype) for dtype in types.values())
        self.to, self.back = (to_torch, from_torch) if by_torch else (to_cupy, from_cupy)

    def there(self, value: Any) -> Any:
        return self.to(value) if isinstance(value, np.ndarray) else value

    def bind(self, *arrays: Any, **options: Any) -> Any:
        named = {name: self.there(value) for name, value in options.items()}
        return self.kernel.bind(*map(self.there, arrays), **named)

    def __call__(self, *arrays: Any, **options: Any) -> Any:
        named = {name: self.there(value) for name, value in options.items()}
        found = self.kernel(*map(self.there, arrays), **named, timeout=20.0)
        return tuple(map(self.back, found)) if isinstance(found, tuple) else self.back(found)


def to_cupy(array: np.ndarray) -> Any:
    import cupy

    return cupy.asarray(array)


def from_cupy(array: Any) -> np.ndarray:
    return array.get()


def to_torch(array: np.ndarray) -> Any:
    import torch

    if not hasattr(ml_dtypes, array.dtype.name):
        return torch.from_numpy(array).cuda()
    return torch.from_numpy(array.view(BITS[array.itemsize])).cuda().view(getattr(torch, array.dtype.name))


def from_torch(tensor: Any) -> np.ndarray:
    import torch

    assert tensor.is_cuda
    name = str(tensor.dtype).removeprefix("torch.")
    if not hasattr(ml_dtypes, name):
        return tensor.cpu().numpy()
    return tensor.view(getattr(torch, BITS[tensor.itemsize])).cpu().numpy().view(getattr(ml_dtypes, name))


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "arch", "entry"), list(entries()))
def test_entry_is_right_on_the_gpu(name: str, arch: str, entry: str, tmp_path: Path) -> None:
    kernel, types = alone(name, arch, entry, tmp_path)
    CASES[name](OnGpu(kernel, types), types, np.random.default_rng(1))
