"""Modules, kernels, and the binding of arguments: what is checked before a launch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from warpbridge.buffer import DType

from .native import Handle, check, ffi, lib, optional, read_json
from .values import Value, pack


def module_load(
    ptx: bytes, origin: str, manifest: str | None, manifest_origin: str | None, base_dir: str | None
) -> Handle:
    """Load PTX text, with its manifest where there is one."""
    out = ffi.new("wb_module **")
    text = ffi.from_buffer("uint8_t[]", ptx)
    strings = [optional(item) for item in (origin, manifest, manifest_origin, base_dir)]
    check(lib.wb_module_load(text, len(ptx), *strings, out))
    return ffi.gc(out[0], lib.wb_module_free)


def module_info(module: Handle) -> dict[str, Any]:
    """Return versions, entries with their parameters, and kernels."""
    info: dict[str, Any] = read_json(lib.wb_module_json, module)
    return info


def module_survey(module: Handle) -> dict[str, Any]:
    """Return what a module needs, hazards found in its text, and which devices load it."""
    found: dict[str, Any] = read_json(lib.wb_module_survey, module)
    return found


def bundled() -> list[dict[str, Any]]:
    """Return name, summary and visibility of each bundled kernel."""
    found: list[dict[str, Any]] = read_json(lib.wb_bundled_json)
    return found


def bundled_load(name: str) -> Handle:
    """Load a bundled kernel's module."""
    out = ffi.new("wb_module **")
    check(lib.wb_bundled_load(optional(name), out))
    return ffi.gc(out[0], lib.wb_module_free)


def kernel_get(module: Handle, name: str) -> Handle:
    """Return a kernel of a module."""
    out = ffi.new("wb_kernel **")
    check(lib.wb_kernel_get(module, optional(name), out))
    return ffi.gc(out[0], lib.wb_kernel_free)


def kernel_info(kernel: Handle) -> dict[str, Any]:
    """Return the manifest, and the visible arguments' names in order."""
    info: dict[str, Any] = read_json(lib.wb_kernel_json, kernel)
    return info


class Spec(NamedTuple):
    """An output to allocate."""

    shape: tuple[int, ...]
    dtype: DType


def kernel_infer(kernel: Handle, values: Sequence[Value], choices: str | None, n_outputs: int) -> list[Spec]:
    """Return shape and dtype of each output."""
    specs = ffi.new("wb_spec[]", n_outputs)
    packed, keep = pack(values)
    check(lib.wb_kernel_infer(kernel, packed, len(values), optional(choices), specs, n_outputs))
    del keep
    return [
        Spec(tuple(spec.shape[0 : spec.ndim]), DType(spec.dtype.code, spec.dtype.bits, spec.dtype.lanes))
        for spec in specs
    ]


def kernel_bind(kernel: Handle, values: Sequence[Value], choices: str | None) -> Handle:
    """Check arguments and lay out a launch."""
    out = ffi.new("wb_bound **")
    packed, keep = pack(values)
    check(lib.wb_kernel_bind(kernel, packed, len(values), optional(choices), out))
    del keep
    return ffi.gc(out[0], lib.wb_bound_free)


class Geometry(NamedTuple):
    """Extents of a launch by hand."""

    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    cluster: tuple[int, int, int]
    shared_bytes: int


def entry_bind(module: Handle, entry: str, geometry: Geometry, values: Sequence[Value]) -> Handle:
    """Check arguments against the PTX parameters and lay out a launch."""
    out = ffi.new("wb_bound **")
    packed, keep = pack(values)
    check(lib.wb_entry_bind(module, optional(entry), ffi.new("wb_geometry *", geometry), packed, len(values), out))
    del keep
    return ffi.gc(out[0], lib.wb_bound_free)
