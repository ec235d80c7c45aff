"""Calls that were not repeated from what was learned: `conftest.py` has the fixture that counts them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Misses:
    """Counts the calls that took the long way."""

    def __init__(self) -> None:
        self.count = 0

    def since(self, work: Callable[[], Any]) -> int:
        """Return how many calls of `work` did."""
        before = self.count
        work()
        return self.count - before
