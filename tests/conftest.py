"""What several tests need: a fresh interpreter, and PTX to launch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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
