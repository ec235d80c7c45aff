"""``warpbridge new``: a small crate to start from, with a kernel that works, its manifest and its test.

The template is a real kernel called ``amplify``; a new crate is the template under another name.
"""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from .compiler import RUNTIME
from .gates import BuildError

_TEMPLATE = Path(__file__).resolve().parent / "template"
_TEMPLATE_NAME = "amplify"
# Rust's keywords, and names of other crates or modules.
_TAKEN = frozenset(
    """abstract as async await become box break const continue core crate do dyn else enum extern false final fn for
    gen if impl in let loop macro match mod move mut override priv pub ref return self static struct super test trait
    true try type typeof unsafe unsized use virtual warpbridge warpbridge_runtime where while yield""".split()  # noqa: SIM905
)


def create(name: str, into: Path) -> list[Path]:
    """Write the crate ``into/name``; return its files.

    Parameters
    ----------
    name
        Of the crate, the kernel, its entry and its PTX files: lower-case letters, digits and underscores.
    into
        The folder to make it in.

    Raises
    ------
    BuildError
        The name is not one, or there is such a folder already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in _TAKEN or keyword.iskeyword(name):
        raise BuildError(
            f"the name is {name!r}, expected lower-case letters, digits and underscores, starting with a letter, and "
            "no keyword: it becomes a Rust crate and a function in Python"
        )
    folder = into / name
    if folder.exists():
        raise BuildError(f"{folder} exists already, expected a new folder: choose another name, or remove it")
    names = {
        "Cargo.toml.in": "Cargo.toml",
        "lib.rs.in": "src/lib.rs",
        "rustfmt.toml.in": "rustfmt.toml",
        "kernel.toml.in": f"{name}.toml",
        "test_kernel.py.in": f"test_{name}.py",
    }
    written = []
    for template, file in names.items():
        text = (_TEMPLATE / template).read_text(encoding="utf-8")
        text = re.sub(rf"\b{_TEMPLATE_NAME}\b|(?<=test_){_TEMPLATE_NAME}(?=_)", name, text)
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("@RUNTIME@", RUNTIME.as_posix()), encoding="utf-8")
        written.append(path)
    return written
