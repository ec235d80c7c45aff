"""`warpbridge check`: what it says of a good file, of each kind of bad one, and how it ends."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb
from warpbridge.cli import main


@pytest.fixture(autouse=True)
def only_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what GPUs of this machine say, so that texts can be compared."""
    whole = wb.Module.survey
    monkeypatch.setattr(wb.Module, "survey", lambda m: {**whole(m), "devices": whole(m)["devices"][:1]})


def test_check_says_what_a_good_file_needs_and_runs_it(data: Path, capsys) -> None:
    assert main(["check", str(data / "wait.ptx")]) == 0
    assert capsys.readouterr().out == (
        "wait.ptx: PTX 8.3 for sm_90a, 1 entry\n"
        "entry twice\n"
        "  parameters  in u64, out u64\n"
        "  block       any size\n"
        "  shared      264 bytes static\n"
        "  registers   8 b32, 8 b64, 4 f32, 2 pred (declared; a GPU's compiler uses fewer)\n"
        "  barriers    0\n"
        "  mbarriers   initialised in 1 place\n"
        "  uses        mbarriers, sm_80, line 19\n"
        "              transaction mbarriers (expect_tx), sm_90, line 26\n"
        "              bulk copies (cp.async.bulk), sm_90, line 27\n"
        "              mbarriers with try_wait, sm_90, line 32\n"
        "  hazards     none in the text\n"
        "cpu: loads it\n"
        "kernel twice, manifest wait.toml, checks=all\n"
        "  sm_90a: eager, latest, seeded: no fault, same results\n"
        "verdict: nothing found\n"
    )


def broken(data: Path, folder: Path, old: str, new: str) -> Path:
    """Copy the good file with one change, and its manifest."""
    text = (data / "wait.ptx").read_text()
    assert text.count(old) == 1
    (folder / "wait.ptx").write_text(text.replace(old, new))
    (folder / "wait.toml").write_text((data / "wait.toml").read_text())
    return folder / "wait.ptx"


def test_check_finds_a_hazard_in_the_text(data: Path, tmp_path: Path, capsys) -> None:
    file = broken(data, tmp_path, "    fence.proxy.async;\n", "\n")
    assert main(["check", str(file)]) == 1
    out = capsys.readouterr().out
    assert (
        "  hazards     line 19: mbarrier.init.shared.b64, but bulk copies signal it without a fence in between, "
        "expected fence.mbarrier_init.release.cluster or fence.proxy.async behind it\n"
    ) in out
    assert "nothing found" not in out.splitlines()[-1]


def test_check_finds_a_deadlock_by_running(data: Path, tmp_path: Path, capsys) -> None:
    file = broken(data, tmp_path, "[full], 1;", "[full], 2;")
    assert main(["check", str(file)]) == 1
    out = capsys.readouterr().out
    assert "  sm_90a: DeadlockError under schedule eager\n" in out
    assert "role doubler (warp 1) waits on the mbarrier at shared+256, parity 0" in out
    assert out.endswith("verdict: 1 finding\n")


def test_check_finds_a_missing_wait_in_the_text_and_by_running(data: Path, tmp_path: Path, capsys) -> None:
    file = broken(data, tmp_path, "    mbarrier.try_wait.parity.shared.b64 p, [full], 0;\n    @!p bra WAIT;\n", "")
    assert main(["check", str(file)]) == 1
    out = capsys.readouterr().out
    assert (
        "  hazards     line 27: cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes, but nothing "
        "waits on an mbarrier, expected mbarrier.try_wait or mbarrier.test_wait before the data are read\n"
    ) in out
    assert "  sm_90a: KernelFault under schedule eager\n" in out
    assert "reads shared+0, which nobody has written yet\n" in out
    assert out.endswith("verdict: 2 findings\n")


