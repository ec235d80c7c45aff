"""From the compiler's PTX to the PTX that is shipped: header, version, launch bounds, nothing that is not needed.

Text in, text out; running tools is in ``compiler.py``, refusing things in ``gates.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Block = tuple[int, ...] | int
"""Threads per axis of a thread block; a number: the most that a launch gives it."""
BoundsOf = Callable[[str], str]
"""The launch bounds of an entry, by its name: directives, one per line."""

# The least version that has everything used here; loads on every driver from CUDA 12.0 on.
PTX_VERSION = "8.0"

_HEADER = """\
// warpbridge kernel {title}. Built by {built_by}: do not edit.
// compiler: {compiler}
// sources: sha256 {digest}
"""

_ENTRY = re.compile(r"^\.visible \.entry (\w+)\(.*?^\)\n(.*?)(^\{.*?^\})", re.M | re.S)


def finish(
    text: str,
    title: str,
    compiler: str,
    digest: str,
    bounds_of: BoundsOf,
    *,
    built_by: str = "kernels/build.py from kernels/src",
) -> str:
    """Make the compiler's output the shipped file.

    Parameters
    ----------
    text : str
        What rustc wrote.
    title, compiler, digest, built_by : str
        For the header: kernel and architecture, compiler, hash of the sources, what to run to build it again.
    bounds_of : callable
        Gives an entry's launch bounds.
    """
    text = re.sub(r"\A(//.*\n)+", "", text).lstrip("\n")
    text = re.sub(r"^\.version .*$", f".version {PTX_VERSION}", text, count=1, flags=re.M)
    text = _drop_functions(text)
    text = re.sub(r"^\t// \.globl.*\n", "", text, flags=re.M)
    text = re.sub(r"^\t// (begin|end) inline asm\n", "", text, flags=re.M)
    text = re.sub(r"^\s*// -- .*\n", "", text, flags=re.M)
    text = _bound_launches(text, bounds_of)
    text = re.sub(r"[ \t]+$", "", text, flags=re.M)
    text = re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"
    return _HEADER.format(title=title, compiler=compiler, digest=digest, built_by=built_by) + text


def entries(text: str) -> dict[str, str]:
    """Return the bodies of the entries by name, braces included."""
    return {match[1]: match[3] for match in _ENTRY.finditer(text)}


def headers(text: str) -> dict[str, str]:
    """Return what stands between parameters and body of the entries, by name: the launch bounds."""
    return {match[1]: match[2] for match in _ENTRY.finditer(text)}


def launch_bounds(block: Block, least: int = 1) -> str:
    """Return the directives for a block of this size, or of at most so many threads, `least` per multiprocessor."""
    threads = f".maxntid {block}, 1, 1" if isinstance(block, int) else f".reqntid {', '.join(map(str, block))}"
    return f"{threads}\n.minnctapersm {least}\n"


def compiler(text: str) -> str:
    """Return the compiler that the header names, or an empty string."""
    match = re.search(r"^// compiler: (.*)$", text, re.M)
    return match[1] if match else ""


def _drop_functions(text: str) -> str:
    """Remove device functions: what is left of panics. No entry calls one, as a gate checks."""
    return re.sub(r"^(\.visible |\.weak )?\.func .*?^\}\n", "", text, flags=re.M | re.S)


def _bound_launches(text: str, bounds_of: BoundsOf) -> str:
    """Put launch bounds on each entry: rustc writes none, and ptxas ignores setmaxnreg without them (C7508)."""
    pattern = r"^(\.visible \.entry (\w+)\(.*?^\)\n)"
    return re.sub(pattern, lambda found: found[1] + bounds_of(found[2]), text, flags=re.M | re.S)
