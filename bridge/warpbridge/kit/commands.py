"""The commands `new` and `build` of ``warpbridge``: their options, and what they print."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .gates import BuildError


def add_commands(commands: Any) -> None:
    """Add both to the parser's commands."""
    text = "write a small crate to start an async kernel of your own from: source, manifest, test"
    new = commands.add_parser("new", help=text, description=text)
    new.add_argument("name", metavar="NAME", help="of the crate, the kernel and its files")
    new.add_argument("--into", type=Path, default=Path(), metavar="DIR", help="where to make it (default: here)")
    new.set_defaults(run=_new)

    text = "compile a crate of one kernel to PTX and check it; needs a rustc with the sources of core, and ptxas"
    build = commands.add_parser("build", help=text, description=text)
    build.add_argument("folder", type=Path, nargs="?", default=Path(), metavar="DIR", help="default: here")
    build.set_defaults(run=_build)


def _new(options: argparse.Namespace) -> int:
    from .project import create

    try:
        files = create(options.name, options.into)
    except BuildError as error:
        print(f"warpbridge new: {error}", file=sys.stderr)
        return 2
    for file in files:
        print(f"wrote {file}")
    folder = options.into / options.name
    print(f"next: warpbridge build {folder} && python -m pytest {folder}")
    return 0


def _build(options: argparse.Namespace) -> int:
    from .crate import build

    try:
        complaints = build(options.folder)
    except BuildError as error:
        print(f"warpbridge build: {error}", file=sys.stderr)
        return 2
    for complaint in complaints:
        print(f"warpbridge build: {complaint}", file=sys.stderr)
    return 1 if complaints else 0
