"""The SVG timeline of a `Trace`: a lane per warp, the copies in flight below, an axis in warp instructions.

Drawn by hand, without a plotting library. Boxes narrower than a pixel are merged with their neighbours of the same
kind; every other box carries its text as a tooltip.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape

from .trace import Block, Event, Trace, tracks

WIDTH_PX = 1180
_LEFT_PX = 120
_RIGHT_PX = 20
_LANE_PX = 22
_COPY_PX = 10
_GAP_PX = 4
_HEAD_PX = 62
_LETTER_PX = 5.6
_MOST_TRACKS = 24

# Colours that the colour-blind can tell apart (after Okabe and Ito).
_COLOURS = {
    "compute": "#1b9e77",
    "wait for a copy": "#f0b64b",
    "wait for a warp": "#d9662b",
    "wait without end": "#8c1d4f",
    "copy in flight": "#78b4e0",
}


def draw(trace: Trace, start: int, end: int) -> str:
    """Return the SVG text of ticks `start` to `end`."""
    scale = (WIDTH_PX - _LEFT_PX - _RIGHT_PX) / max(end - start, 1)
    canvas = _Canvas(trace, start, end, scale)
    for block in trace.blocks:
        canvas.block(block)
    return canvas.text()


def kind_of(event: Event) -> str:
    """Return the legend's name of an event."""
    if event.what == "wait":
        by = event.details.get("by")
        return "wait without end" if by is None else "wait for a copy" if "copy" in by else "wait for a warp"
    return "copy in flight" if event.what == "copy" else "compute"


