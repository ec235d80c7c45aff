"""The kernels of `launch.py` and `launch_forms.py`: one adds float32 arrays, one element per thread; one is idle."""

from __future__ import annotations

import functools
from typing import Any

import warpbridge as wb

COUNT = 8192
BLOCK = 256


@functools.cache
def ptx(inputs: int) -> str:
    """Return PTX that adds so many inputs; parameters: the inputs, the output, the length as 64 bits."""
    names = [f"a{index}" for index in range(inputs)]
    params = ", ".join(f".param .u64 {name}" for name in (*names, "y", "n"))
    loads = "\n".join(
        f"    ld.param.u64 %rd4, [{name}];\n    add.u64 %rd4, %rd4, %rd3;\n    ld.global.f32 %f1, [%rd4];\n"
        "    add.f32 %f0, %f0, %f1;"
        for name in names
    )
    return f""".version 7.8
.target sm_80
.address_size 64

.visible .entry adder({params})
{{
    .reg .pred %p0;
    .reg .b32 %r<3>;
    .reg .f32 %f<2>;
    .reg .b64 %rd<5>;
    mov.u32 %r0, %ctaid.x;
    mov.u32 %r1, %ntid.x;
    mov.u32 %r2, %tid.x;
    mad.lo.u32 %r0, %r0, %r1, %r2;
    cvt.u64.u32 %rd0, %r0;
    ld.param.u64 %rd1, [n];
    setp.ge.u64 %p0, %rd0, %rd1;
    @%p0 bra done;
    shl.b64 %rd3, %rd0, 2;
    mov.f32 %f0, 0f00000000;
{loads}
    ld.param.u64 %rd4, [y];
    add.u64 %rd4, %rd4, %rd3;
    st.global.f32 [%rd4], %f0;
done:
    ret;
}}
"""


@functools.cache
def adder(arrays: int) -> Any:
    """Return the kernel for so many arrays, the output among them."""
    names = [f"a{index}" for index in range(arrays - 1)]
    array = {"kind": "array", "dtype": "float32", "shape": ["n"]}
    manifest = {
        "manifest": 1,
        "name": "adder",
        "summary": "the sum of its inputs",
        "variants": [{"ptx": "adder.ptx", "arch": "sm_80", "entry": "adder"}],
        "launch": {"block": BLOCK, "grid": f"ceil_div(n, {BLOCK})"},
        "args": [
            *({"name": name, "intent": "in", "summary": "added", **array} for name in names),
            {"name": "y", "intent": "out", "summary": "the sum", **array},
            {"name": "n", "kind": "size", "dtype": "uint64", "value": "n"},
        ],
    }
    return wb.load(ptx(arrays - 1), manifest=manifest).kernels["adder"]


@functools.cache
def idle() -> Any:
    """Return a module whose kernel and entry `idle` take x, y, z, a float and an int, and return at once."""
    text = """.version 7.8
.target sm_80
.address_size 64

.visible .entry idle(.param .u64 x, .param .u64 y, .param .u64 z, .param .f32 a, .param .s32 n)
{
    ret;
}
"""
    array = {"kind": "array", "dtype": "float32", "shape": ["size"], "summary": "numbers"}
    manifest = {
        "manifest": 1,
        "name": "idle",
        "summary": "nothing",
        "variants": [{"ptx": "idle.ptx", "arch": "sm_80", "entry": "idle"}],
        "launch": {"block": 32, "grid": 1},
        "args": [
            {"name": "x", "intent": "in", **array},
            {"name": "y", "intent": "out", "in_place": ["x"], **array},
            {"name": "z", "intent": "out", **array},
            {"name": "a", "kind": "scalar", "dtype": "float32", "summary": "a float"},
            {"name": "n", "kind": "scalar", "dtype": "int32", "summary": "an int"},
        ],
    }
    return wb.load(text, manifest=manifest)
