"""wgmma.mma_async: types, sizes, A in registers or shared memory, layouts and swizzles, transposes, scales.

One warpgroup; 16 KiB for A and for B are filled with elements in plain order, and the descriptors alone decide what
they mean, so that every byte order of a layout is checked. D is compared exactly on small integers, by bound on reals.
"""

from __future__ import annotations

from dataclasses import dataclass

from .form import Form, Input, Output, parameter_list
from .matrix import PACKED, bound
from .rules import EXACT

AREA = 16384
K = {"f16": 16, "bf16": 16, "tf32": 8, "e4m3": 32, "e5m2": 32, "s8": 32, "u8": 32, "b1": 256}
SWIZZLE_CODE = {0: 0, 128: 1, 64: 2, 32: 3}


@dataclass(frozen=True)
class Product:
    """One wgmma; `layout` is swizzle bytes, leading and stride byte offsets, and a byte offset added to both starts."""

    d: str
    a: str
    b: str
    n: int
    layout: tuple[int, int, int, int] = (128, 16, 1024, 0)
    registers_a: bool = False
    scales: tuple[int, int] = (1, 1)
    transposed: tuple[int, int] = (0, 0)
    scale_d: int = 1
    tail: str = ""
    real: bool = False
    meta: int = 0


def _descriptor(register: str, area: str, layout: tuple[int, int, int, int]) -> str:
    swizzle, leading, stride, offset = layout
    high = (leading >> 4) << 16 | (stride >> 4) << 32 | SWIZZLE_CODE[swizzle] << 62
    return (
        f"mov.u32 %word, {area};\nadd.u32 %word, %word, {offset};\nshr.u32 %word, %word, 4;\n"
        "and.b32 %word, %word, 0x3fff;\n"
        f"cvt.u64.u32 {register}, %word;\nor.b64 {register}, {register}, {high:#x};\n"
    )


def _copy(pointer: int, area: str) -> str:
    """Copy AREA bytes from global to shared memory with 128 threads."""
    lines = [
        f"mov.u32 %word, {area};",
        "mad.lo.u32 %word, %index, 16, %word;",
        f"mad.wide.u32 %addr, %index, 16, %ptr{pointer};",
    ]
    for step in range(0, AREA, 2048):
        lines += [
            f"ld.global.v4.b32 {{%w0, %w1, %w2, %w3}}, [%addr+{step}];",
            f"st.shared.v4.b32 [%word+{step}], {{%w0, %w1, %w2, %w3}};",
        ]
    return "\n".join(lines) + "\n"


def _kind(style: str, t: str) -> str:
    return "b32" if t in {"s8", "u8", "b1"} else f"{style}_{PACKED[t]}"


def _spelling(p: Product) -> str:
    types = f"{p.d}.{p.a}.{p.b}"
    sparse, k = (".sp", 2 * K[p.a]) if p.meta else ("", K[p.a])
    return f"wgmma.mma_async{sparse}.sync.aligned.m64n{p.n}k{k}.{types}{p.tail}"


def _operands(p: Product, count: int) -> str:
    d = "{" + ", ".join(f"%d{i}" for i in range(count)) + "}"
    a = "{%a0, %a1, %a2, %a3}" if p.registers_a else "%da"
    text = f"{d}, {a}, %db, {'%word, 0, ' if p.meta else ''}%scale"
    if p.a in {"f16", "bf16"}:
        text += f", {p.scales[0]}, {p.scales[1]}, " + (
            f"{p.transposed[1]}" if p.registers_a else f"{p.transposed[0]}, {p.transposed[1]}"
        )
    elif p.a in {"tf32", "e4m3", "e5m2"}:
        text += f", {p.scales[0]}, {p.scales[1]}"
    return text


def _name(p: Product) -> str:
    parts = [_spelling(p).replace(".sync.aligned", ""), f"sw{p.layout[0]}_{p.layout[1]}_{p.layout[2]}"]
    parts += [f"at{p.layout[3]}"] if p.layout[3] else []
    parts += ["reg"] if p.registers_a else []
    parts += ["neg{}{}".format(*(int(s < 0) for s in p.scales))] if p.scales != (1, 1) else []
    parts += ["t{}{}".format(*p.transposed)] if p.transposed != (0, 0) else []
    parts += [] if p.scale_d else ["zero"]
    parts += [] if p.d == "s32" else ["real" if p.real else "exact"]
    return "_".join(parts).replace(".", "_")