class _Canvas:
    def __init__(self, trace: Trace, start: int, end: int, scale: float) -> None:
        self._trace, self._start, self._end, self._scale = trace, start, end, scale
        self._parts: list[str] = []
        self._y = float(_HEAD_PX)

    def block(self, block: Block) -> None:
        """Draw one thread block."""
        events = [e for e in self._trace.of(block) if e.end > self._start and e.start < self._end]
        if len(self._trace.blocks) > 1:
            self._y += 14
            self._write(8, self._y, f"thread block {block.index}", weight="bold")
            self._y += 8
        top = self._y
        for warp in range(len(block.ends)):
            self._write(_LEFT_PX - 8, self._y + _LANE_PX / 2 + 4, self._trace.role(warp), anchor="end")
            self._boxes((e for e in events if e.what != "copy" and e.warp == warp), _LANE_PX)
            self._y += _LANE_PX + _GAP_PX
        self._copies([e for e in events if e.what == "copy"])
        self._axis(top)

    def _copies(self, copies: Sequence[Event]) -> None:
        if not copies:
            return
        self._y += 6
        lanes = tracks(copies)
        if len(lanes) > _MOST_TRACKS:
            lanes = tracks(_bundled(copies))
        self._write(_LEFT_PX - 8, self._y + 9, "copies", anchor="end")
        for lane in lanes[:_MOST_TRACKS]:
            self._boxes(lane, _COPY_PX)
            self._y += _COPY_PX + 2
        if len(lanes) > _MOST_TRACKS:
            self._y += 10
            self._write(_LEFT_PX, self._y, f"and {len(lanes) - _MOST_TRACKS} more at a time")

    def _boxes(self, events: Iterable[Event], height: int) -> None:
        last: tuple[str, float] = "", -1.0
        for event in events:
            left, right = self._x(event.start), self._x(event.end)
            kind = kind_of(event)
            if right - left < 1 and last[0] == kind and right - last[1] < 1:
                continue
            last = kind, right
            width = max(right - left - (0.4 if right - left > 2 else 0), 0.5)
            tip = escape(self._tip(event))
            self._parts.append(
                f'<rect x="{left:.1f}" y="{self._y:g}" width="{width:.1f}" height="{height}" '
                f'fill="{_COLOURS[kind]}"><title>{tip}</title></rect>'
            )
            text = _short(event)
            if len(text) * _LETTER_PX + 6 < width:
                size = 9 if height >= _LANE_PX else 8
                self._write(
                    (left + right) / 2, self._y + height / 2 + size * 0.36, text, size=size, anchor="middle",
                    colour="#fff" if kind in ("compute", "wait for a warp", "wait without end") else "#222",
                )  # fmt: skip

    def _tip(self, event: Event) -> str:
        text = f"{self._trace.role(event.warp)} {event.label}, ticks {event.start} to {event.end}"
        if event.what == "wait":
            text += f", {self._trace.cause(event)}"
        elif event.what == "copy":
            barrier = event.details.get("mbarrier")
            text += f", {event.details['instruction']}" + ("" if barrier is None else f", signals mbarrier +{barrier}")
        return text + (f" (PTX line {event.line})" if event.line else "")

    def _axis(self, top: float) -> None:
        step = _step(self._end - self._start)
        bottom = self._y + 4
        tick = -(-self._start // step) * step
        lines = []
        while tick <= self._end:
            x = self._x(tick)
            lines.append(f'<line x1="{x:.1f}" y1="{top:g}" x2="{x:.1f}" y2="{bottom:g}" stroke="#ddd"/>')
            self._write(x, bottom + 12, f"{tick:,}".replace(",", " "), anchor="middle", size=10)
            tick += step
        self._parts[:0] = lines  # behind the boxes
        self._y = bottom + 18

    def _x(self, tick: int) -> float:
        return _LEFT_PX + (min(max(tick, self._start), self._end) - self._start) * self._scale

    def _write(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: int = 11,
        anchor: str = "start",
        colour: str = "#222",
        weight: str = "normal",
    ) -> None:
        bold = "" if weight == "normal" else f' font-weight="{weight}"'
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{bold}>'
            f"{escape(text)}</text>"
        )

    def _legend(self) -> None:
        kinds = {kind_of(event) for event in self._trace.events}
        x = float(_LEFT_PX)
        for kind, colour in _COLOURS.items():
            if kind in kinds:
                self._parts.append(f'<rect x="{x:g}" y="36" width="12" height="12" fill="{colour}"/>')
                self._write(x + 17, 46, kind)
                x += 17 + len(kind) * 6 + 22
        self._write(x, 46, "+n/p: waits for the mbarrier at shared offset n, parity p", colour="#666")

    def text(self) -> str:
        """Return the whole file."""
        trace = self._trace
        shown = trace.arguments if len(trace.arguments) < 110 else trace.arguments[:107] + "..."
        self._write(8, 20, f"{trace.kernel}({shown})", size=13, weight="bold")
        self._legend()
        unit = f"time in warp instructions of each role; a copy is drawn as taking {trace.latency}"
        if trace.dropped:
            unit += f"; {trace.dropped} more events were not kept"
        self._y += 12
        self._write(_LEFT_PX, self._y, unit, size=10, colour="#666")
        if trace.error is not None:
            self._y += 16
            self._write(_LEFT_PX, self._y, str(trace.error).splitlines()[0][:170], colour=_COLOURS["wait without end"])
        height = self._y + 12
        body = "\n".join(self._parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" height="{height:.0f}" '
            f'viewBox="0 0 {WIDTH_PX} {height:.0f}" font-family="Helvetica, Arial, sans-serif">\n'
            f'<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
        )


def _bundled(copies: Iterable[Event]) -> list[Event]:
    """Draw copies that one warp issues in a row, for one mbarrier, as one."""
    found: list[Event] = []
    for copy in sorted(copies, key=lambda e: (e.warp, e.details["number"])):
        last = found[-1] if found else None
        same = last is not None and (last.warp, last.details["mbarrier"]) == (copy.warp, copy.details["mbarrier"])
        if last is None or not same or copy.details["mbarrier"] is None or copy.start >= last.end:
            found.append(copy)
        else:
            details = {**last.details, "bytes": last.details["bytes"] + copy.details["bytes"]}
            found[-1] = replace(last, end=copy.end, details=details)
    return found


def _short(event: Event) -> str:
    if event.what == "wait":
        details = event.details
        if details.get("on") == "mbarrier":
            parity = details.get("parity")
            return f"+{details['address']}" + ("" if parity is None else f"/{parity & 1}")
        return event.place
    if event.what == "copy":
        count = int(event.details["bytes"])
        return f"{count // 1024} KiB" if count % 1024 == 0 else f"{count} B"
    return ""


def _step(span: int) -> int:
    """Return a round distance of marks that gives 5 to 12 of them."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if span // (step * factor) <= 12:
                return step * factor
        step *= 10
