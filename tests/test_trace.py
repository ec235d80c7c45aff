"""Traces: events of a pipeline one by one, lanes of Chrome traces and SVG timelines, what the command prints."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb
from warpbridge.cli import main

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def bound(data: Path) -> wb.Bound:
    # The copy wants 16-byte alignment, which NumPy gives only by chance.
    raw = np.zeros(64 + 4, np.float32)
    x = raw[(-raw.ctypes.data // 4) % 4 :][:64]
    x[:] = np.arange(64)
    return wb.load(data / "wait.ptx").kernels["twice"].bind(x)


def described(trace: wb.Trace) -> list[str]:
    return [
        f"{trace.role(e.warp)} {e.start}-{e.end} {e.label}" + (f", {trace.cause(e)}" if e.what == "wait" else "")
        for e in trace.events
    ]


@pytest.mark.parametrize("schedule", ["eager", "latest", "seeded"])
@pytest.mark.parametrize("checks", ["memory", "all"])
def test_trace_shows_who_waits_for_whom(bound: wb.Bound, schedule, checks) -> None:
    with wb.cpu(schedule=schedule, checks=checks):
        trace = bound.trace(latency=100)
    assert described(trace) == [
        "loader 0-16 computes",
        "loader 13-113 copy 1: 256 bytes",
        "doubler 0-4 computes",
        "doubler 4-9 waits for barrier 0, ended by loader",
        "doubler 9-10 computes",
        "doubler 10-113 waits for mbarrier +256 parity 0, ended by copy 1",
        "doubler 113-127 computes",
    ]
    assert trace.error is None
    assert np.array_equal(trace.result, 2 * np.arange(64, dtype=np.float32))
    assert [(block.index, block.ends) for block in trace.blocks] == [((0, 0, 0), (16, 127))]
    assert repr(trace) == "<Trace of twice: 1 thread blocks, 7 events>"


def test_trace_of_an_entry_names_warps() -> None:
    ptx = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k()\n{\nbar.sync 0;\nret;\n}\n"
    trace = wb.load(ptx).entries["k"].trace(1, 64, [])
    assert described(trace) == ["warp 0 0-2 computes", "warp 1 0-2 computes"]


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("columns", [300, 2048, 4096, 6144, 8192, 16_384, 28_672, 30_000])
@pytest.mark.parametrize("norm", ["rms_norm", "layer_norm"])
def test_every_warp_is_named_also_where_a_variant_has_others(norm: str, columns: int, arch: str) -> None:
    x, weight = np.ones((2, columns), np.float16), np.ones(columns, np.float16)
    for keywords in ({}, {"residual": x}):
        trace = getattr(wb.kernels, norm).trace(x, weight, quantise=np.int8, arch=arch, **keywords)
        warps = dict(trace.roles)
        assert sum(warps.values()) == len(trace.blocks[0].ends)
        assert warps["loader"] == 1


def test_trace_keeps_the_error_and_the_waits_of_a_deadlock() -> None:
    trace = wb.kernels.deadlock_demo.trace(np.ones(64, np.float32))
    assert isinstance(trace.error, wb.DeadlockError)
    waits = [line for line in described(trace) if "nobody" in line]
    assert [line.split(" ", 2)[::2] for line in waits] == [
        ["producer", "waits for mbarrier +8 parity 0, nobody ended it"],
        ["consumer", "waits for mbarrier +0 parity 0, nobody ended it"],
    ]


def test_trace_records_the_thread_blocks_asked_for() -> None:
    b = wb.kernels.scale.bind(np.ones(4096, np.float32), 2.0)  # two tiles of 8 KiB
    with wb.cpu(threads=2):
        assert [block.index[0] for block in b.trace(ctas=None).blocks] == [0, 1]
        assert [block.index[0] for block in b.trace(ctas=[1]).blocks] == [1]
        assert b.trace(ctas=[9]).events == []


def test_trace_rejects_a_negative_latency(bound: wb.Bound) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        bound.trace(latency=-1)
    assert str(caught.value) == "twice: latency has -1, expected numbers from 0"


def test_trace_rejects_thread_blocks_that_are_no_numbers(bound: wb.Bound) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        bound.trace(ctas=("first",))
    assert str(caught.value) == "twice: ctas has 'first', expected numbers from 0"


@pytest.mark.parametrize("launches", [0, -1, "many", 2.5])
def test_floor_rejects_no_number_of_launches(bound: wb.Bound, launches: object) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        bound.floor_s(launches)
    assert str(caught.value) == f"twice: launches is {launches!r}, expected a number from 1"


def test_chrome_trace_has_a_lane_per_role_and_per_copy_track(bound: wb.Bound, tmp_path: Path) -> None:
    bound.trace(latency=100).to_chrome(tmp_path / "t.json")
    written = json.loads((tmp_path / "t.json").read_text())
    names = [row["args"]["name"] for row in written["traceEvents"] if row["ph"] == "M"]
    assert names == ["twice block (0, 0, 0)", "loader", "doubler", "copies 0"]
    spans = [(row["name"], row["tid"], row["ts"], row["dur"]) for row in written["traceEvents"] if row["ph"] == "X"]
    assert ("copy 1: 256 bytes", 1000, 13, 100) in spans
    assert ("waits for mbarrier +256 parity 0", 1, 10, 103) in spans
    assert len(spans) == 7


def test_svg_timeline_draws_every_event_with_a_legend(bound: wb.Bound, tmp_path: Path) -> None:
    bound.trace(latency=100).to_svg(tmp_path / "t.svg")
    root = ET.parse(tmp_path / "t.svg").getroot()
    texts = [text.text for text in root.iter(f"{SVG}text")]
    for wanted in ("loader", "doubler", "copies", "compute", "wait for a copy", "wait for a warp", "copy in flight"):
        assert wanted in texts
    assert "time in warp instructions of each role; a copy is drawn as taking 100" in texts
    tips = [tip.text for tip in root.iter(f"{SVG}title")]
    assert len(tips) == 7
    assert "doubler waits for mbarrier +256 parity 0, ticks 10 to 113, ended by copy 1 (PTX line 32)" in tips


def test_notebook_shows_the_timeline_unless_it_is_long(
    bound: wb.Bound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = bound.trace()
    trace.to_svg(tmp_path / "t.svg")
    assert trace._repr_svg_() == (tmp_path / "t.svg").read_text(encoding="utf-8")
    monkeypatch.setattr("warpbridge.trace._MOST_SHOWN", len(trace.events) - 1)
    assert trace._repr_svg_() is None


def test_trace_command_writes_both_files_and_says_how_time_was_spent(data: Path, tmp_path: Path, capsys) -> None:
    files = tmp_path / "t.svg", tmp_path / "t.json"
    arguments = ["trace", str(data / "wait.ptx"), "--latency", "100", "--svg", str(files[0]), "--json", str(files[1])]
    assert main(arguments) == 0
    assert capsys.readouterr().out == (
        "twice(x float32 (64,), y float32 (64,))\n"
        "thread block (0, 0, 0): 127 warp instructions from start to end\n"
        "  loader       compute 13 %\n"
        "  doubler      wait for a copy 81 %, compute 15 %, wait for a warp 4 %\n"
        f"wrote {files[0]}\n"
        f"wrote {files[1]}; open it in ui.perfetto.dev\n"
    )
    assert all(file.stat().st_size > 0 for file in files)


def test_trace_command_makes_inputs_of_the_size_asked_for(tmp_path: Path, capsys) -> None:
    assert main(["trace", "scale", "--size", "n=5000", "--size", "a=0.5", "--svg", str(tmp_path / "t.svg")]) == 0
    assert capsys.readouterr().out.startswith("scale(x float32 (5000,), y float32 (5000,), a = 0.5, b = 0.0)\n")


def test_trace_command_ends_with_1_and_the_report_for_a_deadlock(tmp_path: Path, capsys) -> None:
    assert main(["trace", "deadlock_demo", "--svg", str(tmp_path / "t.svg")]) == 1
    assert capsys.readouterr().err.startswith("warpbridge trace: deadlock_demo: deadlock in")
    assert "every role waits and nothing is in flight" in (tmp_path / "t.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["sacle"], f"warpbridge has no kernel 'sacle', expected one of: {', '.join(dir(wb.kernels))}, or a PTX file"),
        (["scale", "--size", "m=3"], "scale: size 'm' is given, expected one of: a, b, n"),
        (["scale", "--size", "n=-5"], "scale: size n is -5, expected a whole number from 0"),
        (["scale", "--size", "n=2.5"], "scale: size n is 2.5, expected a whole number from 0"),
        (["scale", "--size", "n=nan"], "scale: size n is nan, expected a whole number from 0"),
        (["scale", "--cta", "99"], "scale: thread block 99 did not run, expected one of its grid"),
    ],
)
def test_trace_command_explains_wrong_arguments(arguments, expected, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["trace", *arguments]) == 2
    assert capsys.readouterr().err == f"warpbridge trace: {expected}\n"


def test_trace_command_says_how_to_give_sizes_that_fit(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["trace", "stencil3d", "--size", "taps=4"]) == 2
    assert capsys.readouterr().err == (
        "warpbridge trace: stencil3d: coefficients has rows of 4 weights, expected 3, 5, 7 or 9; these arguments were "
        "made up: give other sizes by --size NAME=VALUE\n"
    )


def test_trace_help_exits_with_0(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["trace", "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("usage: warpbridge trace")
