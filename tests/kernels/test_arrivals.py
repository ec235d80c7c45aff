"""Every lane arrives at mbarriers for itself (docs/notes/racecheck.md): no kernel's lane arrives in the name of others.

The PTX is taken as it ships, and counts each thread's arrivals besides; where a thread ends, its count must be that of
its warp's first lane. Few thread blocks go over many tiles, so that stages are given back again and again. The kernels
for the longest rows run behind the plain ones.
"""

from __future__ import annotations

import importlib
import re
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import warpbridge as wb
from warpbridge import _ffi

ROOT = Path(__file__).resolve().parents[2]
ARRIVAL = r"(?:cp\.async\.)?mbarrier\.arrive\b[^;]*;"
DECLARED = ".reg .b32 arrivals, first; .reg .pred differs;\nmov.b32 arrivals, 0;\n"
COMPARED = "shfl.sync.idx.b32 first, arrivals, 0, 31, -1; setp.ne.b32 differs, first, arrivals; @differs trap;"


def counted(ptx: str) -> str:
    """Return the PTX with a count of arrivals in each thread, which traps where it is not that of lane 0."""
    text, entries = re.subn(r"^\{\n((?:\s*\.(?:reg|local)[^\n]*\n)*)", rf"{{\n\1{DECLARED}", ptx, flags=re.M)
    text, arrivals = re.subn(rf"({ARRIVAL})", r"\1 add.u32 arrivals, arrivals, 1;", text)
    text, ends = re.subn(r"^(\s*)ret;", rf"\1{COMPARED} ret;", text, flags=re.M)
    assert entries == ptx.count(".entry")
    assert arrivals >= 2 * entries  # a loader's and a reader's
    assert ends >= entries
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the kernels that counts arrivals."""
    copy = tmp_path_factory.mktemp("kernels")
    (copy / "ptx").mkdir()
    for manifest in (ROOT / "kernels").glob("*.toml"):
        shutil.copy(manifest, copy)
    for ptx in (ROOT / "kernels" / "ptx").glob("*.ptx"):
        (copy / "ptx" / ptx.name).write_text(counted(ptx.read_text(encoding="utf-8")), encoding="utf-8")
    return copy


@pytest.fixture
def sanitize(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return what launches every kernel, and undo what it does to where they come from."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(_ffi, "bundled_load", _ffi.bundled_load)
    monkeypatch.setattr(wb.kernels, "_loaded", {})
    return importlib.import_module("sanitize")


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("name", [name for name in dir(wb.kernels) if not name.endswith("_long")])
def test_every_lane_arrives_for_itself(name: str, arch: str, folder: Path, sanitize: ModuleType) -> None:
    sanitize.load_from(folder, sanitize.FEW)
    sanitize.cases(np)[name](arch)


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_a_lane_that_arrives_for_its_warp_is_found(
    arch: str, folder: Path, sanitize: ModuleType, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "ptx" / f"scale.{arch}.ptx"
    of_readers = r"mbarrier\.arrive\.shared::cta\.b64 _, \[(%r\d+)\];"
    alone = (
        "{ .reg .b32 lane; .reg .pred is_first; mov.u32 lane, %laneid; setp.eq.u32 is_first, lane, 0;"
        r" @!is_first bra done; mbarrier.arrive.shared::cta.b64 _, [\1], 32; add.u32 arrivals, arrivals, 32; done: }"
    )
    text, found = re.subn(of_readers + " add.u32 arrivals, arrivals, 1;", alone, path.read_text(encoding="utf-8"))
    assert found >= 2
    path.write_text(text, encoding="utf-8")
    sanitize.load_from(tmp_path, sanitize.FEW)
    with pytest.raises(wb.KernelFault, match="the kernel executed a trap"):
        sanitize.cases(np)["scale"](arch)
