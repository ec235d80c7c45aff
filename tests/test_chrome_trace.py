"""Chrome traces against the rules of the trace event format, as chrome://tracing and Perfetto read it.

`problems` is the rules; every kind of broken document below is one that it must name, so that a clean answer says
something. The traces are those of the bundled `scale` and of a small pipeline.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warpbridge as wb

NAMES = {"process_name", "thread_name"}
FLOW = {"s", "t", "f"}
Events = list[dict[str, Any]]


def problems(document: Any) -> list[str]:
    """Return what a viewer would trip over, each as a line; empty for a valid trace."""
    if not isinstance(document, dict) or not isinstance(document.get("traceEvents"), list):
        return ["no traceEvents list"]
    events: Events = document["traceEvents"]
    found = [line for number, event in enumerate(events) for line in shape_problems(number, event)]
    if found:
        return found
    spans = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            spans[event["pid"], event["tid"]].append(event)
    return [*name_problems(events, set(spans)), *span_problems(spans), *flow_problems(events, spans)]


def shape_problems(number: int, event: Any) -> list[str]:
    """Fields of one event, by its phase."""
    where = f"event {number}"
    if not isinstance(event, dict):
        return [f"{where} is no object"]
    found = [f"{where}: {key} is no string" for key in ("name", "ph") if not isinstance(event.get(key), str)]
    found += [f"{where}: {key} is no integer" for key in ("pid", "tid") if type(event.get(key)) is not int]
    if "args" in event and not isinstance(event["args"], dict):
        found.append(f"{where}: args is no object")
    phase = event.get("ph")
    if phase not in {"X", "M", *FLOW}:
        found.append(f"{where}: phase {phase!r} is none that is written")
    times = {"X": ("ts", "dur"), "M": ()}.get(str(phase), ("ts",))
    for key in times:
        value = event.get(key)
        if type(value) not in (int, float) or not 0 <= value < float("inf"):
            found.append(f"{where}: {key} is {value!r}, no time")
    if phase in FLOW and "id" not in event:
        found.append(f"{where}: a flow without an id")
    if phase == "M" and (event.get("name") not in NAMES or not isinstance(event.get("args", {}).get("name"), str)):
        found.append(f"{where}: metadata that names nothing")
    return found


def name_problems(events: Events, tracks: set[tuple[int, int]]) -> list[str]:
    """Each process and each thread with spans is named once."""
    named = [(e["name"], e["pid"], e["tid"] if e["name"] == "thread_name" else 0) for e in events if e["ph"] == "M"]
    found = [f"{name} of {pid}/{tid} stands twice" for name, pid, tid in {n for n in named if named.count(n) > 1}]
    wanted = {("process_name", pid, 0) for pid, _ in tracks} | {("thread_name", pid, tid) for pid, tid in tracks}
    return found + [f"{name} of {pid}/{tid} is missing" for name, pid, tid in sorted(wanted - set(named))]


def span_problems(spans: dict[tuple[int, int], Events]) -> list[str]:
    """Spans of a thread stand in the order of time, and each lies inside another or beside it."""
    found = []
    for (pid, tid), rows in spans.items():
        if [e["ts"] for e in rows] != sorted(e["ts"] for e in rows):
            found.append(f"{pid}/{tid}: not in the order of time")
        open_until: list[float] = []
        for event in sorted(rows, key=lambda e: (e["ts"], -e["dur"])):
            start, end = event["ts"], event["ts"] + event["dur"]
            while open_until and open_until[-1] <= start:
                open_until.pop()
            if open_until and end > open_until[-1]:
                found.append(f"{pid}/{tid}: {event['name']!r} at {start} overlaps the end of another")
            open_until.append(end)
    return found


def flow_problems(events: Events, spans: dict[tuple[int, int], Events]) -> list[str]:
    """Every flow starts once, ends once and not before it starts, and each end lies on a span of its thread."""
    flows: dict[Any, Events] = defaultdict(list)
    for event in events:
        if event["ph"] in FLOW:
            flows[event.get("cat"), event["name"], event["id"]].append(event)
    found = []
    for (_, name, number), rows in flows.items():
        phases = sorted(e["ph"] for e in rows if e["ph"] != "t")
        if phases != ["f", "s"]:
            found.append(f"flow {name} {number}: found {phases}, expected one start and one end")
        elif next(e["ts"] for e in rows if e["ph"] == "s") > next(e["ts"] for e in rows if e["ph"] == "f"):
            found.append(f"flow {name} {number}: ends before it starts")
        for event in rows:
            track = spans.get((event["pid"], event["tid"]), [])
            if not any(e["ts"] <= event["ts"] <= e["ts"] + e["dur"] for e in track):
                found.append(f"flow {name} {number}: {event['ph']} at {event['ts']} is on no span")
    return found


def written(trace: wb.Trace, folder: Path) -> Any:
    """Return the file as strict JSON reads it."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no JSON")

    trace.to_chrome(folder / "t.json")
    return json.loads((folder / "t.json").read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.mark.parametrize("schedule", ["eager", "latest", "seeded"])
def test_trace_of_a_pipeline_keeps_the_rules(schedule: Any, tmp_path: Path) -> None:
    x = np.arange(40_000, dtype=np.float32)
    with wb.cpu(schedule=schedule, seed=4):
        trace = wb.kernels.scale.bind(x, 2.0, 1.0).trace(ctas=range(3), latency=300)
    document = written(trace, tmp_path)
    assert problems(document) == []
    events = document["traceEvents"]
    assert {e["cat"] for e in events if e["ph"] == "X"} == {"compute", "wait", "copy"}
    assert len({e["pid"] for e in events}) == len(trace.blocks)
    assert sum(e["ph"] == "X" for e in events) == len(trace.events)


def test_trace_of_a_launch_that_failed_keeps_the_rules(data: Path, tmp_path: Path) -> None:
    text = (data / "wait.ptx").read_text().replace("mbarrier.arrive.expect_tx", "// mbarrier.arrive.expect_tx", 1)
    raw = np.zeros(64 + 4, np.float32)
    x = raw[(-raw.ctypes.data // 4) % 4 :][:64]
    trace = wb.load(text, data / "wait.toml").kernels["twice"].bind(x).trace(latency=100)
    assert isinstance(trace.error, wb.WarpbridgeError)
    assert problems(written(trace, tmp_path)) == []


def span(name: str, ts: float, dur: float, tid: int = 0) -> dict[str, Any]:
    """Return a complete event."""
    return {"name": name, "ph": "X", "pid": 0, "tid": tid, "ts": ts, "dur": dur}


def flow(phase: str, ts: float, number: int = 1) -> dict[str, Any]:
    """Return one end of a flow."""
    return {"name": "ends", "cat": "c", "ph": phase, "pid": 0, "tid": 0, "ts": ts, "id": number}


HEAD = [
    {"name": "process_name", "ph": "M", "pid": 0, "tid": 0, "args": {"name": "p"}},
    {"name": "thread_name", "ph": "M", "pid": 0, "tid": 0, "args": {"name": "t"}},
]
BROKEN: list[tuple[Any, str]] = [
    ([], "no traceEvents list"),
    ([3], "event 2 is no object"),
    ([span("a", -1, 2)], "event 2: ts is -1, no time"),
    ([{"name": "a", "ph": "X", "pid": 0, "tid": 0, "ts": 1}], "event 2: dur is None, no time"),
    ([{**span("a", 0, 1), "ph": "Q"}], "event 2: phase 'Q' is none that is written"),
    ([{**span("a", 0, 1), "tid": "0"}], "event 2: tid is no integer"),
    (
        [{"name": "colour", "ph": "M", "pid": 0, "tid": 0, "args": {"name": "x"}}],
        "event 2: metadata that names nothing",
    ),
    ([HEAD[1]], "thread_name of 0/0 stands twice"),
    ([span("a", 0, 1, tid=7)], "thread_name of 0/7 is missing"),
    ([span("a", 0, 5), span("b", 3, 4)], "0/0: 'b' at 3 overlaps the end of another"),
    ([span("a", 6, 1), span("b", 0, 4)], "0/0: not in the order of time"),
    ([span("a", 0, 5), flow("s", 1)], "flow ends 1: found ['s'], expected one start and one end"),
    ([span("a", 0, 5), flow("s", 4), flow("f", 2)], "flow ends 1: ends before it starts"),
    ([span("a", 0, 5), flow("s", 1), flow("f", 9)], "flow ends 1: f at 9 is on no span"),
]


@pytest.mark.parametrize(("events", "expected"), BROKEN, ids=[line for _, line in BROKEN])
def test_rules_name_what_is_broken(events: Any, expected: str) -> None:
    document = {"traceEvents": [*HEAD, *events]} if events else events
    assert problems(document) == [expected]


def test_rules_let_nested_spans_and_paired_flows_pass() -> None:
    events = [*HEAD, span("a", 0, 5), span("b", 1, 4), span("c", 5, 1), flow("s", 1), flow("t", 2), flow("f", 6)]
    assert problems({"traceEvents": events}) == []
