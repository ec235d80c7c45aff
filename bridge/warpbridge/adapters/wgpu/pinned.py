"""The pinned transport: an existing buffer, copied by wgpu itself into host memory that kernels' devices reach.

Through the Vulkan layer a staging buffer lives in host memory of ours, so that nothing is mapped and the host copies
nothing. On the CPU device that memory is what kernels work on. For a GPU it is pinned, a few chunks per wgpu device:
while wgpu copies one chunk, CUDA copies the one before.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from warpbridge import handover
from warpbridge.errors import DeviceError

from .checks import COPY_DST, COPY_SRC, usable
from .sharing import clear, made, why_not
from .staging import CHUNK_BYTES, Staged, count, ring_of

_SLOTS = 3


class Slot(NamedTuple):
    """A wgpu buffer in host memory of ours."""

    buffer: Any
    sharing: handover.Sharing

    @property
    def address(self) -> int:
        """Of its first byte, for the host and for `sharing.place`."""
        return self.sharing.memory[1]


def new_slot(device: Any, nbytes: int, place: handover.Place) -> Slot | str:
    """Return host memory that a wgpu buffer lives in, or why that cannot be."""
    why = why_not(device)
    if why:
        return why
    descriptor = {"label": "warpbridge pinned", "size": nbytes, "usage": COPY_SRC | COPY_DST}
    try:
        buffer, sharing = handover.core().share(lambda: made(device, descriptor), nbytes, [place], on_host=True)
    except DeviceError as error:  # no room, or the device is lost
        return str(error)
    if isinstance(sharing, DeviceError):
        buffer.destroy()
        return str(sharing)
    clear(buffer)
    return Slot(buffer, sharing)


def pinned(buffer: Any, offset: int, nbytes: int, place: handover.Place) -> Staged | str:
    """Return the pinned transport of these bytes of a buffer, or why there is none."""
    if nbytes == 0:
        return "it is empty"
    staged = Staged(buffer, offset, nbytes, place)  # refuses what no copy can reach
    if place.kind == "cpu":
        slot = new_slot(buffer._device, staged.end - staged.start, place)
        return slot if isinstance(slot, str) else OnHost(buffer, offset, nbytes, place, slot)
    ring = _ring_of(buffer._device, place)
    return ring if isinstance(ring, str) else OnGpu(buffer, offset, nbytes, place, ring)


class OnHost(Staged):
    """For the CPU device: the copy that kernels work on is itself a wgpu buffer."""

    name = "pinned"

    def __init__(self, buffer: Any, offset: int, nbytes: int, place: handover.Place, slot: Slot) -> None:
        super().__init__(buffer, offset, nbytes, place)
        self._slot = slot

    @property
    def memory(self) -> tuple[Any, int]:
        """Handle and address of the view's first byte."""
        return self._slot.sharing.memory[0], self._slot.address + self.offset - self.start

    def fill(self, address: int) -> None:
        """Let wgpu copy the buffer's bytes, and wait for it."""
        copy(self.owner, self.start, self._slot.buffer, 0, self.end - self.start)
        self._slot.sharing.to_kernels(0)
        count(self.nbytes)

    def write_back(self, address: int) -> None:
        """Let wgpu copy the bytes into the buffer; kernels may write again when that is done, so it is waited for."""
        usable(self.owner)
        first, last = self.offset - self.start, self.offset + self.nbytes - self.start
        for place, word in self.parts().items():
            for at, byte in enumerate(word, place - self.start):
                if not first <= at < last:
                    ctypes.memset(self._slot.address + at, byte, 1)
        copy(self._slot.buffer, 0, self.owner, self.start, self.end - self.start)
        self._slot.sharing.to_kernels(0)
        count(self.nbytes)


