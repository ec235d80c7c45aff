"""Rows that no thread block has room for: the kernels that share each row out, and that `softmax`, `rms_norm` and
`layer_norm` run them. What is special where results have 8 bits is in test_long_rows_quantised.py."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import references
import warpbridge as wb
from test_norm_forms import FLOAT8, check_quantised
from warpbridge.long_rows import MOST_BYTES

VARIANTS = ["sm_80", "sm_90"]
SCHEDULES = [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
PATIENCE = 'name = "patience"\nkind = "size"\ndtype = "uint32"\nvalue = "1000"'
DTYPES = [np.float32, np.float16, ml_dtypes.bfloat16]
# Number and length: shorter than a vector, one piece, several, at odd addresses, more than the judge reads at a time.
SHAPES = [(3, 1), (4, 5), (2, 8192), (3, 8193), (2, 20_001), (1, 300_007)]
KERNELS = Path(__file__).resolve().parents[2] / "kernels"
NAMES = ["softmax_long", "rms_norm_long", "layer_norm_long"]

Check = Callable[..., None]


def values(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    return (np.random.default_rng(shape[-1]).standard_normal(shape) * 2 + 0.5).astype(dtype)


def near(found: np.ndarray, expected: np.ndarray) -> None:
    digits = {2: 2.0**-10, 4: 4e-6}[found.dtype.itemsize] * (8 if found.dtype == ml_dtypes.bfloat16 else 1)
    np.testing.assert_allclose(found.astype(np.float64), expected, rtol=digits, atol=1e-5)


def back(y: Any) -> np.ndarray:
    return y if isinstance(y, np.ndarray) else y.get()


def check_softmax(x: np.ndarray, to: Any, **options: Any) -> None:
    near(back(wb.kernels.softmax_long(to(x), **options)), references.softmax(x))


def check_rms_norm(x: np.ndarray, to: Any, **options: Any) -> None:
    weight = values(x.shape[1:], x.dtype)
    y = back(wb.kernels.rms_norm_long(to(x), to(weight), eps=1e-3, **options))
    near(y, references.rms_norm(x, weight, 1e-3))
    near(back(wb.kernels.rms_norm_long(to(x), **options)), references.rms_norm(x))


def check_layer_norm(x: np.ndarray, to: Any, **options: Any) -> None:
    weight, bias = values(x.shape[1:], x.dtype), values((2, *x.shape[1:]), x.dtype)[1]
    y = back(wb.kernels.layer_norm_long(to(x), to(weight), to(bias), **options))
    near(y, references.layer_norm(x, weight, bias))
    near(back(wb.kernels.layer_norm_long(to(x), None, to(bias), **options)), references.layer_norm(x, None, bias))


def check_rms_norm_quantised(x: np.ndarray, to: Any, **options: Any) -> None:
    weight = values(x.shape[1:], x.dtype)
    for kind, given in ((np.int8, weight), (FLOAT8 if to is np.asarray else np.int8, None)):
        found = wb.kernels.rms_norm_quantised_long(
            to(x), None if given is None else to(given), eps=1e-3, dtype=kind, **options
        )
        check_quantised(*(back(a) for a in found), references.rms_norm(x, given, 1e-3), kind)


PLAIN = [check_softmax, check_rms_norm, check_layer_norm]
CHECKS = [*PLAIN, check_rms_norm_quantised]


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("check", CHECKS)
def test_any_shape(check: Check, shape: tuple[int, int], dtype: Any, arch: str) -> None:
    check(values(shape, dtype), np.asarray, arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize(("schedule", "seed"), SCHEDULES)
@pytest.mark.parametrize("check", CHECKS)
def test_every_schedule(check: Check, schedule: str, seed: int, arch: str) -> None:
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        check(values((5, 20_001), np.float32), np.asarray, arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize(("schedule", "seed"), SCHEDULES[:3])
@pytest.mark.parametrize("check", CHECKS)
def test_rows_of_four_pieces_per_block(check: Check, schedule: str, seed: int, arch: str) -> None:
    """Beside the columns of four pieces, sm_80 would have four stages left, for twelve warps that take turns."""
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        check(values((37, 8192), np.float32), np.asarray, arch=arch)


@pytest.mark.parametrize("threads", [1, 3, 16])
@pytest.mark.parametrize("arch", VARIANTS)
def test_any_number_of_multiprocessors(arch: str, threads: int) -> None:
    with wb.cpu(threads=threads):
        check_softmax(values((9, 50_001), np.float32), np.asarray, arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("check", CHECKS)
def test_no_races_in_global_memory(check: Check, arch: str) -> None:
    with wb.cpu(global_races=True, threads=4):
        check(values((4, 73_000), np.float32), np.asarray, arch=arch)


def changed(name: str, folder: Path, found: str, other: str) -> Any:
    """The bundled kernel with another text in its manifest."""
    (folder / "ptx").mkdir()
    for arch in VARIANTS:
        shutil.copy(KERNELS / "ptx" / f"{name}.{arch}.ptx", folder / "ptx")
    text = (KERNELS / f"{name}.toml").read_text()
    assert text.count(found) == 1
    (folder / f"{name}.toml").write_text(text.replace(found, other))
    return wb.load(folder / "ptx" / f"{name}.sm_90.ptx", folder / f"{name}.toml").kernels[name]


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize(("schedule", "seed"), SCHEDULES)
@pytest.mark.parametrize("name", NAMES)
def test_blocks_without_patience_look_for_others(
    tmp_path: Path, name: str, schedule: str, seed: int, arch: str
) -> None:
    kernel = changed(name, tmp_path, PATIENCE, PATIENCE.replace("1000", "0"))
    x = values((3, 12_001), np.float32)
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        near(kernel(x, arch=arch), getattr(references, name.removesuffix("_long"))(x))
        y = kernel(x.copy(), arch=arch)
    np.testing.assert_array_equal(y, getattr(wb.kernels, name)(x, arch=arch))


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("check", CHECKS)
def test_rows_of_more_pieces_than_all_rings_have_stages(check: Check, arch: str) -> None:
    # One host thread stands for 17 thread blocks of 11 or 27 stages each.
    with wb.cpu(threads=1):
        check(values((2, 980_001), np.float32), np.asarray, arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
def test_rows_may_be_mapped_in_place(arch: str) -> None:
    x = values((7, 20_001), np.float32)
    expected = references.softmax(x)
    with wb.cpu(schedule="seeded", seed=4, checks="all"):
        y = wb.kernels.softmax_long(x, out=x, arch=arch)
    assert y is x
    near(y, expected)


@pytest.mark.parametrize("arch", VARIANTS)
def test_what_is_no_number(arch: str) -> None:
    x = values((5, 30_000), np.float32)
    x[0, 29_999], x[1, 0], x[2], x[3, :20_000] = np.nan, np.inf, -np.inf, -np.inf
    with np.errstate(all="ignore"):
        y, expected = wb.kernels.softmax_long(x, arch=arch), references.softmax(x[3:])
    assert np.isnan(y[:3]).all()
    near(y[3:], expected)


def test_empty_matrices() -> None:
    for kernel in (wb.kernels.softmax_long, wb.kernels.rms_norm_long, wb.kernels.layer_norm_long):
        assert kernel(np.zeros((0, 5), np.float32)).shape == (0, 5)
        assert kernel(np.zeros((5, 0), np.float32)).shape == (5, 0)


def test_stops_when_asked() -> None:
    x = np.zeros((200, 60_000), np.float32)
    pending = wb.kernels.softmax_long.submit(x)
    assert pending.cancel()
    with pytest.raises(wb.LaunchCancelled):
        pending.result(timeout=60)
    near(wb.kernels.softmax_long(x[:1]), references.softmax(x[:1]))


@pytest.mark.parametrize(
    ("name", "more"), [("softmax", {}), ("rms_norm", {"eps": 1e-3}), ("layer_norm", {"eps": 1e-3})]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_long_rows_of_a_plain_kernel_are_shared_out(name: str, more: dict[str, Any], dtype: Any) -> None:
    kernel, length = getattr(wb.kernels, name), MOST_BYTES[name] // np.dtype(dtype).itemsize
    x = values((1, length + 1), dtype)
    y = kernel(x, **more)
    near(y, getattr(references, name)(x, **more))
    assert repr(kernel.bind(x, **more)) == f"<Bound {name}_long on cpu>"
    assert repr(kernel.bind(x[:, :length].copy(), **more)) == f"<Bound {name} on cpu>"
    out = np.zeros_like(x)
    assert kernel.submit(x, out=out, **more).result() is out
    np.testing.assert_array_equal(out, y)
    for _ in range(4):
        np.testing.assert_array_equal(kernel(x, **more), y)


def test_what_is_wrong_is_said_by_the_kernel_that_was_chosen() -> None:
    x = np.zeros((1, 50_000), np.float32)
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.rms_norm(x, np.zeros(3, np.float32))
    assert str(caught.value) == (
        "rms_norm_long: argument 2 (weight) has shape (3,), expected (50000,), because d is 50000 in argument 1 (x); "
        "reshape or slice it first"
    )
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.softmax("rows")
    assert str(caught.value).startswith("softmax: argument 1 (x) ")


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", [(1, 300_007), (100, 262_144), (9, 1_000_003), (400, 50_000)])
@pytest.mark.parametrize("check", PLAIN)
def test_any_shape_on_the_gpu(check: Check, shape: tuple[int, int], dtype: Any, arch: str) -> None:
    cupy = pytest.importorskip("cupy")
    x = values(shape, dtype)
    kernel = {check_softmax: "softmax", check_rms_norm: "rms_norm", check_layer_norm: "layer_norm"}[check]
    y = cupy.asarray(x)
    outputs = [getattr(wb.kernels, kernel + "_long").launch(y, arch=arch) for _ in range(8)]
    rows = [0, shape[0] // 2, shape[0] - 1]
    for out in outputs:
        near(out[rows].get(), getattr(references, kernel)(x[rows]))
    assert all(bool((out == outputs[0]).all()) for out in outputs)
    check(x[:3], cupy.asarray, arch=arch)