def test_check_of_text_that_does_not_load_gives_line_and_reason(data: Path, tmp_path: Path, capsys) -> None:
    file = broken(data, tmp_path, "    add.u64 %d1, %d1, %d2;", "    add.u64 %d1, %d1, %zz;")
    assert main(["check", str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[-1]) == ("wait.ptx: does not load", "verdict: 1 finding")
    assert lines[1].startswith(f"  {file}: line 43, column ")
    assert "%zz" in lines[1]


def test_check_without_a_manifest_surveys_only(tmp_path: Path, capsys) -> None:
    file = tmp_path / "k.ptx"
    file.write_text(".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k()\n{\nbar.sync 1, 40;\nret;\n}\n")
    assert main(["check", str(file)]) == 1
    assert capsys.readouterr().out == (
        "k.ptx: PTX 8.0 for sm_80, 1 entry\n"
        "entry k\n"
        "  parameters  none\n"
        "  block       any size\n"
        "  shared      0 bytes static\n"
        "  registers   none (declared; a GPU's compiler uses fewer)\n"
        "  barriers    1\n"
        "  mbarriers   none\n"
        "  uses        nothing that some GPU lacks\n"
        "  hazards     line 6: barrier 1 is given 40 threads, expected a positive multiple of 32\n"
        "cpu: loads it\n"
        "no manifest: nothing was run; a .toml beside the file, or --manifest, says what its arguments are\n"
        "verdict: 1 finding\n"
    )


@pytest.mark.parametrize("name", ["scale.sm_80", "scale.sm_90", "image_prep.sm_80", "image_prep.sm_90"])
def test_check_finds_nothing_against_the_bundled_kernels(name: str, capsys) -> None:
    folder = Path(__file__).parents[1] / "kernels"
    assert main(["check", str(folder / "ptx" / f"{name}.ptx")]) == 0, capsys.readouterr().out


def test_check_of_a_missing_file_is_wrong_usage(capsys) -> None:
    assert main(["check", "nowhere.ptx"]) == 2
    assert capsys.readouterr().err == (
        "warpbridge check: nowhere.ptx: No such file or directory; expected a PTX file, or PTX text with its .version "
        "directive\n"
    )


def test_check_help_exits_with_0(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check", "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("usage: warpbridge check")


def test_check_says_on_a_terminal_which_schedule_runs(data: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["check", str(data / "wait.ptx")]) == 0
    lines = [f"\r\x1b[Ktwice sm_90a: schedule {name} ...\r\x1b[K" for name in ("eager", "latest", "seeded")]
    assert capsys.readouterr().err == "".join(lines)


NARROW = """
.version 8.0
.target sm_80
.address_size 64
.visible .entry negate(.param .u64 x, .param .u64 y, .param .u32 n)
{
    .reg .b64 %rd<5>; .reg .b32 %r<5>; .reg .b16 %h<3>; .reg .pred %p;
    ld.param.u64 %rd0, [x]; ld.param.u64 %rd1, [y]; ld.param.u32 %r4, [n];
    mov.u32 %r0, %ctaid.x; mov.u32 %r1, %tid.x; mad.lo.u32 %r2, %r0, 64, %r1;
    setp.ge.u32 %p, %r2, %r4;
    @%p bra DONE;
    mul.wide.u32 %rd2, %r2, 2; add.u64 %rd3, %rd0, %rd2; add.u64 %rd4, %rd1, %rd2;
    ld.global.b16 %h0, [%rd3]; neg.bf16 %h1, %h0; st.global.b16 [%rd4], %h1;
DONE:
    ret;
}
"""
NARROW_MANIFEST = """
manifest = 1
name = "negate"
summary = "y = -x"
[[variants]]
ptx = "negate.ptx"
arch = "sm_80"
entry = "negate"
[launch]
block = 64
grid = "ceil_div(n, 64)"
[[args]]
name = "x"
kind = "array"
intent = "in"
dtype = "bfloat16"
shape = ["n"]
summary = "numbers"
[[args]]
name = "y"
kind = "array"
intent = "out"
dtype = "bfloat16"
shape = ["n"]
summary = "their negatives"
[[args]]
name = "n"
kind = "size"
dtype = "uint32"
value = "n"
"""


def test_check_makes_up_bfloat16_arrays_without_another_library(tmp_path: Path, capsys) -> None:
    (tmp_path / "negate.ptx").write_text(NARROW)
    (tmp_path / "negate.toml").write_text(NARROW_MANIFEST)
    assert main(["check", str(tmp_path / "negate.ptx")]) == 0, capsys.readouterr().out
    assert "  sm_80: eager, latest, seeded: no fault, same results\n" in capsys.readouterr().out


def test_made_up_bfloat16_numbers_are_rounded_to_nearest_even() -> None:
    from warpbridge.tools.inputs import bfloat16

    values = np.array([1.0, -2.5, 1.00390625, 1.01171875, 3.0e38], np.float32)
    assert np.frombuffer(bfloat16(values).tobytes(), np.uint16).tolist() == [0x3F80, 0xC020, 0x3F80, 0x3F82, 0x7F62]
