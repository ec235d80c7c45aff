#!/usr/bin/env python3
"""Writes the signatures of the bundled kernels for type checkers, from their manifests: bridge/warpbridge/kernels.pyi.

Usage: ``python kernels/stubs.py``. tests/test_kernels.py compares the file with the kernels as they are loaded, and
with what this script would write.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
STUB = HERE.parent / "bridge" / "warpbridge" / "kernels.pyi"

HEAD = """\
# Signatures of the bundled kernels, for type checkers: written by kernels/stubs.py from the manifests.

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import numpy as np

from .bound import Bound
from .kernel import Kernel
from .pending import Pending

A = TypeVar("A")
_Done = Callable[[Future[Any]], object]
_Int = int | np.integer[Any]
_Float = float | np.floating[Any] | np.integer[Any]
_Numbers = Sequence[_Float]
"""

# Options of a call, in order; and the methods with those that each has, and its result.
OPTIONS = {
    "timeout": "float | None",
    "stream": "Any",
    "arch": "str | None",
    "on_done": "_Done | None",
}
METHODS = {
    "__call__": (("timeout", "stream", "arch"), "A"),
    "submit": (("timeout", "stream", "arch", "on_done"), "Pending"),
    "launch": (("stream", "arch"), "A"),
    "bind": (("arch",), "Bound"),
}
# What choose among the kernels that are forms of a norm (bridge/warpbridge/norms.py): the outputs are then others.
CHOICES = ["residual: A | None = ...", "quantise: Any = ...", "scale: A | None = ..."]


def main() -> int:
    """Write the file; returns the exit code."""
    STUB.write_text(stubs(), encoding="utf-8")
    print(f"{STUB.name} written")
    return 0


def stubs() -> str:
    """Return the text of the file."""
    manifests = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(HERE.glob("*.toml"))]
    tables = [table for table in manifests if table.get("manifest")]
    names = {table["name"] for table in tables}
    classes = [kernel_class(table, names) for table in tables if not table.get("hidden")]
    lines = [f"{t['name']}: {'Kernel' if t.get('hidden') else class_name(t['name'])}" for t in tables]
    return HEAD + "\n" + "\n".join(classes) + "\n" + "\n".join(lines) + "\n"


def class_name(kernel: str) -> str:
    """Return the name of a kernel's type."""
    return "_" + "".join(part.capitalize() for part in kernel.split("_"))


def kernel_class(table: dict[str, Any], names: set[str]) -> str:
    """Return one kernel's type, with the methods that take its arguments; `names` are those of all kernels."""
    taken = parameters(table)
    if f"{table['name']}_own_range" in names:  # where its form finds the range (bridge/warpbridge/ranges.py)
        taken = [f"{one} | None = ..." if one.startswith(("vmin:", "vmax:")) else one for one in taken]
    is_norm = f"{table['name']}_residual_quantised" in names
    outputs = "Any" if is_norm else output_type(table)
    methods = (method(name, taken, outputs, chooses_dtype(table), is_norm, *METHODS[name]) for name in METHODS)
    return f"class {class_name(table['name'])}(Kernel):\n" + "".join(methods)


def method(
    name: str, taken: list[str], outputs: str, dtype: bool, is_norm: bool, options: tuple[str, ...], result: str
) -> str:
    """Return one method, on one line where that fits, else with one parameter on each."""
    out = outputs if outputs == "Any" else f"{outputs} | None"
    keywords = [*(CHOICES if is_norm else []), f"out: {out} = ...", *(["dtype: Any = ..."] if dtype else [])]
    result = outputs if result == "A" else result
    keywords += [f"{option}: {OPTIONS[option]} = ..." for option in options]
    every = ["self", *taken, "*", *keywords]
    line = f"    def {name}({', '.join(every)}) -> {result}: ..."
    if len(line) <= 120:
        return line + "\n"
    middle = f"        {', '.join(every)}"
    if len(middle) <= 120:
        return f"    def {name}(\n{middle}\n    ) -> {result}: ...\n"
    return f"    def {name}(\n" + "".join(f"        {one},\n" for one in every) + f"    ) -> {result}: ...\n"


def parameters(table: dict[str, Any]) -> list[str]:
    """Return the arguments in the order of the signature: arrays, optional arrays, scalars."""
    arrays = [a for a in table["args"] if a["kind"] == "array" and a["intent"] != "out"]
    required = [f"{a['name']}: {array_type(a)}" for a in arrays if not a.get("optional")]
    optional = [f"{a['name']}: {array_type(a)} | None = ..." for a in arrays if a.get("optional")]
    return required + optional + [scalar(a) for a in table["args"] if a["kind"] == "scalar"]


def output_type(table: dict[str, Any]) -> str:
    """Return the type of the output, or of the tuple of outputs."""
    outputs = [a for a in table["args"] if a["kind"] == "array" and a["intent"] == "out" and not a.get("workspace")]
    count = len(outputs)
    return "A" if count == 1 else f"tuple[{', '.join(['A'] * count)}]"


def array_type(argument: dict[str, Any]) -> str:
    """Return the type of an array argument."""
    return "A | _Numbers" if argument.get("inline") else "A"


def scalar(argument: dict[str, Any]) -> str:
    """Return a scalar argument; a default that is an expression shows as None."""
    kind = "_Float" if argument["dtype"].startswith(("float", "bfloat")) else "_Int"
    default = argument.get("default")
    if default is None:
        return f"{argument['name']}: {kind}"
    return f"{argument['name']}: {kind}{' | None' if isinstance(default, str) else ''} = ..."


def chooses_dtype(table: dict[str, Any]) -> bool:
    """Whether a dtype variable occurs only in outputs, so that the caller chooses it."""
    taken = {a["dtype"] for a in table["args"] if a["kind"] != "array" or a["intent"] != "out" if "dtype" in a}
    given = {a["dtype"] for a in table["args"] if a["kind"] == "array" and a["intent"] == "out"}
    return bool((given - taken) & set(table.get("dtypes", {})))


if __name__ == "__main__":
    sys.exit(main())
