"""PTX modules: `load` reads one, with its manifest where there is one; a Module maps names to entries and kernels."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from . import _ffi
from .entry import Entry
from .errors import ArgumentError, LoadError, ManifestError, type_of
from .kernel import Kernel
from .pickling import Origin, Source, Travels, reduce_module

T = TypeVar("T")


class Names(Mapping[str, T], Generic[T]):
    """A read-only mapping whose values are made on first use."""

    def __init__(self, names: Iterable[str], make: Callable[[str], T], described: str, none: str = "none") -> None:
        self._none = none
        self._names = dict.fromkeys(names)
        self._made: dict[str, T] = {}
        self._make = make
        self._described = described

    def __getitem__(self, name: str) -> T:
        if name not in self._names:
            known = ", ".join(self._names) or self._none
            raise KeyError(f"{name!r} is not among the {self._described}; there are: {known}")
        found = self._made.get(name)
        # Threads that come at once may each make one; `setdefault` makes them agree.
        return self._made.setdefault(name, self._make(name)) if found is None else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<{self._described}: {', '.join(self._names) or 'none'}>"


class Module(Travels):
    """A loaded PTX module.

    Attributes
    ----------
    entries : Mapping of str to Entry
        Every ``.entry``, to be launched by hand.
    kernels : Mapping of str to Kernel
        What the manifest describes; empty without one.
    origin : str
        The file, or ``<string>``.
    ptx_version : tuple of int
        ``.version`` of the PTX.
    target : str
        ``.target`` of the PTX, e.g. ``sm_90``.
    """

    def __init__(self, handle: _ffi.Handle, origin: Origin) -> None:
        info = _ffi.module_info(handle)
        self._handle = handle
        self._origin = origin
        facts = {entry["name"]: entry for entry in info["entries"]}
        self.origin: str = info["origin"]
        self.ptx_version: tuple[int, int] = tuple(info["ptx_version"])
        self.target: str = info["target"]
        self.entries: Mapping[str, Entry] = Names(
            facts, lambda name: Entry(handle, facts[name]), f"entries of {self.origin}"
        )
        self.kernels: Mapping[str, Kernel] = Names(
            info["kernels"],
            lambda name: Kernel(handle, name, origin),
            f"kernels of {self.origin}",
            "none, without a manifest: pass manifest=",
        )

    def survey(self) -> Mapping[str, Any]:
        """Return what each entry needs, hazards in its text, and which devices load it (compiling it on each GPU)."""
        return _ffi.module_survey(self._handle)

    def __reduce__(self) -> Any:
        return reduce_module(self._origin)

    def __repr__(self) -> str:
        major, minor = self.ptx_version
        entries = ", ".join(self.entries) or "none"
        return f"<Module {self.origin}: PTX {major}.{minor} for {self.target}, entries {entries}>"


def load(
    ptx: str | bytes | os.PathLike[str],
    manifest: str | os.PathLike[str] | Mapping[str, Any] | None = None,
) -> Module:
    """Load PTX.

    Parameters
    ----------
    ptx
        A path, or PTX text (recognised by its ``.version`` directive), or PTX as bytes.
    manifest
        A path or a mapping; default: the ``.toml`` beside the PTX file, where there is one.

    Returns
    -------
    Module
        Nothing is compiled yet; a GPU compiles at the first launch.

    Raises
    ------
    LoadError
        The file cannot be read, or its text is no PTX that is understood; with line and column.
    ManifestError
        The manifest is wrong, or contradicts the PTX; with file and key.
    """
    text, path = _ptx_of(ptx)
    if manifest is None and path is not None and path.with_suffix(".toml").is_file():
        manifest = path.with_suffix(".toml")
    origin = "<string>" if path is None else str(path)
    if manifest is None:
        source = Source.of((path, text), None)
        return Module(_ffi.module_load(text, origin, None, None, None if path is None else str(path.parent)), source)
    if isinstance(manifest, Mapping):
        base, described = None if path is None else str(path.parent), _as_json(manifest)
        source = Source.of((path, text), (None, described))
        return Module(_ffi.module_load(text, origin, described, "<dict>", base), source)
    if not isinstance(manifest, str | os.PathLike):
        raise ArgumentError(f"load: manifest is {type_of(manifest)}, expected a path or a dict", argument="manifest")
    where = Path(manifest)
    described = _manifest_text(where)
    source = Source.of((path, text), (where, described))
    return Module(_ffi.module_load(text, origin, described, str(where), str(where.parent)), source)


def _ptx_of(ptx: str | bytes | os.PathLike[str]) -> tuple[bytes, Path | None]:
    """Return the text, and the file it came from."""
    if isinstance(ptx, bytes):
        return ptx, None
    if isinstance(ptx, str) and ".version" in ptx and "\n" in ptx:
        return ptx.encode(), None
    if not isinstance(ptx, str | os.PathLike):
        raise ArgumentError(f"load: ptx is {type_of(ptx)}, expected a path, PTX text or bytes", argument="ptx")
    path = Path(ptx)
    if path.suffix == ".toml":
        advice = "the manifest beside it is found, one elsewhere is passed as manifest="
        raise LoadError(f"{path} is a manifest, expected a PTX file: {advice}", origin=str(path))
    try:
        return path.read_bytes(), path
    except (OSError, ValueError) as error:
        raise LoadError(
            f"{_shown(path)}: {_reason(error)}; expected a PTX file, or PTX text with its .version directive",
            origin=str(path),
        ) from None


def _manifest_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ManifestError(f"{_shown(path)}: {_reason(error)}; expected a manifest in TOML", file=str(path)) from None


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _shown(path: Path) -> str:
    """Return a path for an error text; of text that was taken for a path, its start."""
    text = str(path)
    return text if len(text) < 200 and "\n" not in text else f"{text[:40]!r}..."


def _as_json(manifest: Mapping[str, Any]) -> str:
    try:
        return json.dumps(manifest)
    except TypeError as error:
        raise ManifestError(f"<dict>: {error}; expected strings, numbers, lists and dicts", file="<dict>") from None
