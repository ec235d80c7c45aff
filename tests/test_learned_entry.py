"""Entries, whose calls are repeated without Python code like those of kernels, are checked no less for it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warpbridge as wb
from misses import Misses
from twice import COUNT, assert_pair, expected, fresh_entry, line
from warpbridge.entry import Entry

DATA = Path(__file__).parent / "data"


@pytest.fixture
def entry() -> Entry:
    return fresh_entry()


@pytest.fixture
def x() -> np.ndarray:
    return line()


def test_fault_of_a_launch_with_another_number_names_it(entry: Entry, misses: Misses) -> None:
    x, y, z = (np.zeros(8, np.float32) for _ in range(3))
    entry(1, 32, [x, y, z, 8, 1.0, 0, 32])
    for _ in range(2):
        with pytest.raises(wb.MemoryFault) as caught:
            entry(1, 32, [x, y, z, 9, 1.5, 0, 32])
        assert caught.value.fields["arguments"] == (
            "x float32 (8,), y float32 (8,), z float32 (8,), n = 9, a = 1.5, i = 0, width = 32"
        )
    assert misses.count == 1


@pytest.mark.parametrize("kind", [tuple, list])
@pytest.mark.parametrize("style", ["run", "launch"])
def test_entry_is_learned_with_other_arrays_and_numbers(
    entry: Entry, x: np.ndarray, misses: Misses, kind: Callable[[Any], Any], style: str
) -> None:
    call = entry if style == "run" else entry.launch
    numbers = [(2.0, 1, 32), (-1.5, -4, 32), (np.float32(3), np.int64(2), 32), (0.5, 7, 16)]
    for index, (a, i, width) in enumerate(numbers):
        y, z = np.empty_like(x), np.empty_like(x)
        arguments = kind((x, y, z, COUNT, a, i, width))
        # Typed numbers are learned beside untyped ones, and then both are known.
        assert misses.since(lambda arguments=arguments: call(1, 32, arguments)) == (index in (0, 2))
        wb.device("cpu").synchronize()
        assert_pair((y, z), expected(x, float(a), int(i)))


def test_entry_with_other_geometry_is_another_call(entry: Entry, x: np.ndarray, misses: Misses) -> None:
    y, z = np.empty_like(x), np.empty_like(x)
    arguments = [x, y, z, COUNT, 2.0, 1, 32]
    for grid, block in ((1, 32), ((1, 1), 32), ((1,), (32, 1, 1)), (2, 32), ([1], 32)):
        assert misses.since(lambda grid=grid, block=block: entry(grid, block, arguments)) == 1
        again = grid if isinstance(grid, int) else type(grid)(grid)
        assert misses.since(lambda grid=again, block=block: entry(grid, block, arguments)) == 0
    assert misses.since(lambda: entry(1, 32, arguments, 0, None, 60.0)) == 0
    assert misses.since(lambda: entry(1, 32, arguments, 16)) == 1


def spoilt(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> dict[str, tuple[Any, ...]]:
    """Return arguments that an entry refuses."""
    return {
        "count": (x, y, z, COUNT, 2.0, 1),
        "float for an int": (x, y, z, 100.0, 2.0, 1, 32),
        "range": (x, y, z, COUNT, 2.0, 70_000, 32),
        "negative": (x, y, z, -1, 2.0, 1, 32),
        "overflow": (x, y, z, COUNT, 1e39, 1, 32),
        "text": (x, y, "z", COUNT, 2.0, 1, 32),
        "none": (x, None, z, COUNT, 2.0, 1, 32),
        "bytes": (x, y, z, b"1234567", 2.0, 1, 32),
        "array": (x, y, z, COUNT, 2.0, 1, x),
    }


@pytest.mark.parametrize("case", list(spoilt(*[np.zeros(1)] * 3)))
def test_error_of_a_learned_entry_is_that_of_a_first_call(entry: Entry, x: np.ndarray, case: str) -> None:
    learned = fresh_entry()
    y, z = np.empty_like(x), np.empty_like(x)
    for a in (2.0, 3.0):
        learned(1, 32, [x, y, z, COUNT, a, 1, 32])
    texts = []
    for called in (entry, learned):
        with pytest.raises(wb.ArgumentError) as caught:
            called(1, 32, list(spoilt(x, y, z)[case]))
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


def test_read_only_array_of_an_entry_is_never_written_by_a_learned_call(entry: Entry, x: np.ndarray) -> None:
    y, z = np.empty_like(x), np.empty_like(x)
    for _ in range(2):
        entry(1, 32, [x, y, z, COUNT, 2.0, 1, 32])
    y.flags.writeable = False
    for _ in range(2):
        with pytest.raises(wb.MemoryFault) as caught:
            entry(1, 32, [x, y, z, COUNT, 2.0, 1, 32])
        assert 'of "y"' in str(caught.value)
    y.flags.writeable = True
    entry(1, 32, [x, y, z, COUNT, 2.0, 1, 32])
    assert_pair((y, z), expected(x, 2, 1))


def test_writable_array_after_a_read_only_one_may_be_written(entry: Entry, x: np.ndarray) -> None:
    y, z, cpu = np.empty_like(x), np.empty_like(x), wb.device("cpu")
    y.flags.writeable = False
    for _ in range(2):
        entry.launch(1, 32, [x, y, z, COUNT, 2.0, 1, 32])
        with pytest.raises(wb.MemoryFault):
            cpu.synchronize()
    y.flags.writeable = True
    entry.launch(1, 32, [x, y, z, COUNT, 2.0, 1, 32])
    cpu.synchronize()
    assert_pair((y, z), expected(x, 2, 1))


def test_signature_of_an_entry_is_checked_by_every_style(entry: Entry, x: np.ndarray) -> None:
    for style, name in ((entry, "__call__"), (entry.launch, "launch")):
        with pytest.raises(TypeError) as caught:
            style(1, 32)
        assert str(caught.value) == f"Entry.{name}() missing 1 required positional argument: 'args'"
        with pytest.raises(TypeError) as caught:
            style(1, 32, [], on_done=print)
        assert str(caught.value) == f"Entry.{name}() got an unexpected keyword argument 'on_done'"
    with pytest.raises(TypeError) as caught:
        entry.launch(1, 32, [], 0, None, 1.0)
    assert str(caught.value).startswith("Entry.launch() takes from 4 to 6 positional arguments but 7")


def test_arrays_in_a_list_live_until_the_launch_has_ended(entry: Entry, x: np.ndarray, misses: Misses) -> None:
    steps = wb.load(DATA / "steps.ptx").kernels["steps"]
    for turn in range(3):  # the last two are learned
        stream, endless = wb.device("cpu").stream(), np.zeros(100_000, np.int32)
        y, z = np.empty_like(x), np.empty_like(x)
        arguments = [x, y, z, COUNT, 2.0, 1, 32]
        gone = [weakref.ref(y), weakref.ref(z)]
        blocker = steps.submit(endless, 20_000, stream=stream)
        missed = misses.since(lambda arguments=arguments, stream=stream: entry.launch(1, 32, arguments, stream=stream))
        assert missed == (turn == 0)
        arguments.clear()
        del y, z
        assert not blocker.done()
        assert all(array() is not None for array in gone), turn
        blocker.cancel()
        stream.synchronize()


def test_settings_of_the_cpu_device_hold_for_learned_entries() -> None:
    folder = Path(__file__).parents[1] / "emulator" / "tests" / "ptx" / "judge"
    entry, memory = wb.load(folder / "barrier_missing.ptx").entries["bug"], np.zeros(1024, np.float32)
    for _ in range(3):
        entry(1, 64, [memory])
        with wb.cpu(checks="all"), pytest.raises(wb.RaceError):
            entry(1, 64, [memory])
