"""docs/write-a-kernel.md, block by block, as a reader would follow it. Needs the compiler and ptxas, fails without.

`sh` and `python` blocks run in an empty folder; a `text` block behind one is its whole output, where a line `...`
stands for any lines. `diff` blocks change the named file; `rust` blocks show what stands in the new crate.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from warpbridge.kit import compiler, gates

GUIDE = Path(__file__).parent.parent / "docs" / "write-a-kernel.md"
EXAMPLES = Path(__file__).parent.parent / "examples"


@dataclass(frozen=True)
class Block:
    line: int
    kind: str
    text: str
    output: str | None = None
    """What a `text` block directly behind says."""


def blocks(guide: str) -> list[Block]:
    found: list[Block] = []
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", guide, re.M | re.S):
        line = guide.count("\n", 0, match.start()) + 1
        if match[1] == "text" and found and found[-1].kind in ("sh", "python"):
            found[-1] = Block(found[-1].line, found[-1].kind, found[-1].text, match[2])
        else:
            found.append(Block(line, match[1], match[2]))
    return found


def plain(text: str) -> str:
    """Return the text without what another compiler may number differently: PTX lines and registers, and its name."""
    text = re.sub(r"\bline \d+\b", "line N", text)
    text = re.sub(r"%(r|rd|f|p)\d+\b", r"%\1N", text)
    return re.sub(r"\brustc \d.*", "rustc VERSION", text)


def matches(found: str, expected: str) -> bool:
    lines = (r"(?:.*\n)*?" if line == "..." else re.escape(plain(line)) + r"\n" for line in expected.splitlines())
    return re.fullmatch("".join(lines), plain(found).rstrip("\n") + "\n") is not None


def change(folder: Path, diff: str) -> None:
    header, *lines = diff.splitlines(keepends=True)
    file = folder / header.removeprefix("--- ").strip()
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] for line in lines if line[0] in " +")
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file.name} has this {text.count(old)} times:\n{old}"
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Put `warpbridge` and `python` of this interpreter on the path, and core into a cache of its own."""
    compiler.find_rustc()
    ptxas = gates.find_ptxas()
    programs = tmp_path_factory.mktemp("bin")
    for name, arguments in (("python", ""), ("warpbridge", " -m warpbridge")):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable}{arguments} "$@"\n', encoding="utf-8")
        (programs / name).chmod(0o755)
    cache = str(tmp_path_factory.mktemp("cache"))
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "XDG_CACHE_HOME": cache, "PTXAS": ptxas, "PYTHONDONTWRITEBYTECODE": "1"}


def run(block: Block, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    command = ["sh", "-c", block.text] if block.kind == "sh" else [sys.executable, "-c", block.text]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_guide_can_be_followed(tmp_path: Path, environment: dict[str, str]) -> None:
    kinds = set()
    for block in blocks(GUIDE.read_text(encoding="utf-8")):
        where = f"{GUIDE.name}, line {block.line}"
        kinds.add(block.kind)
        if block.kind == "rust":
            assert block.text in (tmp_path / "amplify/src/lib.rs").read_text(encoding="utf-8"), where
        elif block.kind == "diff":
            change(tmp_path, block.text)
        elif block.kind in ("sh", "python"):
            status, found = run(block, tmp_path, environment)
            if block.output is None:
                assert status == 0 or found.startswith("no GPU here"), f"{where}:\n{found}"
            else:
                assert matches(found, block.output), f"{where}: found\n{found}\nexpected\n{block.output}"
        else:
            assert block.kind == "text", where
    assert kinds == {"sh", "python", "rust", "diff", "text"}


@pytest.mark.parametrize("name", ["histogram", "select"])
def test_an_example_crate_is_built_and_passes_its_own_test(
    name: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    shutil.copytree(EXAMPLES / name, tmp_path / name)
    for command in (f"warpbridge build {name}", f"{sys.executable} -m pytest -q {name}"):
        status, found = run(Block(0, "sh", command), tmp_path, environment)
        assert status == 0, found


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nb\n", "a\n", False),
        ("x\ny\nb\n", "...\nb\n", True),
        ("line 17: ld %r3\n", "line 18: ld %r4\n", True),
        ("1 of 5 arrivals\n", "1 of 4 arrivals\n", False),
    ],
)
def test_outputs_are_compared_but_for_numbers_of_lines_and_registers(found: str, expected: str, same: bool) -> None:
    assert matches(found, expected) is same
