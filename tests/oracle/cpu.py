"""Asks the CPU device: the same entry, the same inputs, through the public Python interface."""

from __future__ import annotations

import numpy as np
import warpbridge as wb

from .form import Form, TensorMap, Value, module_text

ALIGN = 1024
"""The recorder aligns its arrays so; alignment-dependent forms must see the same."""

TIMEOUT_S = 20.0


class Unsupported(Exception):
    """The CPU device cannot run a form yet: its PTX is refused when loaded."""


def aligned(words: np.ndarray) -> np.ndarray:
    """Return a copy whose address is a multiple of ALIGN."""
    raw = np.zeros(words.nbytes + ALIGN, np.uint8)
    start = -raw.ctypes.data % ALIGN
    place = raw[start : start + words.nbytes].view(words.dtype)
    place[:] = words
    return place


NAMES = {"u": "uint", "s": "int", "f": "float"}


def tensor_map(spec: TensorMap, words: np.ndarray) -> wb.TensorMap:
    """Return the map of an array's bytes; warpbridge takes axes from the outermost, and strides of all."""
    name = "bfloat16" if spec.element == "bf16" else NAMES[spec.element[0]] + spec.element[1:]
    raw = np.dtype(f"u{int(spec.element.lstrip('usbf')) // 8}")
    shape, strides = spec.sizes[::-1], (*spec.strides[::-1], raw.itemsize)
    return wb.tensor_map(
        np.lib.stride_tricks.as_strided(words.view(raw), shape, strides),
        spec.box[::-1],
        swizzle=[None, "32B", "64B", "128B"][spec.swizzle],
        element_strides=spec.element_strides[::-1],
        interleave=[None, "16B", "32B"][spec.interleave],
        oob_fill="nan" if spec.fill_nan else None,
        dtype=name,
    )


def by_value(value: Value) -> object:
    """Return a scalar as NumPy's of its type (bits as unsigned), a structure as bytes."""
    if not value.type:
        return value.raw
    letter = {"b": "u", "s": "i"}.get(value.type[0], value.type[0])
    return np.frombuffer(value.raw, f"{letter}{int(value.type[1:]) // 8}")[0]


def load(form: Form) -> wb.Entry:
    """Load the form's entry."""
    try:
        return wb.load(module_text([form])).entries[form.name]
    except wb.LoadError as error:
        raise Unsupported(str(error)) from error


def run(form: Form) -> list[np.ndarray]:
    """Return the outputs of the form on the CPU device."""
    entry = load(form)
    inputs = [aligned(array) for array in form.arrays()]
    outputs = [aligned(np.zeros(output.count, output.dtype)) for output in form.outputs]
    maps = [tensor_map(spec, (inputs + outputs)[spec.source]) for spec in form.maps]
    values = [by_value(value) for value in form.values]
    entry(form.grid, form.block, [*maps, *inputs, *outputs, *values], timeout=TIMEOUT_S)
    return outputs
