"""``warpbridge demo``: the main job on real photographs, in all three call styles, checked, timed and drawn.

``pictures.py`` finds the photographs, ``place.py`` the device, ``reference.py`` checks, ``sheet.py`` draws; this file
tells the story. Uses the public API only, as a reader would.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import warpbridge as wb
from warpbridge.demo import place as places
from warpbridge.demo.pictures import gather
from warpbridge.demo.reference import image_prep, worst_ulp
from warpbridge.demo.sheet import contact_sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

# The usual ImageNet statistics, per channel.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
PICTURE_PX = (240, 320)
CROP_PX = (192, 192)
DEADLOCK_TIMEOUT_S = 2.0
BAR_CELLS = 30


@dataclass(frozen=True)
class Batch:
    """What the kernel is given, on the host and on the device."""

    photographs: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int32]
    mirror: npt.NDArray[np.uint8]
    exact: npt.NDArray[np.float64]
    device_arrays: tuple[Any, Any, Any]


def run(images: Sequence[Path] = (), *, output: Path | None = None, device: str | None = None, count: int = 8) -> int:
    """Run the demo and print what happens.

    Parameters
    ----------
    images : sequence of Path
        Photographs to prepare; empty for a sample.
    output : Path, optional
        The contact sheet; default ``demo-sheet.png`` in the working directory.
    device : str, optional
        ``cpu``, ``cuda:0`` ...; default: a GPU where there is one.
    count : int
        Pictures in the batch.

    Returns
    -------
    int
        0 when every result was right and the deadlock was reported, else 1.

    Raises
    ------
    ArgumentError
        The contact sheet's folder is not there or cannot be written.
    DeviceError
        There is no such device, or no installed array library reaches it.
    OSError
        A photograph cannot be read.
    """
    path = _writable(output or Path("demo-sheet.png"))
    place = places.choose(device)
    pictures = gather(images, count=count, height=PICTURE_PX[0], width=PICTURE_PX[1])
    print(f"warpbridge {wb.__version__} on {place.device} ({place.device.name}), arrays by {place.library}")
    print(f"pictures: {len(pictures.batch)} of {PICTURE_PX[1]} x {PICTURE_PX[0]}, {pictures.origin}")
    batch = _prepare(place, pictures.batch)
    print("kernel:   image_prep: loader warp and compute warps, two async roles in one launch; you call a function\n")
    good = True
    prepared: npt.NDArray[np.floating] | None = None
    for title, style in (("blocking", _blocking), ("callback", _callback), ("stream-ordered", _stream_ordered)):
        right, prepared = _show(title, style, place, batch)
        good &= right
    assert prepared is not None
    contact_sheet(
        path, batch.photographs, prepared, batch.offsets, batch.mirror, mean=MEAN, std=STD,
        caption=f"warpbridge image_prep on {place.device} ({place.device.name})",
    )  # fmt: skip
    print(f"\npicture:  {path.resolve()}")
    good &= _deadlock(place)
    print("\nall results agree with NumPy" if good else "\nSOMETHING WAS WRONG, see above")
    return 0 if good else 1


def _writable(path: Path) -> Path:
    """Refuse a sheet that could not be written before the work, not after it."""
    folder = path.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise wb.ArgumentError(f"{path} cannot be written, expected a folder that can: name one by --output")
    return path


def _prepare(place: places.Place, photographs: npt.NDArray[np.uint8]) -> Batch:
    rng = np.random.default_rng(7)
    n, height, width = photographs.shape[:3]
    limits = (height - CROP_PX[0] + 1, width - CROP_PX[1] + 1)
    offsets = np.stack([rng.integers(limit, size=n) for limit in limits], axis=1).astype(np.int32)
    mirror = np.asarray(rng.integers(2, size=n), dtype=np.uint8)
    exact = image_prep(photographs, MEAN, STD, offsets, mirror, CROP_PX)
    arrays = (place.to_device(photographs), place.to_device(offsets), place.to_device(mirror))
    return Batch(photographs, offsets, mirror, exact, arrays)


def _show(
    title: str, style: Callable[[places.Place, Batch], Any], place: places.Place, batch: Batch
) -> tuple[bool, npt.NDArray[np.floating]]:
    style(place, batch)  # the first call loads the PTX; it is not what the timing is about
    start = time.perf_counter()
    result = style(place, batch)
    elapsed_s = time.perf_counter() - start
    prepared = place.to_host(result)
    ulp = worst_ulp(prepared, batch.exact)
    right = ulp <= 1.0
    rate = len(batch.photographs) / elapsed_s
    verdict = "right" if right else "WRONG"
    print(f"{title:15} {elapsed_s * 1e3:9.2f} ms {rate:11,.0f} pictures/s   {verdict}: at most {ulp:.2f} ulp off NumPy")
    return right, prepared


def _blocking(_place: places.Place, batch: Batch) -> Any:
    """``y = kernel(x, ...)``: a function."""
    x, offsets, mirror = batch.device_arrays
    return wb.kernels.image_prep(x, MEAN, STD, offsets, mirror, oh=CROP_PX[0], ow=CROP_PX[1])


def _callback(_place: places.Place, batch: Batch) -> Any:
    """``kernel.submit(x, ..., on_done=f)``: a Future, with progress while it runs."""
    x, offsets, mirror = batch.device_arrays
    called = threading.Event()
    pending = wb.kernels.image_prep.submit(
        x, MEAN, STD, offsets, mirror, oh=CROP_PX[0], ow=CROP_PX[1], on_done=lambda _pending: called.set()
    )
    while not called.wait(0.05):
        _bar(pending.progress)
    _bar(None)
    return pending.result()


def _stream_ordered(place: places.Place, batch: Batch) -> Any:
    """``kernel.launch(x, ..., stream=s)``: queued on a stream behind what is already there, and the next behind it."""
    x, offsets, mirror = batch.device_arrays
    stream = place.device.stream()
    y = wb.kernels.image_prep.launch(x, MEAN, STD, offsets, mirror, oh=CROP_PX[0], ow=CROP_PX[1], stream=stream)
    negative = wb.kernels.scale.launch(y, -1.0, 0.0, stream=stream)
    restored = wb.kernels.scale.launch(negative, -1.0, 0.0, stream=stream)
    stream.synchronize()
    return restored


def _bar(progress: float | None) -> None:
    if not sys.stdout.isatty():
        return
    if progress is None:
        sys.stdout.write("\r" + " " * (BAR_CELLS + 8) + "\r")
    else:
        done = round(progress * BAR_CELLS)
        sys.stdout.write(f"\r[{'#' * done}{'.' * (BAR_CELLS - done)}] {progress:4.0%}")
    sys.stdout.flush()


def _deadlock(place: places.Place) -> bool:
    print(f"\nnow a kernel whose two roles wait for each other, with timeout={DEADLOCK_TIMEOUT_S:g}:")
    x = place.to_device(np.ones(1024, dtype=np.float32))
    start = time.perf_counter()
    try:
        wb.kernels.deadlock_demo(x, timeout=DEADLOCK_TIMEOUT_S)
    except (wb.DeadlockError, wb.LaunchTimeout) as error:
        lines = str(error).splitlines()
        print(f"  {type(error).__name__} after {time.perf_counter() - start:.2f} s:")
        print("\n".join(f"    {line}" for line in lines))
        print("  the device is free again" if _still_works(place) else "  THE DEVICE DOES NOT ANSWER ANY MORE")
        return True
    print("  IT RETURNED, which it must not")
    return False


def _still_works(place: places.Place) -> bool:
    x = place.to_device(np.arange(5, dtype=np.float32))
    return bool(np.array_equal(place.to_host(wb.kernels.scale(x, 2.0, 1.0)), [1, 3, 5, 7, 9]))
