"""What a traced launch did: a `Trace` of events on a clock per warp, written as a Chrome trace or an SVG timeline.

Made by ``kernel.trace(...)``, ``entry.trace(...)`` and ``bound.trace()`` on the CPU device. Time is counted in warp
instructions: a warp's clock advances with each instruction it executes; who waits goes on at the time of what it waited
for; an asynchronous copy takes a fixed time, `latency`. It is a picture of who depends on whom, not a forecast.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .errors import WarpbridgeError

COPY_LATENCY = 400
"""Warp instructions that a copy takes unless the caller says otherwise."""

_COPY_TID = 1000
"""Thread ids of the Chrome trace above this are tracks of copies."""
_MOST_SHOWN = 5000
"""Events of a trace that a notebook still draws."""


@dataclass(frozen=True, slots=True)
class Event:
    """A stretch of time.

    Attributes
    ----------
    what : str
        ``"compute"``, ``"wait"`` or ``"copy"``.
    cta : tuple of int
        Index of the thread block.
    warp : int
        The warp that computes, waits, or issued the copy.
    start, end : int
        In warp instructions from the start of the thread block.
    line : int
        Line of the PTX: of the wait or the copy; of the instruction that ended a computation, 0 for the last.
    details : Mapping
        A wait: ``on`` (``"mbarrier"`` with ``address`` and ``parity``, ``"barrier"`` with ``id``, ``"cluster"``,
        ``"copies"``, ``"warp"``) and ``by``: ``{"copy": number}`` or ``{"rank": r, "warp": w}``, whichever came last;
        None for a wait that nobody ended. A copy: ``number``, ``bytes``, ``instruction``, ``mbarrier``.
    """

    what: Literal["compute", "wait", "copy"]
    cta: tuple[int, int, int]
    warp: int
    start: int
    end: int
    line: int
    details: Mapping[str, Any]

    @property
    def label(self) -> str:
        """What it is, in a few words."""
        if self.what == "wait":
            return f"waits for {self.place}"
        if self.what == "copy":
            return f"copy {self.details['number']}: {self.details['bytes']} bytes"
        return "computes"

    @property
    def place(self) -> str:
        """What a wait is for: ``mbarrier +1024 parity 0``, ``barrier 1`` ..."""
        on = str(self.details.get("on", ""))
        if on == "mbarrier":
            parity = self.details.get("parity")
            return f"mbarrier +{self.details['address']}" + ("" if parity is None else f" parity {parity & 1}")
        if on == "barrier":
            return f"barrier {self.details['id']}"
        return {"cluster": "the cluster's barrier", "copies": "its copies", "warp": "the warp's other lanes"}.get(
            on, on
        )


@dataclass(frozen=True, slots=True)
class Block:
    """A recorded thread block: its index, and when each of its warps executed its last instruction."""

    index: tuple[int, int, int]
    ends: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """A traced launch.

    Attributes
    ----------
    kernel, arguments : str
        What ran, on what.
    blocks : sequence of Block
        The thread blocks recorded.
    events : sequence of Event
        By thread block, warp and start.
    latency : int
        What a copy took, in warp instructions.
    dropped : int
        Events that there was no room for.
    result : Any
        What the launch returned.
    error : WarpbridgeError or None
        How it failed; the events up to then are there.
    """

    kernel: str
    arguments: str
    blocks: Sequence[Block]
    events: Sequence[Event]
    latency: int
    dropped: int
    result: Any
    error: WarpbridgeError | None
    roles: Sequence[tuple[str, int]] = ()

    @classmethod
    def read(cls, record: Mapping[str, Any], result: Any, error: WarpbridgeError | None) -> Trace:
        """Read what the native core recorded."""
        common = ("what", "cta", "warp", "start", "end", "line")
        events = [
            Event(
                e["what"],
                _index(e["cta"]),
                e["warp"],
                e["start"],
                e["end"],
                e["line"],
                {key: value for key, value in e.items() if key not in common},
            )
            for e in record["events"]
        ]
        return cls(
            record["kernel"],
            record["arguments"],
            [Block(_index(c["index"]), tuple(c["ends"])) for c in record["ctas"]],
            events,
            record["latency"],
            record["dropped"],
            result,
            error,
            [(role["name"], role["warps"]) for role in record["roles"]],
        )

    def __repr__(self) -> str:
        return f"<Trace of {self.kernel}: {len(self.blocks)} thread blocks, {len(self.events)} events>"

    @property
    def end(self) -> int:
        """The last tick of all."""
        return max((event.end for event in self.events), default=0)

    def of(self, block: Block) -> list[Event]:
        """Return the events of one thread block."""
        return [event for event in self.events if event.cta == block.index]

    def role(self, warp: int) -> str:
        """Name a warp: ``loader``, ``compute 3`` (the fourth of its role), or ``warp 3`` without roles."""
        first = 0
        for name, warps in self.roles:
            if first <= warp < first + warps:
                return name if warps == 1 else f"{name} {warp - first}"
            first += warps
        return f"warp {warp}"

    def cause(self, event: Event) -> str:
        """Say who ended a wait."""
        by = event.details.get("by")
        if by is None:
            return "nobody ended it"
        if "copy" in by:
            return f"ended by copy {by['copy']}"
        where = f" of the cluster's block {by['rank']}" if len(self.blocks) > 1 and by["rank"] else ""
        return f"ended by {self.role(by['warp'])}{where}"

    def to_chrome(self, path: str | os.PathLike[str]) -> None:
        """Write a trace for ui.perfetto.dev or chrome://tracing; a microsecond there is one warp instruction."""
        rows: list[dict[str, Any]] = []
        for pid, block in enumerate(self.blocks):
            rows.append(_name("process_name", pid, 0, f"{self.kernel} block {block.index}"))
            rows += (_name("thread_name", pid, warp, self.role(warp)) for warp in range(len(block.ends)))
            events = self.of(block)
            for track, copies in enumerate(tracks(e for e in events if e.what == "copy")):
                rows.append(_name("thread_name", pid, _COPY_TID + track, f"copies {track}"))
                rows += (self._row(event, pid, _COPY_TID + track) for event in copies)
            rows += (self._row(event, pid, event.warp) for event in events if event.what != "copy")
        other = {"kernel": self.kernel, "arguments": self.arguments, "unit": "1 us = 1 warp instruction"}
        Path(path).write_text(json.dumps({"traceEvents": rows, "otherData": other}), encoding="utf-8")

    def to_svg(self, path: str | os.PathLike[str], start: int = 0, end: int | None = None) -> None:
        """Draw a timeline: a lane per warp and the copies in flight, from tick `start` to `end`."""
        from .timeline import draw

        Path(path).write_text(draw(self, start, self.end if end is None else end), encoding="utf-8")

    def _repr_svg_(self) -> str | None:
        """Show the timeline in a notebook; a long one would be too much for it."""
        from .timeline import draw

        return draw(self, 0, self.end) if len(self.events) <= _MOST_SHOWN else None

    def _row(self, event: Event, pid: int, tid: int) -> dict[str, Any]:
        details = {key: value for key, value in event.details.items() if value is not None}
        if event.what == "wait":
            details["by"] = self.cause(event)
        return {
            "name": event.label,
            "cat": event.what,
            "ph": "X",
            "pid": pid,
            "tid": tid,
            "ts": event.start,
            "dur": event.end - event.start,
            "args": {"line": event.line, **details},
        }


def tracks(copies: Iterable[Event]) -> list[list[Event]]:
    """Sort copies into as few tracks as never hold two at a time."""
    found: list[list[Event]] = []
    for copy in sorted(copies, key=lambda e: (e.start, e.details["number"])):
        free = next((track for track in found if track[-1].end <= copy.start), None)
        if free is None:
            found.append([copy])
        else:
            free.append(copy)
    return found


def _index(items: Sequence[int]) -> tuple[int, int, int]:
    x, y, z = items
    return x, y, z


def _name(kind: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": pid, "tid": tid, "args": {"name": name}}
