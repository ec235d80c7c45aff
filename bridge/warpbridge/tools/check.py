"""``warpbridge check FILE.ptx``: what a PTX file needs, what is wrong with it in the text, and how its kernel runs.

Three parts, each a list of lines: the survey of each entry, what each device says to loading it, and, with a manifest,
a run of each variant under all schedules with all checks on made-up arguments. A finding in any part fails the verdict.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from warpbridge.array import Array
from warpbridge.errors import LoadError, ManifestError, WarpbridgeError
from warpbridge.kernel import Kernel
from warpbridge.module import Module, load
from warpbridge.settings import SCHEDULES, cpu

from . import inputs

_ELEMENTS = 20_000
_TIMEOUT_S = 60.0
_SEED = 1
_INDENT = "  "


def check(
    path: Path, manifest: Path | None, sizes: Mapping[str, float], write: Callable[[str], object] = print
) -> bool:
    """Check a PTX file and write what was found; return whether nothing speaks against it.

    Parameters
    ----------
    path
        The PTX file.
    manifest
        Its manifest; default: a ``.toml`` beside it, or one folder up, that names it.
    sizes
        Values of shape symbols and scalars for the runs.
    write
        Gets one line at a time.

    Raises
    ------
    LoadError
        The file cannot be read.
    ArgumentError
        A size is not one of the manifest's.
    """
    manifest = manifest or manifest_of(path)
    try:
        module = load(path, manifest)
    except (LoadError, ManifestError) as error:
        if not path.is_file():
            raise
        write(f"{path.name}: does not load")
        write(f"{_INDENT}{error}")
        write("verdict: 1 finding")
        return False
    findings = _survey(path, module, write)
    if manifest is None:
        write("no manifest: nothing was run; a .toml beside the file, or --manifest, says what its arguments are")
    else:
        for kernel in module.kernels.values():
            findings += _runs(kernel, path, manifest, sizes, write)
    write(f"verdict: {_count(findings, 'finding') if findings else 'nothing found'}")
    return findings == 0


def manifest_of(path: Path) -> Path | None:
    """Return the manifest beside a PTX file, or one folder up, that names it."""
    own = path.with_suffix(".toml")
    if own.is_file():
        return own
    folders = (path.absolute().parent, path.absolute().parent.parent)
    for candidate in (toml for folder in folders for toml in sorted(folder.glob("*.toml"))):
        try:
            variants = tomllib.loads(candidate.read_text(encoding="utf-8")).get("variants", [])
            files = {(candidate.parent / str(variant["ptx"])).resolve() for variant in variants}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # some other tool's file
        if path.resolve() in files:
            return candidate
    return None


def _survey(path: Path, module: Module, write: Callable[[str], object]) -> int:
    """Write what the file needs; return how many hazards its text has."""
    found = module.survey()
    major, minor = found["ptx_version"]
    entries = found["entries"]
    write(f"{path.name}: PTX {major}.{minor} for {found['target']}, {_count(len(entries), 'entry', 'entries')}")
    hazards = 0
    for entry in entries:
        hazards += len(entry["hazards"])
        write(f"entry {entry['name']}")
        for title, text in _needs(entry):
            write(f"{_INDENT}{title:<11} {text}")
    for device in found["devices"]:
        write(f"{device['device']}: {'loads it' if device['loads'] else 'refuses it: ' + device['reason']}")
    return hazards


def _needs(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    params = ", ".join(_parameter(p, f"{entry['name']}_param_") for p in entry["params"])
    yield "parameters", params or "none"
    required, most, cluster = entry["required_block"], entry["max_block"], entry["required_cluster"]
    bounds = [f"exactly {_extents(required)} threads"] if required else []
    bounds += [f"at most {_extents(most)} threads"] if most else []
    bounds += [f"clusters of {_extents(cluster)}"] if cluster else []
    yield "block", ", ".join(bounds) or "any size"
    shared = f"{entry['static_shared_bytes']} bytes static"
    yield "shared", shared + (", and dynamic" if entry["dynamic_shared"] else "")
    registers = ", ".join(f"{count} {kind}" for kind, count in entry["registers"].items())
    yield "registers", f"{registers or 'none'} (declared; a GPU's compiler uses fewer)"
    numbers = entry["barriers"]
    yield "barriers", "computed" if numbers is None else ", ".join(str(n) for n in numbers) or "none"
    inits = entry["mbarrier_inits"]
    yield "mbarriers", f"initialised in {_count(inits, 'place')}" if inits else "none"
    features = [f"{f['name']}, {f['arch']}, line {f['line']}" for f in entry["features"]]
    for place, feature in enumerate(features or ["nothing that some GPU lacks"]):
        yield ("" if place else "uses"), feature
    hazards = [f"line {h['line']}: {h['text']}" for h in entry["hazards"]]
    for place, hazard in enumerate(hazards or ["none in the text"]):
        yield ("" if place else "hazards"), hazard


def _parameter(param: Mapping[str, Any], numbered: str) -> str:
    """Name a parameter, unless its compiler only numbered it; structs with their size."""
    name = "" if param["name"].startswith(numbered) else f"{param['name']} "
    is_struct = param["type"] in ("b8", "u8", "s8") and param["bytes"] > 1
    return f"{name}{param['type']}" + (f" x {param['bytes']}" if is_struct else "")


def _extents(axes: Sequence[int]) -> str:
    return " x ".join(str(axis) for axis in axes)


def _runs(
    kernel: Kernel, path: Path, manifest: Path, sizes: Mapping[str, float], write: Callable[[str], object]
) -> int:
    """Run every variant that is in this file; return how many failed."""
    write(f"kernel {kernel.__name__}, manifest {manifest.name}, checks=all")
    variants = kernel.manifest["variants"]
    files = {variant["ptx"] for variant in variants}
    failed, done = 0, set[str]()
    for variant in variants:
        if len(files) > 1 and Path(variant["ptx"]).name != path.name:
            continue
        dtypes: Mapping[str, str] = variant.get("dtypes") or {}
        title = " ".join([variant["arch"], *(f"{name}={dtype}" for name, dtype in dtypes.items())])
        if title in done:
            continue  # the sizes choose between this one and that before
        done.add(title)
        verdict, details = _run(kernel, variant["arch"], dtypes, sizes)
        failed += bool(details)
        write(f"{_INDENT}{title}: {verdict}")
        for line in details:
            write(f"{_INDENT * 3}{line}")
    return failed


def _run(kernel: Kernel, arch: str, dtypes: Mapping[str, str], sizes: Mapping[str, float]) -> tuple[str, Sequence[str]]:
    """Run one variant under each schedule; return a verdict, and lines about what is wrong."""
    results: dict[str, list[bytes]] = {}
    for schedule in SCHEDULES:
        _progress(f"{kernel.__name__} {arch}: schedule {schedule} ...")
        arguments = inputs.make(kernel, sizes, elements=_ELEMENTS, dtypes=dtypes)
        try:
            with cpu(schedule=schedule, seed=_SEED, checks="all"):
                result = kernel(**arguments, arch=arch, timeout=_TIMEOUT_S)
        except WarpbridgeError as error:
            return f"{type(error).__name__} under schedule {schedule}", str(error).splitlines()
        finally:
            _progress("")
        outputs = result if isinstance(result, tuple) else (result,)
        arrays = [*outputs, *arguments.values()]
        results[schedule] = [a.tobytes() for a in arrays if isinstance(a, np.ndarray | Array)]
    first = results[SCHEDULES[0]]
    different = [name for name in SCHEDULES[1:] if results[name] != first]
    if different:
        text = f"schedule {SCHEDULES[0]} and schedule {' and '.join(different)} give different results"
        return text, ["expected the same: a race, a missing wait, or atomics on floating-point numbers"]
    return f"{', '.join(SCHEDULES)}: no fault, same results", ()


def _progress(text: str) -> None:
    """Replace the line on a terminal that says what runs now; nothing where stderr is a file."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _count(number: int, singular: str, plural: str | None = None) -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


__all__ = ["check", "manifest_of"]
