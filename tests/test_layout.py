"""Who may import whom (product.md, "Dependency direction"), read from the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import warpbridge as wb

PACKAGE = Path(__file__).parent.parent / "bridge" / "warpbridge"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "_native" not in path.parts)
ARRAY_LIBRARIES = {"numpy", "cupy", "torch", "jax", "wgpu", "numba", "ml_dtypes"}


def imports(path: Path) -> dict[str, bool]:
    """Return every module that a file imports, by full name; True for imports at module level."""
    here = ("warpbridge", *path.relative_to(PACKAGE).parts[:-1])
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: dict[str, bool] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            module = ".".join((*base, *((node.module,) if node.module else ())))
            folder = PACKAGE.parent / module.replace(".", "/")
            submodules = {path.stem for path in folder.glob("*.py")}
            names = [f"{module}.{a.name}" if a.name in submodules else module for a in node.names]
        else:
            continue
        for name in names:
            found[name] = found.get(name, False) or node in tree.body
    return found


def ours(path: Path) -> set[str]:
    return {name for name in imports(path) if name.split(".")[0] == "warpbridge"}


def test_errors_imports_nothing_of_ours() -> None:
    assert ours(PACKAGE / "errors.py") == set()


def test_buffer_imports_errors_only() -> None:
    assert ours(PACKAGE / "buffer.py") == {"warpbridge.errors"}


ADAPTERS = sorted(set((PACKAGE / "adapters").rglob("*.py")) - {PACKAGE / "adapters" / "__init__.py"})


@pytest.mark.parametrize("path", ADAPTERS, ids=lambda p: str(p.relative_to(PACKAGE / "adapters")))
def test_adapters_import_buffer_errors_and_handover_only(path: Path) -> None:
    neutral = {"warpbridge.buffer", "warpbridge.errors", "warpbridge.handover"}
    own_folder = "warpbridge.adapters.wgpu" if path.parent.name == "wgpu" else "nobody's"
    others = {name for name in ours(path) - neutral if not f"{name}.".startswith(f"{own_folder}.")}
    assert others == set()
    if own_folder == "nobody's":
        assert "warpbridge.handover" not in ours(path)  # only what shares memory with another API needs it


def test_package_of_adapters_imports_buffer_lazy_and_adapters_only() -> None:
    found = ours(PACKAGE / "adapters" / "__init__.py")
    others = {name for name in found if not name.startswith("warpbridge.adapters.")}
    assert others == {"warpbridge.buffer", "warpbridge.lazy"}


def test_lazy_imports_nothing_of_ours() -> None:
    assert ours(PACKAGE / "lazy.py") == set()


def test_handover_imports_buffer_and_errors_only() -> None:
    assert ours(PACKAGE / "handover.py") == {"warpbridge.buffer", "warpbridge.errors"}


@pytest.mark.parametrize(
    "path", [p for p in FILES if not {"demo", "tools"} & set(p.parts)], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_no_array_library_is_imported_outside_the_demo_and_the_tools(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & ARRAY_LIBRARIES


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_ffi_names_the_native_module_or_cffi(path: Path) -> None:
    code = ast.dump(ast.parse(path.read_text(encoding="utf-8")))
    names = {name.split(".")[0] for name in imports(path)}
    if path == PACKAGE / "_ffi" / "native.py":
        assert "'warpbridge._native'" in code
    else:
        assert "_native" not in code
        assert "cffi" not in names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_of_ffi_are_imported_by_each_other_only(path: Path) -> None:
    of_ffi = {name for name in ours(path) if name.startswith("warpbridge._ffi.")}
    if path.parent != PACKAGE / "_ffi":
        assert not of_ffi
    elif path.stem != "__init__":
        assert of_ffi <= {"warpbridge._ffi.native", "warpbridge._ffi.values"}
        assert ours(path) - of_ffi <= {"warpbridge.buffer", "warpbridge.errors"}


def test_importing_the_package_imports_no_array_library(run_python) -> None:
    found = run_python(
        "import sys, warpbridge; print(sorted(set(sys.modules) & {'numpy', 'cupy', 'torch', 'jax', 'PIL'}))"
    )
    assert found.stdout == "[]\n", found.stderr


def test_the_top_level_adapters_folder_is_the_packages() -> None:
    link = PACKAGE.parent.parent / "adapters" / "python"
    assert link.is_symlink()
    assert link.resolve() == (PACKAGE / "adapters").resolve()


def test_completion_shows_what_is_for_users() -> None:
    shown = set(dir(wb))
    assert shown - set(wb.__all__) == {"__version__", "adapters", "buffer", "errors"}
    assert all(hasattr(wb, name) for name in shown)
