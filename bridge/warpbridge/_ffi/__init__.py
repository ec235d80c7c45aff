"""The bridge to the native core: the only package that touches its `lib` and `ffi`.

Every C call of warpbridge.h that Python needs stands in a file here, as a plain function on opaque handles; a status
other than 0 becomes the exception of `errors.py` with the core's text and fields. No policy: who calls what, and when,
is decided in `bound.py`, `dispatcher.py` and `module.py`. cffi releases the GIL during every call. Others use the names
below; a new file adds its own to them.

Safety: whatever a call's pointers refer to lives in locals of the function here until the call returns. Arrays must
outlive their launch; their owners are kept by `bound.py` (while it waits), `pending.py` and `dispatcher.py`.
"""

from __future__ import annotations

from .devices import device_of_address, devices, driver
from .launches import (
    bound_info,
    cancel,
    floor,
    launch,
    mode,
    outcome,
    progress,
    queue_new,
    queue_next,
    queue_wake,
    record,
    submit,
    trace,
    wait,
)
from .learned import address_of, adopt_pending, caller, can_learn
from .memory import memory_copy, memory_export, memory_new
from .modules import (
    Geometry,
    Spec,
    bundled,
    bundled_load,
    entry_bind,
    kernel_bind,
    kernel_get,
    kernel_infer,
    kernel_info,
    module_info,
    module_load,
    module_survey,
)
from .native import ABI_VERSION, Handle, last_error, version
from .streams import stream_free, stream_is_capturing, stream_new, stream_order, stream_position, stream_wait
from .tensor_maps import MapOptions, tensor_map_encode
from .values import Numbers, Value
from .vulkan import (
    vulkan_begin_export,
    vulkan_begin_import,
    vulkan_buffer_info,
    vulkan_buffer_memory,
    vulkan_end,
    vulkan_from_stream,
    vulkan_memory_new,
    vulkan_report,
    vulkan_to_stream,
)

__all__ = [
    "ABI_VERSION",
    "Geometry",
    "Handle",
    "MapOptions",
    "Numbers",
    "Spec",
    "Value",
    "address_of",
    "adopt_pending",
    "bound_info",
    "bundled",
    "bundled_load",
    "caller",
    "can_learn",
    "cancel",
    "device_of_address",
    "devices",
    "driver",
    "entry_bind",
    "floor",
    "kernel_bind",
    "kernel_get",
    "kernel_infer",
    "kernel_info",
    "last_error",
    "launch",
    "memory_copy",
    "memory_export",
    "memory_new",
    "mode",
    "module_info",
    "module_load",
    "module_survey",
    "outcome",
    "progress",
    "queue_new",
    "queue_next",
    "queue_wake",
    "record",
    "stream_free",
    "stream_is_capturing",
    "stream_new",
    "stream_order",
    "stream_position",
    "stream_wait",
    "submit",
    "tensor_map_encode",
    "trace",
    "version",
    "vulkan_begin_export",
    "vulkan_begin_import",
    "vulkan_buffer_info",
    "vulkan_buffer_memory",
    "vulkan_end",
    "vulkan_from_stream",
    "vulkan_memory_new",
    "vulkan_report",
    "vulkan_to_stream",
    "wait",
]
