"""`field_to_rgba` without a range: what it finds against NumPy's, fields without one, every style of call, cancel."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import references
import warpbridge as wb
from test_field_to_rgba import DTYPES, SIZES, VARIANTS, as_it_is, field
from until import until

FLOATS = [np.float32, np.float16, np.float64]
SCHEDULES = [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
ENDS = [(None, None), (1000.0, None), (None, 50_000.0)]
RED = 0xFF0000FF
INF, NAN = np.inf, np.nan
# Four colours, told apart by their red.
LUT = np.arange(16, dtype=np.uint8).reshape(4, 4)


def back(y: Any) -> np.ndarray:
    return y if isinstance(y, np.ndarray) else y.get()


def colours(x: Any, lut: Any, *ends: Any, **options: Any) -> np.ndarray:
    """Call it, and rather fail than wait for ever."""
    return back(wb.kernels.field_to_rgba(x, lut, *ends, **{"timeout": 60.0, **options}))


def check(size: tuple[int, int, int], dtype: Any, to: Any = as_it_is, ends: Any = ENDS, **options: Any) -> None:
    """Both ends found, or either one; infinities and NaN stand in the field."""
    rng = np.random.default_rng(size[0])
    x, lut = field(rng, size[:2], dtype), rng.integers(0, 256, (size[2], 4)).astype(np.uint8)
    if dtype is not np.uint16 and x.size > 3:
        x.flat[1:3] = INF, -INF
    for vmin, vmax in ends:
        y = colours(to(x), to(lut), vmin, vmax, RED, **options)
        np.testing.assert_array_equal(y, references.field_to_rgba_own_range(x, lut, vmin, vmax, RED))


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [*SIZES, (1, 2, 3), (5, 1, 1), (300, 777, 256)], ids=str)
def test_any_size(size: tuple[int, int, int], dtype: Any, arch: str) -> None:
    check(size, dtype, arch=arch)


@pytest.mark.parametrize(("schedule", "seed"), SCHEDULES)
@pytest.mark.parametrize("arch", VARIANTS)
def test_every_schedule(arch: str, schedule: str, seed: int) -> None:
    with wb.cpu(schedule=schedule, seed=seed, checks="all", threads=1 + seed % 4):
        for dtype in DTYPES:
            check((61, 333, 256), dtype, ends=[ENDS[seed % 3]], arch=arch)


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
@pytest.mark.parametrize("arch", VARIANTS)
def test_any_number_of_multiprocessors(arch: str, threads: int) -> None:
    with wb.cpu(threads=threads):
        check((500, 1001, 64), np.float32, arch=arch)  # 123 tiles: runs of one to four


@pytest.mark.parametrize("arch", VARIANTS)
def test_no_races_in_global_memory(arch: str) -> None:
    with wb.cpu(global_races=True, threads=1):
        check((61, 333, 256), np.float32, arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_extremes_at_either_end_of_a_field_of_many_tiles(dtype: Any, arch: str) -> None:
    for low, high in ((0, -1), (-1, 0), (-2, -1), (8191, 8192)):
        x = np.full((50, 1001), 5, dtype)
        x.flat[low], x.flat[high] = 1, 9
        y = colours(x, LUT, arch=arch)
        np.testing.assert_array_equal(y, references.field_to_rgba(x, LUT, 1.0, 9.0))


# Numbers of float32, the ends that are given, and the red of each colour: 0, 4, 8, 12, or 7 for NaN.
FIELDS: dict[str, tuple[list[float], tuple[float | None, float | None], list[int]]] = {
    "negative": ([-8.0, -6.0, -4.5, -4.0, -INF, NAN], (None, None), [0, 8, 12, 12, 0, 7]),
    "across zero": ([-1.0, 0.0, 0.9, 1.0, INF], (None, None), [0, 8, 12, 12, 12]),
    "one number": ([2.5], (None, None), [0]),
    "one number, many times": ([-2.5] * 5, (None, None), [0] * 5),
    "one number and infinities": ([3.0, INF, -INF, NAN], (None, None), [0, 12, 0, 7]),
    "zeros of both signs": ([0.0, -0.0, 0.0, NAN], (None, None), [0, 0, 0, 7]),
    "all NaN": ([NAN] * 6, (None, None), [7] * 6),
    "all infinite": ([INF, -INF, INF], (None, None), [12, 0, 12]),
    "nothing finite": ([INF, NAN, -INF], (None, None), [12, 7, 0]),
    "nothing finite, an end given": ([INF, NAN, -INF], (2.0, None), [12, 7, 0]),
    "vmin given": ([1.0, 2.0, 4.0, 0.0], (0.5, None), [0, 4, 12, 0]),
    "vmax given": ([1.0, 2.0, 4.0, 9.0], (None, 5.0), [0, 4, 12, 12]),
    "vmin above all": ([1.0, 2.0, 3.0], (5.0, None), [0, 0, 0]),
    "vmax below all": ([1.0, 2.0, 3.0], (None, 0.5), [12, 12, 12]),
    "vmin is the largest": ([1.0, 2.0, 3.0], (3.0, None), [0, 0, 0]),
    "vmax is the smallest": ([1.0, 2.0, 3.0], (None, 1.0), [0, 12, 12]),
    "next to zero": ([0.0, 1e-45, 3e-45, 1e-44], (None, None), [0, 0, 0, 0]),
}


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("name", FIELDS)
def test_fields_of_every_kind(name: str, arch: str) -> None:
    numbers, (vmin, vmax), reds = FIELDS[name]
    for dtype in FLOATS if name != "next to zero" else [np.float32]:
        x = np.array([numbers], dtype)
        y = colours(x, LUT, vmin, vmax, nan=7, arch=arch)
        assert y[0, :, 0].tolist() == reds, dtype


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (np.float16, -65504.0, 65504.0),
        (np.float16, 0.0, 6e-8),
        (np.float32, -1.7e38, 1.7e38),
        (np.float32, 0.0, 1e-30),
        (np.float64, -8e307, 8e307),
        (np.float64, 0.0, 1e-300),
        (np.float64, 1.0, 1.0 + 1e-12),
        (np.uint16, 0, 65535),
        (np.uint16, 65534, 65535),
    ],
)
def test_widest_and_narrowest_ranges(dtype: Any, low: float, high: float, arch: str) -> None:
    x = np.array([[low, high, low, high]], dtype)
    y = colours(x, LUT, arch=arch)
    assert y[0, :, 0].tolist() == [0, 12, 0, 12]


def test_nan_of_every_kind_counts_as_missing() -> None:
    bits = np.array([[0x7F800001, 0xFFC00000, 0x40000000, 0xFF800001, 0x7FFFFFFF, 0x40400000]], np.uint32)
    y = colours(bits.view(np.float32), LUT, nan=7)
    assert y[0, :, 0].tolist() == [7, 7, 0, 7, 7, 12]


def test_one_colour() -> None:
    x = np.array([[1.0, 2.0, NAN, INF, -INF]], np.float32)
    assert colours(x, LUT[3:], nan=7)[0, :, 0].tolist() == [12, 12, 7, 12, 12]


def test_field_without_numbers() -> None:
    for shape in ((0, 5), (5, 0)):
        assert colours(np.empty(shape, np.float32), LUT).shape == (*shape, 4)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_addresses_that_are_no_multiple_of_16(dtype: Any, arch: str) -> None:
    rng = np.random.default_rng(1)
    shape, size = (23, 401), 23 * 401
    for shift in range(1, 8):
        x = field(rng, (1, size + 8), dtype)[0, shift : shift + size].reshape(shape)
        whole = np.full((size + 8, 4), 99, np.uint8)
        y = whole[shift : shift + size].reshape(*shape, 4)
        colours(x, LUT, out=y, arch=arch)
        np.testing.assert_array_equal(y, references.field_to_rgba_own_range(x, LUT))
        assert (whole[:shift] == 99).all()
        assert (whole[shift + size :] == 99).all()


def test_every_style_of_call_chooses_the_form() -> None:
    x = np.linspace(3.0, 4.0, 1000, dtype=np.float32).reshape(10, 100)
    found, given = (references.field_to_rgba(x, LUT, *ends) for ends in ((3.0, 4.0), (0.0, 8.0)))
    k, stream = wb.kernels.field_to_rgba, wb.device("cpu").stream()
    styles: list[Callable[..., Any]] = [
        k,
        lambda *args, **ends: k.submit(*args, **ends).result(60.0),
        lambda *args, **ends: k.bind(*args, **ends)(),
        lambda *args, **ends: (k.launch(*args, **ends, stream=stream), stream.synchronize())[0],
        pickle.loads(pickle.dumps(k)),
    ]
    for style in styles:
        for _ in range(3):  # the second time a call may have been learned
            np.testing.assert_array_equal(style(x, LUT), found)
            np.testing.assert_array_equal(style(x, LUT, 0.0, 8.0), given)
            np.testing.assert_array_equal(style(x, LUT, vmax=None), found)
            np.testing.assert_array_equal(style(x, LUT, vmin=0.0, vmax=8.0), given)


def test_given_range_takes_no_memory_of_its_own() -> None:
    x, taken = np.ones((3, 5), np.float32), {"y", "work"}
    arrays = [k.manifest["args"] for k in (wb.kernels.field_to_rgba, wb.kernels.field_to_rgba_own_range)]
    made = [{a["name"] for a in args if a.get("intent") == "out"} for args in arrays]
    assert made == [{"y"}, taken]
    y = wb.kernels.field_to_rgba(x, LUT, 1.0, 1.0, nan=7)
    assert (y[..., 0] == 7).all(), "the form that is told its range is as it was: 0 / 0"


def test_kernel_describes_itself() -> None:
    k = wb.kernels.field_to_rgba
    signature = "(x, lut, vmin=None, vmax=None, nan=0, *, out=None, timeout=None, stream=None, arch=None)"
    assert str(inspect.signature(k)) == signature
    assert repr(k) == f"<Kernel field_to_rgba{signature}>"
    assert "None, is found in the same launch: see ``field_to_rgba_own_range``." in " ".join((k.__doc__ or "").split())


@pytest.mark.parametrize(
    ("args", "keywords", "text"),
    [
        (
            (LUT, LUT, 0.0),
            {"vmin": 0.0},
            "field_to_rgba_own_range: argument 3 (vmin) is given twice, by place and by name, expected once",
        ),
        (
            (np.ones((2, 2), np.int8), LUT),
            {},
            "field_to_rgba_own_range: argument 1 (x) is int8, expected float32, float16, float64 or uint16",
        ),
        (
            (np.ones((2, 2), np.float32), LUT, -np.inf),
            {},
            "field_to_rgba: argument 3 (vmin) is -inf, expected a finite number; leave it out, and it is found",
        ),
        (
            (np.ones((2, 2), np.float32), LUT),
            {"vmax": np.float32(np.inf)},
            "field_to_rgba: argument 4 (vmax) is inf, expected a finite number; leave it out, and it is found",
        ),
        (
            (np.ones((2, 2), np.float32), LUT),
            {"work": 1},
            "field_to_rgba_own_range: workspace work is given, expected none: it is allocated; bind the call to "
            "keep it",
        ),
    ],
)
def test_wrong_calls(args: tuple[Any, ...], keywords: dict[str, Any], text: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.field_to_rgba(*args, **keywords)
    assert str(caught.value).startswith(text)


def test_bound_call_finds_the_range_each_time() -> None:
    x, y = np.zeros((40, 333), np.float32), np.empty((40, 333, 4), np.uint8)
    bound = wb.kernels.field_to_rgba.bind(x, LUT, out=y)
    for low, high in ((0.0, 1.0), (-5.0, -1.0), (1e3, 1e6)):
        x[...] = np.linspace(low, high, x.size).reshape(x.shape)
        bound()
        np.testing.assert_array_equal(y, references.field_to_rgba_own_range(x, LUT))


def test_stream_ordered_launches_keep_their_workspace() -> None:
    stream, fields = wb.device("cpu").stream(), [np.linspace(0.0, top, 20_000)[None] for top in (1.0, 5.0, 9.0)]
    results = [wb.kernels.field_to_rgba.launch(x, LUT, stream=stream) for x in fields]
    stream.synchronize()
    for x, y in zip(fields, results, strict=True):
        np.testing.assert_array_equal(y, references.field_to_rgba_own_range(x, LUT))


# Seconds of work on the CPU device, memory that is touched only as far as a launch comes; no byte of the table is 0.
LARGE = (16_384, 16_384)
COLOURS = LUT + np.uint8(1)


@pytest.mark.parametrize("arch", VARIANTS)
def test_cancel_while_the_range_is_found(arch: str) -> None:
    x, y = np.zeros(LARGE, np.float32), np.zeros((*LARGE, 4), np.uint8)
    pending = wb.kernels.field_to_rgba.submit(x, COLOURS, out=y, arch=arch)
    assert until(lambda: pending.progress > 0.0, 120.0, collect=False)
    assert pending.cancel()
    with pytest.raises(wb.LaunchCancelled):
        pending.result(60.0)
    assert not y[:: LARGE[0] // 64].any(), "no colour is written before all of x was seen"


@pytest.mark.parametrize("arch", VARIANTS)
def test_cancel_while_colours_are_written_and_progress_only_grows(arch: str) -> None:
    x, y = np.zeros(LARGE, np.float32), np.zeros((*LARGE, 4), np.uint8)
    pending = wb.kernels.field_to_rgba.submit(x, COLOURS, out=y, arch=arch)
    seen = [0.0]

    def has_colours() -> bool:
        seen.append(pending.progress)
        return bool(y[-1, -1].any())  # the tiles go by from the end

    assert until(has_colours, 120.0, collect=False)
    assert pending.cancel()
    with pytest.raises(wb.LaunchCancelled):
        pending.result(60.0)
    assert seen == sorted(seen)
    assert 0.0 < seen[-1] <= 1.0
    assert not y[0, 0].any()


@pytest.mark.parametrize("arch", VARIANTS)
def test_cancel_at_once_ends_those_who_wait_for_the_range(arch: str) -> None:
    x, y = np.zeros(LARGE, np.float32), np.zeros((*LARGE, 4), np.uint8)
    for threads in (1, 2, 8):
        with wb.cpu(threads=threads):
            pending = wb.kernels.field_to_rgba.submit(x, COLOURS, out=y, arch=arch)
            assert pending.cancel()
            with pytest.raises(wb.LaunchCancelled):
                pending.result(60.0)


@pytest.mark.parametrize("arch", VARIANTS)
def test_timeout_ends_a_launch(arch: str) -> None:
    x, y = np.zeros(LARGE, np.float32), np.zeros((*LARGE, 4), np.uint8)
    for timeout in (0.001, 0.1):
        with pytest.raises(wb.LaunchTimeout):
            wb.kernels.field_to_rgba(x, COLOURS, out=y, arch=arch, timeout=timeout)


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [*SIZES, (1, 2, 3), (2000, 3001, 256)], ids=str)
def test_any_size_on_the_gpu(size: tuple[int, int, int], dtype: Any, arch: str) -> None:
    import cupy

    check(size, dtype, cupy.asarray, arch=arch, timeout=20.0)


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_range_is_that_of_cupy_on_the_gpu(dtype: Any, arch: str) -> None:
    import cupy

    numbers = cupy.random.default_rng(1).standard_normal((4001, 3001)) * 1000 + 30_000
    x = numbers.astype(dtype)
    if dtype is not np.uint16:
        x[::7, ::5] = NAN
    lut = cupy.random.default_rng(2).integers(0, 256, (256, 4)).astype(np.uint8)
    ends = float(cupy.nanmin(x)), float(cupy.nanmax(x))
    bound = wb.kernels.field_to_rgba.bind(x, lut, arch=arch)
    for _ in range(20):
        assert (bound(timeout=20.0) == wb.kernels.field_to_rgba(x, lut, *ends, arch=arch, timeout=20.0)).all()


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
def test_launches_side_by_side_on_the_gpu(arch: str) -> None:
    import cupy

    lut = cupy.arange(1024, dtype=cupy.uint32).view(np.uint8).reshape(-1, 4)
    fields = [cupy.random.default_rng(i).standard_normal((2000 + i, 2000)).astype(np.float32) for i in range(8)]
    streams = [cupy.cuda.Stream(non_blocking=True) for _ in fields]
    cupy.cuda.Device().synchronize()
    launch, results = wb.kernels.field_to_rgba.launch, []
    for _ in range(10):  # more thread blocks than there is room for: some begin when others have ended
        results = [launch(x, lut, arch=arch, stream=s) for x, s in zip(fields, streams, strict=True)]
    cupy.cuda.Device().synchronize()
    for x, y in zip(fields, results, strict=True):
        assert (y == wb.kernels.field_to_rgba(x, lut, float(x.min()), float(x.max()), arch=arch)).all()


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
def test_cancel_on_the_gpu(arch: str) -> None:
    import cupy

    x = cupy.zeros((65_536, 65_536), np.float32)  # 16 GiB: milliseconds
    y = cupy.empty((*x.shape, 4), np.uint8)
    pending = wb.kernels.field_to_rgba.submit(x, cupy.asarray(COLOURS), out=y, arch=arch)
    assert until(lambda: pending.progress > 0.0, 120.0, collect=False)
    assert pending.cancel()
    with pytest.raises(wb.LaunchCancelled):
        pending.result(10.0)
