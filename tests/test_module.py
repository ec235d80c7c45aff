"""Loading: from a path, text and bytes, with and without a manifest; what is wrong is said with its place."""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb

DATA = Path(__file__).parent / "data"
STEPS = DATA / "steps.ptx"
TEXT = STEPS.read_text()
MANIFEST = tomllib.loads((DATA / "steps.toml").read_text())


def test_load_path_takes_the_manifest_beside_it() -> None:
    for path in (STEPS, str(STEPS)):
        module = wb.load(path)
        assert dict.fromkeys(module.kernels) == {"steps": None}
        assert list(module.entries) == ["steps", "spin", "outside"]
        assert (module.origin, module.ptx_version, module.target) == (str(STEPS), (8, 0), "sm_80")
        assert repr(module) == f"<Module {STEPS}: PTX 8.0 for sm_80, entries steps, spin, outside>"


@pytest.mark.parametrize("ptx", [TEXT, TEXT.encode()], ids=["text", "bytes"])
def test_load_text_has_entries_only(ptx: str | bytes) -> None:
    module = wb.load(ptx)
    assert module.origin == "<string>"
    assert list(module.kernels) == []
    y = np.zeros(3, np.int32)
    module.entries["steps"](1, 1, [y, 3, 0, 0])
    assert y.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "manifest", [MANIFEST, DATA / "steps.toml", str(DATA / "steps.toml")], ids=["dict", "path", "str"]
)
@pytest.mark.parametrize("ptx", [STEPS, TEXT], ids=["path", "text"])
def test_load_takes_a_manifest_of_any_form(ptx: Path | str, manifest: object) -> None:
    y = np.zeros(3, np.int32)
    wb.load(ptx, manifest=manifest).kernels["steps"](y)
    assert y.tolist() == [0, 1, 2]


def test_path_without_a_manifest_has_entries_only(tmp_path: Path) -> None:
    shutil.copy(STEPS, tmp_path / "alone.ptx")
    assert list(wb.load(tmp_path / "alone.ptx").kernels) == []


def test_names_are_a_mapping_made_on_first_use() -> None:
    entries = wb.load(STEPS).entries
    assert entries["spin"] is entries["spin"]
    assert len(entries) == 3
    assert repr(entries) == f"<entries of {STEPS}: steps, spin, outside>"
    with pytest.raises(KeyError) as caught:
        entries["spni"]
    assert caught.value.args == (f"'spni' is not among the entries of {STEPS}; there are: steps, spin, outside",)


def test_kernel_of_a_module_without_a_manifest(tmp_path: Path) -> None:
    path = tmp_path / "alone.ptx"
    shutil.copy(STEPS, path)
    with pytest.raises(KeyError) as caught:
        wb.load(path).kernels["steps"]
    text = f"'steps' is not among the kernels of {path}; there are: none, without a manifest: pass manifest="
    assert caught.value.args == (text,)


def test_manifest_is_no_ptx(tmp_path: Path) -> None:
    path = tmp_path / "steps.toml"
    with pytest.raises(wb.LoadError) as caught:
        wb.load(path)
    assert str(caught.value) == (
        f"{path} is a manifest, expected a PTX file: the manifest beside it is found, one elsewhere is passed as "
        "manifest="
    )
    assert caught.value.origin == str(path)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "absent.ptx"
    with pytest.raises(wb.LoadError) as caught:
        wb.load(path)
    assert str(caught.value) == (
        f"{path}: No such file or directory; expected a PTX file, or PTX text with its .version directive"
    )
    with pytest.raises(wb.ManifestError) as caught_manifest:
        wb.load(STEPS, manifest=tmp_path / "absent.toml")
    assert str(caught_manifest.value) == (
        f"{tmp_path / 'absent.toml'}: No such file or directory; expected a manifest in TOML"
    )


