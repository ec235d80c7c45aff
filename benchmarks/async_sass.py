"""What the machine code of PTX entries looks like: registers, local and shared memory, instructions by kind.

ptxas assembles a PTX file for sm_90, nvdisasm takes it apart; async_cost.py prints the table.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

KINDS = {
    "waits": r"SYNCS\.PHASECHK",
    "arrivals": r"SYNCS\.ARRIVE",
    "bulk copies": r"UBLKCP",
    "shared loads": r"LDS",
    "global loads": r"LDG",
    "global stores": r"STG",
    "divergence": r"BSSY|BSYNC|WARPSYNC|YIELD|BREAK",
    "branches": r"BRA|BRX",
    "votes": r"VOTE",
}
"""Columns of the table, as patterns for the beginning of an opcode."""


@dataclass(frozen=True)
class Code:
    """An entry's machine code."""

    registers: int
    stack_bytes: int
    spilled_bytes: int
    shared_bytes: int
    opcodes: Counter[str]

    def count(self, pattern: str) -> int:
        """Count instructions whose opcode begins with `pattern`."""
        return sum(count for opcode, count in self.opcodes.items() if re.match(pattern, opcode))


@dataclass
class Facts:
    """Assembles and disassembles, each PTX file once."""

    ptxas: str
    nvdisasm: str
    known: dict[Path, dict[str, Code]] = field(default_factory=dict)

    def of(self, ptx: Path, entry: str) -> Code:
        """Give the code of `entry` in the file `ptx`."""
        if ptx not in self.known:
            self.known[ptx] = self._read(ptx)
        return self.known[ptx][entry]

    def _read(self, ptx: Path) -> dict[str, Code]:
        with tempfile.TemporaryDirectory() as folder:
            cubin = Path(folder) / "code.cubin"
            log = subprocess.run(
                [self.ptxas, "-arch=sm_90", "-v", "-o", cubin, ptx], check=True, capture_output=True, text=True
            ).stderr
            text = subprocess.run([self.nvdisasm, "-c", cubin], check=True, capture_output=True, text=True).stdout
        return {name: code_of(name, log, opcodes) for name, opcodes in opcodes_by_entry(text).items()}


def opcodes_by_entry(disassembly: str) -> dict[str, Counter[str]]:
    """Count opcodes per entry, without the padding behind its last instruction."""
    found: dict[str, Counter[str]] = {}
    name = None
    for line in disassembly.splitlines():
        if label := re.match(r"\.text\.(\w+):", line):
            name = label[1]
            found[name] = Counter()
        elif name and (opcode := re.match(r"\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+ )?\s*([A-Z][\w.]*)", line)):
            found[name][opcode[1]] += opcode[1] != "NOP"
    return found


def code_of(name: str, log: str, opcodes: Counter[str]) -> Code:
    part = log.split(f"Compiling entry function '{name}'", maxsplit=1)[1].split("Compiling", maxsplit=1)[0]

    def number(pattern: str) -> int:
        match = re.search(pattern, part)
        return int(match[1]) if match else 0

    return Code(
        number(r"Used (\d+) registers"),
        number(r"(\d+) bytes stack frame"),
        number(r"(\d+) bytes spill stores"),
        number(r"(\d+) bytes smem"),
        opcodes,
    )


def facts_table(facts: Facts, entries: list[tuple[Path, str, str, int]]) -> str:
    """Render one row per (PTX file, entry, what it is, dynamic shared bytes)."""
    titles = ["entry", "", "registers", "stack bytes", "spilled bytes", "shared bytes", "instructions", *KINDS]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for ptx, entry, role, dynamic_bytes in entries:
        code = facts.of(ptx, entry)
        cells = [f"`{entry}`", role, code.registers, code.stack_bytes, code.spilled_bytes]
        cells += [code.shared_bytes + dynamic_bytes, code.opcodes.total(), *map(code.count, KINDS.values())]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"
