"""atom and red: all operations and types (PTX ISA 9.7.13.5, 9.7.13.6).

Each thread works on its own cell, and old and new value are compared; where the order does not matter, all threads also
work on one cell.
"""

from __future__ import annotations

from itertools import product

from .form import BLOCK, Form, Input, Output, Result, elementwise, parameter_list
from .rules import EXACT, Rule
from .samples import bits_of

SCRATCH = ".global .align 32 .b8 oracle_scratch[32768];"
INTEGER = ("u32", "s32", "u64", "s64")


def _rule(kind: str) -> Rule:
    return Rule("f64", any_nan=True) if kind == "f64" else EXACT


def _cell(space: str, kind: str) -> tuple[str, str]:
    """Return declarations and code that leave the address of this thread's cell in %addr."""
    size = bits_of(kind) // 8
    if space == "shared":
        code = f"mov.u64 %addr, cells;\nand.b32 %word, %index, 127;\nmad.wide.u32 %addr, %word, {size}, %addr;\n"
        return f".shared .align 16 .b8 cells[{128 * size}];", code
    if space == "generic":
        code = "mov.u64 %addr, cells;\ncvta.shared.u64 %addr, %addr;\nand.b32 %word, %index, 127;\n"
        return f".shared .align 16 .b8 cells[{128 * size}];", code + f"mad.wide.u32 %addr, %word, {size}, %addr;\n"
    return "", f"mad.wide.u32 %addr, %index, {size}, %ptrCELL;\n"


def _row(op: str, space: str, kind: str, arity: int = 1, qualifiers: str = "", red: bool = False) -> Form:
    """Return one operation of one space: out 0 is the new value, out 1 the old one (atom only)."""
    operands = [kind] * (1 + arity)
    declarations, code = _cell(space, kind)
    code = code.replace("CELL", str(len(operands)))
    dot = "" if space == "generic" else f".{space}"
    spelled = f"{'red' if red else 'atom'}{qualifiers}{dot}.{op}"
    arguments = ", ".join(f"%a{i + 1}" for i in range(arity))
    b = f"b{bits_of(kind)}"
    prepare = ""
    if op.startswith("cas"):  # every other comparison holds
        prepare = f"and.b32 %word, %index, 1;\nsetp.eq.u32 %q0, %word, 0;\nselp.{b} %a1, %a0, %a1, %q0;\n"
        if b == "b16":
            prepare = prepare.replace("selp.b16", "selp.b16")
    body = prepare + code + f"st{dot}.{b} [%addr], %a0;\n"
    body += f"{spelled} {'' if red else '%d1, '}[%addr], {arguments};\nld.volatile{dot}.{b} %d0, [%addr];"
    results = [Result(kind, _rule(kind))] * (1 if red else 2)
    return elementwise("atomics", spelled, " ".join(operands), results, body, registers=declarations)


def scalars() -> list[Form]:
    """Return every operation and type on global, shared and generic cells."""
    operations = [(f"{op}.{t}", t, 1) for op, t in product(("and", "or", "xor"), ("b32", "b64"))]
    operations += [(f"{op}.{t}", t, 1) for op, t in product(("min", "max"), INTEGER)]
    operations += [(f"add.{t}", t, 1) for t in ("u32", "s32", "u64", "f32", "f64")]
    operations += [(f"add.noftz.{t}", t, 1) for t in ("f16", "f16x2", "bf16", "bf16x2")]
    operations += [("inc.u32", "u32", 1), ("dec.u32", "u32", 1)]
    unique = [
        ("exch.b32", "b32", 1),
        ("exch.b64", "b64", 1),
        ("cas.b16", "b16", 2),
        ("cas.b32", "b32", 2),
        ("cas.b64", "b64", 2),
    ]
    rows = [
        _row(op, space, t, arity)
        for (op, t, arity), space in product(operations + unique, ("global", "shared", "generic"))
    ]
    rows += [
        _row(op, space, t, arity, red=True)
        for (op, t, arity), space in product(operations, ("global", "shared", "generic"))
    ]
    for sem, scope in product((".relaxed", ".acquire", ".release", ".acq_rel"), (".cta", ".cluster", ".gpu", ".sys")):
        rows.append(_row("add.u32", "global", "u32", 1, sem + scope))
        if sem in {".relaxed", ".release"}:
            rows.append(_row("add.u32", "global", "u32", 1, sem + scope, red=True))
    return rows


