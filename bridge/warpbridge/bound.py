"""A launch whose arguments have been checked, and the three ways to run it.

Every call of a Kernel or Entry makes a Bound and runs it once; `bind` hands the Bound out, so that repeated calls skip
the checks. Here lives what all call styles share: which stream, how to wait, what must stay alive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NoReturn

from . import _ffi, dispatcher, settings
from .buffer import CUDA, CUDA_MANAGED, Buffer
from .device import WAIT_SLICE_S, Device, devices
from .errors import ArgumentError, WarpbridgeError
from .pending import Pending
from .pickling import refuse
from .stream import handle_of
from .trace import COPY_LATENCY, Trace

_STOP_LIMIT_SLICES = 20


class Bound:
    """A checked launch: ``b()`` blocks, ``b.submit()`` returns a Pending, ``b.launch(stream)`` queues it.

    The arrays are those it was bound to; their contents may change between calls. Made by ``kernel.bind`` and
    ``entry.bind``.
    """

    def __init__(self, name: str, handle: _ffi.Handle, buffers: Sequence[Buffer], result: Any) -> None:
        self._name = name
        self._handle = handle
        self._buffers = tuple(buffers)
        self._result = result
        self._device = _device_of(handle, self._buffers)
        on_gpu = self._device.kind == "cuda"
        self._here = [b for b in self._buffers if (b.device_type in (CUDA, CUDA_MANAGED)) == on_gpu]
        # Who must be asked before a launch: arrays with a stream of their own, and libraries beside the first.
        self._ordered = tuple(b for b in self._here if b.order is not None) if on_gpu else ()
        by_name = {b.library.name: b for b in self._here if b.order is None} if on_gpu else {}
        self._libraries = tuple(by_name.values()) if len(by_name) + len(self._ordered) > 1 else ()
        self._own = tuple(b.owner for b in self._buffers if b.library.name == "warpbridge")
        self._last_mode: tuple[tuple[Any, ...], _ffi.Handle] = ((), None)

    def __repr__(self) -> str:
        return f"<Bound {self._name} on {self._device}>"

    def __reduce__(self) -> NoReturn:
        refuse(self, "pickle the kernel and the arguments, and bind them in the other process")

    @property
    def result(self) -> Any:
        """What a call returns: the output, a tuple of several, or None."""
        return self._result

    @property
    def device(self) -> Device:
        """Where it runs."""
        return self._device

    def __call__(self, *, timeout: float | None = None, stream: Any = None) -> Any:
        """Launch and wait.

        Parameters
        ----------
        timeout
            Seconds until the kernel is asked to stop.
        stream
            Where to queue it; default: the current stream of the arrays' library.

        Returns
        -------
        Any
            The output, a tuple of several, or None for a kernel without outputs.

        Raises
        ------
        LaunchTimeout
            The kernel did not end in time.
        KernelFault, LaunchError
            It failed.
        """
        handle = self._stream(stream)
        mode = self._mode(handle, timeout)
        others = self._order_before(handle, stream)
        launch = _ffi.submit(self._handle, mode)
        try:
            while not _ffi.wait(launch, WAIT_SLICE_S):
                pass  # Python looks at signals between slices
        except BaseException:
            self._stop(launch, handle)
            raise
        failure = _ffi.outcome(launch)
        if failure is not None:
            if failure.fields.get("still_running"):
                dispatcher.instance().hold_for_stream((self._device.index, handle), self)
            raise failure
        self._order_after(handle, others)
        return self._result

    def submit(
        self,
        *,
        on_done: Callable[[Future[Any]], object] | None = None,
        timeout: float | None = None,
        stream: Any = None,
    ) -> Pending:
        """Launch and return at once.

        Parameters
        ----------
        on_done
            Called with the Pending when the launch has ended, on warpbridge's dispatcher thread.
        timeout, stream
            As for a blocking call.
        """
        handle = self._stream(stream)
        mode = self._mode(handle, timeout)
        others = self._order_before(handle, stream)
        pending = Pending(self._name, self._result, (self, stream))
        if on_done is not None:
            pending.add_done_callback(on_done)
        dispatcher.instance().submit(self._handle, mode, pending, (self._device.index, handle))
        self._order_after(handle, others)
        return pending

    def launch(self, stream: Any = None) -> Any:
        """Queue on a stream and return the outputs at once, as array libraries do.

        The outputs hold their values for whatever is queued on the same stream later. Nothing is allocated or waited
        for; on CUDA devices it is legal under graph capture. There is no timeout, and an error comes out of the
        stream's next synchronisation.
        """
        handle = self._stream(stream)
        is_over = settings.faults_at_once()  # when `launch` returns, so that nothing needs to be held
        if self._ordered and not is_over and not _ffi.stream_is_capturing(self._device.index, handle):
            self._launch_held(stream, handle)
            return self._result
        others = self._order_before(handle, stream)
        _ffi.launch(self._handle, self._mode(handle, None))
        if self._device.kind == "cpu":
            dispatcher.instance().hold_for_stream((self._device.index, handle), self)
        self._order_after(handle, others)
        return self._result

    def trace(
        self, *, ctas: Sequence[int] | None = (0,), latency: int = COPY_LATENCY, timeout: float | None = None
    ) -> Trace:
        """Launch on the CPU device, wait, and return a record of what happened.

        Parameters
        ----------
        ctas
            Thread blocks to record, as ``x + y * grid_x + z * grid_x * grid_y``; None for all.
        latency
            Warp instructions that an asynchronous copy is taken to need.
        timeout
            Seconds until the kernel is asked to stop.

        Returns
        -------
        Trace
            A launch that failed is no exception here: its error is `Trace.error`, beside the events up to then.

        Raises
        ------
        ArgumentError
            The arrays are on a GPU, or an argument is negative.
        """
        wanted = () if ctas is None else tuple(ctas)
        for name, values in (("ctas", wanted), ("latency", (latency,))):
            wrong = [value for value in values if not 0 <= value < 2**63]
            if wrong:
                raise ArgumentError(
                    f"{self._name}: {name} has {wrong[0]}, expected numbers from 0", kernel=self._name, argument=name
                )
        record, error = _ffi.trace(self._handle, self._mode(self._stream(None), timeout), wanted, latency)
        return Trace.read(record, self._result, error)

    def _stream(self, stream: Any) -> int:
        if stream is not None:
            return handle_of(stream, self._device.kind, str(self._device), self._name)
        return self._here[0].current_stream() if self._here else 0

    def _mode(self, stream: int, timeout: float | None) -> _ffi.Handle:
        """Return the native form of the call's options, which mostly are the last call's."""
        if timeout is not None and not timeout > 0:
            raise ArgumentError(
                f"{self._name}: timeout is {timeout!r}, expected a positive number of seconds, or None for no limit",
                kernel=self._name,
                argument="timeout",
                found=timeout,
            )
        now = settings.current()
        key = (stream, timeout, now)
        last = self._last_mode  # read and written whole: threads may share this object
        if key != last[0]:
            timeout_s = 0.0 if timeout is None else float(timeout)
            last = key, _ffi.mode(stream, timeout_s, now.schedule, now.checks, now.seed, now.threads)
            self._last_mode = last
        return last[1]

    def _order_before(self, handle: int, stream: Any) -> list[int]:
        """Make the launch wait for the streams that other arrays come from, by event; return those streams.

        Libraries' current streams count only without an explicit stream: who names one has ordered the work. Arrays
        with a stream of their own are asked always, except under capture, where nothing outside can be waited for.
        """
        for array in self._own:
            array._used_on(handle, stream)
        if not self._ordered and (stream is not None or not self._libraries):
            return []
        others: set[int] = set()
        if self._ordered and not _ffi.stream_is_capturing(self._device.index, handle):
            for buffer in self._ordered:
                if buffer.order is not None:
                    others.update(buffer.order(handle))
        if stream is None:
            others.update(buffer.current_stream() for buffer in self._libraries)
        waited = {other or 1 for other in others} - {handle or 1}  # 0 and 1 are one stream
        for other in waited:
            _ffi.stream_order(self._device.index, other, handle)
        return list(waited)

    def _order_after(self, handle: int, others: list[int]) -> None:
        """Make those streams wait for the launch."""
        for other in others:
            _ffi.stream_order(self._device.index, handle, other)

    def _launch_held(self, stream: Any, handle: int) -> None:
        """Launch, and keep the arrays until it has ended: who owns their memory knows nothing of this stream."""
        place = (self._device.index, handle)

        def keep_failure(pending: Future[Any]) -> None:
            error = pending.exception()
            if isinstance(error, WarpbridgeError):
                dispatcher.instance().keep_failure(place, error)

        self.submit(on_done=keep_failure, stream=stream)

    def _stop(self, launch: _ffi.Handle, stream: int) -> None:
        """Ask an interrupted launch to stop; if it takes long, leave its arrays to the dispatcher."""
        _ffi.cancel(launch)
        ended = False
        try:
            for _ in range(_STOP_LIMIT_SLICES):
                ended = _ffi.wait(launch, WAIT_SLICE_S)
                if ended:
                    return
        finally:
            if not ended:
                dispatcher.instance().hold_for_stream((self._device.index, stream), self)


def _device_of(handle: _ffi.Handle, buffers: Sequence[Buffer]) -> Device:
    """Return where a bound launch runs; the arrays say so, and the native core has checked that they agree."""
    for buffer in buffers:
        if buffer.device_type in (CUDA, CUDA_MANAGED):
            for device in devices():
                if device.dl_device == (CUDA, buffer.device_id):
                    return device
    return devices()[int(_ffi.bound_info(handle)["device"]) if not buffers else 0]
