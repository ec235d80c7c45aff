"""The benchmarks that have a mode without a GPU run in it and print what they promise."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def run(name: str, *arguments: str) -> str:
    process = subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def test_launch_prints_a_table_for_each_style_with_the_floor_first() -> None:
    lines = run("launch.py", "--cpu", "--rounds", "2").splitlines()
    rows = [line.split("|")[1:-1] for line in lines if re.match(r"\| .* \| +[\d.]+ \|", line)]
    assert [row[0].strip() for row in rows] == [
        "native launch",
        "warpbridge bound.launch(stream)",
        "warpbridge kernel.launch, 3 NumPy arrays",
        "warpbridge kernel.launch, 8 NumPy arrays",
        "native launch, waited for",
        "warpbridge bound()",
        "warpbridge kernel(), 3 NumPy arrays",
    ]
    assert all(float(row[1]) > 0 and float(row[3]) > 0 for row in rows)
    assert [row[3].strip() for row in rows if row[0].startswith(" native")] == ["1.00", "1.00"]


def rows_of(text: str) -> dict[str, list[str]]:
    """Return the cells of a table by the first of each row."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in rows[2:]}


def test_launch_shows_that_nothing_grows() -> None:
    found = run("launch.py", "--cpu", "--growth", "1600")
    assert re.search(r"^1600 launches, half of them `bound.launch\(stream\)`", found, re.MULTILINE)
    rows = rows_of(found)
    assert all(int(after) - int(before) == int(more) for before, after, more in rows.values())
    most = [4000, 500, 100, 0, 0]  # KiB, Python's blocks, its objects, file descriptors, threads
    assert all(int(row[2]) <= limit for row, limit in zip(rows.values(), most, strict=True)), rows


def test_launch_forms_are_all_repeated_without_the_long_way_but_too_many_sizes() -> None:
    rows = rows_of(run("launch_forms.py", "--cpu", "--rounds", "1", "--calls", "2", "--sample", "40"))
    assert {form for form, row in rows.items() if row[2] != "0"} == {"`... 33 sizes in turn`"}
    assert all(float(row[0]) > 0 and float(row[1]) > 0 for row in rows.values())


def test_callbacks_shows_a_latency_for_each_scene() -> None:
    rows = [
        line.split("|")[1:-1] for line in run("callbacks.py", "--cpu", "--tries", "3").splitlines() if line[:1] == "|"
    ]
    assert [row[0].strip() for row in rows[2:]] == ["idle", "8 threads in NumPy", "8 threads in Python code"]
    assert all(int(row[1]) > 0 and -50 < float(row[2]) <= float(row[4]) for row in rows[2:])


def test_cancel_stops_launches_and_compares_them_with_unwatched_ones() -> None:
    lines = run("cancel.py", "--cpu", "--tries", "8", "--rounds", "2", "--only", "scale", "rms").splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line[:1] == "|"]
    names = [row[0].strip() for row in rows]
    assert names[:2] == ["scale", "rms_norm"]
    assert all(0 < int(row[1]) <= 8 and float(row[6]) > 0 < float(row[7]) for row in rows[:2])
    assert re.fullmatch(r"All kernels: ended within \d+ us \(p99\), \d+ us \(most\)\.", lines[-2])


def test_short_soak_leaves_memory_handles_and_threads_where_they_were() -> None:
    lines = run("soak.py", "--cpu", "--seconds", "10").splitlines()
    assert lines[-1] == "grown: nothing"
    ways = {line.split(None, 1)[1] for line in lines if re.match(r" +\d+ ", line)}
    assert {
        "blocking",
        "callback",
        "cancelled: LaunchCancelled",
        "fault: MemoryFault",
        "ordered",
        "refused: ArgumentError",
        "timed_out: LaunchTimeout",
    } <= ways


