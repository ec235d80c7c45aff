"""What a kernel's PTX must pass before it ships. Each gate returns its complaints, found first, then expected.

The gates know PTX text, manifests and ptxas; compiling is in ``compiler.py``. kernels/README.md says why each gate
exists.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from . import ptxtext

MOST_THREADS = 1024
"""Of a thread block, on every architecture."""
MOST_BLOCKS = 32
"""Of a multiprocessor at a time, on every architecture."""


class BuildError(Exception):
    """A tool or a declaration is missing; the text says which, and what to do."""


@dataclass(frozen=True)
class Line:
    """What one line of the source says about the launches of some entries."""

    number: int
    """The most threads of a block, or the least blocks per multiprocessor."""
    arch: str = ""
    """Of this architecture; empty: of any."""
    entry: str = ""
    """Of the entries that this name or pattern (``*``, ``?``) fits; empty: of any."""

    def fits(self, arch: str, entry: str) -> bool:
        """Say whether the line is about this entry on this architecture."""
        return self.arch in ("", arch) and (not self.entry or fnmatchcase(entry, self.entry))

    def rank(self) -> tuple[bool, bool, bool]:
        """Return by what one line goes before another: an entry's name, then a pattern, then an architecture."""
        return bool(re.fullmatch(r"\w+", self.entry)), bool(self.entry), bool(self.arch)


@dataclass(frozen=True)
class Declared:
    """What a kernel's manifest and source declare about its PTX."""

    entries: dict[str, frozenset[str]]
    """Entries by PTX file name."""
    block: tuple[int, ...]
    """Threads per axis, unless launches or variants differ."""
    syncs: dict[str, Counter[str]]
    """Synchronising operations by entry, by architecture, or by both ("sm_90 entry"); the empty name: the others."""
    stacks: dict[str, int] = field(default_factory=dict)
    """Bytes of stack that an entry may have for spilled registers, where that has been accepted."""
    most: tuple[Line, ...] = ()
    """Where launches differ: the most threads, by architecture and entry."""
    least: tuple[Line, ...] = ()
    """Where more than one block is to fit a multiprocessor: how many, by architecture and entry."""
    blocks: dict[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)
    """Threads per axis of variants that have their own, by architecture and entry."""
    jump_tables: bool = True
    """Whether LLVM may make tables of branches; '//! jump tables: no' says that it may not."""

    @property
    def rustc_flags(self) -> tuple[str, ...]:
        """What rustc is told for this kernel alone."""
        return () if self.jump_tables else ("-C", "jump-tables=no")

    def block_of(self, arch: str, entry: str) -> ptxtext.Block:
        """Return threads per axis, or the most that a launch gives a block, of one entry on one architecture."""
        fitting = [line for line in self.most if line.fits(arch, entry)]
        return max(fitting, key=Line.rank).number if fitting else self.blocks.get((arch, entry), self.block)

    def bounds_of(self, arch: str, entry: str) -> str:
        """Return the launch bounds of one entry on one architecture, as they stand in the PTX."""
        fitting = [line for line in self.least if line.fits(arch, entry)]
        least = max(fitting, key=Line.rank).number if fitting else 1
        return ptxtext.launch_bounds(self.block_of(arch, entry), least)

    def syncs_of(self, entry: str, file: str) -> Counter[str]:
        """Return the operations declared for one entry of a file such as ``scale.sm_90.ptx``."""
        arch = "".join(re.findall(r"\.(sm_\d+)\.", file)[:1])
        names = (f"{arch} {entry}", entry, arch, "")
        return next((self.syncs[name] for name in names if name in self.syncs), Counter())


