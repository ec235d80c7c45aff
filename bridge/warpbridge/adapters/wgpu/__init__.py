"""wgpu buffers as arguments of kernels: `share` makes one that wgpu and kernels both see, `view` takes any that exists.

``enable()``, once and before wgpu is used, allows buffers that are shared without a copy; without it everything works
by copies. The page is docs/wgpu.md. Here: the public functions; `checks.py` has the words, `staging.py` and
`pinned.py` the copies, `sharing.py` what needs none.
wgpu is never imported: its objects bring it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from warpbridge import handover
from warpbridge.errors import ArgumentError

from . import checks
from .pinned import pinned
from .sharing import Shared, create, enable, shared_memory, sharing_of
from .staging import Staged, copied_bytes

__all__ = ["copied_bytes", "enable", "share", "view"]

TRANSPORTS = ("shared", "pinned", "staged")


def view(
    buffer: Any,
    *,
    dtype: Any,
    shape: int | Sequence[int] | None = None,
    offset: int = 0,
    require: str | None = None,
    on: Any = None,
) -> Any:
    """Make any wgpu buffer an argument of kernels.

    Parameters
    ----------
    buffer
        A ``wgpu.GPUBuffer``; it lives as long as the view.
    dtype
        Element type: a name, or a dtype of NumPy, CuPy or PyTorch.
    shape
        Extents; default: one dimension, from `offset` to the end.
    offset
        First byte.
    require
        ``"shared"`` or ``"pinned"``: refuse a lesser transport instead of falling back.
    on
        Where kernels see it: ``"cpu"``, ``"cuda:0"`` or a `Device`; default: the GPU that wgpu uses, else the CPU.

    Returns
    -------
    View
        An array for kernels, with ``buffer`` and ``transport``.

    Raises
    ------
    ArgumentError
        It is no wgpu buffer, its size does not fit, or the required transport cannot be had; the text says why.
    """
    checks.of_wgpu(buffer, "GPUBuffer", "view: buffer")
    checks.same_process(buffer._device, checks.described(buffer))
    found = handover.core().dtype(dtype, "view")
    if not hasattr(type(offset), "__index__") or not 0 <= int(offset) <= buffer.size:
        raise ArgumentError(
            f"view: offset is {offset!r}, expected 0 to {buffer.size}, the buffer's size",
            argument="offset",
            found=offset,
        )
    sizes = checks.extents(shape, found, buffer.size - offset, "view")
    nbytes = checks.nbytes(sizes, found)
    if offset + nbytes > buffer.size:
        raise ArgumentError(
            f"view: {found.name} {sizes} from offset {offset} needs {offset + nbytes} bytes, found {buffer.size} in "
            f"{checks.described(buffer)}, expected at most those",
            argument="shape",
            found=buffer.size,
            expected=offset + nbytes,
        )
    sharing = shared_memory(buffer)
    place = sharing.place if on is None and sharing is not None else checks.choose_places(buffer._device, on)[0]
    return _best(buffer, int(offset), nbytes, found, sizes, require, place)


def share(
    device: Any,
    *,
    size: int | None = None,
    usage: Any,
    dtype: Any = "uint8",
    shape: int | Sequence[int] | None = None,
    label: str = "",
    require: str | None = None,
    on: Any = None,
) -> Any:
    """Make a wgpu buffer that wgpu and kernels both see; its bytes are zero.

    Parameters
    ----------
    device
        A ``wgpu.GPUDevice``.
    size
        Bytes; default: those of `shape`. wgpu's buffer is rounded up to a multiple of 4.
    usage, label
        As of ``device.create_buffer``; COPY_DST must be among the flags, and on the copying transports COPY_SRC for
        what kernels read.
    dtype, shape, require, on
        As of `view`.

    Returns
    -------
    View
        With ``buffer``, the ``wgpu.GPUBuffer``.

    Raises
    ------
    ArgumentError
        An argument does not fit, or the required transport cannot be had; the text says why.
    """
    checks.of_wgpu(device, "GPUDevice", "share: device")
    found = handover.core().dtype(dtype, "share")
    checks.same_process(device, f"wgpu device {device.label!r}")
    if size is not None and (not hasattr(type(size), "__index__") or int(size) < 0):
        raise ArgumentError(f"share: size is {size!r}, expected bytes, 0 or more", argument="size", found=size)
    sizes = checks.extents(shape, found, size, "share")
    nbytes = checks.nbytes(sizes, found)
    if size is not None and nbytes > size:
        raise ArgumentError(
            f"share: {found.name} {sizes} needs {nbytes} bytes, found size {size}, expected at least those",
            argument="size",
            found=size,
            expected=nbytes,
        )
    places = checks.choose_places(device, on)
    rounded = -(-(nbytes if size is None else int(size)) // 4) * 4
    most = device.limits["max-buffer-size"]
    if rounded > most:
        raise ArgumentError(
            f"share: {rounded} bytes, expected at most {most}, the device's limit max-buffer-size",
            argument="size",
            found=rounded,
            expected=most,
        )
    why = "because wgpu clears it before kernels use it"
    flags = checks.usage_flags(usage)
    checks.need_flag(flags, checks.COPY_DST, f"wgpu buffer {label!r}", why)
    buffer, why_not = create(device, {"label": label, "size": rounded, "usage": flags}, places)
    sharing = shared_memory(buffer)
    place = places[0] if sharing is None else sharing.place
    return _best(buffer, 0, nbytes, found, sizes, require, place, why_not)


def _best(
    buffer: Any,
    offset: int,
    nbytes: int,
    dtype: Any,
    shape: Any,
    require: str | None,
    place: handover.Place,
    why_not: str = "",
) -> Any:
    """Return a view by the best transport that there is; `why_not` says why it is not shared, where that is known."""
    if require not in (None, *TRANSPORTS):
        raise ArgumentError(
            f"require is {require!r}, expected None or one of {', '.join(TRANSPORTS)}",
            argument="require",
            found=require,
        )
    core = handover.core()
    sharing, why = sharing_of(buffer, place)
    why = why_not or why
    if sharing is not None and require in (None, "shared"):
        shared = Shared(buffer, offset, sharing)
        return core.view(shared, shape, dtype, place, shared.memory)
    if require == "pinned" or (require is None and place.kind == "cpu"):  # GPUs: only when asked for, see docs/wgpu.md
        found = pinned(buffer, offset, nbytes, place)
        if not isinstance(found, str):
            return core.view(found, shape, dtype, place, getattr(found, "memory", None))
        why = found if require == "pinned" else why
    if require in ("shared", "pinned"):
        raise ArgumentError(
            f"{checks.described(buffer)} cannot be {require}: {why}; leave require out, or make it so", expected=require
        )
    return core.view(Staged(buffer, offset, nbytes, place), shape, dtype, place, None)


def claim(obj: Any) -> None:
    """Refuse a bare buffer, which has no dtype.

    Raises
    ------
    ArgumentError
        `obj` is one.
    """
    if any(base.__name__ == "GPUBuffer" for base in type(obj).__mro__):
        raise ArgumentError(
            "a wgpu.GPUBuffer has no dtype and no shape, expected an array; pass warpbridge.adapters.wgpu.view(buffer, "
            "dtype=..., shape=...)",
            found="GPUBuffer",
        )