def test_path_that_is_no_utf8_is_a_path_like_any_other(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/w\xff.ptx"))
    path.write_text(TEXT)
    module = wb.load(path)
    assert list(module.entries) == ["steps", "spin", "outside"]
    assert module.origin.endswith("w\\udcff.ptx")


def test_load_of_something_else() -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.load(3)
    assert str(caught.value) == "load: ptx is an int, expected a path, PTX text or bytes"


def test_manifest_of_something_else() -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.load(STEPS, manifest=5)
    assert str(caught.value) == "load: manifest is an int, expected a path or a dict"


def test_manifest_text_is_taken_for_a_path_and_shown_in_short() -> None:
    with pytest.raises(wb.ManifestError) as caught:
        wb.load(STEPS, manifest="manifest = 1\nname = 'steps'\nsummary = 'y'\n")
    assert str(caught.value) == (
        "\"manifest = 1\\nname = 'steps'\\nsummary = 'y\"...: No such file or directory; expected a manifest in TOML"
    )


def test_module_without_entries_says_so() -> None:
    module = wb.load(".version 8.0\n.target sm_80\n.address_size 64\n")
    assert repr(module) == "<Module <string>: PTX 8.0 for sm_80, entries none>"


@pytest.mark.parametrize(
    ("old", "new", "text", "line", "column"),
    [
        ("ld.param.u64 %rd0, [y];", "ld.param.u64 %rd0 [y];", 'found "[", expected "," or ";"', 12, 23),
        ("mov.u64 %rd4, 0;", "mvo.u64 %rd4, 0;", 'instruction "mvo.u64" is not supported', 19, 5),
    ],
    ids=["missing comma", "unknown instruction"],
)
def test_syntax_error_has_line_and_column(
    tmp_path: Path, old: str, new: str, text: str, line: int, column: int
) -> None:
    path = tmp_path / "wrong.ptx"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(wb.LoadError) as caught:
        wb.load(path)
    assert str(caught.value) == f"{path}: line {line}, column {column}: {text}"
    assert (caught.value.origin, caught.value.line, caught.value.column) == (str(path), line, column)


def test_ptx_too_new_for_the_device() -> None:
    entry = wb.load(TEXT.replace(".version 8.0", ".version 99.0")).entries["steps"]
    major, minor = wb.device("cpu").ptx_version
    with pytest.raises(wb.LoadError) as caught:
        entry(1, 1, [np.zeros(1, np.int32), 1, 0, 0])
    assert str(caught.value) == (
        f"<string>: PTX version 99.0, but cpu accepts at most {major}.{minor}; build it with an older .version"
    )
    assert caught.value.ptx_version == [99, 0]


def changed(**changes: object) -> dict:
    return {**MANIFEST, **changes}


def with_arg(index: int, **changes: object) -> dict:
    args = [dict(arg) for arg in MANIFEST["args"]]
    args[index] = {**args[index], **changes}
    return changed(args=args)


def variant(**changes: object) -> dict:
    return changed(variants=[{**MANIFEST["variants"][0], **changes}])


@pytest.mark.parametrize(
    ("manifest", "key", "text"),
    [
        (
            variant(entry="step"),
            "variants[0].entry",
            f'is "step", but {STEPS} has steps, spin, outside; name one of its entries',
        ),
        (
            variant(arch="sm_75"),
            "variants[0].arch",
            f"is sm_75, but {STEPS} has .target sm_80; expected sm_80 or later",
        ),
        (
            changed(args=MANIFEST["args"][:-1]),
            "args",
            f"make 3 PTX parameters, but entry steps of {STEPS} has 4; expected the same number",
        ),
        (
            with_arg(2, dtype="uint32"),
            "args[2]",
            f"(rounds) takes 4 bytes, but parameter 3 of entry steps of {STEPS} is .u64 of 8 bytes; "
            "expected the same size",
        ),
        (with_arg(0, intent="both"), "args[0].intent", 'is "both", expected in, out or inout'),
        (changed(nmae="steps"), "nmae", None),
    ],
    ids=["entry", "arch", "count", "size", "value", "key"],
)
def test_manifest_that_is_wrong_or_contradicts_its_ptx(manifest: dict, key: str, text: str | None) -> None:
    with pytest.raises(wb.ManifestError) as caught:
        wb.load(STEPS, manifest=manifest)
    if text is not None:
        assert str(caught.value) == f"<dict>: {key} {text}"
    assert (caught.value.file, caught.value.key) == ("<dict>", key)


def test_manifest_that_is_no_toml(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("manifest = 1\nname = \n")
    with pytest.raises(wb.ManifestError) as caught:
        wb.load(STEPS, manifest=path)
    assert str(caught.value).startswith(f"{path}: line 2, column 8: ")
    assert caught.value.file == str(path)
