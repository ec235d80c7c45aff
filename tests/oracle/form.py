"""What a row of the oracle's tables is, and the PTX entry it expands to.

A row names one instruction form, its operand kinds (`samples.py`) and what it stores. `elementwise` writes the entry of
every form that works on one thread's (or one warp's) registers: thread i loads element i of each input, runs the body,
stores element i of each output. Forms that need more write their own entry and use `Form` directly.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import numpy as np

from . import samples
from .rules import EXACT, Rule

BLOCK = 128
"""Threads per block of every elementwise entry: four warps."""

HEADER = ".version 8.6\n.target {target}\n.address_size 64\n"


@dataclass(frozen=True)
class Input:
    """One input array: `count` elements of a sample kind; `stream` separates arrays of the same kind."""

    kind: str
    count: int
    stream: int = 0

    def array(self) -> np.ndarray:
        """Return the elements."""
        return samples.array(self.kind, self.count, self.stream)


@dataclass(frozen=True)
class Output:
    """One output array and how the CPU device's answer is held against the GPU's."""

    bits: int
    count: int
    rule: Rule = EXACT

    @property
    def dtype(self) -> np.dtype:
        """Return the unsigned type of that width."""
        return np.dtype(f"u{self.bits // 8}")


@dataclass(frozen=True)
class TensorMap:
    """A by-value tensor map over input `source`, in the order and units of cuTensorMapEncodeTiled."""

    source: int
    element: str
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    box: tuple[int, ...]
    element_strides: tuple[int, ...]
    interleave: int = 0
    swizzle: int = 0
    fill_nan: bool = False


@dataclass(frozen=True)
class Value:
    """A parameter by value: what stands in front of its name, its bytes, its type (scalars) or size (structures)."""

    declaration: str
    raw: bytes
    type: str
    size: int = 0


@dataclass(frozen=True)
class Form:
    """One entry: its parameters are the tensor maps by value, addresses of inputs and outputs, then other values."""

    name: str
    instruction: str
    text: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    grid: int
    block: int
    family: str
    crossed: bool = False
    target: str = "sm_90"
    prelude: str = ""
    maps: tuple[TensorMap, ...] = ()
    values: tuple[Value, ...] = ()

    def arrays(self) -> list[np.ndarray]:
        """Return the input arrays; crossed inputs are sampled as tuples."""
        if self.crossed:
            return samples.tuples(tuple(i.kind for i in self.inputs), self.inputs[0].count)
        return [i.array() for i in self.inputs]

    def fingerprint(self) -> int:
        """Return a checksum of the program and its inputs: an answer counts only for the question it was given to."""
        crc = zlib.crc32(f"{self.prelude}{self.text}{self.grid}/{self.block}{self.maps}".encode())
        for raw in [*(array.tobytes() for array in self.arrays()), *(value.raw for value in self.values)]:
            crc = zlib.crc32(raw, crc)
        return crc


def entry_name(instruction: str) -> str:
    """Return a PTX identifier for an instruction's spelling."""
    return re.sub(r"\W+", "_", instruction).strip("_")


def module_text(forms: list[Form]) -> str:
    """Return one PTX module with the entries of forms that share a target."""
    preludes = dict.fromkeys(form.prelude for form in forms if form.prelude)
    return HEADER.format(target=forms[0].target) + "\n".join([*preludes, *(form.text for form in forms)])


def parameter_list(name: str, pointers: int, maps: int = 0, values: tuple[Value, ...] = ()) -> str:
    """Return the parameters of an entry: tensor maps `name_m0...`, addresses `name_0...`, then values `name_v0...`."""
    lines = [f"    .param .align 64 .b8 {name}_m{i}[128]" for i in range(maps)]
    lines += [f"    .param .u64 {name}_{i}" for i in range(pointers)]
    for i, value in enumerate(values):
        lines.append(f"    {value.declaration} {name}_v{i}" + (f"[{value.size}]" if value.size else ""))
    return ",\n".join(lines)


