"""The build backend: maturin's, with the build machine kept out of the library.

Panics name the file of a dependency, by the path of Cargo's registry on the machine that compiled it; here rustc is
told to write ``cargo`` in its place. Cargo takes these flags beside those of its configuration files; whoever sets
RUSTFLAGS replaces both. tests/test_wheel.py looks into what was installed.
"""

from __future__ import annotations

import os
from pathlib import Path

from maturin import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]


def add_rustflags() -> None:
    """Add the flag to what cargo, which maturin starts, reads; a home with a blank in it cannot be said there."""
    home = str(Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo").resolve())
    if not any(letter.isspace() for letter in home):
        flags = os.environ.get("CARGO_BUILD_RUSTFLAGS", "").split()
        os.environ["CARGO_BUILD_RUSTFLAGS"] = " ".join([*flags, f"--remap-path-prefix={home}=cargo"])


add_rustflags()
