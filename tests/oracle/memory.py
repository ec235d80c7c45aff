"""Loads, stores, fences, address conversions: widths, sign extension, vectors, cache and order qualifiers, spaces."""

from __future__ import annotations

from itertools import product

from .form import Form, elementwise, entry_name

TABLE = (
    ".const .align 16 .b32 oracle_table[8] = {0x01234567, 0x89abcdef, 0xfedcba98, 0x76543210, "
    "1, 2, 0x80000000, 0xffffffff};\n"
    ".global .align 16 .b32 oracle_words[4] = {3, 5, 0x7fffffff, 0x80000001};\n"
    ".global .align 8 .u64 oracle_address[2] = {oracle_words, generic(oracle_words)+8};\n"
    ".global .align 4 .f32 oracle_reals[4] = {0f3f800000, 0fff800000, 0f00000001, 1.5};"
)


FENCES = (
    "membar.cta",
    "membar.gl",
    "membar.sys",
    "fence.proxy.alias",
    "fence.proxy.async",
    "fence.proxy.async.global",
    "fence.acquire.sync_restrict::shared::cluster.cluster",
    "fence.release.sync_restrict::shared::cta.cluster",
    "fence.acquire.gpu",
    "fence.release.cta",
)
BLOCK_BYTES = 4096


def _row(
    instruction: str, operands: str, results: str, body: str, name: str = "", registers: str = "", prelude: str = ""
) -> Form:
    return elementwise("memory", instruction, operands, results, body, name=name, registers=registers, prelude=prelude)


def _own(size: int, pointer: int, mask: int = -1) -> str:
    """Return code that leaves in %addr the address of this thread's element (`mask` aligns it to a vector)."""
    return f"and.b32 %word, %index, {mask};\nmad.wide.u32 %addr, %word, {size}, %ptr{pointer};\n"