class OnGpu(Staged):
    """For a GPU: chunks go through pinned memory, which wgpu and CUDA copy from and to."""

    name = "pinned"

    def __init__(self, buffer: Any, offset: int, nbytes: int, place: handover.Place, ring: _Ring) -> None:
        super().__init__(buffer, offset, nbytes, place)
        self._ring = ring

    def fill(self, address: int) -> None:
        """Copy the buffer's bytes to this address of the GPU."""
        with self._ring.turn() as is_inner:
            if is_inner:
                return super().fill(address)
            self._ring.wait()
            ahead = self._fetch(0)
            self._ring.wait()
            while ahead is not None:
                slot, at, nbytes = ahead
                ahead = self._fetch(at - self.start + nbytes)
                self.move(address, slot.address, at, nbytes, out=True)  # behind its own chunk, beside the next one
                self._ring.wait()
        return count(self.nbytes)

    def write_back(self, address: int) -> None:
        """Copy the bytes at this address of the GPU into the buffer."""
        usable(self.owner)
        parts = self.parts()
        with self._ring.turn() as is_inner:
            if is_inner:
                return super().write_back(address)
            for done in range(0, self.end - self.start, CHUNK_BYTES):
                slot, at, nbytes = self._chunk(done)
                if done // CHUNK_BYTES % _SLOTS == 0:
                    self._ring.wait()  # for wgpu's copies out of these slots
                for place, word in parts.items():
                    if at <= place < at + nbytes:
                        handover.core().copy(self._ring.place, slot.address + place - at, _address(word), len(word))
                self.move(address, slot.address, at, nbytes, out=False)
                copy(slot.buffer, 0, self.owner, at, nbytes)
        return count(self.nbytes)

    def _chunk(self, done: int) -> tuple[Slot, int, int]:
        at = self.start + done
        return self._ring.slots[done // CHUNK_BYTES % _SLOTS], at, min(CHUNK_BYTES, self.end - at)

    def _fetch(self, done: int) -> tuple[Slot, int, int] | None:
        if done >= self.end - self.start:
            return None
        slot, at, nbytes = self._chunk(done)
        copy(self.owner, at, slot.buffer, 0, nbytes)
        return slot, at, nbytes


class _Ring:
    """Pinned chunks of one wgpu device and one GPU; transfers take turns."""

    def __init__(self, slots: list[Slot], place: handover.Place) -> None:
        self.slots = slots
        self.place = place
        self._lock = threading.RLock()
        self._is_busy = False

    @contextlib.contextmanager
    def turn(self) -> Iterator[bool]:
        """Wait for other threads' transfers; True inside one of this thread, whose chunks are not to be touched."""
        # Moving a chunk needs pinned memory of the staging ring.
        with self._lock, ring_of(self.slots[0].buffer._device).turn():
            is_inner, self._is_busy = self._is_busy, True
            try:
                yield is_inner
            finally:
                self._is_busy = is_inner

    def wait(self) -> None:
        """Wait for wgpu's copies so far, on the host: an H200 showed copies that a semaphore had not held back."""
        self.slots[0].buffer._device._poll_wait()


_rings_lock = threading.RLock()


def _ring_of(device: Any, place: handover.Place) -> _Ring | str:
    """Return a device's pinned chunks; they live as long as it does, so it holds them itself."""
    with _rings_lock:
        rings = vars(device).setdefault("_warpbridge_pinned", {})
        if place.index not in rings:
            slots: list[Slot] = []
            for _ in range(_SLOTS):
                slot = new_slot(device, CHUNK_BYTES, place)
                if isinstance(slot, str):
                    return slot
                slots.append(slot)
            rings[place.index] = _Ring(slots, place)
        found: _Ring = rings[place.index]
        return found


def copy(source: Any, source_offset: int, to: Any, to_offset: int, nbytes: int) -> None:
    """Submit a copy between two buffers of one wgpu device."""
    device = to._device
    encoder = device.create_command_encoder(label="warpbridge pinned")
    encoder.copy_buffer_to_buffer(source, source_offset, to, to_offset, nbytes)
    device.queue.submit([encoder.finish()])


def _address(word: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(word), ctypes.c_void_p).value or 0
