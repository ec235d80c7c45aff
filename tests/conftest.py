"""What several tests need: a fresh interpreter, and PTX to launch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from misses import Misses
from warpbridge.entry import Entry
from warpbridge.kernel import Kernel

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program in an interpreter of its own; keywords go into its environment."""

    def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=180,  # the longest takes 5 s on two free cores
            check=False,
            env={**os.environ, **environment},
        )

    return run


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder with the tests' own PTX and manifests."""
    return DATA


@pytest.fixture
def misses(monkeypatch: pytest.MonkeyPatch) -> Misses:
    """Count the calls of kernels and entries that take the long way."""
    counter = Misses()
    for owner in (Kernel, Entry):
        for name in ("_missed_run", "_missed_launch"):
            original = getattr(owner, name)

            def counted(self: Any, *arguments: Any, original: Any = original) -> Any:
                counter.count += 1
                return original(self, *arguments)

            monkeypatch.setattr(owner, name, counted)
    return counter
