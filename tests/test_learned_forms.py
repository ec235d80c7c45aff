"""Forms of a call that are repeated without Python code: other numbers, several outputs, entries; and what never is.

Errors are raised by a kernel that has learned the form and by one that has learned nothing, and are the same.
"""

from __future__ import annotations

import gc
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warpbridge as wb
from misses import Misses
from twice import COUNT, assert_pair, expected, fresh_entry, fresh_kernel, line
from warpbridge.entry import Entry
from warpbridge.kernel import Kernel

DATA = Path(__file__).parent / "data"


@pytest.fixture
def twice() -> Kernel:
    return fresh_kernel()


@pytest.fixture
def entry() -> Entry:
    return fresh_entry()


@pytest.fixture
def x() -> np.ndarray:
    return line()


@pytest.mark.parametrize("style", ["run", "launch"])
@pytest.mark.parametrize(
    "numbers",
    [
        [(2.0, 1), (3.0, 1), (-0.5, 7), (1e-30, -32768)],
        [(2.0, 1), (2, 1), (-7, 2)],
        [(np.float32(2), np.int64(1)), (np.float32(0.1), np.int64(-3)), (0.25, 4)],
        [(np.float64(2), np.int8(1)), (np.float64(1 / 3), np.int8(-128))],
        [(np.float16(2), np.uint64(1)), (np.float16(0.1), np.uint64(32767))],
        [(np.int32(2), 1), (np.int32(-3), 5)],
    ],
    ids=["python", "ints", "float32", "float64", "float16", "int32"],
)
def test_other_numbers_are_passed_without_another_check(
    twice: Kernel, x: np.ndarray, misses: Misses, numbers: Any, style: str
) -> None:
    call = twice if style == "run" else twice.launch
    out = np.empty_like(x), np.empty_like(x)
    for index, (a, i) in enumerate(numbers):
        assert misses.since(lambda a=a, i=i: call(x, a, i, out=out)) == (index == 0)
        wb.device("cpu").synchronize()
        assert_pair(out, expected(x, float(a), int(i)))


