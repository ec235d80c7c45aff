"""What a launch takes of the stream's own time: bursts between CUDA events, all of about the same length.

On an idle GPU the first event is over long before the first launch of a burst arrives, 20 to 60 us on the machines
seen, and what that launch finds in the caches for instructions and addresses is another kernel's. In a burst of ten
short launches that made 2 to 10 us each. So a kernel that only waits is queued in front, and one launch that is not
counted; and a burst has as many launches as take some milliseconds, the copy's as a short kernel's.
What the host takes for a launch is `launch.py`'s to measure.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import warpbridge as wb

BURST_S = 0.006
"""What a burst takes about; at least one launch, at most MOST."""
MOST = 200
WAIT_CLOCKS = 1_000_000
"""Half a millisecond: the host is ahead by as much."""
WAIT = f"""
.version 7.0
.target sm_80
.address_size 64
.visible .entry wait()
{{
  .reg .b64 %start, %now;
  .reg .pred %early;
  mov.u64 %start, %clock64;
again:
  nanosleep.u32 200;
  mov.u64 %now, %clock64;
  sub.u64 %now, %now, %start;
  setp.lt.u64 %early, %now, {WAIT_CLOCKS};
  @%early bra again;
  ret;
}}
"""


@functools.cache
def waiting() -> Any:
    """Return the kernel that waits, bound to one warp."""
    return wb.load(WAIT).entries["wait"].bind(1, 32, ())


def burst_s(run: Callable[[], Any], count: int) -> float:
    """Seconds per launch in a burst of so many on CuPy's current stream, behind one that is not counted."""
    import cupy as cp  # here, so that async_cost.py needs PyTorch alone

    start, end = cp.cuda.Event(), cp.cuda.Event()
    waiting().launch(cp.cuda.get_current_stream())
    run()
    start.record()
    for _ in range(count):
        run()
    end.record()
    end.synchronize()
    return float(cp.cuda.get_elapsed_time(start, end)) / 1e3 / count


def count_of(seconds: float) -> int:
    """Return how many launches of so many seconds make a burst."""
    return max(1, min(MOST, math.floor(BURST_S / seconds)))
