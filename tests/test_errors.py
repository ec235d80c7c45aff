"""The exceptions: their tree, their fields, and that they travel between processes."""

from __future__ import annotations

import concurrent.futures
import copy
import pickle

import pytest
import warpbridge as wb
from warpbridge import errors

TREE = {
    "ArgumentError": (wb.WarpbridgeError, TypeError, ValueError),
    "LoadError": (wb.WarpbridgeError,),
    "ManifestError": (wb.WarpbridgeError,),
    "LaunchError": (wb.WarpbridgeError,),
    "LaunchTimeout": (wb.WarpbridgeError, TimeoutError),
    "LaunchCancelled": (wb.WarpbridgeError, concurrent.futures.CancelledError),
    "KernelFault": (wb.WarpbridgeError,),
    "DeadlockError": (wb.KernelFault,),
    "RaceError": (wb.KernelFault,),
    "MemoryFault": (wb.KernelFault,),
    "DeviceError": (wb.WarpbridgeError,),
}


def test_every_error_is_in_the_tree_and_exported() -> None:
    assert set(errors.__all__) == {*TREE, "WarpbridgeError"}
    assert all(getattr(wb, name) is getattr(errors, name) for name in errors.__all__)


@pytest.mark.parametrize(("name", "bases"), TREE.items())
def test_error_has_its_bases(name: str, bases: tuple[type, ...]) -> None:
    assert all(issubclass(getattr(errors, name), base) for base in bases)


@pytest.mark.parametrize("name", TREE)
def test_error_keeps_text_and_fields(name: str) -> None:
    error = getattr(errors, name)("scale: found, expected", kernel="scale", extra=[1, 2])
    assert str(error) == error.message == "scale: found, expected"
    assert error.fields == {"kernel": "scale", "extra": [1, 2]}
    assert error.kernel == "scale"
    assert error.extra == [1, 2]


@pytest.mark.parametrize("name", TREE)
@pytest.mark.parametrize("travel", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy], ids=["pickle", "copy"])
def test_error_survives_travel(name: str, travel) -> None:
    error = getattr(errors, name)("text", kernel="scale", line=3)
    arrived = travel(error)
    assert type(arrived) is type(error)
    assert str(arrived) == "text"
    assert arrived.fields == {"kernel": "scale", "line": 3}


def test_documented_fields_are_none_where_unknown() -> None:
    error = wb.ArgumentError("text")
    assert (error.kernel, error.argument, error.index, error.found, error.expected) == (None,) * 5
    assert wb.LoadError("text").line is None
    late = wb.LaunchTimeout("text")
    assert (late.kernel, late.device, late.stream, late.arguments, late.age_s, late.timeout_s) == (None,) * 6
    stopped = wb.LaunchCancelled("text")
    assert (stopped.kernel, stopped.device, stopped.stream, stopped.arguments, stopped.age_s) == (None,) * 5
    assert wb.MemoryFault("text").offset is None


def test_a_field_cannot_replace_what_an_exception_is_made_of() -> None:
    error = wb.LaunchError("text", args="replaced", message="replaced")
    assert error.args == ("text",)
    assert error.message == "text"
