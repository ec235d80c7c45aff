"""How fast the CPU device executes kernels, side by side with Triton's interpreter and Numba's CUDA simulator.

Needs no GPU:  python benchmarks/emulator.py [--markdown FILE]

Method: every executor runs the same three computations in a process of its own, one after the other, compares the
result with NumPy and then takes the median of a few runs; sizes differ, as speeds do by five orders of magnitude. An
executor that is not installed is left out and said so. The kernels are in ``emulator_kernels.py``; the
cost of a thread and of a block is measured in ``emulator_scale.py``.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

CASES = {"vector add": "elements", "naive matmul": "FMA", "tile matmul": "FMA"}
NOTES = {
    "vector add": "float32",
    "naive matmul": "float32, one thread per result; Triton: one row of 128 results per program",
    "tile matmul": "float16 into float32, 64 x 64 x 32 per block; ours through ldmatrix and mma.sync, Triton by tl.dot",
}
# Name, package, what the environment needs, what to call.
EXECUTORS = [
    ("warpbridge", "warpbridge", {}, "measure_warpbridge('none')"),
    ('warpbridge, checks="memory"', "warpbridge", {}, "measure_warpbridge('memory')"),
    ('warpbridge, checks="all"', "warpbridge", {}, "measure_warpbridge('all', rounds=3)"),
    ("Triton interpreter", "triton", {"TRITON_INTERPRET": "1"}, "measure_triton()"),
    ("Numba simulator", "numba", {"NUMBA_ENABLE_CUDASIM": "1"}, "measure_numba()"),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", type=Path, help="also write the table there")
    arguments = parser.parse_args()
    rates = {name: measure(package, environment, call) for name, package, environment, call in EXECUTORS}
    text = header() + table(rates) + scale()
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)
    return 0


def measure(package: str, environment: dict[str, str], call: str) -> dict[str, float] | None:
    """Run one executor; none where it is not installed."""
    if importlib.util.find_spec(package) is None:
        return None
    rates: dict[str, float] = run("emulator_kernels", call, environment)
    return rates


def scale() -> str:
    """How the cost grows with the threads launched, and the memory of a block."""
    import emulator_scale

    return "\n" + emulator_scale.text(run("emulator_scale", "measure()", {}))


def run(module: str, call: str, environment: dict[str, str]) -> Any:
    """Call a function of a module beside this file in a process of its own."""
    code = f"import json, {module} as k; print(json.dumps(k.{call}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment, "PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def table(rates: dict[str, dict[str, float] | None]) -> str:
    """Rows are executors; each cell has the rate and how many times faster we are with checks="none"."""
    lines = ["| executor | " + " | ".join(f"{case}, M {unit}/s" for case, unit in CASES.items()) + " |"]
    lines.append("|---" * (len(CASES) + 1) + "|")
    ours = rates["warpbridge"] or {}
    for name, found in rates.items():
        if found is None:
            lines.append(f"| {name} | not installed" + " |" * len(CASES))
            continue
        cells = []
        for case in CASES:
            if case not in found:
                cells.append("no such instruction")
                continue
            ratio = "" if found is ours else f" (1/{ours[case] / found[case]:.3g})"
            cells.append(f"{found[case] / 1e6:.3g}{ratio}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    notes = [f"- {case}: {note}." for case, note in NOTES.items()]
    return "\n".join([*lines, "", "In brackets: the part of the first line's speed.", "", *notes]) + "\n"


def header() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    packages = [p for p in ("warpbridge", "triton", "numba", "numpy") if importlib.util.find_spec(p)]
    versions = ", ".join(f"{p} {version(p)}" for p in packages)
    load = f"load average before {os.getloadavg()[0]:.1f}, " if hasattr(os, "getloadavg") else ""
    return (
        f"Measured {datetime.date.today().isoformat()} on {cpu_name()}, {cores} cores, {load}"
        f"Python {platform.python_version()}, {versions}.\n\n"
    )


def cpu_name() -> str:
    path = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in path.read_text().splitlines() if line.startswith("model name")]
    return names[0] if path.exists() and names else platform.processor()


if __name__ == "__main__":
    raise SystemExit(main())
