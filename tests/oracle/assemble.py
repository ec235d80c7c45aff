"""Assembles every module of the oracle with ptxas and names the rows it refuses.

`PYTHONPATH=tests python -m oracle.assemble [PTXAS] [FAMILY]`; ptxas is looked for on PATH by default. Run by
whoever changes a table; the tables keep only rows that assemble.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .form import Form, module_text
from .forms import FORMS, batches


def log_of(forms: list[Form], ptxas: str) -> str:
    """Return ptxas's log for one module, empty if it assembles."""
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as source:
        source.write(module_text(forms))
        source.flush()
        command = [ptxas, "-arch", forms[0].target, "-O1", source.name, "-o", "/dev/null"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr or f"exit {done.returncode}"


def refused(forms: list[Form], ptxas: str) -> list[tuple[Form, str]]:
    """Return the rows that do not assemble, each with its log."""
    log = log_of(forms, ptxas)
    if not log:
        return []
    if len(forms) == 1:
        return [(forms[0], log)]
    middle = len(forms) // 2
    return refused(forms[:middle], ptxas) + refused(forms[middle:], ptxas)


def main() -> int:
    """Print the refused rows; the exit status says whether there are any."""
    ptxas = sys.argv[1] if len(sys.argv) > 1 else "ptxas"
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    chosen = [b for b in batches(FORMS) if not wanted or b[0].family == wanted]
    with ThreadPoolExecutor(2) as pool:
        found = [row for rows in pool.map(lambda batch: refused(batch, ptxas), chosen) for row in rows]
    for form, log in found:
        line = next((part for part in log.splitlines() if "error" in part or "fatal" in part), log)
        print(f"{form.family}: {form.name}: {form.instruction}: {line.split(';', 1)[-1].strip()}")
    print(f"{sum(map(len, chosen))} forms, {len(found)} refused; {Path(ptxas).name}")
    return bool(found)


if __name__ == "__main__":
    raise SystemExit(main())
