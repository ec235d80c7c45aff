"""The command line: what `info` and `kernels` print, usage, exit status. The demo has its own tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import warpbridge as wb
from warpbridge.cli import main


def test_info_shows_devices_kernels_and_why_there_is_no_gpu(run_python) -> None:
    found = run_python(
        "import sys; from warpbridge.cli import main; sys.exit(main(['info']))",
        WARPBRIDGE_LIBCUDA="/nowhere/libcuda.so.1",
    )
    cpu = wb.device("cpu")
    major, minor = cpu.ptx_version
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == (
        f"warpbridge {wb.__version__}, C ABI 1\n"
        "\n"
        f"cpu: {cpu.name}\n"
        f"  runs PTX up to {major}.{minor} for {cpu.arch} and below\n"
        f"  {cpu.memory_bytes / 2**30:.1f} GiB of memory, {cpu.sm_count} threads, "
        f"{cpu.max_shared_bytes // 1024} KiB shared per block\n"
        + "".join(f"  kernel {name}: variants sm_80, sm_90\n" for name in dir(wb.kernels))
        + "\n"
        "no CUDA device: no CUDA driver library found, tried /nowhere/libcuda.so.1 (cannot open shared object file: "
        "No such file or directory); expected an NVIDIA driver to be installed, or WARPBRIDGE_LIBCUDA to name its "
        "libcuda.so.1\n"
    )


def test_kernels_lists_signatures_and_summaries(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernels"]) == 0
    out = capsys.readouterr().out
    assert out == "\n".join(
        f"{k.__name__}{k.__signature__}\n    {k.summary}\n"
        for k in (getattr(wb.kernels, name) for name in dir(wb.kernels))
    )


def test_kernels_shows_one_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernels", "scale"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("scale(x, a, b=0, *, out=None")
    assert (
        "    x : array of float32 or float16, any shape\n        values to scale\n    a : float32\n        factor\n"
        in out
    )


def test_kernels_refuses_an_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernels", "sacle"]) == 2
    assert capsys.readouterr().err == (
        f"warpbridge kernels: warpbridge has no kernel 'sacle', expected one of: {', '.join(dir(wb.kernels))}\n"
    )


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["demo", "--count", "0"], ["demo", "--count", "many"]])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: warpbridge")


def test_count_that_is_no_number_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["demo", "--count", "many"])
    assert capsys.readouterr().err.splitlines()[-1] == (
        "warpbridge demo: error: argument --count: 'many', expected a whole number of at least 1"
    )


def test_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["demo", str(tmp_path / "absent.jpg"), "--output", str(tmp_path / "sheet.png")]) == 2
    assert capsys.readouterr().err == f"warpbridge demo: {tmp_path / 'absent.jpg'}: No such file or directory\n"


def test_demo_refuses_a_sheet_in_no_folder_before_it_works(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "absent" / "sheet.png"
    assert main(["demo", "--output", str(path)]) == 2
    assert capsys.readouterr() == (
        "",
        f"warpbridge demo: {path} cannot be written, expected a folder that can: name one by --output\n",
    )


def test_reader_that_goes_away_ends_the_command_quietly() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "warpbridge", "kernels"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_nothing_is_coloured_and_ascii_is_enough() -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "FORCE_COLOR": "1"}
    command = [sys.executable, "-m", "warpbridge", "kernels", *dir(wb.kernels)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    assert "\x1b" not in found.stdout
    assert found.stdout.isascii()


BENCH_LINE = r"  (.{36}) +[\d.]+ us +[\d.]+"


def test_bench_times_every_way_to_launch_and_the_kernels_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "scale", "softmax", "--device", "cpu"]) == 0
    title, empty, launches, *lines, end, kernels, scale, softmax = capsys.readouterr().out.splitlines()
    assert title == f"warpbridge {wb.__version__} on cpu ({wb.device('cpu').name}), arrays by NumPy"
    assert (empty, end) == ("", "")
    assert launches.startswith("cost of a launch, scale of 1024 float32: ")
    assert [re.fullmatch(BENCH_LINE, line)[1].strip() for line in lines] == [
        "native code, queued",
        "bound.launch(stream)",
        "kernel.launch(x, 2, out=y)",
        "native code, waited for",
        "bound()",
        "kernel(x, 2, out=y)",
        "kernel.submit(x, 2, out=y).result()",
    ]
    assert kernels.startswith("kernels on made-up arrays: ")
    assert re.fullmatch(r"  scale +0\.80 MB +[\d.]+ ms +[\d.]+ GB/s", scale)
    assert re.fullmatch(r"  softmax +0\.80 MB +[\d.]+ ms +[\d.]+ GB/s", softmax)


def test_bench_refuses_a_kernel_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "sacle"]) == 2
    assert capsys.readouterr().err.startswith("warpbridge bench: warpbridge has no kernel 'sacle', expected one of: ")


COMMANDS = ("info", "kernels", "demo", "trace", "check", "bench", "new", "build")


@pytest.mark.parametrize("arguments", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help_exits_with_0(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("usage: warpbridge")


def test_python_dash_m_is_the_command() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "warpbridge", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout == f"warpbridge {wb.__version__}\n"
