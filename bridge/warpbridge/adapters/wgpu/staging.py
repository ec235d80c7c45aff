"""The staged transport: any wgpu buffer of any backend, copied through mappable buffers that are made once and kept.

A transfer goes in chunks: while wgpu copies one, the host copies the one before, or after. Staging buffers of WRITE
stay mapped between transfers, those of READ are mapped when their copy is done. No memory that wgpu maps is handed out.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable, Iterator
from typing import Any

from warpbridge import handover
from warpbridge.errors import ArgumentError, WarpbridgeError

from .checks import COPY_DST, COPY_SRC, MAP_READ, MAP_WRITE, described, lost, need_usage, usable
from .hostcopy import host_copy

CHUNK_BYTES = 16 << 20
_LEAST_BYTES = 4096
_READERS, _WRITERS = 2, 3
_WORD = 4  # what wgpu copies is a multiple of this, at a multiple of this

Copy = Callable[[int, int, int], None]
"""Called with (address in staging memory, first byte in the buffer, bytes)."""

_counted = threading.RLock()
_copied = {"bytes": 0}


def copied_bytes() -> int:
    """Return how many bytes of wgpu buffers this process has copied for kernels so far, in both directions."""
    return _copied["bytes"]


def count(nbytes: int) -> None:
    """Add to `copied_bytes`."""
    with _counted:
        _copied["bytes"] += nbytes


class _Slot:
    """One staging buffer, and the mapping that is under way."""

    def __init__(self, device: Any, nbytes: int, usage: int) -> None:
        self.buffer = device.create_buffer(label="warpbridge staging", size=nbytes, usage=usage)
        self.mapping: Any = None

    def map(self, mode: str, nbytes: int) -> None:
        """Ask for the mapping; wgpu gives it when its copies are done."""
        self.mapping = self.buffer.map_async(mode, 0, nbytes)

    def wait(self) -> None:
        """Wait for the mapping."""
        mapping, self.mapping = self.mapping, None
        if mapping is not None:
            self.buffer._device._poll_wait()  # else wgpu's own thread does, which takes longer
            mapping.sync_wait()


class Ring:
    """The staging buffers of one wgpu device; transfers take turns.

    One that begins in the middle of another on the same thread, in a signal handler or a finalizer, cannot wait for its
    turn, nor use buffers that the other has half filled: it gets buffers of its own, which go when it is done.
    """

    def __init__(self, device: Any) -> None:
        self._device = device
        self._lock = threading.RLock()
        self._turns: list[Ring] = []  # of the transfers under way, innermost last
        self._slots: dict[str, list[_Slot]] = {"READ": [], "WRITE": []}
        self._pinned: dict[int, tuple[Any, int]] = {}

    def read(self, buffer: Any, start: int, end: int, take: Copy) -> None:
        """Copy bytes `start` to `end` of a buffer, both at whole words, out through `take`."""
        with self.turn() as ring:
            ring._read(buffer, start, end, take)

    def write(self, buffer: Any, start: int, end: int, give: Copy) -> None:
        """Copy bytes `start` to `end` of a buffer, both at whole words, in through `give`."""
        with self.turn() as ring:
            ring._write(buffer, start, end, give)

    @contextlib.contextmanager
    def turn(self) -> Iterator[Ring]:
        """Wait for other threads' transfers; gives the ring to use."""
        with self._lock:
            ring = Ring(self._device) if self._turns else self
            self._turns.append(ring)
            try:
                yield ring
            finally:
                self._turns.pop()

    def _read(self, buffer: Any, start: int, end: int, take: Copy) -> None:
        with _Undone(self, "READ", buffer):
            slots = self._ready("READ", end - start)
            step = slots[0].buffer.size
            self._fetch(slots[0], buffer, start, min(step, end - start))
            for turn, at in enumerate(range(start, end, step)):
                slot, nbytes = slots[turn % len(slots)], min(step, end - at)
                slot.wait()
                if at + step < end:
                    self._fetch(slots[(turn + 1) % len(slots)], buffer, at + step, min(step, end - at - step))
                mapped = slot.buffer.read_mapped(0, nbytes, copy=False)
                take(ctypes.addressof(mapped.obj), at, nbytes)
                del mapped
                slot.buffer.unmap()

    def _write(self, buffer: Any, start: int, end: int, give: Copy) -> None:
        with _Undone(self, "WRITE", buffer):
            slots = self._ready("WRITE", end - start)
            step = slots[0].buffer.size
            for turn, at in enumerate(range(start, end, step)):
                slot, nbytes = slots[turn % len(slots)], min(step, end - at)
                slot.wait()
                mapped = slot.buffer._experimental_get_mapped_range(0, nbytes)
                give(ctypes.addressof(mapped.obj), at, nbytes)
                del mapped
                slot.buffer.unmap()
                self._copy(slot.buffer, 0, buffer, at, nbytes)
                slot.map("WRITE", step)

    def pinned(self, place: handover.Place) -> int:
        """Return the address of a chunk of pinned memory, for the transfer that has the turn."""
        pinned = self._turns[-1]._pinned
        if place.index not in pinned:
            pinned[place.index] = handover.core().pinned(place, CHUNK_BYTES)
        return pinned[place.index][1]

    def drop(self, mode: str) -> None:
        """Give up staging buffers whose state nobody knows."""
        for slot in self._slots[mode]:
            slot.buffer.destroy()
        self._slots[mode] = []

    def _ready(self, mode: str, nbytes: int) -> list[_Slot]:
        """Return staging buffers of at least this size, up to a chunk."""
        wanted = min(max(1 << (nbytes - 1).bit_length(), _LEAST_BYTES), CHUNK_BYTES)
        slots = self._slots[mode]
        if slots and slots[0].buffer.size < wanted:
            for slot in slots:
                slot.wait()
            self.drop(mode)
            slots = self._slots[mode]
        if not slots:
            usage, number = (MAP_READ | COPY_DST, _READERS) if mode == "READ" else (MAP_WRITE | COPY_SRC, _WRITERS)
            for _ in range(number):
                slots.append(_Slot(self._device, wanted, usage))
                if mode == "WRITE":
                    slots[-1].map("WRITE", wanted)
        return slots

    def _fetch(self, slot: _Slot, buffer: Any, at: int, nbytes: int) -> None:
        self._copy(buffer, at, slot.buffer, 0, nbytes)
        slot.map("READ_NOSYNC", nbytes)

    def _copy(self, source: Any, source_offset: int, to: Any, to_offset: int, nbytes: int) -> None:
        encoder = self._device.create_command_encoder(label="warpbridge staging")
        encoder.copy_buffer_to_buffer(source, source_offset, to, to_offset, nbytes)
        self._device.queue.submit([encoder.finish()])