def test_rate_plot_draws_a_line_for_each_column_and_keeps_names_apart(tmp_path: Path) -> None:
    table = tmp_path / "rate.md"
    table.write_text(
        "Measured 2026-11-23 on NVIDIA H200, CUDA driver 13000.\n\n| MiB | copy | scale |\n|---|---|---|\n"
        "| 0.25 | 0.200 | 0.100 |\n| 16 | 2.000 | 1.000 |\n| 1024 | 3.960 | 3.900 |\n",
        encoding="utf-8",
    )
    run("rate_plot.py", str(table), str(tmp_path / "rate.svg"))
    svg = (tmp_path / "rate.svg").read_text(encoding="utf-8")
    lines = re.findall(r'<polyline class="([\w ]+)".* points="([^"]+)"/>', svg)
    assert lines == [
        ("line copy", "56.0,354.6 333.0,198.0 610.0,27.5"),
        ("line", "56.0,363.3 333.0,285.0 610.0,32.7"),
    ]
    names = re.findall(r'<text x="618" y="([\d.]+)".*>(\w+ [\d.]+)</text>', svg)
    assert names == [("31.5", "copy 3.96"), ("46.5", "scale 3.90")]
    assert re.findall(r">([\d.]+ [KMG]iB)<", svg) == ["256 KiB", "16 MiB", "1 GiB"]
    assert "Bytes read and written per second on NVIDIA H200, by bytes of the first input</text>" in svg


def test_rate_plot_has_a_panel_for_each_seven_kernels(tmp_path: Path) -> None:
    names = [f"k{i}" for i in range(8)]
    table = f"Measured on X,\n\n| MiB | copy | {' | '.join(names)} |\n|---|\n" + "".join(
        f"| {size} | {' | '.join(['2.0'] * 9)} |\n" for size in (1, 2)
    )
    (tmp_path / "rate.md").write_text(table, encoding="utf-8")
    run("rate_plot.py", str(tmp_path / "rate.md"), str(tmp_path / "rate.svg"))
    svg = (tmp_path / "rate.svg").read_text(encoding="utf-8")
    assert 'viewBox="0 0 760 840"' in svg
    lines = re.findall(r'<polyline class="([\w ]+)".* points="([^"]+)"/>', svg)
    assert lines == [
        ("line copy", "56.0,24.0 610.0,24.0"),
        *[("line", "56.0,24.0 610.0,24.0")] * 7,
        ("line copy", "56.0,444.0 610.0,444.0"),
        ("line", "56.0,444.0 610.0,444.0"),
    ]
    labels = re.findall(r'y="([\d.]+)"(?: style="fill: #\w+")?>(\w+ 2.00)</text>', svg)
    assert [name for _, name in labels] == [f"{name} 2.00" for name in ("copy", *names[:7], "copy", "k7")]
    assert [float(place) for place, _ in labels] == [*(28 + 15 * i for i in range(8)), 448, 463]


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_sanitize_has_every_kernel_and_arguments_that_it_takes(arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    sanitize = importlib.import_module("sanitize")
    cases = sanitize.cases(np)
    assert sorted(cases) == sanitize.names()
    for launch in cases.values():
        launch(arch)


def test_kernels_tables_have_a_column_per_peer_and_name_what_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    report = importlib.import_module("kernels_report")
    peers = {"torch": 400e-6, "Triton": "wrong"}
    lines = {
        "softmax float16, rows of 99": report.Line(100e-6, 125e-6, 0.8, 500_000_000, peers, 0.88, {"torch": 4}),
        "softmax float16, rows of 8": report.Line(10e-6, 20e-6, 0.5, 50_000_000, {"CuPy": 30e-6}),
        "scale float32": report.Line(100e-6, 100e-6, 1.0, 500_000_000, {}, 0.95),
    }
    assert report.tables(lines, 1e-6) == (
        "## softmax\n\n"
        "| case | floor | ours | TB/s | of the floor | target | torch | Triton | CuPy |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
        "| float16, rows of 99 | 100.0 us | 125.0 us | 4.000 | 0.800 | 0.88, 4 x torch | 400.0 us (3.20) | wrong |  |\n"
        "| float16, rows of 8 | 10.0 us | 20.0 us | 2.500 | 0.500 |  |  |  | 30.0 us (1.50) |\n"
        "\n## scale\n\n"
        "| case | floor | ours | TB/s | of the floor | target |\n"
        "|---|---|---|---|---|---|\n"
        "| float32 | 100.0 us | 100.0 us | 5.000 | 1.000 | 0.95 |\n"
        "\nA launch that does nothing took 1.0 us, which counts in: softmax float16, rows of 8.\n"
        "\n## Missed targets\n\n"
        "- softmax float16, rows of 99: 0.800 of the floor, 0.88 asked\n"
        "- softmax float16, rows of 99: 3.20 times as fast as torch, 4 asked\n"
    )