def _load(index: int, kind: str) -> list[str]:
    bits = samples.bits_of(kind)
    address = [f"mad.wide.u32 %addr, %index, {bits // 8}, %ptr{index};"]
    if kind == "pred":
        return [*address, "ld.global.u8 %word, [%addr];", f"setp.ne.u32 %a{index}, %word, 0;"]
    sign = "s8" if kind == "s8" else f"b{bits}"
    return [*address, f"ld.global.{sign} %a{index}, [%addr];"]


def _store(index: int, kind: str, pointer: int) -> list[str]:
    bits = samples.bits_of(kind)
    address = [f"mad.wide.u32 %addr, %index, {bits // 8}, %ptr{pointer};"]
    if kind == "pred":
        return [*address, f"selp.u32 %word, 1, 0, %d{index};", "st.global.u8 [%addr], %word;"]
    return [*address, f"st.global.b{bits} [%addr], %d{index};"]


def register_type(kind: str) -> str:
    """Return the register type that holds a kind: float registers for f32 and f64, bits otherwise."""
    if kind == "pred":
        return "pred"
    if kind.rsplit("_", maxsplit=1)[-1] in {"f32", "f64"}:
        return kind.rsplit("_", maxsplit=1)[-1]
    return f"b{max(samples.bits_of(kind), 32 if samples.bits_of(kind) == 8 else 0)}"


@dataclass(frozen=True)
class Result:
    """What an elementwise form stores: a kind (its width counts) and the rule of comparison."""

    kind: str
    rule: Rule = EXACT


def default_count(results: list[Result]) -> int:
    """Return how many tuples a form gets: all answers together must stay a small file."""
    width = sum(samples.bits_of(r.kind) for r in results)
    return 1024 if width <= 16 else 896 if width <= 32 else 768


def elementwise(
    family: str,
    instruction: str,
    operands: str,
    results: list[Result] | str,
    body: str = "",
    *,
    name: str = "",
    count: int = 0,
    registers: str = "",
    target: str = "sm_90",
    prelude: str = "",
    crossed: bool = True,
    directives: str = "",
) -> Form:
    """Return the form that runs `body` on registers %a0... (operands) and stores %d0... (results).

    `operands` and a `results` string are sample kinds separated by spaces; the default body is the instruction applied
    to all registers in order. %index is the thread's global index; %word, %addr and %q0... are free for the body.
    """
    name = name or entry_name(instruction)
    kinds = operands.split()
    stored = [Result(kind) for kind in results.split()] if isinstance(results, str) else results
    count = count or default_count(stored)
    body = (
        body
        or f"{instruction} {', '.join([f'%d{i}' for i in range(len(stored))] + [f'%a{i}' for i in range(len(kinds))])};"
    )
    pointers = len(kinds) + len(stored)
    lines = [f".reg .b64 %addr, %ptr<{pointers}>;", ".reg .b32 %index, %block, %word;", ".reg .pred %q<4>;"]
    lines += [f".reg .{register_type(kind)} %a{i};" for i, kind in enumerate(kinds)]
    lines += [f".reg .{register_type(r.kind)} %d{i};" for i, r in enumerate(stored)]
    lines += registers.splitlines()
    for i in range(pointers):
        lines += [f"ld.param.u64 %ptr{i}, [{name}_{i}];", f"cvta.to.global.u64 %ptr{i}, %ptr{i};"]
    lines += ["mov.u32 %index, %tid.x;", "mov.u32 %block, %ctaid.x;", f"mad.lo.u32 %index, %block, {BLOCK}, %index;"]
    for i, kind in enumerate(kinds):
        lines += _load(i, kind)
    lines += body.splitlines()
    for i, result in enumerate(stored):
        lines += _store(i, result.kind, len(kinds) + i)
    text = f".visible .entry {name}(\n{parameter_list(name, pointers)}\n)\n{directives}{{\n"
    text += "".join(f"    {line.strip()}\n" for line in [*lines, "ret;"]) + "}\n"
    return Form(
        name=name,
        instruction=instruction,
        text=text,
        inputs=tuple(Input(kind, count, i) for i, kind in enumerate(kinds)),
        outputs=tuple(Output(samples.bits_of(r.kind), count, r.rule) for r in stored),
        grid=count // BLOCK,
        block=BLOCK,
        family=family,
        crossed=crossed,
        target=target,
        prelude=prelude,
    )
