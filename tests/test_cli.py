"""The command line: what `info` and `kernels` print, usage, exit status. The demo has its own tests."""

from __future__ import annotations

import subprocess
import sys

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
    assert "    x : array of float32 or float16\n        values to scale\n    a : float32\n        factor\n" in out


def test_kernels_refuses_an_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernels", "sacle"]) == 2
    assert capsys.readouterr().err == (
        f"warpbridge kernels: warpbridge has no kernel 'sacle', expected one of: {', '.join(dir(wb.kernels))}\n"
    )


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["demo", "--count", "0"]])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: warpbridge")


@pytest.mark.parametrize("arguments", [["--help"], ["info", "--help"], ["kernels", "--help"], ["demo", "--help"]])
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
