"""The three call styles on the CPU device: results, callbacks, progress, timeouts, cancellation, Ctrl-C, life times."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb
from until import until
from warpbridge.kernel import Kernel

DATA = Path(__file__).parent / "data"
SLOW = 20_000  # idle iterations per element: some milliseconds


@pytest.fixture(scope="module")
def steps() -> Kernel:
    return wb.load(DATA / "steps.ptx").kernels["steps"]


@pytest.fixture(scope="module")
def gate() -> Kernel:
    return wb.load(DATA / "gate.ptx").kernels["gate"]


@pytest.fixture
def x() -> np.ndarray:
    return np.linspace(-1, 1, 1003, dtype=np.float32)


def test_call_returns_a_new_array_of_the_callers_library(x: np.ndarray) -> None:
    y = wb.kernels.scale(x, 2.0, 1.0)
    assert type(y) is np.ndarray
    np.testing.assert_array_equal(y, 2 * x + 1)


def test_call_returns_the_output_it_was_given(x: np.ndarray) -> None:
    y = np.empty_like(x)
    assert wb.kernels.scale(x, 2.0, out=y) is y
    np.testing.assert_array_equal(y, 2 * x)


def test_call_by_keyword(x: np.ndarray) -> None:
    np.testing.assert_array_equal(wb.kernels.scale(b=1, a=2, x=x), 2 * x + 1)


def test_call_in_place(x: np.ndarray) -> None:
    expected = 2 * x
    wb.kernels.scale(x, 2.0, out=x)
    np.testing.assert_array_equal(x, expected)


def test_call_of_a_kernel_without_outputs_returns_none(steps: Kernel) -> None:
    y = np.zeros(5, np.int32)
    assert steps(y) is None
    np.testing.assert_array_equal(y, np.arange(5))


def test_call_on_nothing_does_nothing() -> None:
    assert wb.kernels.scale(np.empty((0, 3), np.float32), 2.0).shape == (0, 3)


def test_submit_gives_a_future_with_the_output(x: np.ndarray) -> None:
    pending = wb.kernels.scale.submit(x, 2.0, 1.0)
    assert isinstance(pending, concurrent.futures.Future)
    y = pending.result(timeout=60)
    np.testing.assert_array_equal(y, 2 * x + 1)
    assert pending.result() is y
    assert pending.exception() is None
    assert (pending.done(), pending.running(), pending.cancelled()) == (True, False, False)
    assert pending.progress == 1.0
    assert repr(pending) == "<Pending scale: finished>"


def test_submit_works_with_concurrent_futures_and_asyncio(x: np.ndarray) -> None:
    several = [wb.kernels.scale.submit(x, float(a)) for a in range(8)]
    assert concurrent.futures.wait(several, timeout=60).not_done == set()
    for a, pending in enumerate(several):
        np.testing.assert_array_equal(pending.result(), a * x)

    async def main() -> np.ndarray:
        return await asyncio.wrap_future(wb.kernels.scale.submit(x, 3.0))

    np.testing.assert_array_equal(asyncio.run(main()), 3 * x)


def test_callback_runs_once_with_the_finished_pending_on_another_thread(x: np.ndarray) -> None:
    calls: list[tuple[object, bool, str]] = []
    called = threading.Event()

    def on_done(pending: object) -> None:
        calls.append((pending, pending.done(), threading.current_thread().name))
        called.set()

    pending = wb.kernels.scale.submit(x, 2.0, on_done=on_done)
    assert called.wait(60)
    assert calls == [(pending, True, "warpbridge-dispatcher")]


def test_callback_may_launch_again(x: np.ndarray) -> None:
    results: list[np.ndarray] = []
    called = threading.Event()

    def on_done(pending: wb.Pending) -> None:
        results.append(wb.kernels.scale(pending.result(), 10.0))
        called.set()

    wb.kernels.scale.submit(x, 2.0, on_done=on_done)
    assert called.wait(60)
    np.testing.assert_array_equal(results[0], 10 * (2 * x))


def test_exception_in_a_callback_goes_to_unraisablehook_and_nothing_else_suffers(
    x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[BaseException] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda facts: seen.append(facts.exc_value))
    called = threading.Event()

    def broken(pending: object) -> None:
        raise RuntimeError("mine")

    pending = wb.kernels.scale.submit(x, 2.0, on_done=broken)
    pending.add_done_callback(lambda _: called.set())
    assert called.wait(60)
    np.testing.assert_array_equal(pending.result(), 2 * x)
    assert [str(error) for error in seen] == ["mine"]


BROKEN_CALLBACK = """
import numpy as np
import warpbridge as wb

