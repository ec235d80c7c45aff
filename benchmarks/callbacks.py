"""How long after a kernel has ended on the device its callback runs.

    python benchmarks/callbacks.py [--markdown FILE]    on a GPU
    python benchmarks/callbacks.py --cpu                the CPU device, without a GPU

A kernel of one thread runs for a random time and, as its last act, writes %globaltimer to host memory; the callback
reads the host's clock. Before each try the two clocks are compared: a kernel answers the host's words with its timer,
and the fastest answer of eight says how they differ, to about a microsecond. (The CPU device would call that kernel a
livelock; there a launch and its end enclose the timer.) Idle, beside eight threads that compute in NumPy (mostly
without the GIL), and beside eight that run Python code only (always wanting the GIL).
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import warpbridge as wb
from places import Cpu, Gpu, title

THREADS = 8
PINGS = 8
LENGTHS_US = (20, 3000)
TRIES = 1000
BUDGET_S = 12.0

PTX = """
.version 7.8
.target sm_80
.address_size 64

.visible .entry late(.param .u64 anchor, .param .u64 words, .param .u64 nanoseconds)
{
    .reg .pred %p0;
    .reg .b64 %rd<5>;
    ld.param.u64 %rd0, [words];
    ld.param.u64 %rd1, [nanoseconds];
    mov.u64 %rd2, %globaltimer;
again:
    mov.u64 %rd3, %globaltimer;
    sub.u64 %rd4, %rd3, %rd2;
    setp.lt.u64 %p0, %rd4, %rd1;
    @%p0 bra again;
    mov.u64 %rd3, %globaltimer;
    st.volatile.global.u64 [%rd0+16], %rd3;
    ret;
}

.visible .entry echo(.param .u64 anchor, .param .u64 words, .param .u64 pings)
{
    .reg .pred %p0;
    .reg .b64 %rd<5>;
    ld.param.u64 %rd0, [words];
    ld.param.u64 %rd1, [pings];
    mov.u64 %rd2, 0;
next:
    add.u64 %rd2, %rd2, 1;
look:
    ld.volatile.global.u64 %rd3, [%rd0];
    setp.lt.u64 %p0, %rd3, %rd2;
    @%p0 bra look;
    mov.u64 %rd4, %globaltimer;
    st.volatile.global.u64 [%rd0+16], %rd4;
    membar.sys;
    st.volatile.global.u64 [%rd0+8], %rd2;
    setp.lt.u64 %p0, %rd2, %rd1;
    @%p0 bra next;
    ret;
}
"""


@dataclass
class Scene:
    """What runs beside the launches, and the latencies seen, in microseconds."""

    name: str
    work: Callable[[threading.Event], None] | None
    latencies: list[float] = field(default_factory=list)


class Clocks:
    """Words for the host's number, the device's number and the device's time; and the kernels that use them."""

    def __init__(self, place: Any) -> None:
        module = wb.load(PTX)
        self.late, self.echo = module.entries["late"], module.entries["echo"]
        self.array, self.address, self.anchor = place.words(3)
        self.words = memoryview(self.array).cast("B").cast("Q")
        self.stream = place.stream
        self.offset_ns = self._enclosed if place.name == "cpu" else self._echoed

    def _enclosed(self) -> float:
        """Return what to add to the device's time to have the host's, from short launches."""
        found = []
        for _ in range(PINGS):
            start = time.perf_counter_ns()
            self.late(1, 1, [self.anchor, self.address, 0], stream=self.stream)
            end = time.perf_counter_ns()
            found.append((end - start, (start + end) / 2 - self.words[2]))
        return min(found)[1]

    def _echoed(self) -> float:
        """Return the same from a kernel that answers."""
        self.words[0] = self.words[1] = 0
        pending = self.echo.submit(1, 1, [self.anchor, self.address, PINGS], stream=self.stream)
        found = []
        for ping in range(1, PINGS + 1):
            start = time.perf_counter_ns()
            self.words[0] = ping
            while self.words[1] != ping:
                if pending.done():
                    pending.result()
            end = time.perf_counter_ns()
            found.append((end - start, (start + end) / 2 - self.words[2]))
        pending.result()
        return min(found)[1]

    def latency_us(self, length_us: int) -> float:
        """Return the time from a kernel's end to its callback."""
        offset = self.offset_ns()
        called: list[int] = []
        arguments = [self.anchor, self.address, 1000 * length_us]
        pending = self.late.submit(
            1, 1, arguments, stream=self.stream, on_done=lambda _: called.append(time.perf_counter_ns())
        )
        pending.result()
        while not called:  # the result comes before the callback
            time.sleep(1e-4)
        return (called[0] - self.words[2] - offset) / 1000


def numpy_work(stop: threading.Event) -> None:
    a = np.random.default_rng(1).standard_normal((128, 128))
    while not stop.is_set():
        a = np.tanh(a @ a)


def python_work(stop: threading.Event) -> None:
    while not stop.is_set():
        sum(len(str(number)) for number in range(1000))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cpu", action="store_true", help="measure the CPU device")
    parser.add_argument("--tries", type=int, default=TRIES, help="launches per scene")
    parser.add_argument("--markdown", type=Path, help="also write the table there")
    options = parser.parse_args()
    place: Any = Cpu() if options.cpu else Gpu()
    scenes = [
        Scene("idle", None),
        Scene(f"{THREADS} threads in NumPy", numpy_work),
        Scene(f"{THREADS} threads in Python code", python_work),
    ]
    clocks = Clocks(place)
    for _ in range(10):
        clocks.latency_us(LENGTHS_US[0])
    for scene in scenes:
        measure(scene, clocks, options.tries)
    text = heading(place) + table(scenes)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    return 0


def measure(scene: Scene, clocks: Clocks, tries: int) -> None:
    """Fill the latencies, at most for the budget."""
    stop, choose = threading.Event(), random.Random(2)
    threads = [] if scene.work is None else [threading.Thread(target=scene.work, args=(stop,)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + BUDGET_S
    try:
        while len(scene.latencies) < tries and time.monotonic() < deadline:
            scene.latencies.append(clocks.latency_us(choose.randint(*LENGTHS_US)))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def heading(place: Any) -> str:
    return title(
        "From a kernel's end to its callback",
        place,
        [] if place.name == "cpu" else ["cupy-cuda13x"],
        f"Kernels of {LENGTHS_US[0]} to {LENGTHS_US[1]} us, one at a time. Made by `benchmarks/callbacks.py`.",
    )


def table(scenes: list[Scene]) -> str:
    """Return the scenes as Markdown."""
    lines = ["| beside it | launches | p50 us | p90 us | p99 us | most |", "|---|---|---|---|---|---|"]
    for scene in scenes:
        p50, p90, p99, most = np.percentile(scene.latencies, [50, 90, 99, 100])
        lines.append(f"| {scene.name} | {len(scene.latencies)} | {p50:.1f} | {p90:.1f} | {p99:.1f} | {most:.0f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
