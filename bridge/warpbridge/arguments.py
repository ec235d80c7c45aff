"""From Python objects to the values that cross into the native core.

Arrays are claimed by their library's adapter; numbers of any library become int or float. Texts name the kernel and the
argument; whether a value fits the kernel is for the native core to say.
"""

from __future__ import annotations

from typing import Any

from ._ffi import Numbers, Value
from .adapters import claim
from .buffer import Buffer, TensorMap
from .errors import ArgumentError, type_of

_INT_RANGE = (-(2**63), 2**64 - 1)


def as_array(obj: Any, described: str, fields: dict[str, Any]) -> Buffer:
    """Return the claim on an array.

    Parameters
    ----------
    obj
        As passed by the caller.
    described
        Opens error texts: kernel, place and name.
    fields
        Attributes for an error.

    Raises
    ------
    ArgumentError
        It is no array, or one that no kernel can take.
    """
    try:
        buffer = claim(obj)
    except ArgumentError as error:
        raise ArgumentError(f"{described}: {error}", **{**error.fields, **fields}) from error.__cause__
    if buffer is None:
        raise ArgumentError(
            f"{described} is {type_of(obj)}, expected an array (NumPy, CuPy, PyTorch or anything with __dlpack__)",
            **fields,
            found=type(obj).__name__,
            expected="array",
        )
    return buffer


def aligned(obj: Any) -> Any:
    """Return an input array, or a copy of it where it is a misaligned NumPy array.

    No kernel can read such an array, and its maker often has no choice: unpickled arrays lie wherever their message had
    them (dask.distributed), memory maps at any offset of a file.
    """
    flags = getattr(obj, "flags", None)
    return obj.copy() if getattr(flags, "aligned", True) is False else obj


def as_inline(obj: Any, dtype: str, on_host: bool, described: str, fields: dict[str, Any]) -> Numbers | Buffer:
    """Return an inline array argument: its numbers, or the claim on an array where the launch runs.

    Parameters
    ----------
    obj
        A short sequence of numbers or an array.
    dtype
        The manifest's dtype; a host array of another one is passed as numbers, as a list would be.
    on_host
        Whether the launch runs on the CPU device.
    described, fields
        As for `as_array`.
    """
    if isinstance(obj, list | tuple):
        try:
            return Numbers(float(item) for item in obj)
        except (TypeError, ValueError):
            raise ArgumentError(f"{described} is {obj!r}, expected numbers only", **fields) from None
    if isinstance(obj, int | float):
        raise ArgumentError(
            f"{described} is {type_of(obj)}, expected a sequence of numbers or an array",
            **fields,
            found=type(obj).__name__,
            expected="array",
        )
    buffer = as_array(obj, described, fields)
    if buffer.on_host and len(buffer.shape) == 1 and (not on_host or buffer.dtype.name != dtype):
        return Numbers(buffer.library.numbers(obj))
    return buffer


def as_scalar(obj: Any, described: str, fields: dict[str, Any]) -> bool | int | float:
    """Return a number as Python's own; NumPy's scalars convert, arrays do not.

    Raises
    ------
    ArgumentError
        It is no real number, or an integer that 64 bits do not hold.
    """
    if isinstance(obj, bool | float):
        return obj
    value: Any = obj
    if isinstance(obj, int):
        pass
    elif not hasattr(obj, "shape"):
        value = _number(obj)
    elif hasattr(obj, "dtype") and hasattr(obj, "item") and not hasattr(obj, "__dlpack__") and obj.shape == ():
        value = obj.item()  # a NumPy scalar
    if isinstance(value, bool | float):
        return value
    if not isinstance(value, int):
        hint = "; pass its item()" if getattr(obj, "shape", None) in ((), (1,)) and hasattr(obj, "item") else ""
        text = f"{described} is {type_of(obj)}, expected a number{hint}"
        raise ArgumentError(text, **fields, found=type(obj).__name__, expected="number")
    if not _INT_RANGE[0] <= value <= _INT_RANGE[1]:
        raise ArgumentError(f"{described} is {value}, expected an integer of at most 64 bits", **fields, found=value)
    return int(value)


def as_any(obj: Any, described: str, fields: dict[str, Any]) -> Value:
    """Return whatever an Entry's parameter is given: an array, a number, bytes or a tensor map for a by-value struct.

    Raises
    ------
    ArgumentError
        It is none of these.
    """
    if isinstance(obj, bytes | bytearray):
        return bytes(obj)
    if isinstance(obj, TensorMap):
        return obj
    if isinstance(obj, bool | int | float):
        return as_scalar(obj, described, fields)
    try:
        buffer = claim(obj)
    except ArgumentError as error:
        raise ArgumentError(f"{described}: {error}", **{**error.fields, **fields}) from error.__cause__
    if buffer is not None:
        return buffer
    try:
        return as_scalar(obj, described, fields)
    except ArgumentError:
        raise ArgumentError(
            f"{described} is {type_of(obj)}, expected an array, a number, or bytes", **fields, found=type(obj).__name__
        ) from None


def _number(obj: Any) -> Any:
    """Return what `__index__` or `__float__` gives; the object itself without either."""
    for method in ("__index__", "__float__"):
        if hasattr(type(obj), method):
            return getattr(obj, method)()
    return obj