REFUSED = {
    "too-large": (100.5, 1, "argument 2 (a) is 100.5, expected at most 100.0"),
    "too-small": (np.float32(-101), 1, "argument 2 (a) is -101.0, expected at least -100.0"),
    "nan": (float("nan"), 1, "argument 2 (a) is nan, expected at least -100.0"),
    "infinite": (float("inf"), 1, "argument 2 (a) is inf, expected at most 100.0"),
    "wide": (2.0, 40000, "argument 3 (i) is 40000, expected -32768 to 32767, the range of int16"),
    "negative": (2.0, -32769, "argument 3 (i) is -32769, expected -32768 to 32767, the range of int16"),
    "huge": (2.0, 2**63, "argument 3 (i) is 9223372036854775808, expected -32768 to 32767, the range of int16"),
    "beyond": (2.0, 2**70, "argument 3 (i) is 1180591620717411303424, expected an integer of at most 64 bits"),
    "float": (2.0, 1.0, "argument 3 (i) is the float 1.0, expected an integer"),
    "numpy-float": (2.0, np.float32(1), "argument 3 (i) is the float 1.0, expected an integer"),
    "bool": (True, 1, "argument 2 (a) is the bool true, expected a number"),
    "text": ("2", 1, "argument 2 (a) is a str, expected a number"),
    "array": (np.zeros(()), 1, "argument 2 (a) is a numpy.ndarray, expected a number; pass its item()"),
    "none": (
        None,
        1,
        "argument 2 (a) is None, expected a number: twice(x, a, i=1, width=32, *, out=None, timeout=None",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_error_about_a_number_is_that_of_a_first_call(twice: Kernel, x: np.ndarray, case: str) -> None:
    a, i, text = REFUSED[case]
    learned, out = fresh_kernel(), (np.empty_like(x), np.empty_like(x))
    for value in (2.0, 3.0, np.float32(4)):
        learned(x, value, 1, out=out)
    errors = []
    for kernel in (twice, learned):
        for _ in range(2):
            with pytest.raises(wb.ArgumentError) as caught:
                kernel(x, a, i, out=out)
            errors.append((str(caught.value), caught.value.fields))
    assert errors[0][0].startswith(f"twice: {text}")
    assert all(error == errors[0] for error in errors)


def test_number_that_the_geometry_is_made_of_is_checked_each_time(twice: Kernel, x: np.ndarray, misses: Misses) -> None:
    for width in (32, 64, np.int64(16)):
        assert misses.since(lambda width=width: assert_pair(twice(x, 2.0, 1, width), expected(x, 2, 1))) == 1
        same = type(width)(width)
        assert misses.since(lambda width=same: assert_pair(twice(x, 3.0, 1, width), expected(x, 3, 1))) == 0
    for _ in range(2):
        with pytest.raises(wb.LaunchError) as caught:
            twice(x, 2.0, 1, 2048)
        assert str(caught.value) == "twice: block is [2048, 1, 1], expected 1 to [1024, 1024, 64]"


def test_timeout_shows_the_numbers_of_its_own_launch(misses: Misses) -> None:
    shown = "y int32 (2000,), rounds = 1000000"
    for learn in (False, True):
        kernel, y = wb.load(DATA / "steps.ptx").kernels["steps"], np.zeros(2000, np.int32)
        if learn:
            kernel(y, 0, timeout=60)
        missed = misses.count
        with pytest.raises(wb.LaunchTimeout) as caught:
            kernel(y, 1_000_000, timeout=1e-9)
        assert misses.count == missed + (not learn)
        assert str(caught.value).partition("; its arguments were ")[2] == shown
        assert caught.value.fields["arguments"] == shown


@pytest.mark.parametrize("kind", [tuple, list])
@pytest.mark.parametrize("style", ["run", "launch"])
def test_several_outputs_are_learned_and_returned_as_a_new_tuple(
    twice: Kernel, x: np.ndarray, misses: Misses, kind: Callable[[Any], Any], style: str
) -> None:
    call = twice if style == "run" else twice.launch
    for index in range(4):
        y, z = np.empty_like(x), np.empty_like(x)
        found: list[Any] = []
        work = lambda y=y, z=z, found=found: found.append(call(x, 2.0, out=kind((y, z))))  # noqa: E731
        assert misses.since(work) == (index == 0)
        wb.device("cpu").synchronize()
        assert found[0][0] is y
        assert found[0][1] is z
        assert_pair(found[0], expected(x, 2, 1))


def test_outputs_that_are_not_given_are_made_each_time(twice: Kernel, x: np.ndarray, misses: Misses) -> None:
    y = np.empty_like(x)
    for out in (None, (None, None), (y, None), [None, y]):
        found: list[Any] = []
        assert misses.since(lambda out=out, found=found: found.append(twice(x, 2.0, out=out))) == 1
        assert misses.since(lambda out=out, found=found: found.append(twice(x, 5.0, out=out))) == 0
        assert_pair(found[1], expected(x, 5, 1))
        for place, given in enumerate(out or (None, None)):
            assert (found[0][place] is found[1][place]) == (given is not None)


def test_output_over_the_input_is_learned(twice: Kernel, x: np.ndarray, misses: Misses) -> None:
    z, wanted = np.empty_like(x), expected(x, 2, 1)
    start = x.copy()
    for index in range(3):
        x[:] = start
        assert misses.since(lambda: assert_pair(twice(x, 2.0, out=(x, z)), wanted)) == (index == 0)
    other = np.empty_like(x)
    x[:] = start
    assert misses.since(lambda: assert_pair(twice(x, 2.0, out=(other, z)), wanted)) == 1, "no overlap is another call"
    with pytest.raises(wb.ArgumentError) as caught:
        twice(x, 2.0, out=(z, x))
    assert str(caught.value).startswith("twice: out[1] (z) shares 400 bytes of memory with argument 1 (x), expected")


def test_wrong_outputs_raise_what_a_first_call_raises(twice: Kernel, x: np.ndarray) -> None:
    learned, y, z = fresh_kernel(), np.empty_like(x), np.empty_like(x)
    for _ in range(2):
        learned(x, 2.0, out=(y, z))
        learned(x, 2.0, out=[y, z])
    readonly = np.empty_like(x)
    readonly.flags.writeable = False
    for out in ((y,), (y, z, z), (y, y), (y, z[:50]), (y, z.astype("f8")), (y, readonly), (y, "z"), y, [y, z[::-1]]):
        texts = []
        for kernel in (twice, learned):
            with pytest.raises(wb.ArgumentError) as caught:
                kernel(x, 2.0, out=out)
            texts.append(str(caught.value))
        assert texts[0] == texts[1]


def test_sizes_in_turn_are_all_known_up_to_many(twice: Kernel, misses: Misses) -> None:
    sizes = [*range(1, 33)]

    def work() -> None:
        for size in sizes:
            source = np.full(size, size, np.float32)
            assert_pair(twice(source, 2.0), expected(source, 2, 1))

    assert misses.since(work) == len(sizes)
    assert misses.since(work) == 0
    sizes.append(33)
    assert 0 < misses.since(work) <= len(sizes), "one of them is forgotten"


def test_array_that_gave_its_memory_back_is_seen(twice: Kernel, entry: Entry, x: np.ndarray, misses: Misses) -> None:
    y, z, source = np.empty_like(x), np.empty_like(x), x.copy()
    for _ in range(2):
        twice(source, 2.0, out=(y, z))
        entry(1, 32, [source, y, z, COUNT, 2.0, 1, 32])
    assert misses.count == 2
    source.resize((10,), refcheck=False)
    with pytest.raises(wb.ArgumentError) as refused:
        twice(source, 2.0, out=(y, z))
    assert str(refused.value).startswith("twice: out[0] (y) has shape (100,), expected (10,), because n is 10 in ")
    with pytest.raises(wb.MemoryFault) as caught:
        entry(1, 32, [source, y, z, COUNT, 2.0, 1, 32])
    assert caught.value.fields["arguments"].startswith("x float32 (10,), y float32 (100,)")


def test_numbers_in_a_list_are_read_each_time(misses: Misses) -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), np.uint8)
    prepare, mean, std = wb.load(*sources("image_prep")).kernels["image_prep"], [0.5, 0.25, 0.125], [1.0, 2.0, 4.0]
    first = prepare(images, mean, std)
    np.testing.assert_array_equal(prepare(images, list(mean), tuple(std)), first)
    known = misses.count
    np.testing.assert_array_equal(prepare(images, mean, std), first)
    assert misses.count == known
    mean[1] = 0.75
    changed = prepare(images, mean, std)
    assert misses.count == known + 1
    np.testing.assert_array_equal(changed, wb.kernels.image_prep(images, tuple(mean), tuple(std)))
    assert (changed != first).any()


