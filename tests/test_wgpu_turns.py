"""Transfers of wgpu buffers that begin in the middle of others: other threads wait, the same one cannot.

A signal handler or a finalizer may run between any two steps of a transfer and call kernels on buffers of the same wgpu
device. Here a step calls one itself.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import warpbridge as wb
from warpbridge.adapters.wgpu import hostcopy, staging
from wgpu_device import Views, new_device, read

scale = wb.kernels.scale


@pytest.fixture(scope="module")
def views() -> Views:
    return Views("staged", new_device())


@pytest.fixture
def in_time() -> Iterator[None]:
    """Raise in the test, instead of waiting for ever, if it takes a minute."""

    def late(*_: Any) -> None:
        raise TimeoutError("the test takes longer than a minute")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def with_work(work: Callable[[], Any], number: int, original: Callable[..., Any]) -> Callable[..., Any]:
    """Return `original` with `work` done in front of its call of this number, and in front of no other."""
    numbers = itertools.count()

    def both(*arguments: Any) -> Any:
        if next(numbers) == number:
            work()
        return original(*arguments)

    return both


@pytest.mark.parametrize("copies_before", [0, 1], ids=["reading", "writing"])
def test_transfer_inside_another_one_leaves_both_right(
    views: Views, monkeypatch: pytest.MonkeyPatch, in_time: None, copies_before: int
) -> None:
    values = np.arange(5000, dtype=np.float32)
    outer, inner = views(values), views(2 * values)
    for view in (outer, inner):
        scale(view, 1.0, 0.0, out=view)  # the staging buffers are there
    copy = with_work(lambda: scale(inner, 10.0, 0.0, out=inner), copies_before, hostcopy.host_copy)
    monkeypatch.setattr(staging, "host_copy", copy)
    scale(outer, 3.0, 0.0, out=outer)
    np.testing.assert_array_equal(read(outer.buffer), 3 * values)
    np.testing.assert_array_equal(read(inner.buffer), 20 * values)
    scale(outer, 1.0, 0.0, out=outer)
    np.testing.assert_array_equal(read(outer.buffer), 3 * values)
