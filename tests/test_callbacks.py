"""Callbacks: once, on the dispatcher's thread, in order, with the error where there is one, and under load."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import threading
import time
import weakref
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb
from warpbridge.kernel import Kernel

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def steps() -> Kernel:
    return wb.load(DATA / "steps.ptx").kernels["steps"]


def test_callbacks_of_a_stream_come_in_launch_order_and_once_each(steps: Kernel) -> None:
    streams = [wb.device("cpu").stream() for _ in range(3)]
    seen: list[tuple[int, int]] = []
    names: set[str] = set()
    pendings = []
    for number in range(30):
        for index, stream in enumerate(streams):

            def on_done(_: object, index: int = index, number: int = number) -> None:
                seen.append((index, number))
                names.add(threading.current_thread().name)

            rounds = (29 - number) * 20  # later launches are shorter
            pendings.append(steps.submit(np.zeros(8, np.int32), rounds, stream=stream, on_done=on_done))
    for pending in pendings:
        pending.result(timeout=60)
    deadline = time.monotonic() + 60
    while len(seen) < 90 and time.monotonic() < deadline:
        time.sleep(0.01)
    for index in range(3):
        assert [number for stream, number in seen if stream == index] == list(range(30))
    assert names == {"warpbridge-dispatcher"}


def test_error_of_the_kernel_arrives_in_the_callback() -> None:
    outside = wb.load(DATA / "steps.ptx").entries["outside"]
    seen: list[BaseException | None] = []
    called = threading.Event()

    def on_done(pending: wb.Pending) -> None:
        seen.append(pending.exception())
        called.set()

    outside.submit(1, 1, [np.zeros(4, np.uint32), 64], on_done=on_done)
    assert called.wait(60)
    assert isinstance(seen[0], wb.MemoryFault)
    assert str(seen[0]).startswith('outside: out-of-bounds write in "outside": 4 bytes at offset 64 of "y"')


def test_callback_may_use_every_call_style(steps: Kernel) -> None:
    x = np.ones(100, np.float32)
    results: dict[str, float] = {}
    called = threading.Event()

    def on_done(pending: wb.Pending) -> None:
        y = pending.result()
        results["blocking"] = float(wb.kernels.scale(y, 2.0)[0])
        stream = wb.device("cpu").stream()
        z = wb.kernels.scale.launch(y, 3.0, stream=stream)
        stream.synchronize()
        results["stream"] = float(z[0])
        results["bound"] = float(wb.kernels.scale.bind(y, 4.0)()[0])
        wb.kernels.scale.submit(y, 5.0, on_done=last)

    def last(pending: wb.Pending) -> None:
        results["submit"] = float(pending.result()[0])
        called.set()

    wb.kernels.scale.submit(x, 1.0, on_done=on_done)
    assert called.wait(60)
    assert results == {"blocking": 2.0, "stream": 3.0, "bound": 4.0, "submit": 5.0}


def test_eight_threads_with_callbacks_allocations_and_collections_do_not_deadlock(steps: Kernel) -> None:
    stop = threading.Event()
    ended: Counter[int] = Counter()
    errors: list[BaseException] = []
    pendings: list[list[wb.Pending]] = [[] for _ in range(8)]

    def work(number: int) -> None:
        try:
            rng = np.random.default_rng(number)
            while not stop.is_set():
                y = np.zeros(int(rng.integers(1, 40)), np.int32)
                cycle: list[object] = [y]
                cycle.append(cycle)  # for the collector
                if rng.random() < 0.5:
                    steps(y, 5)
                    assert (y == np.arange(y.size)).all()
                else:
                    pending = steps.submit(y, 5, on_done=lambda _: ended.update([number]))
                    pendings[number].append(pending)
                    if rng.random() < 0.3:
                        pending.cancel()
                if rng.random() < 0.05:
                    gc.collect()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    while time.monotonic() - started < 3 or (sum(map(len, pendings)) < 40 and time.monotonic() - started < 60):
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert errors == []
    for pending in (p for mine in pendings for p in mine):
        assert pending.exception(timeout=60) is None or pending.cancelled()
    deadline = time.monotonic() + 60
    wanted = {number: len(mine) for number, mine in enumerate(pendings)}
    while dict(ended) != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    assert dict(ended) == wanted
    assert sum(wanted.values()) > 20


def in_callback(steps: Kernel, work) -> object:
    """Return what `work` returns or raises in a callback."""
    answers: list[object] = []
    called = threading.Event()

    def on_done(_: wb.Pending) -> None:
        try:
            answers.append(work())
        except BaseException as error:
            answers.append(error)
        called.set()

    steps.submit(np.zeros(4, np.int32), on_done=on_done)
    assert called.wait(60)
    return answers[0]


def test_callback_may_wait_for_launches_made_there_and_elsewhere(steps: Kernel) -> None:
    x = np.arange(10, dtype=np.float32)
    elsewhere = steps.submit(np.zeros(50, np.int32), 20_000, stream=wb.device("cpu").stream())
    found = in_callback(steps, lambda: (wb.kernels.scale.submit(x, 2.0).result(60), elsewhere.exception(60)))
    np.testing.assert_array_equal(found[0], 2 * x)
    assert found[1] is None


def test_wait_in_a_callback_runs_the_callbacks_of_others_in_launch_order(steps: Kernel) -> None:
    seen: list[int] = []

    def work() -> None:
        for number in range(4):
            last = steps.submit(np.zeros(4, np.int32), on_done=lambda _, number=number: seen.append(number))
        last.result(60)

    assert in_callback(steps, work) is None
    assert seen == [0, 1, 2, 3]


def test_wait_in_a_callback_ends_with_its_limit(steps: Kernel) -> None:
    long: list[wb.Pending] = []

    def work(limit: float) -> None:
        long.append(steps.submit(np.zeros(1_000_000, np.int32), 20_000))
        long[0].result(limit)

    for limit in (0, 0.05):
        assert isinstance(in_callback(steps, lambda limit=limit: work(limit)), TimeoutError)
        assert long.pop().cancel()


@pytest.mark.parametrize(
    "wait",
    [lambda p: concurrent.futures.wait([p]), lambda p: list(concurrent.futures.as_completed([p]))],
    ids=["wait", "as_completed"],
)
def test_wait_of_concurrent_futures_in_a_callback_is_refused_not_for_ever(steps: Kernel, wait) -> None:
    long: list[wb.Pending] = []

    def work() -> None:
        long.append(steps.submit(np.zeros(1_000_000, np.int32), 20_000))
        wait(long[0])

    error = in_callback(steps, work)
    assert isinstance(error, wb.LaunchError)
    assert str(error) == (
        "steps: waited for by concurrent.futures in a callback, expected result() or exception() of each Pending "
        "there: callbacks run where launches are completed"
    )
    assert error.kernel == "steps"
    long[0].cancel()
    assert len(concurrent.futures.wait(long, timeout=60).done) == 1


def test_failed_pending_is_no_cycle(steps: Kernel) -> None:
    pending = steps.submit(np.zeros(1_000_000, np.int32), 20_000)
    pending.cancel()
    gone = weakref.ref(pending)
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(wb.LaunchCancelled):
            pending.result(60)
        del pending
        deadline = time.monotonic() + 60
        while gone() is not None and time.monotonic() < deadline:
            time.sleep(0.001)  # the dispatcher lets go of it behind its callbacks
        assert gone() is None
    finally:
        gc.enable()
