"""What was installed says nothing about the machine that built it."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CARGO_HOME = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo").resolve()
PLACES = {
    "the repository": str(ROOT),
    "this Cargo home": f"{CARGO_HOME}/registry/",
    "a Cargo home": "/.cargo/registry/",
    "a file's address": "file:///",
}


def test_no_installed_file_names_a_place_of_the_machine_that_built_it() -> None:
    files = metadata.files("warpbridge")
    assert files is not None
    shipped = [
        file for file in files if not {"__pycache__", "direct_url.json"} & set(file.parts) and file.parts[0] != ".."
    ]
    if not any(file.name == "lib_native.so" for file in shipped):
        pytest.fail(f"no library among the installed files, expected a wheel's installation: {shipped[:3]}")
    named = {
        (str(file), what)
        for file in shipped
        for what, place in PLACES.items()
        if place.encode() in Path(str(file.locate())).read_bytes()
    }
    assert named == set()
