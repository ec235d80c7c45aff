"""The kernels' build step: every gate fails on a planted violation, saying so; and what is asked of the machine."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from planted import FINISHED, KERNELS, bounding, build, compiler, copy, gates, ptxtext

__all__ = ["copy"]

SYNC_HINT = "the compiler has copied or removed it, or the '//! sync:' line of the source is out of date"

# A local array indexed at run time: ptxas gives it a stack.
STACK = FINISHED.replace(
    "\tbar.sync \t0;\n",
    """\
	.reg .b64 %rd<3>;
	.reg .b32 %n<2>;
	.local .align 4 .b8 array[64];
	ld.param.u64 %rd1, [twice_param_0];
	ld.global.u32 %n1, [%rd1];
	mov.u64 %rd2, array;
	and.b32 %r1, %n1, 60;
	cvt.u64.u32 %rd0, %r1;
	add.u64 %rd2, %rd2, %rd0;
	st.local.u32 [%rd2], %n1;
	ld.local.u32 %r1, [array+8];
	st.global.u32 [%rd1], %r1;
""",
)


@pytest.fixture(scope="module")
def ptxas() -> str:
    return gates.find_ptxas()


@pytest.fixture(scope="module")
def scale() -> tuple[str, gates.Declared]:
    text = (KERNELS / "ptx" / "scale.sm_90.ptx").read_text(encoding="utf-8")
    return text, build.declared("scale")


def test_committed_ptx_passes_the_gates_that_need_no_tool(scale: tuple[str, gates.Declared]) -> None:
    text, declared = scale
    entries = declared.entries["scale.sm_90.ptx"]
    assert gates.gate_entries(text, "scale.sm_90.ptx", entries, bounding(declared.block)) == []
    assert gates.gate_syncs(text, "scale.sm_90.ptx", declared) == []
    assert gates.gate_calls(text, "scale.sm_90.ptx") == []


@pytest.mark.parametrize(
    ("statement", "mnemonic", "count"),
    [
        ("bar.sync \t0;", "bar.sync", 0),
        ("bar.red.or.pred \t%p1, 0, %p2;", "bar.red.or.pred", 1),
        ("bar.warp.sync \t-1;", "bar.warp.sync", 0),
        ("@%p1 vote.sync.any.pred %p2, %p3, -1;", "vote.sync.any.pred", 2),
        ("{ .reg .pred p; barrier.cta.sync.aligned 0; }", "barrier.cta.sync.aligned", 0),
    ],
)
def test_a_duplicated_sync_is_refused(
    scale: tuple[str, gates.Declared], statement: str, mnemonic: str, count: int
) -> None:
    text, declared = scale
    planted = text.replace("\tret;", f"\t{statement}\n\tret;", 1)
    entry = next(iter(ptxtext.entries(text)))
    assert gates.gate_syncs(planted, "scale.sm_90.ptx", declared) == [
        f"scale.sm_90.ptx: entry {entry} has {count + 1} {mnemonic}, expected {count}: {SYNC_HINT}"
    ]


def test_a_removed_sync_is_refused(scale: tuple[str, gates.Declared]) -> None:
    text, declared = scale
    planted, removed = re.subn(r"\tbar\.red\.or\.pred .*;\n", "", text, count=1)
    assert removed == 1
    entry = next(iter(ptxtext.entries(text)))
    assert gates.gate_syncs(planted, "scale.sm_90.ptx", declared) == [
        f"scale.sm_90.ptx: entry {entry} has 0 bar.red.or.pred, expected 1: {SYNC_HINT}"
    ]


def test_syncs_may_be_declared_per_entry() -> None:
    source = "//! sync: bar.sync 1\n//! sync twice: bar.sync 2, vote.sync.all.pred 1\n"
    declared = gates.Declared({}, (64,), gates.read_syncs(source))
    assert declared.syncs_of("twice", "x.sm_90.ptx") == Counter({"bar.sync": 2, "vote.sync.all.pred": 1})
    assert declared.syncs_of("once", "x.sm_90.ptx") == Counter({"bar.sync": 1})


def test_syncs_may_be_declared_per_architecture() -> None:
    source = "//! sync sm_80: bar.sync 1\n//! sync sm_90: bar.sync 2\n//! sync twice: bar.sync 3\n"
    declared = gates.Declared({}, (64,), gates.read_syncs(source))
    assert declared.syncs_of("once", "x.sm_80.ptx") == Counter({"bar.sync": 1})
    assert declared.syncs_of("once", "x.sm_90.ptx") == Counter({"bar.sync": 2})
    assert declared.syncs_of("twice", "x.sm_90.ptx") == Counter({"bar.sync": 3})
    assert declared.syncs_of("once", "x.ptx") == Counter()


def test_jump_tables_may_be_forbidden_to_one_kernel() -> None:
    matvec, scale = (
        gates.declared(build.HERE / f"{name}.toml", build.HERE / "src" / f"{name}.rs")
        for name in ("dequant_matvec", "scale")
    )
    assert (matvec.rustc_flags, scale.rustc_flags) == (("-C", "jump-tables=no"), ())
    assert "brx.idx" not in build.path_of("dequant_matvec", build.VARIANTS[1]).read_text()


def test_syncs_may_be_declared_per_architecture_and_entry() -> None:
    names = ("sync sm_90 twice", "sync twice", "sync sm_90", "sync")
    source = "".join(f"//! {name}: bar.sync {count}\n" for count, name in enumerate(names, 1))
    declared = gates.Declared({}, (64,), gates.read_syncs(source))
    found = [declared.syncs_of(e, f"x.{a}.ptx")["bar.sync"] for e in ("twice", "once") for a in ("sm_90", "sm_80")]
    assert found == [1, 2, 3, 4]


def test_a_source_without_declared_syncs_is_refused(copy: Path) -> None:
    source = copy / "src" / "scale.rs"
    source.write_text(source.read_text(encoding="utf-8").replace("//! sync:", "//! syncs"), encoding="utf-8")
    with pytest.raises(gates.BuildError) as caught:
        build.declared("scale")
    expected = "scale.rs declares no synchronising operations: expected a line '//! sync: bar.sync 1, ...'"
    assert str(caught.value) == expected


def test_entries_that_differ_from_the_manifest_are_refused() -> None:
    assert gates.gate_entries(FINISHED, "twice.sm_90.ptx", frozenset({"thrice"}), bounding((64, 1, 1))) == [
        "twice.sm_90.ptx: entry twice is not in the manifest",
        "twice.sm_90.ptx: entry thrice of the manifest is not in the PTX",
    ]


@pytest.mark.parametrize("text", [FINISHED.replace(".minnctapersm 1\n", ""), FINISHED.replace("64, 1, 1", "96, 1, 1")])
def test_missing_or_wrong_launch_bounds_are_refused(text: str) -> None:
    assert gates.gate_entries(text, "twice.sm_90.ptx", frozenset({"twice"}), bounding((64, 1, 1))) == [
        "twice.sm_90.ptx: entry twice lacks launch bounds, expected '.reqntid 64, 1, 1\\n.minnctapersm 1' (ptxas C7508)"
    ]


def test_functions_calls_and_local_memory_are_refused() -> None:
    planted = """\
	@%p1 call.uni panic, ();
	call.uni
	(), _RNvCs2_4core9panicking9panic_fmt, ();
	call.uni
	(), _RNvCs2_4core9panicking11panic_const23panic_const_div_by_zero, ();
	st.local.b32 	[%rd1], 0;
	ret;"""
    text = FINISHED.replace("\tret;", planted) + ".func f()\n{\n}\n"
    reason = "expected none: a panic or a state machine is left in it"
    assert gates.gate_calls(text, "twice.sm_90.ptx") == [
        "twice.sm_90.ptx: has a .func, expected entries only",
        f"twice.sm_90.ptx: entry twice has a call of panic, {reason}",
        f"twice.sm_90.ptx: entry twice has a call of panic_fmt, {reason}",
        f"twice.sm_90.ptx: entry twice has a call of panic_const_div_by_zero, {reason}; divide by "
        "warpbridge_runtime::divide",
        f"twice.sm_90.ptx: entry twice has .local memory, {reason}",
    ]


WAIT = "\t{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%r1], 0; selp.u32 %r0, 1, 0, p; }\n"


def test_two_waits_that_are_asked_at_once_are_refused() -> None:
    at_once = FINISHED.replace("\tret;", WAIT + WAIT.replace("%r1", "%r0") + "\tret;")
    assert gates.gate_waits(at_once, "twice.sm_90.ptx") == [
        "twice.sm_90.ptx: entry twice asks the mbarriers at %r1 and %r0 at once, expected a branch on the first one's "
        "answer between: see Barrier::is_complete_before"
    ]
    one_by_one = FINISHED.replace(
        "\tret;", WAIT + "\t@%p1 bra \t$L__BB0_1;\n" + WAIT + "$L__BB0_1:\n" + WAIT + "\tret;"
    )
    assert gates.gate_waits(one_by_one, "twice.sm_90.ptx") == []


def test_another_hash_is_refused() -> None:
    name, digest = "twice.sm_90.ptx", "0123456789abcdef"
    advice = "expected 0123456789ab...: the sources have changed, run python kernels/build.py"
    assert gates.gate_hash(FINISHED.replace("abc", digest), name, digest) == []
    assert gates.gate_hash(FINISHED, name, digest) == [f"{name}: sources sha256 abc..., {advice}"]
    assert gates.gate_hash(FINISHED.replace("sources", "source"), name, digest) == [
        f"{name}: no sources' hash, {advice}"
    ]


def test_a_rebuild_by_the_same_compiler_must_give_the_same_bytes() -> None:
    other = FINISHED.replace("\tret;", "\texit;")
    assert gates.gate_rebuilt(FINISHED, FINISHED, "twice.sm_90.ptx") == []
    assert gates.gate_rebuilt(FINISHED, other, "twice.sm_90.ptx") == [
        "twice.sm_90.ptx: differs from a rebuild by the same compiler from line 17 on: run python kernels/build.py"
    ]
    assert gates.gate_rebuilt(FINISHED, other.replace("1.96.0", "1.97.0"), "twice.sm_90.ptx") == []


def test_ptxas_accepts_plain_ptx(ptxas: str) -> None:
    assert gates.gate_ptxas(FINISHED, "twice.sm_90.ptx", "sm_90", ptxas) == []


def test_a_stack_is_refused(ptxas: str) -> None:
    assert gates.gate_ptxas(STACK, "twice.sm_90.ptx", "sm_90", ptxas) == [
        "twice.sm_90.ptx: entry twice for sm_90 has 64 bytes of stack, 0 of spill stores, 0 of spill loads, "
        "expected none"
    ]


def test_ptx_that_ptxas_rejects_is_refused(ptxas: str) -> None:
    assert gates.gate_ptxas(FINISHED.replace("sm_90", "sm_120"), "twice.sm_120.ptx", "sm_90", ptxas) == [
        "twice.sm_120.ptx: ptxas refuses it for sm_90: ptxas twice.sm_120.ptx, line 5; error   : "
        "PTX .version 8.0 does not support .target sm_120\nptxas fatal   : Ptx assembly aborted due to errors"
    ]


def test_setmaxnreg_without_launch_bounds_is_refused(ptxas: str) -> None:
    text = FINISHED.replace("sm_90", "sm_90a").replace(".reqntid 64, 1, 1\n.minnctapersm 1\n", "")
    text = text.replace("\tbar.sync", "\tsetmaxnreg.inc.sync.aligned.u32 128;\n\tbar.sync")
    assert gates.gate_ptxas(text, "twice.sm_90a.ptx", "sm_90a", ptxas) == [
        "twice.sm_90a.ptx: sm_90a: ptxas info    : (C7508) Potential Performance Loss: 'setmaxnreg' ignored; "
        "unable to determine register count at entry., expected no such remark"
    ]


def test_check_names_every_stale_file(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = build.source_hash("deadlock_demo")
    source = copy / "src" / "deadlock_demo.rs"
    source.write_text(source.read_text(encoding="utf-8") + "// changed\n", encoding="utf-8")
    after = build.source_hash("deadlock_demo")
    assert build.main(["--check", "--no-rebuild", "--kernel", "deadlock_demo"]) == 1
    advice = f"expected {after[:12]}...: the sources have changed, run python kernels/build.py"
    assert capsys.readouterr().err.splitlines() == [
        f"error: deadlock_demo.{arch}.ptx: sources sha256 {before[:12]}..., {advice}" for arch in ("sm_80", "sm_90")
    ]


def test_check_names_a_missing_file(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "ptx" / "deadlock_demo.sm_80.ptx").unlink()
    assert build.main(["--check", "--no-rebuild", "--kernel", "deadlock_demo"]) == 1
    assert capsys.readouterr().err == "error: deadlock_demo.sm_80.ptx is missing: run python kernels/build.py\n"


def test_hash_is_the_same_in_another_directory(copy: Path) -> None:
    there = {kernel: build.source_hash(kernel) for kernel in build.KERNELS}
    for kernel, digest in there.items():
        for variant in build.VARIANTS:
            text = (KERNELS / "ptx" / f"{kernel}.{variant.arch}.ptx").read_text(encoding="utf-8")
            assert f"// sources: sha256 {digest}\n" in text


def test_a_change_of_the_runtime_changes_every_hash(copy: Path) -> None:
    before = {kernel: build.source_hash(kernel) for kernel in build.KERNELS}
    source = copy / "runtime" / "src" / "lib.rs"
    source.write_text(source.read_text(encoding="utf-8") + "// changed\n", encoding="utf-8")
    assert [kernel for kernel in build.KERNELS if build.source_hash(kernel) == before[kernel]] == []


def test_a_new_kernel_leaves_the_hashes_of_the_others_alone(copy: Path) -> None:
    before = {kernel: build.source_hash(kernel) for kernel in build.KERNELS}
    source = copy / "src" / "lib.rs"
    text = source.read_text(encoding="utf-8")
    listed = '#[cfg(kernel = "scale")]\n'
    added = text.replace(listed, f'#[cfg(kernel = "twice")]\npub mod twice;\n{listed}')
    assert added != text
    source.write_text(added, encoding="utf-8")
    assert {kernel: build.source_hash(kernel) for kernel in build.KERNELS} == before
    source.write_text(text.replace("#![no_std]", "#![no_std]\n#![allow(unused)]"), encoding="utf-8")
    assert [kernel for kernel in build.KERNELS if build.source_hash(kernel) == before[kernel]] == []


def test_check_without_ptxas_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PTXAS", raising=False)
    monkeypatch.setattr(gates.sysconfig, "get_paths", lambda: {"purelib": str(tmp_path)})
    assert build.main(["--check"]) == 2
    expected = "error: ptxas not found: pip install nvidia-cuda-nvcc, or put it on the path, or set PTXAS\n"
    assert capsys.readouterr().err == expected


def test_lint_without_clippy_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rustc = compiler.Rustc(str(tmp_path / "rustc"), tmp_path, "rustc 1.96.0")
    monkeypatch.setattr(build, "find_rustc", lambda: rustc)
    assert build.main(["--lint"]) == 2
    assert capsys.readouterr().err == (
        f"error: clippy-driver not found beside {rustc.path}: apt-get install rust-web-clippy, or rustup component add "
        "clippy\n"
    )


def old_rustc(folder: Path) -> Path:
    """Write a program that answers like a rustc that is too old, and find nothing else."""
    rustc = folder / "old-rustc"
    facts = "rustc 1.85.0\\nrelease: 1.85.0\\ncommit-hash: 0\\nLLVM version: 19.1.7\\n"
    rustc.write_text(f'#!/bin/sh\ncase "$1" in -vV) printf "{facts}" ;; *) echo /nowhere ;; esac\n', encoding="utf-8")
    rustc.chmod(0o755)
    return rustc


@pytest.fixture
def only_old_rustc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    rustc = str(old_rustc(tmp_path))
    monkeypatch.setattr(compiler, "rustc_candidates", lambda: [rustc])
    return (
        f"no suitable rustc found ({rustc} is 1.85.0), expected 1.96 or later with the sources of core: "
        "apt-get install rustc-web rust-web-src, or rustup toolchain install nightly --component rust-src, or set RUSTC"
    )


def test_check_without_a_suitable_rustc_says_what_to_install(
    only_old_rustc: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build.main(["--check", "--kernel", "deadlock_demo"]) == 2
    assert capsys.readouterr().err == f"error: {only_old_rustc}\n"


def test_rebuild_auto_says_that_it_did_not_rebuild(only_old_rustc: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--check", "--rebuild=auto", "--kernel", "deadlock_demo"]) == 0
    assert capsys.readouterr().out == f"not rebuilt: {only_old_rustc}\n2 PTX files checked\n"


def test_stack_that_was_accepted_may_be_no_larger(ptxas: str) -> None:
    refused = gates.gate_ptxas(STACK, "twice.sm_90.ptx", "sm_90", ptxas)
    entry, found = re.findall(r"entry (\w+) for sm_90 has (\d+) bytes of stack", refused[0])[0]
    assert gates.gate_ptxas(STACK, "twice.sm_90.ptx", "sm_90", ptxas, {entry: int(found)}) == []
    assert gates.gate_ptxas(STACK, "twice.sm_90.ptx", "sm_90", ptxas, {entry: int(found) - 1}) == refused
