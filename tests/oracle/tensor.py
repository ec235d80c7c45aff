"""Copies through tensor maps: ranks 1 to 5, element types, swizzles, out-of-bounds fill, store, reduce.

One block moves one box and stores the raw shared bytes, so the swizzle shows. A map is given in the units of
cuTensorMapEncodeTiled; boxes start outside the tensor in the `_out` forms. The map parameters come first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

from .copies import BARRIER, WAIT
from .form import Form, Input, Output, TensorMap, parameter_list

BYTES = {"u8": 1, "u16": 2, "f16": 2, "bf16": 2, "u32": 4, "s32": 4, "f32": 4, "u64": 8, "s64": 8, "f64": 8}
TILE = 2048
WORDS = 2048
"""Elements of 4 bytes in each tensor array: 8 KiB."""


@dataclass(frozen=True)
class Box:
    """A tensor's sizes, the box, and where it starts; innermost dimension first."""

    sizes: tuple[int, ...]
    box: tuple[int, ...]
    start: tuple[int, ...]


def tensor_map(source: int, t: str, box: Box, swizzle: int = 0, fill_nan: bool = False) -> TensorMap:
    """Return the map of a dense tensor of 16-byte aligned rows."""
    strides, span = [], BYTES[t]
    for size in box.sizes[:-1]:
        span *= size
        strides.append(span)
    ones = (1,) * len(box.sizes)
    return TensorMap(source, t, box.sizes, tuple(strides), box.box, ones, 0, swizzle, fill_nan)


def _entry(
    name: str, spelled: str, body: str, maps: tuple[TensorMap, ...], inputs: tuple[Input, ...], output: Output
) -> Form:
    count = len(inputs) + 1
    lines = [
        f".reg .b64 %addr, %map, %ptr<{count}>;",
        ".reg .b32 %me, %tries, %word, %w<4>;",
        ".reg .pred %first, %q<3>;",
    ]
    lines += [".shared .align 1024 .b8 tile[2048];", ".shared .align 8 .b64 barrier;"]
    for i in range(count):
        lines += [f"ld.param.u64 %ptr{i}, [{name}_{i}];", f"cvta.to.global.u64 %ptr{i}, %ptr{i};"]
    lines += [
        f"mov.b64 %map, {name}_m0;",
        "cvta.param.u64 %map, %map;",
        "mov.u32 %me, %tid.x;",
        *body.splitlines(),
        "ret;",
    ]
    text = (
        f".visible .entry {name}(\n{parameter_list(name, count, len(maps))}\n)\n{{\n"
        + "".join(f"    {line}\n" for line in lines)
        + "}\n"
    )
    return Form(name, spelled, text, inputs, (output,), 1, 128, "tensor", maps=maps)


FILL = "mov.u32 %word, tile;\nmad.lo.u32 %word, %me, 16, %word;\n"
CLEAR = FILL + "mov.u32 %tries, 0xdeadbeef;\nst.shared.v4.b32 [%word], {%tries, %tries, %tries, %tries};\n"
SAVE = (
    FILL + "ld.shared.v4.b32 {%w0, %w1, %w2, %w3}, [%word];\nmad.wide.u32 %addr, %me, 16, %ptr1;\n"
    "st.global.v4.b32 [%addr], {%w0, %w1, %w2, %w3};"
)


def _coordinates(box: Box) -> str:
    return "{" + ", ".join(map(str, box.start)) + "}"


def _bytes(t: str, box: Box) -> int:
    total = BYTES[t]
    for size in box.box:
        total *= size
    return total


