"""Adapters of other distributions: a distribution is written into a folder, and a fresh interpreter uses it."""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

# A library whose arrays warpbridge knows nothing of: no protocol, an odd attribute.
LIBRARY = """
import numpy

class Grid:
    def __init__(self, values):
        self.cells = numpy.ascontiguousarray(values)

class FineGrid(Grid):
    pass
"""

# As docs/adapters.md writes it.
ADAPTER = """
import sys

from warpbridge.buffer import CPU, Buffer, dtype_of
from warpbridge.errors import ArgumentError

print("adapter imported")

class _Grids:
    name = "grids"

    def empty(self, shape, dtype, device_type, device_id, stream):
        grids, numpy = sys.modules["grids"], sys.modules["numpy"]
        return grids.Grid(numpy.empty(shape, dtype.name))

    def current_stream(self, device_type, device_id):
        return 0

    def numbers(self, array):
        return [float(item) for item in array.cells]

LIBRARY = _Grids()

def claim(obj):
    if not isinstance(obj, sys.modules["grids"].Grid):
        return None
    cells = obj.cells
    if cells.dtype.name == "object":
        raise ArgumentError("a grid holds objects, expected numbers")
    address = cells.ctypes.data if cells.size else 0
    return Buffer(address, CPU, 0, dtype_of(cells.dtype.name, "a grid"), cells.shape, None, False, LIBRARY, obj)
"""

PREAMBLE = """
import sys
import numpy as np
import warpbridge as wb

def refused(x):
    try:
        wb.kernels.scale(x, 2.0, out=np.empty(4, np.float32))
    except wb.ArgumentError as error:
        print(error)

"""


def distribution(folder: Path, name: str, adapter: str, value: str = "grids_warpbridge:claim") -> None:
    """Write a distribution as pip would install it: its module, and its metadata with the entry point."""
    module = value.partition(":")[0]
    (folder / f"{module}.py").write_text(adapter, encoding="utf-8")
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[warpbridge.adapters]\ngrids = {value}\n", encoding="utf-8")


Run = Callable[[str], str]


@pytest.fixture
def run(tmp_path: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]) -> Run:
    """Run a program with the folder on its path; return what it prints."""
    (tmp_path / "grids.py").write_text(LIBRARY, encoding="utf-8")

    def run(program: str) -> str:
        process = run_python(PREAMBLE + textwrap.dedent(program), PYTHONPATH=str(tmp_path))
        assert process.returncode == 0, process.stderr
        return process.stdout

    return run


def test_plugin_claims_and_makes_arrays(tmp_path: Path, run: Run) -> None:
    distribution(tmp_path, "grids-warpbridge", ADAPTER)
    printed = run(
        """
        import grids
        y = wb.kernels.scale(grids.FineGrid(np.arange(4, dtype=np.float32)), 2.0, 1.0)
        print(type(y).__name__, y.cells.tolist())
        """
    )
    assert printed == "adapter imported\nGrid [1.0, 3.0, 5.0, 7.0]\n"


def test_plugin_is_imported_when_its_first_object_is_seen(tmp_path: Path, run: Run) -> None:
    distribution(tmp_path, "grids-warpbridge", ADAPTER)
    printed = run(
        """
        wb.kernels.scale(np.ones(4, np.float32), 2.0)
        refused(object())
        refused([1.0])
        import grids
        print("grids_warpbridge" in sys.modules)
        refused(grids.Grid([object()]))
        """
    )
    expected = "expected an array (NumPy, CuPy, PyTorch or anything with __dlpack__)"
    assert printed == (
        f"scale: argument 1 (x) is an object, {expected}\n"
        f"scale: argument 1 (x) is a list, {expected}\n"
        "False\n"
        "adapter imported\n"
        "scale: argument 1 (x): a grid holds objects, expected numbers\n"
    )


def test_object_that_the_plugin_leaves_alone_is_asked_for_the_protocols(tmp_path: Path, run: Run) -> None:
    distribution(tmp_path, "grids-warpbridge", ADAPTER)
    printed = run(
        """
        import grids

        class Other:
            def __init__(self, array): self.array = array
            def __dlpack__(self, **keywords): return self.array.__dlpack__(**keywords)
            def __dlpack_device__(self): return (1, 0)

        Other.__module__ = "grids"
        y = np.empty(4, np.float32)
        print(wb.kernels.scale(Other(np.ones(4, np.float32)), 2.0, out=y))
        """
    )
    assert printed == "adapter imported\n[2. 2. 2. 2.]\n"


UPDATE = "update or uninstall that distribution"
NAME = "scale: argument 1 (x): the adapter for grids arrays, grids_warpbridge:claim of grids-warpbridge 1.2,"


@pytest.mark.parametrize(
    ("adapter", "text"),
    [
        (
            "import numpi",
            f"{NAME} cannot be loaded: ModuleNotFoundError: No module named 'numpi'; {UPDATE}",
        ),
        (
            "claims = None",
            f"{NAME} cannot be loaded: AttributeError: module 'grids_warpbridge' has no attribute 'claim'; {UPDATE}",
        ),
        ("claim = 7", f"{NAME} is 7, expected a function claim(obj); update that distribution"),
        (
            "def claim(obj): return obj.cells",
            f"{NAME} returned a numpy.ndarray, expected a warpbridge.buffer.Buffer or None; update that distribution",
        ),
        (
            "def claim(obj): return obj.cell",
            f"{NAME} failed: AttributeError: 'Grid' object has no attribute 'cell'; {UPDATE}",
        ),
    ],
    ids=["import", "no claim", "no function", "no buffer", "raises"],
)
def test_broken_plugin_is_named(tmp_path: Path, run: Run, adapter: str, text: str) -> None:
    distribution(tmp_path, "grids-warpbridge", adapter)
    printed = run("import grids\nfor _ in range(2): refused(grids.Grid(np.ones(4, np.float32)))\n")
    assert printed == f"{text}\n{text}\n"


def test_two_plugins_for_one_library(tmp_path: Path, run: Run) -> None:
    distribution(tmp_path, "grids-warpbridge", ADAPTER)
    distribution(tmp_path, "other-grids", ADAPTER, "other_grids:claim")
    printed = run("import grids\nrefused(grids.Grid(np.ones(4, np.float32)))\n")
    assert printed in {
        f"scale: argument 1 (x): grids arrays have two adapters, {first} and {second}, expected one; uninstall the "
        "other\n"
        for first, second in (
            ("grids_warpbridge:claim of grids-warpbridge 1.2", "other_grids:claim of other-grids 1.2"),
            ("other_grids:claim of other-grids 1.2", "grids_warpbridge:claim of grids-warpbridge 1.2"),
        )
    }


def test_adapter_in_the_documentation_is_this_one() -> None:
    text = (Path(__file__).parent.parent / "docs" / "adapters.md").read_text(encoding="utf-8")
    written = text.partition("```python\n")[2].partition("```")[0]
    assert written.strip() == ADAPTER.replace('print("adapter imported")\n\n', "").strip()
