"""Parameters that a kernel takes by value: scalars and structures, by every kind of load (PTX ISA 5.1.6.1).

One block of one warp; each lane stores what it read, as each may read a parameter by an address of its own.
"""

from __future__ import annotations

import numpy as np

from . import samples
from .form import Form, Input, Output, Value, parameter_list

LANES = 32
SCALARS = ("b8", "u8", "s8", "b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64")
STRUCTURES = ((1, 1), (1, 7), (2, 6), (4, 12), (8, 24), (16, 48), (32, 96), (64, 128), (8, 2000))
"""Alignment and size in bytes."""


def _entry(name: str, instruction: str, values: tuple[Value, ...], bits: int, per_lane: int, body: str) -> Form:
    """Return the entry whose `body` leaves its results at [%addr], `per_lane` elements further on for each lane."""
    lines = [
        ".reg .b64 %addr, %ptr0, %ptr1, %at, %wide;",
        ".reg .b32 %index, %word<4>;",
        ".reg .b16 %half;",
        ".reg .pred %q;",
    ]
    lines += [f"ld.param.u64 %ptr{i}, [{name}_{i}];\ncvta.to.global.u64 %ptr{i}, %ptr{i};" for i in range(2)]
    lines += ["mov.u32 %index, %tid.x;", f"mad.wide.u32 %addr, %index, {per_lane * bits // 8}, %ptr1;", body, "ret;"]
    code = "".join(f"    {line.strip()}\n" for text in lines for line in text.splitlines())
    head = f".visible .entry {name}(\n{parameter_list(name, 2, values=values)}\n)\n"
    return Form(
        name=name,
        instruction=instruction,
        text=f"{head}{{\n{code}}}\n",
        inputs=(Input("b8", LANES),),
        outputs=(Output(bits, LANES * per_lane),),
        grid=1,
        block=LANES,
        family="parameters",
        values=values,
    )


def _bytes(kind: str, count: int, stream: int = 0) -> bytes:
    return samples.array(kind, count, stream).tobytes()


def _four(t: str) -> tuple[Value, ...]:
    """Return four scalars of one type, special values first."""
    kind = t.replace("u", "b").replace("s", "b")
    size = samples.bits_of(kind) // 8
    raw = _bytes(kind, 4)
    return tuple(Value(f".param .{t}", raw[i * size : (i + 1) * size], t) for i in range(4))


def scalars() -> list[Form]:
    """Return four parameters of each type, read with their own type and stored as bits."""
    rows = []
    for t in SCALARS:
        bits, register = int(t[1:]), {"8": "%word0", "16": "%half", "32": "%word0", "64": "%wide"}[t[1:]]
        name = f"parameters_{t}"
        body = "".join(
            f"ld.param.{t} {register}, [{name}_v{i}];\nst.global.b{bits} [%addr+{i * bits // 8}], {register};\n"
            for i in range(4)
        )
        rows.append(_entry(name, f"ld.param.{t}", _four(t), bits, 4, body.replace("%wide", "%at")))
    return rows


def widened() -> list[Form]:
    """Return narrow parameters read into wider registers: zeros or the sign fill them up."""
    rows = []
    for t in ("b8", "u8", "s8", "b16", "u16", "s16", "b32", "u32", "s32"):
        name = f"parameters_wide_{t}"
        body = "".join(f"ld.param.{t} %wide, [{name}_v{i}];\nst.global.b64 [%addr+{8 * i}], %wide;\n" for i in range(4))
        rows.append(_entry(name, f"ld.param.{t} into .b64", _four(t), 64, 4, body))
    return rows


def mixed() -> list[Form]:
    """Return one entry with a parameter of every type, in an order that leaves holes between them."""
    order = ("u8", "f64", "s16", "s8", "u64", "b16", "f32", "b8", "u32", "u16", "s64", "s32", "b64", "b32")
    values = tuple(_four(t)[i % 4] for i, t in enumerate(order))
    name = "parameters_mixed"
    body = ""
    for i, t in enumerate(order):
        load = f"ld.param::entry.b{t[1:]} %wide, [{name}_v{i}];\n"
        body += f"{load}st.global.b64 [%addr+{8 * i}], %wide;\n"
    return [_entry(name, "ld.param::entry", values, 64, len(order), body)]


def structures() -> list[Form]:
    """Return `.param .align A .b8 name[N]`, read byte by byte at the lane's own address, and as vectors."""
    rows = []
    for align, size in STRUCTURES:
        name = f"parameters_struct_{align}_{size}"
        values = (
            Value(".param .u8", b"\x5a", "u8"),
            Value(f".param .align {align} .b8", _bytes("b8", size, 3), "", size),
            Value(".param .u32", b"\x01\x02\x03\x04", "u32"),
        )
        body = f"mov.b64 %at, {name}_v1;\nmov.u32 %word0, 0;\nmov.u32 %word2, %index;\nAGAIN:\n"
        body += f"rem.u32 %word2, %word2, {size};\ncvt.u64.u32 %wide, %word2;\nadd.u64 %wide, %at, %wide;\n"
        body += "ld.param.u8 %word1, [%wide];\nst.global.u8 [%addr], %word1;\nadd.u64 %addr, %addr, 1;\n"
        body += "add.u32 %word2, %word2, 32;\nadd.u32 %word0, %word0, 1;\nsetp.lt.u32 %q, %word0, 60;\n@%q bra AGAIN;\n"
        body += f"ld.param.u32 %word1, [{name}_v2];\nst.global.u32 [%addr], %word1;"
        rows.append(_entry(name, "ld.param.u8 [register]", values, 8, 64, body))
    name = "parameters_struct_vectors"
    value = (Value(".param .align 16 .b8", _bytes("b8", 64, 5), "", 64),)
    body = f"ld.param.v4.b32 {{%word0, %word1, %word2, %word3}}, [{name}_v0+16];\n"
    body += "st.global.v4.b32 [%addr], {%word0, %word1, %word2, %word3};\n"
    body += f"ld.param.v2.b64 {{%at, %wide}}, [{name}_v0+48];\nst.global.v2.b64 [%addr+16], {{%at, %wide}};\n"
    body += (
        f"mov.b64 %at, {name}_v0;\ncvta.param.u64 %at, %at;\nld.b64 %wide, [%at+8];\nst.global.b64 [%addr+32], %wide;\n"
    )
    body += "ld.v2.b32 {%word0, %word1}, [%at+40];\nst.global.v2.b32 [%addr+40], {%word0, %word1};"
    rows.append(_entry(name, "ld.param.v4.b32", value, 64, 6, body))
    return rows


def rows() -> list[Form]:
    """Return all rows of this file."""
    assert np.little_endian
    return [*scalars(), *widened(), *mixed(), *structures()]