def loads() -> list[Form]:
    """Return ld.global in every order, cache operator and eviction policy, and the extensions of narrow types."""
    rows = []
    modes = [
        "",
        ".ca",
        ".cg",
        ".cs",
        ".lu",
        ".cv",
        ".nc",
        ".weak",
        ".L1::evict_last",
        ".L1::no_allocate",
        ".nc.L1::no_allocate",
    ]
    modes += [".L1::evict_first", ".L1::evict_unchanged", ".L1::evict_normal"]
    for mode in modes:
        weak, rest = (".weak", "") if mode == ".weak" else ("", mode)
        rows.append(
            _row(f"ld{weak}.global{rest}.b32", "b32", "b32", _own(4, 0) + f"ld{weak}.global{rest}.b32 %d0, [%addr];")
        )
    for order, scope in product((".relaxed", ".acquire"), (".cta", ".cluster", ".gpu", ".sys")):
        rows.append(
            _row(
                f"ld{order}{scope}.global.u64", "u64", "u64", _own(8, 0) + f"ld{order}{scope}.global.u64 %d0, [%addr];"
            )
        )
    others = (
        "ld.volatile.global.b32",
        "ld.mmio.relaxed.sys.global.b32",
        "ldu.global.b32",
        "ld.global.L2::128B.b32",
        "ld.b32",
    )
    rows += [_row(op, "b32", "b32", _own(4, 0) + f"{op} %d0, [%addr];") for op in others]
    for t in ("u8", "s8", "b8", "u16", "s16", "b16", "u32", "s32"):
        size = int(t[1:]) // 8
        for wide in (32, 64):
            if int(t[1:]) <= wide:
                name = f"ld_global_{t}_into_{wide}"
                rows.append(_row(f"ld.global.{t}", t, f"b{wide}", _own(size, 0) + f"ld.global.{t} %d0, [%addr];", name))
    for t, n, q in product(("b8", "s8", "u16", "b32", "f32", "b64", "f64"), (2, 4), ("", ".nc", ".volatile")):
        if int(t[1:]) * n > 128 or (q and t not in {"b32", "b64"}):
            continue
        op = f"ld.volatile.global.v{n}.{t}" if q == ".volatile" else f"ld.global{q}.v{n}.{t}"
        regs = ", ".join(f"%d{i}" for i in range(n))
        stored = " ".join(["b32" if t[1:] == "8" else t] * n)
        rows.append(_row(op, t, stored, _own(int(t[1:]) // 8, 0, -n) + f"{op} {{{regs}}}, [%addr];"))
    policy = "createpolicy.fractional.L2::evict_last.b64 %policy, 1.0;\n"
    hint = "ld.global.L2::cache_hint.b32 %d0, [%addr], %policy;"
    rows.append(
        _row("ld.global.L2::cache_hint.b32", "b32", "b32", policy + _own(4, 0) + hint, registers=".reg .b64 %policy;")
    )
    body = _own(8, 0, -2) + "ld.global.b128 %w, [%addr];\nmov.b128 {%d0, %d1}, %w;"
    rows.append(_row("ld.global.b128", "b64 b64", "b64 b64", body, registers=".reg .b128 %w;"))
    return rows


def stores() -> list[Form]:
    """Return st.global in every order and cache operator, read back."""
    rows = []
    for mode in ("", ".wb", ".cg", ".cs", ".wt", ".L1::evict_last", ".L1::no_allocate"):
        body = _own(4, 1) + f"st.global{mode}.b32 [%addr], %a0;\nld.volatile.global.b32 %d0, [%addr];"
        rows.append(_row(f"st.global{mode}.b32", "b32", "b32", body))
    for order, scope in product((".relaxed", ".release"), (".cta", ".cluster", ".gpu", ".sys")):
        body = _own(4, 1) + f"st{order}{scope}.global.b32 [%addr], %a0;\nld.volatile.global.b32 %d0, [%addr];"
        rows.append(_row(f"st{order}{scope}.global.b32", "b32", "b32", body))
    for op in ("st.volatile.global.b32", "st.mmio.relaxed.sys.global.b32", "st.weak.global.b32", "st.b32"):
        rows.append(_row(op, "b32", "b32", _own(4, 1) + f"{op} [%addr], %a0;\nld.volatile.global.b32 %d0, [%addr];"))
    for fence in ("fence.sc", "fence.acq_rel", "fence"):
        for scope in ("cta", "cluster", "gpu", "sys"):
            body = _own(4, 1) + f"st.global.b32 [%addr], %a0;\n{fence}.{scope};\nld.global.b32 %d0, [%addr];"
            rows.append(_row(f"{fence}.{scope}", "b32", "b32", body))
    for fence in FENCES:
        body = _own(4, 1) + f"st.global.b32 [%addr], %a0;\n{fence};\nld.global.b32 %d0, [%addr];"
        rows.append(_row(fence, "b32", "b32", body, entry_name(fence)))
    return rows


def spaces() -> list[Form]:
    """Return shared, local and const accesses, generic addressing, isspacep, initialised variables."""
    rows = []
    for space, t, n in product(("shared", "local"), ("b8", "b16", "b32", "b64"), (1, 2, 4)):
        if int(t[1:]) * n > 128:
            continue
        size = int(t[1:]) // 8
        cells = f".{space} .align 16 .b8 cells[{BLOCK_BYTES if space == 'shared' else 64}];"
        vector = f".v{n}" if n > 1 else ""
        group = lambda regs: "{" + ", ".join(regs) + "}" if n > 1 else regs[0]  # noqa: B023, E731
        sources, targets = [f"%a{i}" for i in range(n)], [f"%d{i}" for i in range(n)]
        place = "and.b32 %word, %index, 127;\n" if space == "shared" else "and.b32 %word, %index, 1;\n"
        place += f"mov.u64 %addr, cells;\nmad.wide.u32 %addr, %word, {size * n}, %addr;\n"
        body = (
            place
            + f"st.{space}{vector}.{t} [%addr], {group(sources)};\nld.{space}{vector}.{t} {group(targets)}, [%addr];"
        )
        stored = " ".join(["b32" if t == "b8" else t] * n)
        rows.append(_row(f"ld.{space}{vector}.{t}", " ".join([t] * n), stored, body, registers=cells))
    for q in ("::cta", "::cluster"):
        body = "and.b32 %word, %index, 127;\nmov.u64 %addr, cells;\nmad.wide.u32 %addr, %word, 4, %addr;\n"
        body += f"st.shared{q}.b32 [%addr], %a0;\nld.shared{q}.b32 %d0, [%addr];"
        rows.append(_row(f"ld.shared{q}.b32", "b32", "b32", body, registers=".shared .align 16 .b8 cells[512];"))
    for space in ("shared", "local"):
        body = "and.b32 %word, %index, 127;\nmov.u64 %addr, cells;\n" + f"cvta.{space}.u64 %addr, %addr;\n"
        body += "mad.wide.u32 %addr, %word, 4, %addr;\n" if space == "shared" else ""
        body += f"st.b32 [%addr], %a0;\ncvta.to.{space}.u64 %addr, %addr;\nld.{space}.b32 %d0, [%addr];"
        rows.append(_row(f"cvta.{space}.u64", "b32", "b32", body, registers=f".{space} .align 16 .b8 cells[512];"))
    for asked, real in product(
        ("global", "shared", "local", "const", "shared::cta", "shared::cluster"), ("global", "shared", "local", "const")
    ):
        cells = f".{real} .align 16 .b8 cells[64];" if real in {"shared", "local"} else ""
        symbol = {"global": "oracle_words", "const": "oracle_table"}.get(real, "cells")
        body = f"mov.u64 %addr, {symbol};\ncvta.{real}.u64 %addr, %addr;\nisspacep.{asked} %d0, %addr;"
        name = f"isspacep_{entry_name(asked)}_of_{real}"
        rows.append(_row(f"isspacep.{asked}", "b32", "pred", body, name, cells, TABLE))
    for space, symbol, shape in (
        ("const", "oracle_table", 7),
        ("global", "oracle_words", 3),
        ("global", "oracle_reals", 3),
    ):
        body = f"and.b32 %word, %a0, {shape};\nmov.u64 %addr, {symbol};\nmad.wide.u32 %addr, %word, 4, %addr;\n"
        body += f"ld.{space}.b32 %d0, [%addr];"
        rows.append(_row(f"ld.{space}.b32", "b32", "b32", body, f"ld_{symbol}", prelude=TABLE))
    body = "ld.global.u64 %addr, [oracle_address+8];\nld.b32 %d0, [%addr+4];"
    rows.append(
        _row("initialiser generic(variable)+8", "b32", "b32", body, "ld_through_initialised_address", prelude=TABLE)
    )
    return rows


def hints() -> list[Form]:
    """Return instructions that may change no value: prefetches, priorities, policies."""
    lines = [f"prefetch.global.{level} [%addr];" for level in ("L1", "L2", "L2::evict_last", "L2::evict_normal")]
    lines += ["prefetchu.L1 [%addr];", "applypriority.global.L2::evict_normal [%addr], 128;"]
    lines += ["createpolicy.fractional.L2::evict_first.L2::evict_unchanged.b64 %policy, 0.5;"]
    lines += ["createpolicy.range.L2::evict_last.L2::evict_first.b64 %policy, [%addr], 64, 128;"]
    rows = []
    for line in lines:
        place = "mov.u64 %addr, %ptr0;\n" + ("cvta.global.u64 %addr, %addr;\n" if line.startswith("prefetchu") else "")
        body = place + line + "\nmov.b32 %d0, %a0;"
        rows.append(_row(line.split(" ", maxsplit=1)[0], "b32", "b32", body, registers=".reg .b64 %policy;"))
    return rows


def rows() -> list[Form]:
    """Return all rows of this file."""
    return [*loads(), *stores(), *spaces(), *hints()]
