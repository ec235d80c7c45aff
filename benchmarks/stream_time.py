"""What a launch takes of the stream's own time: bursts between CUDA events, queued behind a kernel that waits.

On an idle GPU the first event is over long before the first launch of a burst arrives, 20 to 60 us on the machines
seen, and a burst of ten short launches then counts 2 to 6 us of the host's time each. So a kernel that only waits is
queued in front: when it ends the whole burst is there, and what lies between the events is the GPU's work.
What the host takes for a launch is `launch.py`'s to measure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import warpbridge as wb

WAIT_CLOCKS = 1_000_000
"""Half a millisecond: more than the host takes to queue the longest burst of ours."""
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
    """Seconds per launch in a burst of so many on CuPy's current stream."""
    import cupy as cp  # here, so that async_cost.py needs PyTorch alone

    start, end = cp.cuda.Event(), cp.cuda.Event()
    waiting().launch(cp.cuda.get_current_stream())
    start.record()
    for _ in range(count):
        run()
    end.record()
    end.synchronize()
    return float(cp.cuda.get_elapsed_time(start, end)) / 1e3 / count