def sources(name: str) -> tuple[Path, Path]:
    """Return a bundled kernel's PTX and manifest, where this is a checkout."""
    folder = Path(__file__).parents[1] / "kernels"
    return folder / "ptx" / f"{name}.sm_90.ptx", folder / f"{name}.toml"


def test_learned_calls_leave_references_as_they_were(twice: Kernel, entry: Entry, x: np.ndarray) -> None:
    y, z, a = np.empty_like(x), np.empty_like(x), np.float32(2)
    outputs, arguments, values = [y, z], [x, y, z, COUNT, 2.0, 1, 32], itertools.cycle([0.25 * i for i in range(31)])

    def work(times: int) -> None:
        for _ in range(times):
            twice(x, next(values), out=outputs)
            twice(x, a, out=(y, None))
            twice.launch(x, next(values), out=(y, z))
            entry(1, 32, arguments)
            entry.launch(1, 32, (x, y, z, COUNT, next(values), 1, 32))
        wb.device("cpu").synchronize()

    def settled(expected: list[int]) -> bool:
        """Wait: the arrays of stream-ordered launches are let go by another thread."""
        deadline = time.monotonic() + 60
        while counts() != expected and time.monotonic() < deadline:
            time.sleep(0.01)
        return counts() == expected

    def counts() -> list[int]:
        return [sys.getrefcount(o) for o in (x, y, z, a, outputs, arguments)]

    start = counts()
    work(50)
    assert settled(start)
    gc.collect()
    blocks = sys.getallocatedblocks()
    work(300)
    assert settled(start)
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 500
