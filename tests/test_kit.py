"""``warpbridge new``, and what ``warpbridge build`` says before it needs a compiler. Building itself: test_guide.py."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from warpbridge import cli
from warpbridge.kit import compiler, crate, gates

NEW = "a crate such as warpbridge new NAME writes"


@pytest.fixture
def made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Make a new crate, called ``twice``."""
    assert cli.main(["new", "twice", "--into", str(tmp_path)]) == 0
    capsys.readouterr()
    return tmp_path / "twice"


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["build", str(folder)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_new_writes_a_crate_and_says_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new", "twice"]) == 0
    files = ["Cargo.toml", "src/lib.rs", "rustfmt.toml", "twice.toml", "test_twice.py"]
    assert capsys.readouterr().out.splitlines() == [
        *(f"wrote twice/{file}" for file in files),
        "next: warpbridge build twice && python -m pytest twice",
    ]
    assert sorted(str(p.relative_to("twice")) for p in Path("twice").rglob("*.*")) == sorted(files)
    for file in files:
        text = Path("twice", file).read_text(encoding="utf-8")
        assert "amplify" not in text
        assert "@" not in text.replace("@pytest", "")
    runtime = tomllib.loads(Path("twice/Cargo.toml").read_text())["dependencies"]["warpbridge-runtime"]["path"]
    assert (Path(runtime) / "src" / "lib.rs").is_file()
    assert Path(runtime) == compiler.RUNTIME


def test_a_new_crate_declares_what_its_manifest_says(made: Path) -> None:
    found = crate.read(made)
    assert found.name == "twice"
    assert found.declared.block == (160, 1, 1)
    assert {file: (v.arch, v.engine) for file, v in found.files.items()} == {
        "twice.ptx": ("sm_80", "cp_async"),
        "twice.sm_90.ptx": ("sm_90", "bulk"),
    }


@pytest.mark.parametrize("name", ["9lives", "Twice", "my-kernel", "loop", "lambda", "core", "warpbridge", ""])
def test_new_refuses_names_that_are_none(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["new", name, "--into", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"warpbridge new: the name is {name!r}, expected lower-case letters, digits and underscores, starting with a "
        "letter, and no keyword: it becomes a Rust crate and a function in Python\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_new_leaves_an_existing_folder_alone(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (made / "src" / "lib.rs").read_bytes()
    (made / "src" / "lib.rs").write_bytes(before + b"// mine\n")
    assert cli.main(["new", "twice", "--into", str(made.parent)]) == 2
    assert capsys.readouterr().err == (
        f"warpbridge new: {made} exists already, expected a new folder: choose another name, or remove it\n"
    )
    assert (made / "src" / "lib.rs").read_bytes() == before + b"// mine\n"


def test_build_of_a_folder_that_is_no_crate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(tmp_path, capsys) == (
        f"warpbridge build: {tmp_path}/Cargo.toml: No such file or directory; expected {NEW}\n"
    )
    (tmp_path / "Cargo.toml").write_text("[workspace]\n", encoding="utf-8")
    assert refused(tmp_path, capsys) == (
        f"warpbridge build: {tmp_path}/Cargo.toml has no package.name, expected one: {NEW}\n"
    )


def test_build_without_a_manifest(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (made / "twice.toml").unlink()
    assert refused(made, capsys) == (
        f"warpbridge build: {made}/twice.toml: No such file or directory; expected the manifest of twice, see "
        "docs/manifest.md\n"
    )


def test_build_without_a_source(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (made / "src" / "lib.rs").unlink()
    assert refused(made, capsys) == (f"warpbridge build: {made}/src/lib.rs is missing, expected the kernel's source\n")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("manifest = 1", "manifest = ", "Invalid value (at line 1, column 12); expected TOML"),
        (
            *("[160, 1, 1]", '"32 * 5"'),
            "launch.block is '32 * 5', expected numbers, which become the PTX's launch bounds, "
            "or a line like '//! block: at most 512 threads' in src/lib.rs",
        ),
        ("sm_80", "sm_75", "arch is 'sm_75', expected sm_80 or later (cp.async and mbarriers came with it)"),
        ('arch = "sm_80"', "", "a variant has ptx 'twice.ptx' and arch None, expected a file and sm_NN"),
        ("twice.sm_90.ptx", "twice.ptx", "twice.ptx is for sm_80 and sm_90, expected one architecture per file"),
    ],
)
def test_build_refuses_manifests_that_it_cannot_build(
    made: Path, old: str, new: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(made / "twice.toml", old, new)
    error = refused(made, capsys)
    assert error in (
        f"warpbridge build: {made}/twice.toml: {complaint}\n",
        f"warpbridge build: {made}/twice.toml {complaint}\n",
    )


def test_a_block_that_launches_differ_in_has_a_most_in_the_source(made: Path) -> None:
    change(made / "twice.toml", "[160, 1, 1]", '"32 * 5"')
    blocks = "//! block twi*: at most 512 threads\n//! block sm_80 twice: at most 256 threads\n"
    change(made / "src" / "lib.rs", "//! sync:", f"{blocks}//! sync:")
    declared = crate.read(made).declared
    assert (declared.block_of("sm_90", "twice"), declared.block_of("sm_80", "twice")) == (512, 256)


def test_a_line_about_an_entry_that_there_is_not_is_refused(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(made / "src" / "lib.rs", "//! sync:", "//! block twin: at most 96 threads\n//! sync:")
    assert refused(made, capsys) == (
        "warpbridge build: lib.rs: the block of twin is at most 96 threads, but no entry fits that name, expected a "
        "name or pattern for one of twice\n"
    )


def test_build_without_a_suitable_rustc_says_what_to_install(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compiler, "rustc_candidates", lambda: ["/nowhere/rustc"])
    assert refused(made, capsys) == (
        "warpbridge build: no suitable rustc found (none at all), expected 1.96 or later with the sources of core: "
        "apt-get install rustc-web rust-web-src, or rustup toolchain install nightly --component rust-src, "
        "or set RUSTC\n"
    )


def test_build_tries_no_rustc_but_the_one_that_the_environment_names(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUSTC", "/nowhere/rustc")
    assert refused(made, capsys) == (
        "warpbridge build: no suitable rustc found (RUSTC=/nowhere/rustc cannot be run), expected 1.96 or later with "
        "the sources of core: apt-get install rustc-web rust-web-src, or rustup toolchain install nightly --component "
        "rust-src, or set RUSTC\n"
    )


def test_an_architecture_brings_its_copy_engine_and_what_ptxas_tries(made: Path) -> None:
    change(made / "twice.toml", "sm_90", "sm_90a")
    change(made / "twice.toml", "sm_80", "sm_86")
    files = crate.read(made).files
    assert files["twice.sm_90a.ptx"] == compiler.Variant("sm_90a", "bulk", ("sm_90a",))
    expected = ("sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
    assert files["twice.ptx"] == compiler.Variant("sm_86", "cp_async", expected)


def test_the_kit_needs_nothing_of_the_package_around_it(run_python) -> None:
    folder = Path(compiler.__file__).parents[1]
    found = run_python(
        f"import sys; sys.path.append({str(folder)!r}); import kit.commands, kit.crate, kit.project; "
        "print(sorted(name for name in sys.modules if name.split('.')[0] == 'warpbridge'))"
    )
    assert found.stdout == "[]\n", found.stderr
    assert gates.__name__ == "warpbridge.kit.gates"
