"""Adapters of other distributions, by entry point (docs/adapters.md).

An entry point of the group `warpbridge.adapters` is named after the top-level module of the array types it is for, and
points at a `claim` function. The list of entry points is read when the first object of an unknown type is seen, a
plugin imported when the first object of its module is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from warpbridge.buffer import Buffer
from warpbridge.errors import ArgumentError, type_of

if TYPE_CHECKING:
    from importlib import metadata

GROUP = "warpbridge.adapters"

Claim = Callable[[Any], "Buffer | None"]


def find(packages: Iterable[str]) -> Claim | None:
    """Return the plugin for types of these top-level modules, the first one that has one.

    Raises
    ------
    ArgumentError
        It cannot be loaded, or two distributions have one.
    """
    for package in packages:
        points = _points().get(package, ()) if package != "builtins" else ()
        if len(points) > 1:
            names = " and ".join(_described(point) for point in points)
            raise ArgumentError(f"{package} arrays have two adapters, {names}, expected one; uninstall the other")
        if points:
            return _load(points[0])
    return None


@functools.cache
def _points() -> dict[str, list[metadata.EntryPoint]]:
    from importlib import metadata  # half of what `import warpbridge` takes otherwise

    found: dict[str, list[metadata.EntryPoint]] = {}
    for point in metadata.entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return found


def _described(point: metadata.EntryPoint) -> str:
    distribution = point.dist
    owner = "an unknown distribution" if distribution is None else f"{distribution.name} {distribution.version}"
    return f"{point.value} of {owner}"


def _load(point: metadata.EntryPoint) -> Claim:
    described = f"the adapter for {point.name} arrays, {_described(point)},"
    try:
        claim = point.load()
    except Exception as error:
        raise ArgumentError(
            f"{described} cannot be loaded: {type(error).__name__}: {error}; update or uninstall that distribution"
        ) from error
    if not callable(claim):
        raise ArgumentError(f"{described} is {claim!r}, expected a function claim(obj); update that distribution")

    def checked(obj: Any) -> Buffer | None:
        try:
            buffer = claim(obj)
        except ArgumentError:
            raise
        except Exception as error:
            raise ArgumentError(
                f"{described} failed: {type(error).__name__}: {error}; update or uninstall that distribution"
            ) from error
        if buffer is None or isinstance(buffer, Buffer):
            return buffer
        raise ArgumentError(
            f"{described} returned {type_of(buffer)}, expected a warpbridge.buffer.Buffer or None; update that "
            "distribution"
        )

    return checked
