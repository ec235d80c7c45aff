"""Launch bounds in the kernels' build step: what is declared, what stands in the PTX, what is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from planted import FINISHED, RAW, bounding, build, copy, declaring, gates, ptxtext

__all__ = ["copy"]


def test_finish_bounds_launches_and_drops_what_is_left_of_panics() -> None:
    assert ptxtext.finish(RAW, "twice, sm_90", "rustc 1.96.0", "abc", bounding((64, 1, 1))) == FINISHED


def test_finish_bounds_launches_that_differ_by_the_most_threads() -> None:
    finished = ptxtext.finish(RAW, "twice, sm_90", "rustc 1.96.0", "abc", bounding(96))
    assert finished == FINISHED.replace(".reqntid 64, 1, 1", ".maxntid 96, 1, 1")
    assert gates.gate_entries(finished, "twice.sm_90.ptx", frozenset({"twice"}), bounding(96)) == []


def test_launch_bounds_may_be_declared_per_entry() -> None:
    source = """\
//! block: at most 1024 threads
//! block twice_wide_*: at most 288 threads
//! block sm_80 twice_wide_*: at most 256 threads
//! block twice_wide_f16: at most 544 threads
//! block sm_80: at most 640 threads
"""
    declared = gates.Declared({}, (64, 1, 1), {}, most=gates.read_most(source))
    found = [
        [declared.block_of(arch, entry) for entry in ("twice", "twice_wide_f32", "twice_wide_f16")]
        for arch in ("sm_90", "sm_80")
    ]
    assert found == [[1024, 288, 544], [640, 256, 544]]
    both = RAW + RAW[RAW.index(".visible .entry") :].replace("twice", "twice_wide_f32")
    finished = ptxtext.finish(both, "twice, sm_90", "rustc 1.96.0", "abc", partial(declared.bounds_of, "sm_90"))
    assert ptxtext.headers(finished) == {
        "twice": ".maxntid 1024, 1, 1\n.minnctapersm 1\n",
        "twice_wide_f32": ".maxntid 288, 1, 1\n.minnctapersm 1\n",
    }


def test_blocks_per_multiprocessor_may_be_declared_per_entry() -> None:
    source = """\
//! blocks: at least 2 per multiprocessor
//! blocks sm_90: at least 4 per multiprocessor
//! blocks sm_90 twice_wide_*: at least 32 per multiprocessor
//! block twice: at most 96 threads
"""
    declared = gates.Declared({}, (64, 1, 1), {}, most=gates.read_most(source), least=gates.read_least(source))
    found = [declared.bounds_of(arch, entry) for arch in ("sm_80", "sm_90") for entry in ("twice", "twice_wide_f32")]
    assert found == [
        ".maxntid 96, 1, 1\n.minnctapersm 2\n",
        ".reqntid 64, 1, 1\n.minnctapersm 2\n",
        ".maxntid 96, 1, 1\n.minnctapersm 4\n",
        ".reqntid 64, 1, 1\n.minnctapersm 32\n",
    ]
    finished = ptxtext.finish(RAW, "twice, sm_90", "rustc 1.96.0", "abc", partial(declared.bounds_of, "sm_90"))
    assert ptxtext.headers(finished) == {"twice": ".maxntid 96, 1, 1\n.minnctapersm 4\n"}
    kernel = replace(declaring({"twice"}, syncs=Counter({"bar.sync": 1})), most=declared.most)
    assert gates.gate(finished, "twice.sm_90.ptx", kernel, (), "") == [
        "twice.sm_90.ptx: entry twice lacks launch bounds, expected '.maxntid 96, 1, 1\\n.minnctapersm 1' (ptxas C7508)"
    ]


def test_an_entry_with_another_entrys_launch_bounds_is_refused() -> None:
    both = RAW + RAW[RAW.index(".visible .entry") :].replace("twice", "twice_wide")
    finished = ptxtext.finish(both, "twice, sm_90", "rustc 1.96.0", "abc", bounding(1024))
    declared = declaring({"twice", "twice_wide"}, syncs=Counter({"bar.sync": 1}))
    declared = replace(declared, most=gates.read_most("//! block twice: at most 1024 threads\n"))
    assert gates.gate(finished, "twice.sm_90.ptx", declared, (), "") == [
        "twice.sm_90.ptx: entry twice_wide lacks launch bounds, expected '.reqntid 64, 1, 1\\n.minnctapersm 1' "
        "(ptxas C7508)"
    ]


def test_entries_without_bounds_of_their_own_have_their_variants(copy: Path) -> None:
    manifest = copy / "scale.toml"
    text = manifest.read_text(encoding="utf-8")
    variant = 'arch = "sm_80"\nentry = "scale_f32"\n'
    assert text.count(variant) == 1
    manifest.write_text(text.replace(variant, f"{variant}launch = {{ block = [96] }}\n"), encoding="utf-8")
    declared = build.declared("scale")
    found = [declared.block_of(arch, entry) for arch in ("sm_80", "sm_90") for entry in ("scale_f32", "scale_f16")]
    assert found == [(96,), (160, 1, 1), (160, 1, 1), (160, 1, 1)]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        *(
            (
                f"//! block{line}",
                f"scale.rs has the line '//! block{line}', expected '//! block [sm_NN] [ENTRY]: at most N threads' "
                "with N from 1 to 1024",
            )
            for line in (": 96 threads", " scale_f32: at most 0 threads", ": at most 1056 threads", " a b: at most 8")
        ),
        *(
            (
                f"//! blocks{line}",
                f"scale.rs has the line '//! blocks{line}', expected '//! blocks [sm_NN] [ENTRY]: at least N per "
                "multiprocessor' with N from 1 to 32",
            )
            for line in (": at least 0 per multiprocessor", ": at least 33 per multiprocessor", ": at most 4 threads")
        ),
        (
            "//! blocks sm_80 scale_f8: at least 2 per multiprocessor",
            "scale.rs: the blocks of scale_f8 are at least 2 per multiprocessor, but no entry fits that name, expected "
            "a name or pattern for one of scale_f16, scale_f32",
        ),
        (
            "//! block scale_f8*: at most 96 threads",
            "scale.rs: the block of scale_f8* is at most 96 threads, but no entry fits that name, expected a name or "
            "pattern for one of scale_f16, scale_f32",
        ),
    ],
)
def test_launch_bounds_that_say_nothing_are_refused(copy: Path, line: str, complaint: str) -> None:
    source = copy / "src" / "scale.rs"
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace("//! sync:", f"{line}\n//! sync:"), encoding="utf-8")
    with pytest.raises(gates.BuildError) as caught:
        build.declared("scale")
    assert str(caught.value) == complaint


def test_a_block_that_launches_differ_in_and_no_line_bounds_is_refused(copy: Path) -> None:
    source = copy / "src" / "softmax.rs"
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace("//! block: at most", "//! block softmax_f*: at most"), encoding="utf-8")
    with pytest.raises(gates.BuildError) as caught:
        build.declared("softmax")
    assert str(caught.value) == (
        f"{copy}/softmax.toml: launch.block is ['32 * (readers + 1)'], expected numbers, which become the PTX's launch "
        "bounds, or a line like '//! block: at most 512 threads' in src/softmax.rs"
    )