def declared(manifest: Path, source: Path) -> Declared:
    """Read what manifest and lines declare: ``//! sync:``, ``//! stack ENTRY: BYTES``, ``//! block:`` and others."""
    table = tomllib.loads(manifest.read_text(encoding="utf-8"))
    entries: dict[str, set[str]] = {}
    for variant in table["variants"]:
        entries.setdefault(Path(variant["ptx"]).name, set()).add(variant["entry"])
    block = table.get("launch", {}).get("block")
    text = source.read_text(encoding="utf-8")
    syncs = read_syncs(text)
    stacks = {entry: int(most) for entry, most in re.findall(r"^//! stack (\w+): (\d+)$", text, re.M)}
    if not syncs:
        raise BuildError(
            f"{source.name} declares no synchronising operations: expected a line '//! sync: bar.sync 1, ...'"
        )
    names = {name: frozenset(found) for name, found in entries.items()}
    own = {
        (variant.get("arch", ""), variant["entry"]): _axes(variant["launch"]["block"])
        for variant in table["variants"]
        if "block" in variant.get("launch", {})
    }
    said = read_most(text, source.name), read_least(text, source.name)
    jump_tables = not re.search(r"^//! jump tables: no$", text, re.M)
    found = Declared(names, _axes(block), syncs, stacks, *said, own, jump_tables)
    _check_lines(found, source.name)
    for variant in table["variants"]:
        found_block = found.block_of(variant.get("arch", ""), variant["entry"])
        if not all(isinstance(axis, int) for axis in _axes(found_block)):
            given = variant.get("launch", {}).get("block", block)
            raise BuildError(
                f"{manifest}: launch.block is {given!r}, expected numbers, which become the PTX's launch bounds, "
                f"or a line like '//! block: at most 512 threads' in {source.parent.name}/{source.name}"
            )
    return found


def _axes(block: Any) -> tuple[Any, ...]:
    return tuple(block) if isinstance(block, list | tuple) else (block,)


def _check_lines(found: Declared, source: str) -> None:
    """Refuse lines about entries that there are not: a misspelt one would count for nothing."""
    entries = sorted(frozenset[str]().union(*found.entries.values()))
    said = [(line, f"the block of {line.entry} is at most {line.number} threads") for line in found.most]
    said += [
        (line, f"the blocks of {line.entry} are at least {line.number} per multiprocessor") for line in found.least
    ]
    for line, what in said:
        if not any(line.fits(line.arch, entry) for entry in entries):
            raise BuildError(
                f"{source}: {what}, but no entry fits that name, expected a name or pattern for one of "
                f"{', '.join(entries)}"
            )


def read_most(source: str, name: str = "the source") -> tuple[Line, ...]:
    """Parse lines like ``//! block: at most 1024 threads``: launches differ; so many leave 65536 / 1024 registers each.

    A line ``//! block sm_80: ...`` is for that architecture, ``//! block ENTRY: ...`` for that entry or those that the
    pattern fits, ``//! block sm_80 ENTRY: ...`` for both.
    """
    return _read_lines(source, name, "block", "at most {} threads", MOST_THREADS)


def read_least(source: str, name: str = "the source") -> tuple[Line, ...]:
    """Parse lines like ``//! blocks: at least 5 per multiprocessor``: ptxas keeps registers so few that they fit.

    As for :func:`read_most`, a line may be about an architecture, or an entry or pattern, or both.
    """
    return _read_lines(source, name, "blocks", "at least {} per multiprocessor", MOST_BLOCKS)


def _read_lines(source: str, name: str, word: str, says: str, most: int) -> tuple[Line, ...]:
    """Parse the lines ``//! WORD [sm_NN] [ENTRY]: SAYS`` with a number from 1 to `most` in it."""
    pattern = rf"(?: (sm_\d+[af]?))?(?: ([\w*?]+))?: {says}".format(r"(\d+)")
    lines = []
    for found in re.findall(rf"^//! {word}\b(.*)$", source, re.M):
        match = re.fullmatch(pattern, found)
        number = int(match[3]) if match else 0
        if not match or not 0 < number <= most:
            raise BuildError(
                f"{name} has the line '//! {word}{found}', expected '//! {word} [sm_NN] [ENTRY]: {says.format('N')}' "
                f"with N from 1 to {most}"
            )
        lines.append(Line(number, match[1] or "", match[2] or ""))
    return tuple(lines)


def read_syncs(source: str) -> dict[str, Counter[str]]:
    """Parse lines like ``//! sync: bar.sync 1, ...``, ``//! sync [sm_90] [entry]: ...``."""
    syncs: dict[str, Counter[str]] = {}
    for match in re.finditer(r"^//! sync ?(\w*(?: \w+)?): (.*)$", source, re.M):
        pairs = (item.split() for item in match[2].split(","))
        syncs[match[1]] = Counter({mnemonic: int(count) for mnemonic, count in pairs})
    return syncs