def form(p: Product) -> Form:
    """Return the entry of one product; element i of thread t is stored at 128 i + t."""
    name, spelled = _name(p), _spelling(p)
    count = p.n // 4 if p.d == "f16" else p.n // 2
    width = "b32" if p.d in {"f16", "s32"} else "f32"
    style = "unit" if p.real else "int"
    lines = [
        ".reg .b64 %addr, %ptr<4>, %da, %db;",
        ".reg .b32 %index, %word, %w<4>, %a<4>;",
        f".reg .{width} %d<{count}>;",
        ".reg .pred %scale;",
    ]
    lines += [
        f".shared .align 1024 .b8 area_a[{AREA}];",
        f".shared .align 1024 .b8 area_b[{AREA}];",
        "mov.u32 %index, %tid.x;",
    ]
    for i in range(4):
        lines += [f"ld.param.u64 %ptr{i}, [{name}_{i}];", f"cvta.to.global.u64 %ptr{i}, %ptr{i};"]
    lines += (_copy(0, "area_a") + _copy(1, "area_b")).splitlines()
    lines += ["mad.wide.u32 %addr, %index, 4, %ptr2;"]
    lines += [f"ld.global.b32 %d{i}, [%addr+{512 * i}];" for i in range(count)]
    lines += ["mad.wide.u32 %addr, %index, 16, %ptr0;", "ld.global.v4.b32 {%a0, %a1, %a2, %a3}, [%addr];"]
    lines += ["fence.proxy.async.shared::cta;", "bar.sync 0;"]
    lines += (_descriptor("%da", "area_a", p.layout) + _descriptor("%db", "area_b", p.layout)).splitlines()
    lines += [
        f"setp.ne.u32 %scale, {p.scale_d}, 0;",
        f"mov.b32 %word, {p.meta:#x};",
        "wgmma.fence.sync.aligned;",
        f"{spelled} {_operands(p, count)};",
    ]
    lines += [
        "wgmma.commit_group.sync.aligned;",
        "wgmma.wait_group.sync.aligned 0;",
        "mad.wide.u32 %addr, %index, 4, %ptr3;",
    ]
    lines += [f"st.global.b32 [%addr+{512 * i}], %d{i};" for i in range(count)]
    text = (
        f".visible .entry {name}(\n{parameter_list(name, 4)}\n)\n{{\n"
        + "".join(f"    {line}\n" for line in [*lines, "ret;"])
        + "}\n"
    )
    start = {"f16": f"{style}_f16x2", "f32": f"{style}_f32", "s32": "b32"}[p.d]
    inputs = (
        Input(_kind(style, p.a), AREA // 4, 0),
        Input(_kind(style, p.b), AREA // 4, 1),
        Input(start, 128 * count, 2),
    )
    rule = bound(p.d, p.a) if p.real else EXACT
    return Form(name, spelled, text, inputs, (Output(32, 128 * count, rule),), 1, 128, "wgmma", target="sm_90a")


def types() -> list[Product]:
    """Return every type, at small sizes, with A in shared memory and in registers."""
    rows = []
    pairs = [("f16", "f16", "f16"), ("f32", "f16", "f16"), ("f32", "bf16", "bf16"), ("f32", "tf32", "tf32")]
    pairs += [(d, a, b) for d in ("f16", "f32") for a in ("e4m3", "e5m2") for b in ("e4m3", "e5m2")]
    for d, a, b in pairs:
        rows += [
            Product(d, a, b, 8),
            Product(d, a, b, 8, registers_a=True),
            Product(d, a, b, 16, scales=(-1, 1), scale_d=0),
        ]
        rows += [Product(d, a, b, 8, real=True)]
    for a, b, tail in [(a, b, tail) for a in ("s8", "u8") for b in ("s8", "u8") for tail in ("", ".satfinite")]:
        rows += [Product("s32", a, b, 8, tail=tail), Product("s32", a, b, 16, tail=tail, registers_a=True)]
    rows += [
        Product("s32", "b1", "b1", 8, tail=".and.popc"),
        Product("s32", "b1", "b1", 8, tail=".and.popc", registers_a=True),
    ]
    metas = (("f16", 0x44444444), ("bf16", 0xEE44EE44), ("tf32", 0x4E4E4E4E), ("e4m3", 0x44EE44EE), ("s8", 0xE4E4E4E4))
    for t, meta in metas:
        d = "s32" if t == "s8" else "f32"
        rows += [Product(d, t, t, 8, meta=meta), Product(d, t, t, 8, meta=meta, registers_a=True)]
    rows += [Product("f16", "f16", "f16", 8, meta=0x44444444), Product("f16", "e5m2", "e4m3", 8, meta=0x44EE44EE)]
    return rows


def layouts() -> list[Product]:
    """Return swizzles, offsets inside a swizzle atom, transposes, and larger N."""
    rows = [
        Product("f32", "f16", "f16", n, layout=layout)
        for n in (16, 24)
        for layout in (
            (0, 128, 256, 0),
            (0, 1024, 128, 0),
            (32, 16, 256, 0),
            (64, 16, 512, 0),
            (64, 16, 512, 32),
            (128, 16, 1024, 32),
            (128, 16, 1024, 96),
        )
    ]
    for t in ("tf32", "e4m3", "s8"):
        d = "s32" if t == "s8" else "f32"
        rows += [
            Product(d, t, t, 16, layout=layout)
            for layout in ((0, 128, 256, 0), (32, 16, 256, 0), (64, 16, 512, 32), (128, 16, 1024, 64))
        ]
    for transposed in ((1, 0), (0, 1), (1, 1)):
        for layout in (
            (0, 128, 1024, 0),
            (0, 1024, 128, 0),
            (32, 1024, 512, 0),
            (64, 2048, 1024, 0),
            (128, 4096, 1024, 0),
        ):
            rows.append(Product("f32", "bf16", "bf16", 32, layout=layout, transposed=transposed))
    rows.append(Product("f32", "f16", "f16", 16, registers_a=True, transposed=(0, 1)))
    rows += [Product("f32", "f16", "f16", 16, scales=scales) for scales in ((1, -1), (-1, -1))]
    rows += [
        Product("f32", "bf16", "bf16", 64),
        Product("f16", "f16", "f16", 64),
        Product("s32", "s8", "s8", 64),
        Product("f32", "f16", "f16", 128),
    ]
    return rows


def rows() -> list[Form]:
    """Return all rows of this file."""
    return [form(p) for p in dict.fromkeys([*types(), *layouts()])]
