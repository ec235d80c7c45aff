"""What the README and the docs show is run as written."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb

ROOT = Path(__file__).parent.parent
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def blocks(path: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / path).read_text(), re.M | re.S)


def test_readme_examples_run_as_written() -> None:
    first, calls, own_ptx = blocks("README.md")
    x = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    exec(first, {"x": x, "mean": MEAN, "std": STD})
    names: dict[str, object] = {}
    exec(calls, names)
    exec(own_ptx, names)
    y, z, c = (np.asarray(names[key]) for key in "yzc")
    assert y.shape == (8, 3, 224, 224)
    np.testing.assert_array_equal(z, 2 * y - 1)
    np.testing.assert_array_equal(c, np.arange(1000, dtype=np.float32) + 1)


def test_readme_shows_the_deadlock_that_is_reported() -> None:
    with pytest.raises(wb.DeadlockError) as caught:
        wb.kernels.deadlock_demo(np.ones(100, np.float32))
    shown = re.search(r"^DeadlockError: (.*?)\n\n", (ROOT / "README.md").read_text(), re.M | re.S)
    assert shown
    # Another compiler may number lines and registers otherwise.
    found, expected = (re.sub(r"\bline \d+|%r\d+", "N", text) for text in (str(caught.value), shown[1]))
    assert found == expected


def test_readme_shows_the_two_commands_that_ci_relies_on() -> None:
    text = (ROOT / "README.md").read_text()
    assert "python -m pip install . && python -m warpbridge demo" in text
    assert "python -m pip install tox && python -m tox" in text


PAGES = ["*.md", "docs/**/*.md", "kernels/*.md", "benchmarks/**/*.md", "examples/**/*.md", "fuzz/*.md"]


def prose(page: Path) -> str:
    return re.sub(
        r"^```.*?^```$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.M | re.S
    )  # code has brackets


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", sorted({str(p.relative_to(ROOT)) for page in PAGES for p in ROOT.glob(page)}))
def test_relative_links_lead_somewhere(path: str) -> None:
    page = ROOT / path
    for target, anchor in re.findall(r"\]\(([^)#:]*)(#[^)]*)?\)", prose(page)):
        there = page.parent / target if target else page
        assert there.exists(), f"{path} links to {target}"
        assert not anchor or anchor[1:] in anchors(there), f"{path} links to {target}{anchor}"


def test_every_environment_variable_is_in_the_docs() -> None:
    sources = (*ROOT.glob("bridge/warpbridge/**/*.py"), *ROOT.glob("ffi/src/**/*.rs"))
    used = {name for path in sources for name in re.findall(r"WARPBRIDGE_[A-Z]+", path.read_text(encoding="utf-8"))}
    page = (ROOT / "docs/calling.md").read_text(encoding="utf-8")
    assert used - set(re.findall(r"WARPBRIDGE_[A-Z]+", page)) == set()
    assert {"WARPBRIDGE_LIBCUDA", "WARPBRIDGE_SYNC"} <= used


def test_every_error_in_the_docs_exists() -> None:
    for name in re.findall(r"`(\w+(?:Error|Timeout|Cancelled|Fault))`", (ROOT / "docs/calling.md").read_text()):
        if name not in ("TypeError", "ValueError", "TimeoutError"):
            assert issubclass(getattr(wb, name), wb.WarpbridgeError)
