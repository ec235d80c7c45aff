"""The bundled kernels as Python sees them: listed, named, described, and typed in kernels.pyi."""

from __future__ import annotations

import ast
import inspect
import pydoc
import runpy
from pathlib import Path

import pytest
import warpbridge as wb
from warpbridge import kernels

SOURCES = Path(__file__).parent.parent / "kernels"
STUB = Path(kernels.__file__).with_suffix(".pyi")


def test_dir_lists_what_is_not_hidden() -> None:
    names = [path.stem for path in sorted(SOURCES.glob("*.toml")) if path.stem not in ("Cargo", "deadlock_demo")]
    assert dir(wb.kernels) == names
    assert len(names) >= 11
    assert wb.kernels.deadlock_demo.__name__ == "deadlock_demo"


def test_kernel_is_loaded_once() -> None:
    assert wb.kernels.scale is wb.kernels.scale
    from warpbridge.kernels import scale

    assert scale is wb.kernels.scale


def test_kernel_that_is_not_there() -> None:
    with pytest.raises(AttributeError) as caught:
        wb.kernels.sacle  # noqa: B018 - the look-up is the test
    assert str(caught.value) == "warpbridge has no kernel 'sacle', expected one of: " + ", ".join(dir(wb.kernels))


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("scale", "(x, a, b=0, *, out=None, timeout=None, stream=None, arch=None)"),
        (
            "image_prep",
            "(x, mean, std, offsets=None, mirror=None, oh=h, ow=w, *, "
            "out=None, dtype=None, timeout=None, stream=None, arch=None)",
        ),
    ],
)
def test_kernel_describes_itself(name: str, signature: str) -> None:
    kernel = getattr(wb.kernels, name)
    assert str(inspect.signature(kernel)) == signature
    assert repr(kernel) == f"<Kernel {name}{signature}>"
    assert kernel.__name__ == name
    doc = inspect.getdoc(kernel)
    assert doc.splitlines()[0] == kernel.summary != ""
    for parameter in list(inspect.signature(kernel).parameters)[: signature.split("*", maxsplit=1)[0].count(",")]:
        assert f"\n{parameter} : " in doc


def test_help_shows_the_kernels_own_documentation() -> None:
    text = pydoc.render_doc(wb.kernels.scale, renderer=pydoc.plaintext)
    assert wb.kernels.scale.summary in text
    assert "values to scale" in text


@pytest.mark.parametrize("name", [*dir(wb.kernels), "deadlock_demo"])
def test_every_array_and_scalar_is_documented_in_the_manifest(name: str) -> None:
    for arg in getattr(wb.kernels, name).manifest["args"]:
        if arg["kind"] in ("array", "scalar"):
            assert arg["summary"], arg["name"]


def test_stub_has_the_signatures_of_the_manifests() -> None:
    tree = ast.parse(STUB.read_text())
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    typed = {n.target.id: n.annotation.id for n in tree.body if isinstance(n, ast.AnnAssign)}
    assert set(typed) == {*dir(wb.kernels), "deadlock_demo"}
    for name in dir(wb.kernels):
        methods = {node.name: node.args for node in classes[typed[name]].body if isinstance(node, ast.FunctionDef)}
        assert set(methods) == {"__call__", "submit", "launch", "bind"}
        parameters = inspect.signature(getattr(wb.kernels, name)).parameters.values()
        own = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        options = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
        less = {"__call__": [], "submit": [], "launch": ["timeout"], "bind": ["timeout", "stream"]}
        for method, args in methods.items():
            assert [a.arg for a in args.args] == ["self", *own]
            more = ["on_done"] if method == "submit" else []
            assert [a.arg for a in args.kwonlyargs] == [o for o in options if o not in less[method]] + more
            required = [p.name for p in parameters if p.default is p.empty]
            assert len(args.args) - 1 - len(args.defaults) == len(required)


def test_stub_is_what_the_script_writes() -> None:
    script = runpy.run_path(str(SOURCES / "stubs.py"))
    assert STUB.read_text() == script["stubs"](), "run python kernels/stubs.py"
