"""Waits for what happens behind a test's back: a launch gets on, the dispatcher lets go of its arrays."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def until(condition: Callable[[], bool], limit_s: float = 60.0, *, collect: bool = True) -> bool:
    """Return whether it comes true in time; a minute is for busy machines. Whoever looks at memory collects cycles."""
    deadline = time.monotonic() + limit_s
    while not condition() and time.monotonic() < deadline:
        if collect:
            gc.collect()
        time.sleep(0.001)
    return condition()
