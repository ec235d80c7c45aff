"""A bound launch as an object: what it says of itself, what it refuses, where it can be kept."""

from __future__ import annotations

import functools
import inspect
import weakref

import numpy as np
import pytest
import warpbridge as wb

PROGRAM = """
import numpy as np, warpbridge as wb
x = np.ones(8, np.float32)
bound = wb.kernels.scale.bind(x, 2.0, out=np.empty_like(x))
for call in (bound, lambda: bound(timeout=60.0), lambda: bound(stream=wb.device("cpu").stream()), bound):
    print(call() is bound.result, bound.result[0])
    x += 1
for wrong in (lambda: bound(1), lambda: bound(until=2)):
    try:
        wrong()
    except TypeError as error:
        print(error)
"""


@pytest.fixture
def bound() -> wb.Bound:
    x = np.ones(8, np.float32)
    return wb.kernels.scale.bind(x, 2.0, out=np.empty_like(x))


@pytest.mark.parametrize("learn", ["0", "1"])
def test_call_takes_options_by_name_alone(run_python, learn: str) -> None:
    assert run_python(PROGRAM, WARPBRIDGE_LEARN=learn).stdout == (
        "True 2.0\nTrue 4.0\nTrue 6.0\nTrue 8.0\n"
        "Bound.__call__() takes 0 positional arguments but 1 was given\n"
        "Bound.__call__() got an unexpected keyword argument 'until'\n"
    )


def test_signature_names_the_options(bound: wb.Bound) -> None:
    assert list(inspect.signature(bound).parameters) == ["timeout", "stream"]
    assert "``b(timeout=None, stream=None)``" in (inspect.getdoc(bound) or "")


@pytest.mark.filterwarnings("error")
def test_attribute_of_a_class_is_called_without_the_instance(bound: wb.Bound) -> None:
    class Solver:
        step = bound

    assert Solver().step is bound
    assert Solver().step() is bound.result
    assert functools.partial(bound)() is bound.result


def test_dropped_bound_launch_is_gone_without_a_collection() -> None:
    x = np.ones(8, np.float32)
    one = wb.kernels.scale.bind(x, 2.0, out=np.empty_like(x))
    one()
    gone = weakref.ref(one)
    del one
    assert gone() is None