class _Undone:
    """Leaves a ring usable where a transfer ends half-way, and says so in warpbridge's words."""

    def __init__(self, ring: Ring, mode: str, buffer: Any) -> None:
        self._ring, self._mode, self._buffer = ring, mode, buffer

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is None:
            return
        self._ring.drop(self._mode)
        if isinstance(error, Exception) and not isinstance(error, WarpbridgeError):
            raise lost(self._buffer, str(error)) from error


_rings_lock = threading.RLock()


def ring_of(device: Any) -> Ring:
    """Return the staging buffers of a wgpu device; they live as long as it does, so it holds them itself."""
    with _rings_lock:
        found: Ring | None = getattr(device, "_warpbridge_ring", None)
        if found is None:
            found = device._warpbridge_ring = Ring(device)
        return found


class Staged:
    """`handover.Transport` of any buffer: bytes `offset` to `offset + nbytes` of it, copied to memory of ours."""

    name = "staged"
    copies = True

    def __init__(self, buffer: Any, offset: int, nbytes: int, place: handover.Place) -> None:
        self.owner = buffer
        self.offset = offset
        self.nbytes = nbytes
        self._place = place
        self.start = offset - offset % _WORD
        self.end = -(-(offset + nbytes) // _WORD) * _WORD
        self._has_parts = self.start != offset or self.end != offset + nbytes
        if self.end > buffer.size and nbytes:
            raise ArgumentError(
                f"{described(buffer)} has {buffer.size} bytes, of which wgpu cannot copy the last "
                f"{buffer.size % _WORD}, expected a size that is a multiple of {_WORD}; make it larger and give shape=",
                found=buffer.size,
            )

    @property
    def is_readable(self) -> bool:
        """Whether wgpu can copy out of it."""
        return bool(self.owner.usage & COPY_SRC)

    @property
    def is_writable(self) -> bool:
        """Whether wgpu can copy into it."""
        return bool(self.owner.usage & COPY_DST) and (self.is_readable or not self._has_parts)

    def describe(self) -> str:
        """Return its name."""
        return described(self.owner)

    def allow(self, reads: bool, writes: bool) -> None:
        """Refuse a buffer without the usage flag for a copy."""
        if reads:
            need_usage(self.owner, COPY_SRC, f"so that the {self.name} transport can copy it to kernels that read it")
        if writes:
            need_usage(self.owner, COPY_DST, f"so that the {self.name} transport can copy into it what kernels write")
            if self._has_parts:
                parts = f"bytes {self.offset} to {self.offset + self.nbytes}"
                need_usage(self.owner, COPY_SRC, f"because {parts} end inside a word of 4 bytes, whose rest is kept")

    def check(self) -> None:
        """Refuse a buffer that is mapped or destroyed."""
        usable(self.owner)

    def fill(self, address: int) -> None:
        """Copy the buffer's bytes to this address."""
        if self.nbytes:
            ring_of(self.owner._device).read(
                self.owner, self.start, self.end, lambda mapped, at, n: self.move(address, mapped, at, n, out=True)
            )
            count(self.nbytes)

    def write_back(self, address: int) -> None:
        """Copy the bytes at this address into the buffer."""
        if not self.nbytes:
            return
        usable(self.owner)
        parts = self.parts()

        def give(mapped: int, at: int, nbytes: int) -> None:
            for place, word in parts.items():
                if at <= place < at + nbytes:
                    ctypes.memmove(mapped + place - at, word, _WORD)
            self.move(address, mapped, at, nbytes, out=False)

        ring_of(self.owner._device).write(self.owner, self.start, self.end, give)
        count(self.nbytes)

    def to_kernels(self, stream: int) -> None:
        """Never asked: it copies."""

    def to_owner(self, stream: int) -> None:
        """Never asked: it copies."""

    def parts(self) -> dict[int, bytes]:
        """Return the first and the last word, by place, where not all of it is the view's: the rest must stay."""
        found: dict[int, bytes] = {}

        def take(mapped: int, at: int, nbytes: int) -> None:
            found[at] = ctypes.string_at(mapped, nbytes)

        if self._has_parts:
            for place in {self.start, self.end - _WORD}:
                ring_of(self.owner._device).read(self.owner, place, place + _WORD, take)
        return found

    def move(self, address: int, mapped: int, at: int, nbytes: int, *, out: bool) -> None:
        """Copy what of bytes `at` to `at + nbytes` is the view's, between staging memory and the kernels'."""
        first = max(at, self.offset)
        length = min(at + nbytes, self.offset + self.nbytes) - first
        ours, theirs = address + first - self.offset, mapped + first - at
        to, source = (ours, theirs) if out else (theirs, ours)
        if self._place.kind == "cpu":
            host_copy(to, source, length)
        else:
            self._move_gpu(to, source, length, out=out)

    def _move_gpu(self, to: int, source: int, nbytes: int, *, out: bool) -> None:
        """Copy between staging memory and a GPU's, by way of pinned memory, which CUDA copies faster."""
        core, ring = handover.core(), ring_of(self.owner._device)
        between = ring.pinned(self._place)
        if out:
            host_copy(between, source, nbytes)
            core.copy(self._place, to, between, nbytes)
        else:
            core.copy(self._place, between, source, nbytes)
            host_copy(to, between, nbytes)