class Broken:
    def __call__(self, pending):
        raise RuntimeError("mine")
    def __repr__(self):
        return "<Broken>"

pending = wb.kernels.scale.submit(np.ones(8, np.float32), 2.0, on_done=Broken())
print(pending.result(timeout=60))
"""


def test_exception_in_a_callback_is_shown_by_pythons_own_hook(run_python) -> None:
    found = run_python(BROKEN_CALLBACK)
    first, *trace, last = found.stderr.splitlines()
    assert (found.returncode, found.stdout) == (0, "[2. 2. 2. 2. 2. 2. 2. 2.]\n")
    assert (first, last) == ("Exception ignored in a warpbridge callback: <Broken>", "RuntimeError: mine")
    assert trace[0] == "Traceback (most recent call last):"
    assert not any("During handling" in line for line in trace)


def test_progress_rises_while_the_kernel_runs(steps: Kernel) -> None:
    seen: list[float] = []
    pending = steps.submit(np.zeros(100_000, np.int32), SLOW)
    while len({share for share in seen if share > 0.0}) < 3 and not pending.done():
        seen.append(pending.progress)
        time.sleep(0.005)
    assert pending.cancel()
    assert all(0.0 <= share < 1.0 for share in seen)
    assert seen == sorted(seen)


def test_timeout_stops_a_blocking_call(steps: Kernel) -> None:
    y = np.full(100_000, -1, np.int32)
    start = time.monotonic()
    with pytest.raises(wb.LaunchTimeout) as caught:
        steps(y, SLOW, timeout=0.2)
    assert time.monotonic() - start >= 0.2
    assert isinstance(caught.value, TimeoutError)
    assert str(caught.value).startswith("steps on cpu, stream 0: not finished after 0.")
    assert str(caught.value).endswith(
        "expected at most 0.200 s; the kernel was stopped; raise timeout if it needs longer; "
        "its arguments were y int32 (100000,), rounds = 20000"
    )
    assert (caught.value.kernel, caught.value.timeout_s) == ("steps", pytest.approx(0.2))
    assert 0 < (y >= 0).sum() < y.size


def test_timeout_of_a_submitted_launch_is_its_exception(steps: Kernel) -> None:
    pending = steps.submit(np.zeros(100_000, np.int32), SLOW, timeout=0.1)
    assert isinstance(pending.exception(timeout=60), wb.LaunchTimeout)
    assert not pending.cancelled()
    with pytest.raises(wb.LaunchTimeout):
        pending.result()


def test_timeout_ends_ptx_that_never_looks() -> None:
    spin = wb.load(DATA / "steps.ptx").entries["spin"]
    with pytest.raises(wb.LaunchTimeout):
        spin(1, 1, [np.zeros(1, np.uint32)], timeout=0.1)


def test_waiting_with_a_limit_leaves_the_kernel_running(gate: Kernel) -> None:
    y, shut = np.zeros(100, np.int32), np.zeros(2, np.int32)
    pending = gate.submit(shut, y)
    with pytest.raises(concurrent.futures.TimeoutError):
        pending.result(timeout=0.01)
    shut[0] = 1
    assert pending.result(timeout=60) is None
    np.testing.assert_array_equal(y, np.arange(100))


def test_cancel_stops_a_running_kernel(steps: Kernel) -> None:
    y = np.full(100_000, -1, np.int32)
    pending = steps.submit(y, SLOW)
    while pending.progress == 0.0:
        time.sleep(0.001)
    assert pending.running()
    assert pending.cancel()
    with pytest.raises(wb.LaunchCancelled) as caught:
        pending.result(timeout=60)
    assert isinstance(caught.value, concurrent.futures.CancelledError)
    assert str(caught.value).startswith("steps on cpu, stream 0: cancelled after 0.")
    assert pending.cancelled()
    assert not pending.cancel()
    assert repr(pending) == "<Pending steps: LaunchCancelled>"
    assert 0 < (y >= 0).sum() < y.size


def test_fault_of_a_kernel_is_its_exception() -> None:
    outside = wb.load(DATA / "steps.ptx").entries["outside"]
    y = np.zeros(4, np.uint32)
    for call in (lambda: outside(1, 1, [y, 64]), lambda: outside.submit(1, 1, [y, 64]).result(timeout=60)):
        with pytest.raises(wb.MemoryFault) as caught:
            call()
        assert str(caught.value) == (
            'outside: out-of-bounds write in "outside": 4 bytes at offset 64 of "y", which has 16 bytes\n'
            "  warp 0, lane 0, thread block (0, 0, 0), line 69: st.global.u32 [%rd0], %r0"
        )
        assert (caught.value.kernel, caught.value.array, caught.value.offset) == ("outside", "y", 64)
        assert (caught.value.line, caught.value.instruction) == (69, "st.global.u32 [%rd0], %r0")
        assert caught.value.address == y.ctypes.data + 64
    outside(1, 1, [y, 4])
    assert y.tolist() == [0, 4, 0, 0]


DEADLOCK = """\
deadlock_demo: deadlock in "deadlock_demo", thread block (0, 0, 0): every role waits and nothing is in flight
  role producer (warp 0) waits on the mbarrier at shared+8, parity 0
    line N: mbarrier.try_wait
    phase 0: 1 of 1 arrivals missing; last arrival: none
  role consumer (warp 1) waits on the mbarrier at shared+0, parity 0
    line N: mbarrier.try_wait
    phase 0: 1 of 1 arrivals missing; last arrival: none"""


@pytest.mark.parametrize("schedule", ["eager", "latest", "seeded"])
def test_deadlock_names_who_waits_for_what(x: np.ndarray, schedule: str) -> None:
    with wb.cpu(schedule=schedule, seed=1), pytest.raises(wb.DeadlockError) as caught:
        wb.kernels.deadlock_demo(x, arch="sm_90", timeout=30.0)
    assert re.sub(r"line \d+: mbarrier.try_wait.*", "line N: mbarrier.try_wait", str(caught.value)) == DEADLOCK
    assert [wait["role"] for wait in caught.value.waits] == ["producer", "consumer"]


def test_bound_launches_again_and_again(x: np.ndarray) -> None:
    y = np.empty_like(x)
    bound = wb.kernels.scale.bind(x, 2.0, 1.0, out=y)
    assert repr(bound) == "<Bound scale on cpu>"
    assert bound.device is wb.device("cpu")
    for start in (0.0, 1.0):
        x[:] = start
        assert bound() is y
        assert (y == 2 * start + 1).all()
    x[:] = 2
    assert bound.submit().result(timeout=60) is y
    assert (y == 5).all()
    x[:] = 3
    stream = wb.device("cpu").stream()
    assert bound.launch(stream) is y
    stream.synchronize()
    assert (y == 7).all()


def test_bound_keeps_its_arrays() -> None:
    bound = wb.kernels.scale.bind(np.ones(1000, np.float32), 2.0)
    gc.collect()
    assert (bound() == 2).all()


def test_pending_keeps_its_arrays_and_lets_them_go(gate: Kernel) -> None:
    y, shut = np.zeros(100, np.int32), np.zeros(2, np.int32)
    gone = weakref.ref(y)
    pending = gate.submit(shut, y)
    del y
    gc.collect()
    assert gone() is not None
    shut[0] = 1
    pending.result(timeout=60)
    assert until(lambda: gone() is None)


def test_many_threads_call_at_once(x: np.ndarray) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda a: wb.kernels.scale(x, float(a)), range(40)))
    for a, y in enumerate(results):
        np.testing.assert_array_equal(y, a * x)


INTERRUPTED = f"""
import sys, threading, time, numpy as np, warpbridge as wb
steps = wb.load({str(DATA / "steps.ptx")!r}).kernels["steps"]
y = np.full(1_000_000, -1, np.int32)

