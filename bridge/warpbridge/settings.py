"""How the CPU device runs: `with wb.cpu(...)` for a block of code, `WARPBRIDGE_*` in the environment as the default.

The setting belongs to the thread (a context variable), and is read when a launch is made. GPUs ignore it.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from .errors import ArgumentError

Schedule = Literal["eager", "latest", "seeded"]
Checks = Literal["none", "memory", "all"]

# In the order of wb_mode's numbers.
SCHEDULES: tuple[Schedule, ...] = ("eager", "latest", "seeded")
CHECKS: tuple[Checks, ...] = ("none", "memory", "all")
GLOBAL_RACES = len(CHECKS)
"""The number of `checks` for "all" with races in global memory."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Numbers as `wb_mode` takes them."""

    schedule: int = SCHEDULES.index("eager")
    checks: int = CHECKS.index("memory")
    seed: int = 0
    threads: int = 0


_current: ContextVar[Settings] = ContextVar("warpbridge_cpu")
_default: Settings | None = None


def current() -> Settings:
    """Return the settings of this thread."""
    found = _current.get(None)
    return found if found is not None else _from_environment()


@functools.cache
def faults_at_once() -> bool:
    """Whether ``WARPBRIDGE_SYNC=1`` asks that every launch be over when its call returns; the native core waits."""
    return os.environ.get("WARPBRIDGE_SYNC", "") not in ("", "0")


@contextlib.contextmanager
def cpu(
    schedule: Schedule = "eager",
    seed: int = 0,
    checks: Checks | None = None,
    threads: int | None = None,
    *,
    global_races: bool = False,
) -> Iterator[None]:
    """Set how the CPU device runs launches that this thread makes inside the ``with`` block.

    Parameters
    ----------
    schedule
        When asynchronous copies complete: ``"eager"`` at issue, ``"latest"`` as late as the PTX ISA allows (exposes
        missing waits), ``"seeded"`` at times drawn from `seed`, which also interleaves the warps.
    seed
        For ``"seeded"``.
    checks
        ``"memory"`` checks bounds and alignment and finds deadlocks, and names arrays; ``"all"`` adds races, missing
        waits and uninitialised reads; ``"none"`` omits the names. Default: ``"memory"``, or ``"all"`` with
        `global_races`.
    threads
        Host threads that execute thread blocks; one per core by default.
    global_races
        Find races in global memory too, between threads, thread blocks and bulk copies, at a price in time and memory.

    Raises
    ------
    ArgumentError
        A value is not one of those, or `global_races` comes with other checks than ``"all"``.
    """
    titles = tuple(f"cpu: {title}" for title in ("schedule", "checks", "seed", "threads", "global_races"))
    number = 0 if threads is None else threads
    token = _current.set(_settings(schedule, checks, seed, number, global_races, titles))
    try:
        yield
    finally:
        _current.reset(token)


def _settings(
    schedule: str, checks: str | None, seed: int, threads: int, global_races: object, titles: tuple[str, ...]
) -> Settings:
    """Check the values; `titles` say in their order where they came from."""
    if not isinstance(global_races, bool):
        raise ArgumentError(f"{titles[4]} is {global_races!r}, expected True or False", argument="global_races")
    checks = checks or ("all" if global_races else "memory")
    if schedule not in SCHEDULES:
        raise ArgumentError(f"{titles[0]} is {schedule!r}, expected 'eager', 'latest' or 'seeded'", argument="schedule")
    if checks not in CHECKS:
        raise ArgumentError(f"{titles[1]} is {checks!r}, expected 'none', 'memory' or 'all'", argument="checks")
    if not _is_whole(seed) or not 0 <= seed < 2**64:
        raise ArgumentError(f"{titles[2]} is {seed!r}, expected 0 to 2**64 - 1", argument="seed")
    if not _is_whole(threads) or not 0 <= threads <= 1024:
        raise ArgumentError(
            f"{titles[3]} is {threads!r}, expected 1 to 1024, or 0 for one per core", argument="threads"
        )
    if global_races and checks != "all":
        text = f"{titles[4]} needs 'all' of {titles[1].removeprefix('cpu: ')}, found {checks!r}; leave that one out"
        raise ArgumentError(text, argument="global_races")
    return Settings(SCHEDULES.index(schedule), GLOBAL_RACES if global_races else CHECKS.index(checks), seed, threads)


def _is_whole(value: object) -> bool:
    return hasattr(type(value), "__index__") and not isinstance(value, bool)


def _from_environment() -> Settings:
    """Read the environment once."""
    global _default  # noqa: PLW0603 - read once per process
    if _default is None:
        names = tuple(f"WARPBRIDGE_{name}" for name in ("SCHEDULE", "CHECKS", "SEED", "THREADS", "GLOBAL_RACES"))
        schedule, checks, seed, threads, races = (os.environ.get(name, "").strip() for name in names)
        numbers = _number(names[2], seed), _number(names[3], threads)
        _check_multiprocessors()
        _default = _settings(schedule or "eager", checks, *numbers, _switch(names[4], races), names)
    return _default


def _check_multiprocessors() -> None:
    """Refuse what is no such number: the native core, which reads it once, passes over that."""
    name = "WARPBRIDGE_MULTIPROCESSORS"
    text = os.environ.get(name, "").strip()
    if text and not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 1024):
        raise ArgumentError(f"{name} is {text!r}, expected 1 to 1024", argument=name)


def _switch(name: str, text: str) -> bool:
    if text not in {"", "0", "1"}:
        raise ArgumentError(f"{name} is {text!r}, expected 0 or 1", argument=name)
    return text == "1"


def _number(name: str, text: str) -> int:
    try:
        return int(text or "0", 0)
    except ValueError:
        raise ArgumentError(f"{name} is {text!r}, expected a whole number", argument=name) from None
