"""``warpbridge build``: a crate of one kernel to the PTX files that its manifest names.

The crate is a folder with ``Cargo.toml``, ``src/lib.rs`` and the manifest ``NAME.toml``; what is built for which
architecture stands in the manifest's ``[[variants]]``. Compiling is in ``compiler.py``, refusing in ``gates.py``.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from . import compiler, gates, ptxtext
from .compiler import Rustc, Variant
from .gates import BuildError, Declared

_ARCHS = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
_ADVICE = "a crate such as warpbridge new NAME writes"


@dataclass(frozen=True)
class Crate:
    """A kernel's crate: its folder and name, what its manifest and source declare, and its PTX files."""

    folder: Path
    name: str
    declared: Declared
    files: dict[str, Variant]
    """What to build, by path relative to the folder."""


def build(folder: Path, write: Callable[[str], object] = print) -> list[str]:
    """Build the crate's PTX files beside its manifest; return what the gates complain about.

    A file that the gates refuse is not written, and what was there before is removed: it is not what the source says.

    Parameters
    ----------
    folder
        The crate.
    write
        Gets one line at a time: what was done.

    Raises
    ------
    BuildError
        A file or tool is missing, a declaration is wrong, or rustc refuses the source.
    """
    crate = read(folder)
    rustc = compiler.find_rustc()
    ptxas = _ptxas(write)
    core = _core(rustc, write)
    complaints: list[str] = []
    found: set[str] = set()
    warned = False
    for file, variant in crate.files.items():
        text, warnings = _compile(crate, file, variant, rustc, core)
        if warnings and not warned:
            write(warnings.rstrip())
        warned = bool(warnings)
        assembled_for = variant.assembled_for if ptxas else ()
        refused = gates.gate(text, Path(file).name, crate.declared, assembled_for, ptxas or "")
        complaints += refused
        if refused:
            found.add(_sync_line(text))
            (crate.folder / file).unlink(missing_ok=True)
            continue
        (crate.folder / file).write_text(text, encoding="utf-8")
        write(f"{crate.folder / file}: for {variant.arch} and later, entries {', '.join(ptxtext.entries(text))}")
    if any("//! sync:" in complaint for complaint in complaints) and len(found) == 1:
        complaints.append(f"if the source means what was found, its line is: {found.pop()}")
    return complaints


def read(folder: Path) -> Crate:
    """Read what a crate's files say about it; `BuildError` if they do not make a crate of one kernel."""
    cargo = _table(folder / "Cargo.toml", _ADVICE)
    name = cargo.get("package", {}).get("name")
    if not isinstance(name, str):
        raise BuildError(f"{folder / 'Cargo.toml'} has no package.name, expected one: {_ADVICE}")
    name = name.replace("-", "_")
    path = folder / f"{name}.toml"
    manifest = _table(path, f"the manifest of {name}, see docs/manifest.md")
    source = folder / "src" / "lib.rs"
    if not source.is_file():
        raise BuildError(f"{source} is missing, expected the kernel's source")
    return Crate(folder, name, gates.declared(path, source), _files(path, manifest))


def _table(path: Path, expected: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BuildError(f"{path}: {error.strerror}; expected {expected}") from None
    except tomllib.TOMLDecodeError as error:
        raise BuildError(f"{path}: {error}; expected TOML") from None


def _files(path: Path, manifest: dict[str, Any]) -> dict[str, Variant]:
    """Return what to build: each PTX file that the manifest names, and for which architecture."""
    files: dict[str, Variant] = {}
    for variant in manifest.get("variants", []):
        file, arch = variant.get("ptx"), variant.get("arch")
        if not isinstance(file, str) or not isinstance(arch, str):
            raise BuildError(f"{path}: a variant has ptx {file!r} and arch {arch!r}, expected a file and sm_NN")
        if files.setdefault(file, _variant(path, arch)).arch != arch:
            raise BuildError(f"{path}: {file} is for {files[file].arch} and {arch}, expected one architecture per file")
    if not files:
        raise BuildError(f"{path} has no [[variants]], expected one per PTX file to build")
    return files


def _variant(path: Path, arch: str) -> Variant:
    match = re.fullmatch(r"sm_(\d+)([af]?)", arch)
    number = int(match[1]) if match else 0
    if number < 80:
        raise BuildError(f"{path}: arch is {arch!r}, expected sm_80 or later (cp.async and mbarriers came with it)")
    later = tuple(a for a in _ARCHS if int(a.removeprefix("sm_")) >= number)
    exact = (match and match[2]) or not later
    return Variant(arch, "bulk" if number >= 90 else "cp_async", (arch,) if exact else later)


def _ptxas(write: Callable[[str], object]) -> str | None:
    """Find ptxas; without it a build is good enough for the CPU device, and says so."""
    try:
        return gates.find_ptxas()
    except BuildError as error:
        write(f"not tried with ptxas, so stack, spills and its warnings are unknown: {error}")
        return None


def _core(rustc: Rustc, write: Callable[[str], object]) -> Path:
    """Return the folder with ``core`` compiled by this compiler; made once, and kept in the user's cache."""
    settings = (rustc.name, str(rustc.core), compiler.CODEGEN_FLAGS, compiler.EMPTY_CRATE)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "warpbridge"
    folder = cache / f"core-{hashlib.sha256(repr(settings).encode()).hexdigest()[:16]}"
    if not folder.is_dir():
        write(f"compiling core once with {rustc.name}")
        cache.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="core-", dir=cache))
        compiler.compile_core(rustc, made)
        try:
            made.rename(folder)
        except OSError:  # another build was faster
            if not folder.is_dir():
                raise
    return folder


def _compile(crate: Crate, file: str, variant: Variant, rustc: Rustc, core: Path) -> tuple[str, str]:
    warned = ("-W", "warnings")  # where warpbridge's own kernels fail
    flags = ("--crate-name", crate.name, *warned, *crate.declared.rustc_flags)
    text, warnings = compiler.compile_crate(rustc, crate.folder, variant, core, flags)
    finished = ptxtext.finish(
        text,
        f"{Path(file).name}, {variant.arch}",
        rustc.name,
        _source_hash(crate, variant),
        partial(crate.declared.bounds_of, variant.arch),
        built_by="warpbridge build from src",
    )
    return finished, warnings


def _source_hash(crate: Crate, variant: Variant) -> str:
    """SHA-256 of all that decides a PTX file: the crate's sources, the runtime's, the flags, the block."""
    settings = (compiler.CODEGEN_FLAGS, compiler.KERNEL_FLAGS, variant, ptxtext.PTX_VERSION, crate.declared.block)
    digest = hashlib.sha256(repr(settings).encode())
    for root in (crate.folder, compiler.RUNTIME):
        for source in sorted((root / "src").rglob("*.rs")):
            digest.update(f"{source.relative_to(root).as_posix()}\0".encode())
            digest.update(source.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


def _sync_line(text: str) -> str:
    """Return the declaration of the first entry's synchronising operations."""
    body = next(iter(ptxtext.entries(text).values()), "")
    counts = sorted(gates.sync_counts(body).items())
    return f"//! sync: {', '.join(f'{mnemonic} {count}' for mnemonic, count in counts)}"