def gate(text: str, name: str, kernel: Declared, assembled_for: tuple[str, ...], ptxas: str) -> list[str]:
    """Run every gate that needs the PTX alone; ptxas only on text that nothing else speaks against."""
    file = name.split(" ", maxsplit=1)[0]
    target = re.search(r"^\.target (\w+)", text, re.M)
    bounds_of = partial(kernel.bounds_of, target[1] if target else "")
    complaints = [
        *gate_entries(text, name, kernel.entries.get(file, frozenset()), bounds_of),
        *gate_syncs(text, name, kernel),
        *gate_calls(text, name),
        *gate_waits(text, name),
    ]
    return complaints or [
        found for arch in assembled_for for found in gate_ptxas(text, name, arch, ptxas, kernel.stacks)
    ]


def gate_entries(text: str, name: str, expected: frozenset[str], bounds_of: ptxtext.BoundsOf) -> list[str]:
    """Check that the PTX has the manifest's entries, each with the launch bounds that were declared for it."""
    found = set(ptxtext.entries(text))
    complaints = [f"{name}: entry {e} is not in the manifest" for e in sorted(found - expected)]
    complaints += [f"{name}: entry {e} of the manifest is not in the PTX" for e in sorted(expected - found)]
    for entry, header in ptxtext.headers(text).items():
        bounds = bounds_of(entry)
        if bounds not in header:
            complaints.append(f"{name}: entry {entry} lacks launch bounds, expected {bounds.strip()!r} (ptxas C7508)")
    return complaints


def gate_syncs(text: str, name: str, kernel: Declared) -> list[str]:
    """Check that each entry has as many synchronising operations as declared: a copy can hang a GPU."""
    complaints = []
    for entry, body in ptxtext.entries(text).items():
        found, expected = sync_counts(body), kernel.syncs_of(entry, name)
        for mnemonic in sorted(found.keys() | expected.keys()):
            if found[mnemonic] != expected[mnemonic]:
                complaints.append(
                    f"{name}: entry {entry} has {found[mnemonic]} {mnemonic}, expected {expected[mnemonic]}: the "
                    "compiler has copied or removed it, or the '//! sync:' line of the source is out of date"
                )
    return complaints


def sync_counts(body: str) -> Counter[str]:
    """Count the operations in which threads meet: mnemonics with a ``.sync`` or ``.aligned`` part, and all barriers."""
    counts: Counter[str] = Counter()
    for statement in re.split(r"[;{}\n]", re.sub(r"//.*", "", body)):
        match = re.match(r"\s*(?:@!?%?\w+\s+)?([a-z][\w.:]*)", statement)
        if match:
            parts = match[1].split(".")
            if {"sync", "aligned"} & set(parts[1:]) or parts[0] in {"bar", "barrier"}:
                counts[match[1]] += 1
    return counts


def gate_calls(text: str, name: str) -> list[str]:
    """Check for device functions, calls and local memory: what a state machine that was not folded away leaves."""
    complaints = []
    if ".func" in text:
        complaints.append(f"{name}: has a .func, expected entries only")
    for entry, body in ptxtext.entries(text).items():
        calls = re.findall(r"^\s*(?:@!?%\w+\s+)?call\b[^;]*?(\w+),[^;]*;", body, re.M)
        left = [f"a call of {function}" for function in dict.fromkeys(map(_plain, calls))]
        left += [".local memory"] if re.search(r"\.local\b", body) else []
        complaints += [
            f"{name}: entry {entry} has {what}, expected none: a panic or a state machine is left in it"
            f"{'; divide by warpbridge_runtime::divide' if what.endswith('_by_zero') else ''}"
            for what in left
        ]
    return complaints


