"""Sixteen threads at once: one kernel, each with its own arrays; loading and dropping; one shared bound launch."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb

THREADS = 16
SAXPY = Path(__file__).parent.parent / "examples" / "saxpy.ptx"


@pytest.fixture(autouse=True)
def impatient_threads():
    """Switch threads as often as the interpreter can, so that races show."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(work: Callable[[int], None], threads: int = THREADS) -> None:
    """Run ``work(number)`` in each thread, all starting at once, and raise what the first of them raises."""
    barrier, failures = threading.Barrier(threads), []

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    started = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(60)
    assert not any(thread.is_alive() for thread in started)
    if failures:
        raise failures[0]


@pytest.mark.parametrize("how", ["blocking", "submit", "launch"])
def test_sixteen_threads_launch_one_kernel_on_their_own_arrays(how: str) -> None:
    kernel = wb.kernels.scale

    def work(number: int) -> None:
        stream = wb.device("cpu").stream() if how == "launch" else None
        for turn in range(10):
            x = np.arange(number + turn, number + turn + 500, dtype=np.float32)
            if how == "blocking":
                y = kernel(x, 2.0, float(number))
            elif how == "submit":
                y = kernel.submit(x, 2.0, float(number)).result(timeout=60)
            else:
                y = kernel.launch(x, 2.0, float(number), stream=stream)
                stream.synchronize()
            np.testing.assert_array_equal(y, 2 * x + number)

    together(work)


def test_threads_share_a_bound_launch_on_different_streams() -> None:
    x, y = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
    bound = wb.kernels.scale.bind(x, 2.0, out=y)

    def work(number: int) -> None:
        stream = wb.device("cpu").stream()
        for _ in range(20):
            bound.launch(stream)
        stream.synchronize()

    together(work)
    np.testing.assert_array_equal(y, 2 * x)


def test_modules_are_loaded_and_dropped_beside_launches() -> None:
    text, manifest = SAXPY.read_text(), SAXPY.with_suffix(".toml")
    scale = wb.kernels.scale

    def work(number: int) -> None:
        for turn in range(5):
            x, y = np.arange(100, dtype=np.float32), np.ones(100, np.float32)
            if number % 2:
                saxpy = wb.load(f"{text}// {number} {turn}\n", manifest).kernels["saxpy"]
                saxpy(x, y, float(number))
                del saxpy
                gc.collect()
                np.testing.assert_array_equal(y, number * x + 1)
            else:
                np.testing.assert_array_equal(scale(x, float(number)), number * x)

    together(work)


def test_first_use_of_a_kernel_and_a_module_is_one_object_for_all_threads() -> None:
    module = wb.load(SAXPY)
    seen: list[tuple[int, int]] = []
    together(lambda _: seen.append((id(module.kernels["saxpy"]), id(module.entries["saxpy"]))))
    assert len(set(seen)) == 1


def test_streams_come_and_go_while_the_device_is_synchronised() -> None:
    cpu, x = wb.device("cpu"), np.ones(16, np.float32)

    def work(number: int) -> None:
        for _ in range(15):
            if number % 4:
                wb.kernels.scale.launch(x, 2.0, stream=cpu.stream())
            else:
                cpu.synchronize()

    together(work)
    cpu.synchronize()
