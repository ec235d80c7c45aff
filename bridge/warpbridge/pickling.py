"""How kernels travel to other processes, and what to say of everything that cannot.

A kernel stands for compiled code and handles of one process, so a pickle holds only where it came from: of a
bundled kernel its name and version; of one that was loaded from files their paths and hashes; of one from text
that text. The other process loads it again, once, whatever the number of tasks that bring it along.

Knows nothing of arrays or launches. `Kernel` and `Module` inherit from `Travels`; what stays calls `refuse`.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from .errors import LoadError

if TYPE_CHECKING:
    from .kernel import Kernel
    from .module import Module

T = TypeVar("T")

_MOST_KEPT = 64
"""Unpickled kernels kept alive: tasks come one by one, and each would load the kernel anew."""


@dataclass(frozen=True, slots=True)
class Bundled:
    """A bundled kernel.

    Attributes
    ----------
    name : str
        Its name in `warpbridge.kernels`.
    version : str
        The version of warpbridge that it comes with.
    """

    name: str
    version: str

    def token(self) -> tuple[str, ...]:
        """Return what tells its code from other code, the same in every process."""
        return ("bundled", self.name, self.version)

    def load(self, described: str) -> Module:
        """Return its module.

        Raises
        ------
        LoadError
            This process has another version of warpbridge.
        """
        from . import _ffi
        from .module import Module

        here = _ffi.version()
        if here != self.version:
            raise LoadError(
                f"{described}: pickled by warpbridge {self.version}, but this process has warpbridge {here}; expected "
                "one version in all processes: install the same one everywhere",
                found=here,
                expected=self.version,
            )
        return Module(_ffi.bundled_load(self.name), self)


@dataclass(frozen=True, slots=True)
class Source:
    """What `warpbridge.load` was given.

    Attributes
    ----------
    ptx : str or bytes
        Path of the file, or the text.
    manifest : str, bytes or None
        Path of the file, or a mapping as JSON text.
    files : tuple
        Path and SHA-256 of every file that was read.
    digest : str
        SHA-256 of PTX and manifest.
    """

    ptx: str | bytes
    manifest: str | bytes | None
    files: tuple[tuple[str, str], ...]
    digest: str

    @classmethod
    def of(cls, ptx: tuple[Path | None, bytes], manifest: tuple[Path | None, str] | None) -> Source:
        """Describe what was read: path (None for text) and contents of each part."""
        files = []
        digest = hashlib.sha256()
        parts: list[str | bytes | None] = [None, None]
        for place, (path, text) in enumerate(item for item in (ptx, manifest) if item is not None):
            raw = text.encode() if isinstance(text, str) else text
            digest.update(b"%d:" % len(raw) + raw)
            parts[place] = raw
            if path is not None:
                parts[place] = str(path.absolute())
                files.append((str(path.absolute()), hashlib.sha256(raw).hexdigest()))
        assert parts[0] is not None
        return cls(parts[0], parts[1], tuple(files), digest.hexdigest())

    def with_variants(self, names: Iterable[str]) -> Source:
        """Return a copy that also names the PTX files of a manifest's other variants."""
        others = sorted(set(names))
        base = next((part for part in (self.manifest, self.ptx) if isinstance(part, str)), None)
        if base is None or len(others) < 2:
            return self
        paths = [str(Path(base).parent / name) for name in others]
        known = dict(self.files)
        more = tuple((path, _sha256(path)) for path in paths if path not in known)
        digest = hashlib.sha256("".join((self.digest, *(sha for _, sha in more))).encode())
        return replace(self, files=self.files + more, digest=digest.hexdigest())

    def token(self) -> tuple[str, ...]:
        """Return what tells its code from other code, the same in every process."""
        return ("loaded", self.digest)

    def load(self, described: str) -> Module:
        """Load it again.

        Raises
        ------
        LoadError
            A file is not there, or is not the one that it was loaded from.
        """
        from .module import load

        for path, expected in self.files:
            _verify(path, expected, described)
        manifest: str | Mapping[str, Any] | None
        manifest = json.loads(self.manifest) if isinstance(self.manifest, bytes) else self.manifest
        return load(Path(self.ptx) if isinstance(self.ptx, str) else self.ptx, manifest)


Origin = Bundled | Source


class Travels:
    """Pickles as its origin; a copy is the same object. Compared by identity, like a function."""

    _origin: Origin

    def __copy__(self: T) -> T:
        return self

    def __deepcopy__(self: T, memo: dict[int, Any]) -> T:
        return self

    def __dask_tokenize__(self) -> tuple[str, ...]:
        """Name it for dask: the same in every process and every run, another for other code."""
        return ("warpbridge", type(self).__qualname__, getattr(self, "__name__", ""), *self._origin.token())


def reduce_kernel(kernel: Kernel, origin: Origin) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return a kernel's pickled form."""
    _remember(kernel, origin)
    return _kernel, (origin, kernel.__name__)


def reduce_module(origin: Origin) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return a module's pickled form."""
    return _module, (origin,)


def refuse(obj: object, instead: str) -> NoReturn:
    """Raise for an object that belongs to this process.

    Raises
    ------
    TypeError
        Always; pickle's own kind of error for what it cannot take.
    """
    raise TypeError(f"{obj!r} cannot be pickled, because it belongs to this process; {instead}")


# Kernels by origin and name: those pickled here that still live, and those that came last. Both under the lock, which
# is re-entrant: a signal handler or a finalizer may pickle at any point.
_lock = threading.RLock()
_living: weakref.WeakValueDictionary[tuple[Origin, str], Kernel] = weakref.WeakValueDictionary()
_recent: OrderedDict[tuple[Origin, str], Kernel] = OrderedDict()


def _renew_lock() -> None:
    """Give a child of `fork` a lock that nobody holds."""
    global _lock  # noqa: PLW0603 - one per process
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


def _remember(kernel: Kernel, origin: Origin) -> None:
    with _lock:
        _living.setdefault((origin, kernel.__name__), kernel)


def _kernel(origin: Origin, name: str) -> Kernel:
    """Unpickle a kernel: the one that is here already, else load it."""
    key = (origin, name)
    with _lock:
        found = _living.get(key)
    if found is None:
        loaded = _load(origin, name)
        with _lock:
            found = _living.setdefault(key, loaded)
    with _lock:
        _recent[key] = found
        _recent.move_to_end(key)
        dropped = _recent.popitem(last=False) if len(_recent) > _MOST_KEPT else None
    del dropped  # outside the lock: it may be the last reference
    return found


def _load(origin: Origin, name: str) -> Kernel:
    if isinstance(origin, Bundled):
        from . import kernels

        origin.load(f"kernel {name}")  # checks the version
        found: Kernel = getattr(kernels, name)
        return found
    return origin.load(f"kernel {name}").kernels[name]


def _module(origin: Origin) -> Module:
    return origin.load("module")


def _sha256(path: str) -> str:
    """Return a file's hash; empty where it cannot be read, which no file's is."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def _verify(path: str, expected: str, described: str) -> None:
    """Raise unless a file is the one that was loaded before."""
    found = _sha256(path)
    if found == expected:
        return
    remedy = "put it there in every process, or load from text: wb.load(text, manifest={...}) travels whole"
    if not found:
        text = f"{path}: not readable, expected the file that the pickled {described} was loaded from; {remedy}"
    else:
        text = (
            f"{path}: has SHA-256 {found[:16]}..., expected {expected[:16]}...: it is not the file that the pickled "
            f"{described} was loaded from; {remedy}"
        )
    raise LoadError(text, origin=path, found=found or None, expected=expected)