def watch():
    while y[0] < 0:
        time.sleep(0.001)
    print("running", flush=True)

threading.Thread(target=watch, daemon=True).start()
try:
    steps(y, {SLOW})
except KeyboardInterrupt:
    count = (y >= 0).sum()
    time.sleep(0.1)
    print("stopped", count > 0, count == (y >= 0).sum(), (wb.kernels.scale(np.ones(3, "f4"), 2.0) == 2).all())
"""


def test_ctrl_c_stops_a_blocking_call() -> None:
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert output == "stopped True True True\n"
    assert process.returncode == 0


@pytest.mark.parametrize(
    "launch",
    [
        'pending = steps.submit(y, 1000000, on_done=lambda p: print("ended", type(p.exception()).__name__))',
        "steps.launch(np.zeros(20, np.int32), 20000)",
        "import threading; threading.Thread(target=steps, args=(y, 1000000), daemon=True).start()",
    ],
    ids=["submit", "launch", "daemon thread"],
)
def test_interpreter_exits_cleanly_with_launches_in_flight(run_python, launch: str) -> None:
    program = f"""
import numpy as np, warpbridge as wb
steps = wb.load({str(DATA / "steps.ptx")!r}).kernels["steps"]
y = np.zeros(1_000_000, np.int32)
{launch}
print("leaving")
"""
    process = run_python(program)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout in ("leaving\n", "leaving\nended LaunchCancelled\n")
