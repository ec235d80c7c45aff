"""Imports on first use, whole: a fork waits for those under way.

A child of `fork` has only the thread that forked. Where another one was in the middle of an import, the child's first
import of that module would wait for it for ever. Modules that every launch needs are imported with the package; what is
imported here is too slow for that, or not always installed.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_LONGEST_WAIT_S = 10.0
"""A fork waits no longer, whatever the import is doing: it may wait for the thread that forks."""


class _Depth(threading.local):
    """How many imports this thread itself is in the middle of."""

    count = 0


_own = _Depth()
_under_way = 0  # of all threads; changed under the condition, whose lock is re-entrant
_changed = threading.Condition()


def load(name: str, package: str | None = None) -> Any:
    """Import a module; arguments as of `importlib.import_module`."""
    return whole(lambda: importlib.import_module(name, package))


def whole(work: Callable[[], T]) -> T:
    """Return what `work` returns, which imports something."""
    _count(1)
    try:
        return work()
    finally:
        _count(-1)


def _count(change: int) -> None:
    global _under_way  # noqa: PLW0603 - one per process
    with _changed:
        _under_way += change
        _own.count += change
        _changed.notify_all()


def _before_fork() -> None:
    _changed.acquire()
    _changed.wait_for(lambda: _under_way <= _own.count, _LONGEST_WAIT_S)


def _after_in_parent() -> None:
    _changed.release()


def _after_in_child() -> None:
    global _changed, _under_way
    _changed, _under_way = threading.Condition(), _own.count


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
