"""Learned calls of a GPU with the arrays of real libraries: other numbers, several outputs, entries, under capture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warpbridge as wb
from misses import Misses
from twice import assert_pair, expected

pytestmark = pytest.mark.gpu

DATA = Path(__file__).parents[1] / "data"
COUNT = 1000
NUMBERS = [(2.0, 1), (0.5, -3), (-7.25, 32767), (1e-3, -32768)]


@pytest.fixture
def module() -> Any:
    """A module of its own: nothing has been learned yet."""
    return wb.load(DATA / "twice.ptx")


def check(library: Any, outputs: Any, host: np.ndarray, a: float, i: int) -> None:
    assert_pair(tuple(library.numpy(output) for output in outputs), expected(host, a, i))


def test_other_numbers_and_outputs(library: Any, module: Any, misses: Misses) -> None:
    host, kernel, stream = np.linspace(-1, 1, COUNT, dtype=np.float32), module.kernels["twice"], library.stream()
    x, out = library.array(host), (library.array(0 * host), library.array(0 * host))
    library.synchronize(stream)
    for call in (kernel, kernel.launch):
        before = misses.count
        for a, i in NUMBERS:
            call(x, a, i, out=out, stream=stream)
            library.synchronize(stream)
            check(library, out, host, a, i)
        assert misses.count == before + 1
        before = misses.count
        with library.current(stream):
            for a, i in NUMBERS:
                made = call(x, a, i)
                library.synchronize(stream)
                assert all(map(library.is_own, made))
                check(library, made, host, a, i)
        assert misses.count == before + 1


def test_entries(library: Any, module: Any, misses: Misses) -> None:
    host, entry, stream = np.linspace(-1, 1, COUNT, dtype=np.float32), module.entries["twice"], library.stream()
    x, y, z = library.array(host), library.array(0 * host), library.array(0 * host)
    library.synchronize(stream)
    for call in (entry, entry.launch):
        before = misses.count
        for a, i in NUMBERS:
            call(1, 128, [x, y, z, COUNT, a, i, 128], stream=stream)
            library.synchronize(stream)
            check(library, (y, z), host, a, i)
        assert misses.count == before + 1


def test_number_of_a_captured_launch_is_the_one_it_was_captured_with(library: Any, module: Any) -> None:
    host, kernel, stream = np.linspace(-1, 1, COUNT, dtype=np.float32), module.kernels["twice"], library.stream()
    x, out = library.array(host), (library.array(0 * host), library.array(0 * host))
    library.synchronize(stream)
    for a, i in NUMBERS[:2]:
        kernel.launch(x, a, i, out=out, stream=stream)
    library.synchronize(stream)
    replay = library.capture(stream, lambda: kernel.launch(x, *NUMBERS[2], out=out, stream=stream))
    kernel.launch(x, *NUMBERS[3], out=out, stream=stream)
    replay()
    library.synchronize(stream)
    check(library, out, host, *NUMBERS[2])