def wide() -> list[Form]:
    """Return the 128-bit exchanges and compare-and-swaps."""
    rows = []
    for op, space in product(("exch", "cas"), ("global", "shared")):
        place = "mov.u64 %addr, oracle_scratch;\nmad.wide.u32 %addr, %index, 16, %addr;\n"
        declared = ".reg .b128 %w<4>;"
        if space == "shared":
            declared += "\n.shared .align 16 .b8 cells[2048];"
            place = "mov.u64 %addr, cells;\nand.b32 %word, %index, 127;\nmad.wide.u32 %addr, %word, 16, %addr;\n"
        body = (
            place
            + f"st.{space}.v2.b64 [%addr], {{%a0, %a1}};\nmov.b128 %w0, {{%a2, %a3}};\nmov.b128 %w1, {{%a0, %a1}};\n"
        )
        if op == "cas":
            body += "and.b32 %word, %index, 1;\nsetp.eq.u32 %q0, %word, 0;\n@!%q0 mov.b128 %w1, {%a2, %a0};\n"
            body += f"atom.{space}.cas.b128 %w2, [%addr], %w1, %w0;\n"
        else:
            body += f"atom.{space}.exch.b128 %w2, [%addr], %w0;\n"
        body += f"mov.b128 {{%d2, %d3}}, %w2;\nld.volatile.{space}.v2.b64 {{%d0, %d1}}, [%addr];"
        prelude = SCRATCH if space == "global" else ""
        name = f"atom_{space}_{op}_b128"
        kinds = "b64 b64 b64 b64"
        rows.append(
            elementwise(
                "atomics", f"atom.{space}.{op}.b128", kinds, kinds, body, name=name, registers=declared, prelude=prelude
            )
        )
    return rows


def vectors() -> list[Form]:
    """Return the vector forms on global memory, as atom and red."""
    shapes = [("add", "f32", n) for n in (2, 4)]
    shapes += [(f"{op}.noftz", t, n) for op, t, n in product(("add", "min", "max"), ("f16", "bf16"), (2, 4, 8))]
    shapes += [(f"{op}.noftz", t, n) for op, t, n in product(("add", "min", "max"), ("f16x2", "bf16x2"), (2, 4))]
    rows = []
    for (op, t, n), red in product(shapes, (False, True)):
        b = f"b{bits_of(t)}"
        size = n * bits_of(t) // 8
        spelled = f"{'red' if red else 'atom'}.global.v{n}.{t}.{op}"
        groups = [
            "{" + ", ".join(f"%{r}" for r in regs) + "}"
            for regs in ([f"d{n + i}" for i in range(n)], [f"a{n + i}" for i in range(n)])
        ]
        body = f"mov.u64 %addr, oracle_scratch;\nmad.wide.u32 %addr, %index, {size}, %addr;\n"
        step = bits_of(t) // 8
        body += "".join(f"st.global.{b} [%addr+{i * step}], %a{i};\n" for i in range(n))
        body += f"{spelled} {'' if red else groups[0] + ', '}[%addr], {groups[1]};\n"
        body += "\n".join(f"ld.volatile.global.{b} %d{i}, [%addr+{i * step}];" for i in range(n))
        results = " ".join([t] * (n if red else 2 * n))
        rows.append(elementwise("atomics", spelled, " ".join([t] * (2 * n)), results, body, count=128, prelude=SCRATCH))
    return rows


def contended() -> list[Form]:
    """Return reductions of many threads into one cell, in global and in shared memory."""
    rows = []
    for op, t in (
        ("add", "u32"),
        ("add", "u64"),
        ("min", "s32"),
        ("max", "u64"),
        ("xor", "b32"),
        ("or", "b64"),
        ("and", "b32"),
    ):
        for space, red in product(("global", "shared"), (False, True)):
            rows.append(_contended(op, t, space, red))
    return rows


def _contended(op: str, t: str, space: str, red: bool) -> Form:
    spelled = f"{'red' if red else 'atom'}.{space}.{op}.{t}"
    name = f"all_{spelled.replace('.', '_')}"
    bits = bits_of(t)
    cell = "%ptr1" if space == "global" else "cell"
    text = f"""
.visible .entry {name}(
{parameter_list(name, 2)}
)
{{
    .reg .b64 %addr, %ptr<2>;
    .reg .b32 %index, %block;
    .reg .b{bits} %a, %old;
    .reg .pred %first;
    .shared .align 8 .b8 cell[8];
    ld.param.u64 %ptr0, [{name}_0];
    ld.param.u64 %ptr1, [{name}_1];
    cvta.to.global.u64 %ptr0, %ptr0;
    cvta.to.global.u64 %ptr1, %ptr1;
    mov.u32 %index, %tid.x;
    setp.eq.u32 %first, %index, 0;
    @%first st.{space}.b{bits} [{cell}], {-1 if op == "and" else 0};
    bar.sync 0;
    mad.wide.u32 %addr, %index, {bits // 8}, %ptr0;
    ld.global.b{bits} %a, [%addr];
    {spelled} {"" if red else "%old, "}[{cell}], %a;
    bar.sync 0;
    @!%first bra DONE;
    ld.{space}.b{bits} %a, [{cell}];
    st.global.b{bits} [%ptr1], %a;
DONE:
    ret;
}}
"""
    return Form(name, spelled, text, (Input(t, BLOCK),), (Output(bits, 1),), 1, BLOCK, "atomics")


def rows() -> list[Form]:
    """Return all rows of this file."""
    return [*scalars(), *wide(), *vectors(), *contended()]