def gate_waits(text: str, name: str) -> list[str]:
    """Check that no two mbarriers are asked with nothing between that needs the first's answer.

    A ``try_wait`` may suspend the warp, and a GPU asks the second meanwhile: if its phase counts only behind the first
    one's, it may say yes a round too early.
    """
    complaints = []
    for entry, body in ptxtext.entries(text).items():
        for block in re.split(r"^\s*\$\w+:|^\s*(?:@!?%\w+\s+)?(?:bra|brx)\b.*$", body, flags=re.M):
            asked = re.findall(r"\bmbarrier\.(?:try|test)_wait\b[^;]*?\[([^\]]*)\]", block)
            if len(asked) > 1:
                complaints.append(
                    f"{name}: entry {entry} asks the mbarriers at {' and '.join(asked)} at once, expected a branch on "
                    "the first one's answer between: see Barrier::is_complete_before"
                )
    return complaints


def _plain(symbol: str) -> str:
    """Return the last part of a mangled Rust name, or the name itself."""
    match = re.fullmatch(r"_R\w*\d_?([a-z][a-z_]*)", symbol)
    return match[1] if match else symbol


def gate_hash(text: str, name: str, expected: str) -> list[str]:
    """Check that the PTX was built from the sources beside it."""
    match = re.search(r"^// sources: sha256 (\w+)$", text, re.M)
    if match and match[1] == expected:
        return []
    found = f"sources sha256 {match[1][:12]}..." if match else "no sources' hash"
    return [f"{name}: {found}, expected {expected[:12]}...: the sources have changed, run python kernels/build.py"]


def gate_rebuilt(committed: str, rebuilt: str, name: str) -> list[str]:
    """Check that the same compiler gives the same bytes; another one's output only has to pass the other gates."""
    if committed == rebuilt or ptxtext.compiler(committed) != ptxtext.compiler(rebuilt):
        return []
    pairs = zip(committed.splitlines(), rebuilt.splitlines(), strict=False)
    line = next(
        (number for number, (a, b) in enumerate(pairs, 1) if a != b),
        min(committed.count("\n"), rebuilt.count("\n")) + 1,
    )
    return [f"{name}: differs from a rebuild by the same compiler from line {line} on: run python kernels/build.py"]


def gate_ptxas(text: str, name: str, arch: str, ptxas: str, stacks: Mapping[str, int] | None = None) -> list[str]:
    """Check that the PTX assembles for this architecture without a warning, and without a stack but those accepted."""
    with tempfile.TemporaryDirectory(prefix="warpbridge-ptxas-") as scratch:
        source = Path(scratch) / "kernel.ptx"
        source.write_text(text, encoding="utf-8")
        command = [ptxas, "-v", f"-arch={arch}", str(source), "-o", str(Path(scratch) / "kernel.cubin")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    output = (done.stdout + done.stderr).replace(str(source), name)
    if done.returncode != 0:
        return [f"{name}: ptxas refuses it for {arch}: {output.strip()}"]
    # Numbered remarks count as warnings: C7508 (setmaxnreg ignored), C7510 and C7520 (wgmma serialised) are "info".
    remarks = [line.strip() for line in output.splitlines() if re.search(r"warning|\(C\d+\)", line)]
    complaints = [f"{name}: {arch}: {remark}, expected no such remark" for remark in remarks]
    pattern = (
        r"Function properties for (\w+)\s+(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
    )
    for entry, *found in re.findall(pattern, output):
        if int(found[0]) > (stacks or {}).get(entry, 0) or (found[0] == "0" and found != ["0", "0", "0"]):
            what = "{} bytes of stack, {} of spill stores, {} of spill loads".format(*found)
            complaints.append(f"{name}: entry {entry} for {arch} has {what}, expected none")
    return complaints


def find_ptxas() -> str:
    """Find ptxas: $PTXAS, the path, the PyPI package nvidia-cuda-nvcc in this Python."""
    given = os.environ.get("PTXAS")
    if given and Path(given).is_file():
        return given
    packages = sorted(Path(sysconfig.get_paths()["purelib"]).glob("nvidia/*/bin/ptxas"))
    found = str(packages[-1]) if packages else shutil.which("ptxas")
    if found is None:
        raise BuildError("ptxas not found: pip install nvidia-cuda-nvcc, or put it on the path, or set PTXAS")
    return found
