"""An entry of a PTX module, launched by hand: geometry and arguments as given, checked against the PTX parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NoReturn

from . import _ffi, calls, waiting
from .arguments import as_any
from .bound import Bound
from .buffer import Buffer, TensorMap
from .checked import Checked
from .errors import ArgumentError, type_of
from .pending import Pending
from .pickling import refuse
from .trace import Trace
from .uses import Use, Uses

Extent = int | Sequence[int]
"""One to three extents; those left out are 1."""

_EXTENT_MAX = 2**32 - 1
_PLACES = ("grid", "block", "args", "shared_bytes", "cluster", "timeout", "stream")


class Entry:
    """One ``.entry`` of a module: ``e(grid, block, args)`` blocks, ``e.submit`` and ``e.launch`` do not.

    Arguments go in PTX parameter order: arrays (their address is passed), Python and NumPy numbers (converted to the
    parameter's width, range-checked), ``bytes`` for by-value structs, a `TensorMap` for a by-value tensor map.

    Parameters
    ----------
    module
        The native module.
    facts
        Name and parameters, as the native core read them.
    """

    def __init__(self, module: _ffi.Handle, facts: Mapping[str, Any]) -> None:
        self._module = module
        self._facts = facts
        self.__name__ = self.__qualname__ = str(facts["name"])
        self._items = {"args": [param["name"] for param in facts["params"]]}
        if calls.is_available():
            calls.install(self, self)  # `launch` and `_run` again, without Python code for calls seen before

    def __repr__(self) -> str:
        return f"<Entry {self.__name__}({', '.join(str(p['type']) for p in self.params)})>"

    def __reduce__(self) -> NoReturn:
        refuse(self, f"pickle its module, and take module.entries[{self.__name__!r}] in the other process")

    @property
    def params(self) -> Sequence[Mapping[str, Any]]:
        """Name, type and size in bytes of each parameter."""
        found: Sequence[Mapping[str, Any]] = self._facts["params"]
        return found

    def __call__(
        self,
        grid: Extent,
        block: Extent,
        args: Sequence[Any],
        shared_bytes: int = 0,
        cluster: Extent | None = None,
        timeout: float | None = None,
        *,
        stream: Any = None,
    ) -> None:
        """Launch and wait.

        Parameters
        ----------
        grid
            Thread blocks per axis.
        block
            Threads per axis of a block.
        args
            One per PTX parameter.
        shared_bytes
            Dynamic shared memory per block.
        cluster
            Thread blocks per cluster and axis; default: what the entry's ``.reqnctapercluster`` says, else no clusters.
        timeout
            Seconds. The CPU device always ends the launch; a GPU cannot stop PTX that does not look at a control block.
        stream
            Where to queue it; default: the current stream of the first array's library.

        Raises
        ------
        ArgumentError
            Count, size or range of an argument does not fit the PTX.
        LaunchError
            The device cannot run this geometry, or failed.
        LaunchTimeout, KernelFault
            The launch failed.
        """
        self._run(grid, block, args, shared_bytes, cluster, timeout, stream)

    def _run(self, *values: Any) -> None:
        *checked, timeout, stream = values
        self._check(*checked).run(timeout, stream)

    def submit(
        self,
        grid: Extent,
        block: Extent,
        args: Sequence[Any],
        shared_bytes: int = 0,
        cluster: Extent | None = None,
        timeout: float | None = None,
        *,
        stream: Any = None,
        on_done: Callable[[Future[Any]], object] | None = None,
    ) -> Pending:
        """Launch and return at once; parameters as for a blocking call, `on_done` is called with the Pending."""
        return self._check(grid, block, args, shared_bytes, cluster).submit(on_done, timeout, stream)

    def launch(
        self,
        grid: Extent,
        block: Extent,
        args: Sequence[Any],
        shared_bytes: int = 0,
        cluster: Extent | None = None,
        *,
        stream: Any = None,
    ) -> None:
        """Queue on a stream and return at once; parameters as for a blocking call."""
        self._check(grid, block, args, shared_bytes, cluster).launch(stream)

    _finish = staticmethod(waiting.finish)

    def _missed_launch(self, values: tuple[Any, ...], positional: int, names: tuple[str, ...] | None) -> Any:
        """Take the long way for `launch`; return None, and how to repeat the call."""
        by_name = dict(zip(names or (), values[positional:], strict=True))
        *checked, stream = _launch_arguments(self, *values[:positional], **by_name)
        call = self._check(*checked)
        return call.launch(stream), call.recipe(values, (*_PLACES[:positional], *by_name), self._items, True)

    def _missed_run(self, values: tuple[Any, ...], positional: int, names: tuple[str, ...] | None) -> Any:
        """Take the long way for a blocking call, whose arguments `__call__` has sorted."""
        *checked, timeout, stream = values
        call = self._check(*checked)
        return call.run(timeout, stream), call.recipe(values, _PLACES, self._items, False)

    def trace(
        self,
        grid: Extent,
        block: Extent,
        args: Sequence[Any],
        shared_bytes: int = 0,
        cluster: Extent | None = None,
    ) -> Trace:
        """Run on the CPU device and return a record of what each warp did; `Bound.trace` has its options."""
        return self.bind(grid, block, args, shared_bytes, cluster).trace()

    def bind(
        self,
        grid: Extent,
        block: Extent,
        args: Sequence[Any],
        shared_bytes: int = 0,
        cluster: Extent | None = None,
    ) -> Bound:
        """Check geometry and arguments once, for many launches."""
        return Bound(self._check(grid, block, args, shared_bytes, cluster))

    def _check(
        self, grid: Extent, block: Extent, args: Sequence[Any], shared_bytes: int, cluster: Extent | None
    ) -> Checked:
        name = self.__name__
        if not isinstance(args, list | tuple):
            raise ArgumentError(
                f"{name}: args is {type_of(args)}, expected a list or tuple with one item per PTX parameter",
                kernel=name,
                argument="args",
            )
        geometry = _ffi.Geometry(
            _extent(grid, f"{name}: grid"),
            _extent(block, f"{name}: block"),
            (0, 0, 0) if cluster is None else _extent(cluster, f"{name}: cluster"),
            _bytes(shared_bytes, f"{name}: shared_bytes"),
        )
        values = [
            as_any(item, f"{name}: argument {place} ({self._label(place)})", {"kernel": name, "index": place})
            for place, item in enumerate(args, 1)
        ]
        handle = _ffi.entry_bind(self._module, name, geometry, values)
        passed = [v.buffer if isinstance(v, TensorMap) else v for v in values]
        ranges = {name: b for name, b in zip(self._items["args"], passed, strict=True) if isinstance(b, Buffer)}
        uses = [
            Use(buffer.hand_over, *buffer.hand_over.uses, f"{name}: argument {place} ({self._label(place)})")
            for place, buffer in enumerate(passed, 1)
            if isinstance(buffer, Buffer) and buffer.hand_over is not None
        ]
        return Checked(name, handle, tuple(ranges.values()), None, ranges, Uses.of(uses))

    def _label(self, place: int) -> str:
        return str(self.params[place - 1]["name"]) if place <= len(self.params) else "one too many"


def _launch_arguments(
    entry: Entry,
    grid: Extent,
    block: Extent,
    args: Sequence[Any],
    shared_bytes: int = 0,
    cluster: Extent | None = None,
    *,
    stream: Any = None,
) -> tuple[Any, ...]:
    """Read the arguments of `Entry.launch`."""
    return grid, block, args, shared_bytes, cluster, stream


_launch_arguments.__qualname__ = Entry.launch.__qualname__  # which is what the interpreter's TypeErrors name


def _extent(value: Extent, described: str) -> tuple[int, int, int]:
    """Return three extents; what they may be on the device is for the native core to say.

    Raises
    ------
    ArgumentError
        It is no int or 1- to 3-tuple of ints that 32 bits hold.
    """
    items: list[Any] = list(value) if isinstance(value, list | tuple) else [value]
    if not 1 <= len(items) <= 3 or not all(_is_extent(item) for item in items):
        raise ArgumentError(
            f"{described} is {value!r}, expected an int, or 1 to 3 of them, 0 to 2**32 - 1", found=value
        )
    x, y, z = (*(int(item) for item in items), 1, 1)[:3]
    return x, y, z


def _bytes(value: int, described: str) -> int:
    if not _is_extent(value):
        raise ArgumentError(f"{described} is {value!r}, expected 0 to 2**32 - 1 bytes", found=value)
    return int(value)


def _is_extent(item: Any) -> bool:
    return hasattr(type(item), "__index__") and not isinstance(item, bool) and 0 <= int(item) <= _EXTENT_MAX
