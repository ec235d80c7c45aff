"""A launch whose arguments have been checked: which stream it takes, what it waits for, what must stay alive.

Every call of a Kernel or Entry makes one and runs it once, in one of three ways; `bound.py` hands one out to be run
again and again. The first run of each way tells the native core what to repeat (`calls.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from . import _ffi, calls, dispatcher, settings, waiting
from .buffer import CUDA, CUDA_MANAGED, Buffer
from .device import Device, devices
from .errors import ArgumentError, WarpbridgeError, type_of
from .pending import Pending
from .progress import Bar
from .stream import handle_of
from .trace import COPY_LATENCY, Trace
from .uses import Uses

_FLOOR_PART = 256
"""Launches of `floor_s` without a look at signals."""


class Checked:
    """See the module.

    Parameters
    ----------
    name
        The kernel's or entry's.
    handle
        The native bound call.
    buffers
        Its arrays: inputs first, then outputs.
    result
        What a call returns.
    ranges
        The same arrays by the names of their arguments, in the native core's order.
    uses
        Those of them that another API uses too.
    """

    def __init__(
        self,
        name: str,
        handle: _ffi.Handle,
        buffers: Sequence[Buffer],
        result: Any,
        ranges: Mapping[str, Buffer],
        uses: Uses | None = None,
    ) -> None:
        self.name = name
        self.handle = handle
        self.buffers = tuple(buffers)
        self.result = result
        self._ranges = ranges
        self.device = _device_of(handle, self.buffers)
        self.is_cpu = self.device.kind == "cpu"
        self._here = [b for b in self.buffers if (b.device_type in (CUDA, CUDA_MANAGED)) != self.is_cpu]
        # Who must be asked before a launch: arrays with a stream of their own, and libraries beside the first.
        self._ordered = () if self.is_cpu else tuple(b for b in self._here if b.order is not None)
        by_name = {} if self.is_cpu else {b.library.name: b for b in self._here if b.order is None}
        self._libraries = tuple(by_name.values()) if len(by_name) + len(self._ordered) > 1 else ()
        self._uses = Uses() if uses is None else uses
        self._own = tuple(b.owner for b in self.buffers if b.library.name == "warpbridge")
        self._last_mode: tuple[tuple[Any, ...], _ffi.Handle] = ((), None)

    def run(self, timeout: float | None, stream: Any, progress: bool | None = None) -> Any:
        """Launch, wait, and return the result."""
        handle = self._stream(stream)
        mode = self._mode(handle, timeout)
        place = (self.device.index, handle)
        bar = Bar(self.name) if progress else None
        launch = None
        self._uses.begin(handle)
        try:
            others = self._order_before(handle, stream)
            launch = _ffi.submit(self.handle, mode)
            self._note_use(handle, stream)
            waiting.wait(launch, place, self, bar)
        except BaseException as error:
            if not isinstance(error, WarpbridgeError):  # a signal handler's, at any point
                waiting.stop(launch, place, self)
            self._uses.end(failed=True)
            raise
        self._uses.end(failed=False)
        self._order_after(handle, others)
        return self.result

    def submit(self, on_done: Callable[[Future[Any]], object] | None, timeout: float | None, stream: Any) -> Pending:
        """Launch and return at once."""
        if on_done is not None and not callable(on_done):
            raise ArgumentError(
                f"{self.name}: on_done is {type_of(on_done)}, expected a function of one argument, the Pending",
                kernel=self.name,
                argument="on_done",
                found=on_done,
            )
        handle = self._stream(stream)
        mode = self._mode(handle, timeout)
        self._uses.begin(handle)
        try:
            others = self._order_before(handle, stream)
            pending = Pending(self.name, self.result, (self, stream), self._uses.end if self._uses else None)
            if on_done is not None:
                pending.add_done_callback(on_done)
            dispatcher.instance().submit(self.handle, mode, pending, (self.device.index, handle))
        except BaseException:
            self._uses.end(failed=True)
            raise
        self._note_use(handle, stream)
        self._order_after(handle, others)
        return pending

    def launch(self, stream: Any) -> Any:
        """Queue and return the result at once."""
        handle = self._stream(stream)
        is_over = settings.faults_at_once()  # when `launch` returns, so that nothing needs to be held
        asks = self._ordered or self._uses
        captured = bool(asks) and _ffi.stream_is_capturing(self.device.index, handle)
        if not captured and ((self._ordered and not is_over) or self._uses.need_end):
            self._launch_held(stream, handle)
            return self.result
        uses = self._uses if not captured else self._uses.captured(self.name)
        place = (self.device.index, handle)
        uses.begin(handle)
        try:
            others = self._order_before(handle, stream)
            _ffi.launch(self.handle, self._mode(handle, None))
            if self.is_cpu:
                dispatcher.hold_for_stream(place, self)
        except BaseException as error:
            if self.is_cpu and not isinstance(error, WarpbridgeError):  # a signal handler's: it may have been queued
                dispatcher.hold_for_stream(place, self)
            uses.end(failed=True)
            raise
        self._note_use(handle, stream)
        uses.queued(handle)
        self._order_after(handle, others)
        return self.result

    def floor_s(self, launches: int, blocking: bool, stream: Any) -> float:
        """Return the time of one launch at the device's own cost."""
        if not (hasattr(type(launches), "__index__") and 1 <= launches < 2**32):
            raise ArgumentError(
                f"{self.name}: launches is {launches!r}, expected a number from 1",
                kernel=self.name,
                argument="launches",
                found=launches,
            )
        handle, left, seconds = self._stream(stream), int(launches), 0.0
        try:
            while left:  # in parts, between which Python looks at signals
                part = min(left, _FLOOR_PART)
                seconds += _ffi.floor(self.handle, handle, part, blocking)
                left -= part
        finally:
            if self.is_cpu:
                dispatcher.hold_for_stream((self.device.index, handle), self)
        return seconds / launches

    def trace(self, ctas: Sequence[int] | None, latency: int, timeout: float | None) -> Trace:
        """Launch on the CPU device, wait, and return a record of what happened."""
        wanted = () if ctas is None else tuple(ctas)
        for name, values in (("ctas", wanted), ("latency", (latency,))):
            wrong = [value for value in values if not (hasattr(type(value), "__index__") and 0 <= value < 2**63)]
            if wrong:
                raise ArgumentError(
                    f"{self.name}: {name} has {wrong[0]!r}, expected numbers from 0", kernel=self.name, argument=name
                )
        handle = self._stream(None)
        mode = self._mode(handle, timeout)
        launch = None
        self._uses.begin(0)
        try:
            launch, trace = _ffi.trace(self.handle, mode, wanted, latency)
            waiting.until_ended(launch)
            record, failure = _ffi.record(trace)
        except BaseException as error:
            if not isinstance(error, WarpbridgeError):  # a signal handler's, at any point
                waiting.stop(launch, (self.device.index, handle), self)
            self._uses.end(failed=True)
            raise
        self._uses.end(failed=failure is not None)
        return Trace.read(record, self.result, failure)

    def recipe(
        self, values: Sequence[Any], names: Sequence[str], items: Mapping[str, Sequence[str]], holds: bool
    ) -> calls.Recipe | None:
        """Return how to repeat a call that gave these arrays anew.

        Parameters
        ----------
        values, names
            The call's arguments, and what each is called.
        items
            What the items are called of an argument that is a tuple or list of others: ``out`` of a kernel, ``args`` of
            an entry.
        holds
            Whether the launch is stream-ordered, so that on the CPU device somebody must keep the arrays.
        """
        if self._asks:
            return None
        left = {name: (place, buffer) for place, (name, buffer) in enumerate(self._ranges.items())}
        slots = calls.slots(values, names, lambda name, value: self._slot(name, value, items, left), self.is_cpu)
        made = tuple(calls.made_slot(buffer, place) for place, buffer in left.values())
        if slots is None or None in made:
            return None
        return self._recipe(slots, None, made, holds, None, self._places())

    def _slot(
        self, name: str, value: Any, items: Mapping[str, Sequence[str]], left: dict[str, tuple[int, Buffer]]
    ) -> calls.Recipe | None:
        """Return an argument's part of a recipe; arrays are taken out of `left`."""
        if name in items and value is not None:
            if type(value) in (tuple, list):
                return calls.items_slot(self._slot(*pair, items, left) for pair in zip(items[name], value, strict=True))
            name = items[name][0]
        if value is None or name not in left:
            return calls.number_slot(value, name)
        place, buffer = left.pop(name)
        # Another array may have been checked in its place, a copy. Entries write to whatever may be written.
        is_same = buffer.owner is value and not (buffer.readonly and "args" in items)
        return calls.array_slot(buffer, place) if is_same else None

    def recipe_of_repeat(self, values: Sequence[Any], names: Sequence[str], holds: bool) -> calls.Recipe | None:
        """Return how to repeat this very launch, with other options."""
        stream = next((value for value, name in zip(values, names, strict=True) if name == "stream"), None)
        if self._ordered or self._own or (stream is None and self._libraries):
            return None
        slots = calls.slots(values, names, lambda _, value: calls.constant_slot(value), self.is_cpu)
        owners = tuple(buffer.owner for buffer in self.buffers)
        return None if slots is None else self._recipe(slots, self.result, (), holds, owners)

    @property
    def _asks(self) -> bool:
        """Whether others' streams are to be asked for at each launch."""
        return bool(self._ordered or self._libraries)

    def _places(self) -> int | tuple[int, ...] | None:
        """Return which of the arrays a call returns; one that is input and output is either."""
        place = {id(buffer.owner): place for place, buffer in enumerate(self._ranges.values())}
        if isinstance(self.result, tuple):
            return tuple(place[id(array)] for array in self.result)
        return None if self.result is None else place[id(self.result)]

    def _recipe(
        self, slots: Any, returned: Any, made: Any, holds: bool, owners: Any, places: Any = None
    ) -> calls.Recipe:
        settings_of, hold = calls.on_cpu() if self.is_cpu else (None, None)
        current = calls.current_stream(self._here)
        kept = self if owners is None else None  # until the native core has taken its share of the handle
        address = _ffi.address_of(self.handle)
        return (address, slots, returned, made, current, settings_of, hold if holds else None, owners, places, kept)

    def _stream(self, stream: Any) -> int:
        if stream is not None:
            return handle_of(stream, self.device.kind, str(self.device), self.name)
        return self._here[0].current_stream() if self._here else 0

    def _mode(self, stream: int, timeout: float | None) -> _ffi.Handle:
        """Return the native form of the call's options, which mostly are the last call's."""
        if timeout is not None and not (_is_number(timeout) and timeout > 0):
            raise ArgumentError(
                f"{self.name}: timeout is {timeout!r}, expected a positive number of seconds, or None for no limit",
                kernel=self.name,
                argument="timeout",
                found=timeout,
            )
        now = settings.current()
        key = (stream, timeout, now)
        last = self._last_mode  # read and written whole: threads may share this object
        if key != last[0]:
            timeout_s = 0.0 if timeout is None else _seconds(timeout)
            last = key, _ffi.mode(stream, timeout_s, now.schedule, now.checks, now.seed, now.threads)
            self._last_mode = last
        return last[1]

    def _order_before(self, handle: int, stream: Any) -> list[int]:
        """Make the launch wait for the streams that other arrays come from, by event; return those streams.

        Libraries' current streams count only without an explicit stream: who names one has ordered the work. Arrays
        with a stream of their own are asked always, except under capture, where nothing outside can be waited for.
        """
        if not self._ordered and (stream is not None or not self._libraries):
            return []
        others: set[int] = set()
        if self._ordered and not _ffi.stream_is_capturing(self.device.index, handle):
            for buffer in self._ordered:
                if buffer.order is not None:
                    others.update(buffer.order(handle))
        if stream is None:
            others.update(buffer.current_stream() for buffer in self._libraries)
        waited = {other or 1 for other in others} - {handle or 1}  # 0 and 1 are one stream
        for other in waited:
            _ffi.stream_order(self.device.index, other, handle)
        return list(waited)

    def _note_use(self, handle: int, stream: Any) -> None:
        """Let our own arrays know where the launch just made went."""
        for array in self._own:
            array._used_on(handle, stream)

    def _order_after(self, handle: int, others: list[int]) -> None:
        """Make those streams wait for the launch."""
        for other in others:
            _ffi.stream_order(self.device.index, handle, other)

    def _launch_held(self, stream: Any, handle: int) -> None:
        """Launch, and keep the arrays until it has ended: who owns their memory knows nothing of this stream."""
        place = (self.device.index, handle)

        def keep_failure(pending: Future[Any]) -> None:
            error = pending.exception()
            if isinstance(error, WarpbridgeError):
                dispatcher.instance().keep_failure(place, error)

        self.submit(keep_failure, None, stream)


def _seconds(timeout: float) -> float:
    """Return a limit as the native core takes it; integers that no float holds are none."""
    try:
        return float(timeout)
    except OverflowError:
        return float("inf")


def _is_number(value: Any) -> bool:
    """Whether it is a real number, of Python or NumPy."""
    return hasattr(type(value), "__float__") and not hasattr(value, "__len__")


def _device_of(handle: _ffi.Handle, buffers: Sequence[Buffer]) -> Device:
    """Return where a bound launch runs; the arrays say so, and the native core has checked that they agree."""
    for buffer in buffers:
        if buffer.device_type in (CUDA, CUDA_MANAGED):
            for device in devices():
                if device.dl_device == (CUDA, buffer.device_id):
                    return device
    return devices()[int(_ffi.bound_info(handle)["device"]) if not buffers else 0]


__all__ = ["COPY_LATENCY", "Checked"]
