"""PyTorch tensors, on the CPU and on CUDA devices, current or not: the data decides where a kernel runs.

Read directly instead of through DLPack: `__dlpack__` refuses a tensor on a non-current device, and costs more. A tensor
that autograd tracks is refused, because a kernel's result would silently carry no gradient. Nor is its C exchange API
used: from Python it is slower than these attributes (ADR 9).
"""

from __future__ import annotations

import sys
from typing import Any

from warpbridge.buffer import CPU, CUDA, Buffer, DType, dtype_of
from warpbridge.errors import ArgumentError

_DEVICE_TYPES = {"cpu": CPU, "cuda": CUDA}


class _Torch:
    """The `buffer.Library` of PyTorch."""

    name = "torch"

    def empty(self, shape: tuple[int, ...], dtype: DType, device_type: int, device_id: int, stream: int | None) -> Any:
        """Return `torch.empty` on that device, from the memory pool of that stream."""
        torch = sys.modules["torch"]
        device = "cpu" if device_type == CPU else f"cuda:{device_id}"
        kind = getattr(torch, dtype.name, None)
        if kind is None:
            raise ArgumentError(f"torch has no dtype {dtype.name}; pass the output as out=")
        if device_type == CPU or stream is None or stream == self.current_stream(device_type, device_id):
            return torch.empty(shape, dtype=kind, device=device)
        with torch.cuda.stream(self._stream(torch, stream, device)):
            return torch.empty(shape, dtype=kind, device=device)

    def _stream(self, torch: Any, stream: int, device: str) -> Any:
        if stream in (0, 1):
            return torch.cuda.default_stream(device)
        if stream == 2:
            raise ArgumentError("torch has no pool for the per-thread default stream; pass the output as out=")
        return torch.cuda.ExternalStream(stream, device=device)

    def current_stream(self, device_type: int, device_id: int) -> int:
        """Return PyTorch's current stream on that device; the default stream of the CPU device."""
        if device_type == CPU:
            return 0
        return int(sys.modules["torch"].cuda.current_stream(device_id).cuda_stream)

    def numbers(self, array: Any) -> list[float]:
        """Return the elements."""
        return [float(item) for item in array.tolist()]


LIBRARY = _Torch()
_dtypes: dict[Any, DType] = {}  # by torch.dtype, as they are seen


def claim(obj: Any) -> Buffer | None:
    """Claim a `torch.Tensor`.

    Raises
    ------
    ArgumentError
        Autograd tracks it, or its layout, dtype or device has no counterpart in a kernel.
    """
    torch = sys.modules["torch"]
    if not isinstance(obj, torch.Tensor):
        return None
    if obj.requires_grad or obj.layout is not torch.strided or obj.is_conj() or obj.is_neg() or obj.is_nested:
        raise _special(obj, torch)
    device = obj.device
    kind = _DEVICE_TYPES.get(device.type)
    if kind is None:
        raise ArgumentError(f"a torch tensor is on {device}, expected cpu or cuda; move it first", found=str(device))
    dtype = _dtypes.get(obj.dtype)
    if dtype is None:
        dtype = _dtypes[obj.dtype] = dtype_of(str(obj.dtype).removeprefix("torch."), "a torch tensor")
    return Buffer(
        _pointer(obj) if obj.numel() else 0,
        kind,
        device.index or 0,
        dtype,
        tuple(obj.shape),
        None if obj.is_contiguous() else tuple(obj.stride()),
        False,
        LIBRARY,
        obj,
    )


def _pointer(tensor: Any) -> int:
    """Return the address of the first element; tensors of tracers and of fake modes have none."""
    pointer, cause = 0, None
    try:
        pointer = int(tensor.data_ptr())
    except RuntimeError as error:
        cause = error
    if pointer == 0:
        raise ArgumentError(
            f"a torch tensor of type {type(tensor).__name__} has no memory, expected one that holds values; call the "
            "kernel outside of torch.compile, torch.func and fake tensors"
        ) from cause
    return pointer


def _special(tensor: Any, torch: Any) -> ArgumentError:
    """Say why: the tensor's memory does not hold its values, or autograd tracks it."""
    if tensor.requires_grad:
        return ArgumentError(
            "a torch tensor has requires_grad=True, expected one that autograd does not track; pass x.detach()"
        )
    if tensor.is_nested:
        return ArgumentError("a torch tensor is nested, expected one of a single shape; pass x.values() or x.unbind()")
    if tensor.layout is not torch.strided:
        return ArgumentError(f"a torch tensor has layout {tensor.layout}, expected torch.strided; pass x.to_dense()")
    if tensor.is_conj():
        return ArgumentError("a torch tensor is a lazy conjugate, expected stored values; pass x.resolve_conj()")
    return ArgumentError("a torch tensor is a lazy negation, expected stored values; pass x.resolve_neg()")
