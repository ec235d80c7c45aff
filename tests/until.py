"""Waits for what happens behind a test's back: the dispatcher lets go of arrays after a launch's result is there."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def until(condition: Callable[[], bool], limit_s: float = 60.0) -> bool:
    """Return whether it comes true in time; a minute is for busy machines."""
    deadline = time.monotonic() + limit_s
    while not condition() and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.001)
    return condition()
