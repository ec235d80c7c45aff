"""`View`: an array over bytes that another API uses too, with the order between its work and the kernels'.

The other API's side is a `handover.Transport`, chosen by its adapter. Here is the state that all transports need: what
is filled, what is written and not yet back, who is at work. Launches come in by `buffer.HandOver` (`uses.py`).

    stale --fill--> filled --a launch writes--> dirty --write back--> filled --left by all--> stale
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, NoReturn

from . import _ffi, dispatcher, handover
from .array import Array
from .buffer import Buffer, DType
from .device import Device, wait_for_stream
from .errors import LaunchError
from .pickling import refuse

_FLAG_READ_ONLY = 1
_NO_SYNC = -1


class View(Array):
    """An array over memory of another API; made by an adapter, e.g. ``warpbridge.adapters.wgpu.view``.

    It is an argument of any kernel. A call outside a ``with`` block takes the other API's bytes before, and gives them
    back after; inside one that is done once, on entering and on leaving::

        with view:
            kernel(view, out=view)
            other_kernel(view)

    Attributes
    ----------
    shape, dtype, device
        As of `Array`.
    """

    def __init__(
        self, transport: handover.Transport, shape: tuple[int, ...], dtype: DType, device: Device, memory: Any = None
    ) -> None:
        self._transport = transport
        super().__init__(shape, dtype, device, False, memory)
        self._turn = threading.Condition()  # around an RLock
        self._entered = 0
        self._active = 0
        self._writers = 0
        self._is_filled = False
        self._is_dirty = False
        self._streams: set[int] = set()

    def __repr__(self) -> str:
        return f"<View {self.dtype} {self.shape} of {self._transport.describe()} on {self.device}, {self.transport}>"

    def __reduce__(self) -> NoReturn:
        refuse(self, "pickle numpy.asarray(x) of its copy on the CPU, x.copy('cpu')")

    @property
    def transport(self) -> str:
        """How the bytes get to the kernels: ``shared`` (they are the same bytes), ``pinned`` or ``staged`` (copies)."""
        return self._transport.name

    @property
    def buffer(self) -> Any:
        """The other API's object; alive while the view is."""
        return self._transport.owner

    @property
    def offset(self) -> int:
        """First byte of the view in `buffer`."""
        return self._transport.offset

    # ---- settling the order ------------------------------------------------------------------------------------------

    def __enter__(self) -> View:
        """Put what the other API was given to do before the kernels of the block.

        Raises
        ------
        ArgumentError
            The other API's object cannot be used now.
        """
        with self._turn:
            self._transport.check()
            if not (self._entered or self._active or self._is_dirty):
                self._is_filled = False
            self._entered += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._turn:
            if not self._entered:
                raise LaunchError(f"{self!r} is left but was not entered, expected `with view:` around its use")
            try:
                if self._entered == 1:  # still inside: a launch that ends meanwhile leaves the copy back to us
                    self.wait()
            finally:
                self._entered -= 1

    def wait(self) -> None:
        """Put the kernels so far before what the other API is given from here on; leaving a ``with`` block does this.

        On the copying transports it waits for the kernels, and queues the copy back. A copy that fails loses nothing:
        the values stay, and the next call tries again.

        Raises
        ------
        WarpbridgeError
            A kernel failed, or the bytes could not be copied back.
        """
        with self._turn:
            if not self._transport.copies:
                for stream in self._streams:
                    self._transport.to_owner(stream)
                self._streams = set()
                return
            if self._active and dispatcher.is_current_thread():
                raise LaunchError(
                    f"{self!r} is used by a launch under way and waited for in a callback, expected that elsewhere: "
                    "callbacks run where launches are completed"
                )
            self._turn.wait_for(lambda: not self._active)
            streams, self._streams = self._streams, set()
            for stream in streams:
                wait_for_stream(self.device.index, stream)
            if self._is_dirty:
                self._write_back()

    def _fill(self) -> None:
        Array._wait(self)  # nobody reads what is overwritten now
        self._transport.fill(self._address)
        self._is_filled = True

    def _write_back(self) -> None:
        Array._wait(self)
        self._transport.write_back(self._address)
        self._is_dirty = False

    def _wait(self) -> None:
        """Make the bytes readable for the host: those of the other API, behind its work and the kernels'."""
        with self._turn:
            Array._wait(self)
            if not self._transport.copies:
                self._transport.check()
                self._transport.to_kernels(0)
            elif not (self._is_dirty or self._writers or (self._is_filled and (self._entered or self._active))):
                self._transport.allow(True, False)
                self._transport.check()
                self._fill()

    # ---- launches (buffer.HandOver) ----------------------------------------------------------------------------------

    @property
    def needs_end(self) -> bool:
        """Whether each launch must be followed by a copy back."""
        return self._transport.copies and not self._entered

    @property
    def copies(self) -> bool:
        """Whether kernels work on a copy."""
        return self._transport.copies

    @property
    def uses(self) -> tuple[bool, bool]:
        """Whether kernels may read and write."""
        return self._transport.is_readable, self._transport.is_writable

    def allow(self, reads: bool, writes: bool) -> None:
        """Refuse what the other API's object was not made for."""
        self._transport.allow(reads, writes)

    def begin(self, stream: int, reads: bool, writes: bool) -> None:
        """Prepare the bytes for a launch on this stream."""
        with self._turn:
            self._transport.check()
            if not (self._entered or self._active or self._is_dirty):
                self._is_filled = False
            if self._transport.copies:
                if reads and not self._is_filled and not self._writers:
                    self._fill()
            elif not self._entered or stream not in self._streams:
                self._transport.to_kernels(stream)
            if self._entered:
                self._streams.add(stream)
            self._active += 1
            self._writers += writes

    def queued(self, stream: int, writes: bool) -> None:
        """Leave a launch to its stream: `wait` follows, or the stream itself is ordered."""
        with self._turn:
            self._active -= 1
            self._writers -= writes
            self._turn.notify_all()
            self._is_dirty |= writes
            self._is_filled |= writes
            if not self._entered and not self._transport.copies:
                self._transport.to_owner(stream)

    def end(self, writes: bool, failed: bool) -> None:
        """Note what an ended launch wrote; outside a ``with`` block, give it back.

        A launch that failed spoils what it was to write: the other API's bytes stay as they were.
        """
        with self._turn:
            self._active -= 1
            self._writers -= writes
            self._turn.notify_all()
            if not writes:
                return
            self._is_filled = self._is_dirty = not failed
            if not failed and not self._entered and self._transport.copies:
                self._transport.write_back(self._address)
                self._is_dirty = False

    def _buffer(self) -> Buffer:
        described = super()._buffer()
        described.hand_over = self
        return described

    # ---- handing it on -----------------------------------------------------------------------------------------------

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Export the memory by DLPack, as `Array` does; on a copying transport only inside a ``with`` block.

        Raises
        ------
        BufferError
            It cannot be exported so.
        """
        here = self.__dlpack_device__()
        if copy or (dl_device is not None and tuple(dl_device) != here):
            return super().__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)
        closed = self._why_closed()
        if closed:
            raise BufferError(closed)
        versioned = max_version is not None and max_version[0] >= 1
        flags = 0 if self._transport.is_writable else _FLAG_READ_ONLY
        if flags and not versioned:
            raise BufferError(
                f"{self!r} cannot be written, expected a consumer that knows of that (DLPack 1.0 or later)"
            )
        self._open(stream)
        self._make_safe(stream)
        return _ffi.memory_export(self._memory, self._buffer(), flags, versioned)

    def _why_closed(self) -> str | None:
        """Return why the memory cannot be handed on now."""
        if not self._transport.copies or self._entered:
            return None
        return (
            f"{self!r} is handed on outside a with block, where it is a copy that nobody writes back, expected it "
            "inside `with view:`; or take view.copy()"
        )

    def _open(self, stream: int | None) -> None:
        """Let somebody else use the memory: what it does there is not told, so it counts as written."""
        with self._turn:
            if self.device.kind == "cpu":
                self._wait()
                stream = 0
            elif self._transport.copies:
                if not self._is_filled:
                    self._transport.allow(True, False)
                    self._fill()
            else:
                self._transport.check()
                if stream != _NO_SYNC:
                    self._transport.to_kernels(stream or 1)
            self._is_dirty |= self._transport.is_writable and self._transport.copies
            if self._entered and stream != _NO_SYNC:
                self._streams.add(1 if stream is None else stream)

    def _interface(self) -> dict[str, Any]:
        interface = super()._interface()
        closed = self._why_closed()
        if closed:
            raise AttributeError(closed)
        self._open(None)
        return {**interface, "data": (self._address, not self._transport.is_writable)}

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        """Say why NumPy cannot read it."""
        closed = self._why_closed()
        if closed and self.device.kind == "cpu":
            raise TypeError(closed)
        super().__array__()

    def frombytes(self, data: bytes | bytearray | memoryview) -> None:
        """Overwrite a view on the CPU, and give the bytes to the other API.

        Raises
        ------
        ArgumentError
            It is on another device, or the data are no bytes, or not as many.
        """
        with self:
            self._transport.allow(False, True)
            given = self._checked_bytes(data)
            self._is_filled = True  # all of it will be
            super().frombytes(given)
            self._is_dirty = self._transport.copies
