"""Faults, cancels, timeouts and callbacks, mixed for minutes: memory, handles and threads must be where they were.

    python benchmarks/soak.py [--cpu] [--seconds 300] [--threads 4]

On the CPU device the faults are real (out of bounds); on a GPU the mix has those that leave the context alive
(cancels, timeouts, refused launches). Exits with 1 and says what has grown where something has.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import warpbridge as wb

STEPS = Path(__file__).parent.parent / "tests" / "data" / "steps.ptx"
WARM_S = 3.0
MORE_KIB = 16 * 1024
"""What a process may grow by in a run: the allocators' slack, not launches."""


class Soak:
    """One run: threads that launch at random, and the count of each way a launch ended."""

    def __init__(self, on_cpu: bool) -> None:
        module = wb.load(STEPS)
        self.steps, self.outside = module.kernels["steps"], module.entries["outside"]
        self.on_cpu = on_cpu
        self.library: Any = np if on_cpu else importlib.import_module("cupy")
        self.ended: Counter[str] = Counter()
        self.called: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.kinds = [self.blocking, self.ordered, self.callback, self.cancelled, self.timed_out, self.refused]
        if on_cpu:
            self.kinds.append(self.fault)

    def run(self, seconds: float, threads: int) -> None:
        """Launch from so many threads for so long, then wait for everything."""
        until = time.monotonic() + seconds
        workers = [threading.Thread(target=self._work, args=(until, number)) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        wb.device("cpu" if self.on_cpu else "cuda:0").synchronize()
        deadline = time.monotonic() + 20
        while self.called["expected"] != self.called["seen"] and time.monotonic() < deadline:
            time.sleep(0.01)

    def _work(self, until: float, seed: int) -> None:
        choose = random.Random(seed)
        while time.monotonic() < until:
            kind = choose.choice(self.kinds)
            try:
                kind()
                how = kind.__name__
            except wb.WarpbridgeError as error:
                how = f"{kind.__name__}: {type(error).__name__}"
            with self.lock:
                self.ended[how] += 1

    def array(self, count: int) -> Any:
        """Return an array where this run runs."""
        return self.library.zeros(count, np.int32)

    def blocking(self) -> None:
        """Call and check."""
        y = self.array(20)
        self.steps(y, 3)
        assert (y == self.library.arange(20)).all()

    def ordered(self) -> None:
        """Queue, on the current stream."""
        self.steps.launch(self.array(20), 3)

    def callback(self) -> None:
        """Submit with a callback that launches again."""
        with self.lock:
            self.called["expected"] += 1
        self.steps.submit(self.array(20), 3, on_done=self._done).result(timeout=60)

    def _done(self, _: Any) -> None:
        self.steps(self.array(4))
        with self.lock:
            self.called["seen"] += 1

    def cancelled(self) -> None:
        """Cancel at once or while it runs."""
        pending = self.steps.submit(self.array(100_000), 20_000)
        time.sleep(random.random() * 0.01)
        pending.cancel()
        pending.result(timeout=60)

    def timed_out(self) -> None:
        """Run into a deadline."""
        self.steps(self.array(100_000), 20_000, timeout=0.01)

    def refused(self) -> None:
        """Pass what no check lets through."""
        self.steps(self.array(4).astype(np.float32))

    def fault(self) -> None:
        """Write out of bounds."""
        self.outside(1, 1, [self.array(4), 64])


def facts() -> dict[str, int]:
    """Return what must not grow: memory in KiB, handles, threads."""
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return {
        "memory_kib": int(resident.split()[1]),
        "handles": len(list(Path("/proc/self/fd").iterdir())),
        "threads": len(list(Path("/proc/self/task").iterdir())),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--threads", type=int, default=4)
    arguments = parser.parse_args()
    soak = Soak(arguments.cpu)
    soak.run(WARM_S, arguments.threads)
    time.sleep(0.5)
    before = facts()
    soak.run(arguments.seconds, arguments.threads)
    time.sleep(0.5)
    after = facts()
    for how, count in sorted(soak.ended.items()):
        print(f"{count:8d} {how}")
    grown = [name for name, now in after.items() if now > before[name] + (MORE_KIB if name == "memory_kib" else 0)]
    for name, now in after.items():
        print(f"{name}: {before[name]} before, {now} after")
    lost = soak.called["expected"] - soak.called["seen"]
    print(f"callbacks: {soak.called['expected']} expected, {soak.called['seen']} seen")
    print("grown: " + (", ".join(grown) or "nothing"))
    return 1 if grown or lost else 0


if __name__ == "__main__":
    sys.exit(main())