def load(t: str, box: Box, swizzle: int = 0, fill_nan: bool = False) -> Form:
    """Return a load of one box into shared memory."""
    rank = len(box.sizes)
    spelled = f"cp.async.bulk.tensor.{rank}d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
    tail = (f"_sw{swizzle}" if swizzle else "") + ("_nan" if fill_nan else "") + _where(box)
    name = f"tensor_load_{rank}d_{t}{tail}"
    body = (
        CLEAR
        + BARRIER
        + f"@!%first bra COPIED;\nmbarrier.arrive.expect_tx.shared::cta.b64 %addr, [barrier], {_bytes(t, box)};\n"
    )
    body += f"{spelled} [tile], [%map, {_coordinates(box)}], [barrier];\nCOPIED:\n" + WAIT + SAVE
    return _entry(
        name, spelled, body, (tensor_map(0, t, box, swizzle, fill_nan),), (Input("cell", WORDS),), Output(32, TILE // 4)
    )


def _where(box: Box) -> str:
    """Return the part of a name that tells the box and where it starts; `m` is a minus sign."""
    size, start = "x".join(map(str, box.box)), "_".join(map(str, box.start)).replace("-", "m")
    return f"_{size}_at_{start}"


def store(t: str, box: Box, op: str = "", swizzle: int = 0) -> Form:
    """Return a store, or a reduction, of one box into a tensor that starts as input 1."""
    rank = len(box.sizes)
    spelled = f"async.bulk.tensor.{rank}d.global.shared::cta"
    spelled = f"cp.reduce.{spelled}.{op}.tile.bulk_group" if op else f"cp.{spelled}.tile.bulk_group"
    tail = (f"_{op}" if op else "") + (f"_sw{swizzle}" if swizzle else "")
    name = f"tensor_{'reduce' if op else 'store'}_{rank}d_{t}{tail}{_where(box)}"
    move = "".join(
        f"ld.global.v4.b32 {{%w0, %w1, %w2, %w3}}, [%addr+{i * 2048}];\n"
        f"st.global.v4.b32 [%own+{i * 2048}], {{%w0, %w1, %w2, %w3}};\n"
        for i in range(4)
    )
    body = ".reg .b64 %own;\nmad.wide.u32 %addr, %me, 16, %ptr1;\nmad.wide.u32 %own, %me, 16, %ptr2;\n" + move
    body += FILL + "mad.wide.u32 %addr, %me, 16, %ptr0;\nld.global.v4.b32 {%w0, %w1, %w2, %w3}, [%addr];\n"
    body += "st.shared.v4.b32 [%word], {%w0, %w1, %w2, %w3};\nfence.proxy.async;\n" + BARRIER
    body += f"@!%first bra COPIED;\n{spelled} [%map, {_coordinates(box)}], [tile];\n"
    body += "cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;\nCOPIED:"
    kind = t if op and t in {"f16", "bf16", "f32"} else "cell"
    words = {2: 2, 4: 1}[BYTES[t]] if kind != "cell" else 1
    inputs = (Input(kind, TILE // 4 * words, 0), Input(kind, WORDS * words, 1))
    return _entry(name, spelled, body, (tensor_map(2, t, box, swizzle),), inputs, Output(32, WORDS))


GLOBAL_MAP = ".global .align 128 .b8 oracle_map[128];"

REPLACED = {
    "global_address": ("global_address.shared::cta.b1024.b64 [map], %ptr0;", "add.u64 %ptr0, %ptr0, 512;"),
    "box_dim": ("box_dim.shared::cta.b1024.b32 [map], 1, %word;", "mov.u32 %word, 4;"),
    "global_dim": ("global_dim.shared::cta.b1024.b32 [map], 1, %word;", "mov.u32 %word, 9;"),
    "global_stride": ("global_stride.shared::cta.b1024.b64 [map], 0, %addr;", "mov.u64 %addr, 64;"),
    "swizzle_mode": ("swizzle_mode.shared::cta.b1024.b32 [map], 2;", ""),
    "fill_mode": ("fill_mode.shared::cta.b1024.b32 [map], 1;", ""),
}
"""Fields of tensormap.replace, and the code that makes the new value."""


def replaced(field: str) -> Form:
    """Return a load through a map whose field was replaced in shared memory, then copied to global memory."""
    operation, value = REPLACED[field]
    box = Box((32, 64), (16, 8), (24 if field == "fill_mode" else 8, 5))
    spelled = f"tensormap.replace.tile.{operation.split(' ', maxsplit=1)[0]}"
    total = 256 if field == "box_dim" else 512
    body = ".shared .align 128 .b8 map[128];\n.reg .b64 %copy;\n" + CLEAR
    body += "setp.gt.u32 %first, %me, 31;\n@%first bra COPIED_MAP;\nmad.wide.u32 %addr, %me, 4, %map;\n"
    body += "ld.b32 %w0, [%addr];\nmov.u32 %word, map;\nmad.lo.u32 %word, %me, 4, %word;\nst.shared.b32 [%word], %w0;\n"
    body += "bar.warp.sync 0xffffffff;\nsetp.ne.u32 %first, %me, 0;\n@%first bra REPLACED;\n"
    body += f"{value}\ntensormap.replace.tile.{operation}\nREPLACED:\nbar.warp.sync 0xffffffff;\n"
    body += "mov.u64 %copy, oracle_map;\ncvta.global.u64 %copy, %copy;\n"
    body += "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned "
    body += "[oracle_map], [map], 128;\n"
    body += "fence.proxy.tensormap::generic.acquire.gpu [%copy], 128;\nCOPIED_MAP:\n" + BARRIER
    body += "mov.u64 %copy, oracle_map;\ncvta.global.u64 %copy, %copy;\n"
    body += f"@!%first bra COPIED;\nmbarrier.arrive.expect_tx.shared::cta.b64 %addr, [barrier], {total};\n"
    body += "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
    body += f"[tile], [%copy, {_coordinates(box)}], [barrier];\nCOPIED:\n" + WAIT + SAVE
    maps, inputs = (tensor_map(0, "f32", box),), (Input("cell", WORDS),)
    form = _entry(f"tensormap_replace_{field}", spelled, body, maps, inputs, Output(32, TILE // 4))
    return replace(form, target="sm_90a", prelude=GLOBAL_MAP)


REDUCTIONS = (
    *(("add", t) for t in ("u32", "s32", "u64", "f16", "bf16", "f32")),
    *(("min", t) for t in ("s32", "f16", "u64")),
    *(("max", t) for t in ("s32", "bf16", "s64")),
    *(("and", "u32"), ("or", "u32"), ("xor", "u64"), ("inc", "u32"), ("dec", "u32")),
)

FLAT = {
    1: Box((2048,), (128,), (256,)),
    2: Box((32, 64), (16, 8), (8, 5)),
    3: Box((16, 16, 8), (8, 4, 4), (4, 3, 2)),
    4: Box((8, 8, 8, 4), (8, 2, 4, 2), (0, 3, 1, 1)),
    5: Box((8, 4, 4, 4, 4), (4, 2, 2, 4, 2), (4, 1, 2, 0, 1)),
}
BEYOND = {
    1: Box((2000,), (128,), (1960,)),
    2: Box((28, 50), (16, 8), (16, 46)),
    3: Box((12, 16, 7), (8, 4, 4), (8, 14, 5)),
    4: Box((8, 7, 8, 3), (8, 2, 4, 2), (4, 6, 6, 2)),
    5: Box((8, 4, 4, 3, 4), (4, 2, 2, 4, 2), (4, 3, 3, 1, 3)),
}
"""Boxes over the far edges."""

BEFORE = {
    1: (Box((2000,), (128,), (-4,)),),
    2: tuple(Box((28, 50), (16, 8), start) for start in ((-4, 3), (8, -3), (-40, 3), (40, 3))),
    3: tuple(Box((12, 16, 7), (8, 4, 4), start) for start in ((4, 3, -2), (-4, 3, 2))),
    4: (Box((8, 7, 8, 3), (8, 2, 4, 2), (0, -1, 6, 2)),),
    5: (Box((8, 4, 4, 3, 4), (4, 2, 2, 4, 2), (4, 3, -1, 1, 3)),),
}
"""Boxes over the near edges. No store has one: an H200 faults on it, as on any start off a multiple of 16 bytes."""


def rows() -> list[Form]:
    """Return all rows of this file."""
    forms = [load("f32", box) for boxes in (FLAT, BEYOND) for box in boxes.values()]
    forms += [load("f32", BEYOND[rank], fill_nan=True) for rank in (2, 4)]
    forms += [load("f32", box) for boxes in BEFORE.values() for box in boxes]
    for t in ("u8", "u16", "f16", "bf16", "u32", "f64", "u64"):
        wide = 16 // BYTES[t]
        forms += [
            load(t, Box((4 * wide, 32), (2 * wide, 8), start)) for start in ((wide, 5), (3 * wide, 27), (-wide, 3))
        ]
        if t in {"f16", "bf16", "f64"}:
            forms.append(load(t, Box((4 * wide, 32), (2 * wide, 8), (3 * wide, 27)), fill_nan=True))
    for t, (code, row_bytes) in product(("f16", "f32"), ((1, 32), (2, 64), (3, 128))):
        row = row_bytes // BYTES[t]
        forms += [load(t, Box((2 * row, 16), (row, 16), start), code) for start in ((0, 0), (row // 2, 3))]
        forms.append(store(t, Box((2 * row, 16), (row, 16), (0, 0)), swizzle=code))
    forms.append(load("bf16", Box((128, 4, 4), (64, 4, 4), (32, 0, 1)), 3))
    forms += [store("f32", box) for boxes in (FLAT, BEYOND) for box in boxes.values()]
    for op, t in REDUCTIONS:
        wide = 16 // BYTES[t]
        forms.append(store(t, Box((4 * wide, 32), (2 * wide, 8), (wide, 27)), op))
    prefetch = _entry("tensor_prefetch_2d", "cp.async.bulk.prefetch.tensor.2d.L2.global.tile",
                      "cp.async.bulk.prefetch.tensor.2d.L2.global.tile [%map, {8, 5}];\nprefetch.tensormap [%map];\n"
                      "mov.u32 %word, 7;\nmad.wide.u32 %addr, %me, 4, %ptr1;\nst.global.b32 [%addr], %word;",
                      (tensor_map(0, "f32", FLAT[2]),), (Input("cell", WORDS),), Output(32, 128))  # fmt: skip
    return [*forms, prefetch, *map(replaced, REPLACED)]
