"""Deadlines and signals on a GPU, with a kernel that looks at nothing: it ends by itself, by the clock."""

from __future__ import annotations

import gc
import re
import time
import weakref

import numpy as np
import pytest
import warpbridge as wb

pytestmark = pytest.mark.gpu

# Runs for so many nanoseconds, then writes 7.
STUBBORN = """
.version 7.8
.target sm_80
.address_size 64
.visible .entry stubborn(.param .u64 y, .param .u64 nanoseconds)
{
    .reg .pred %p0;
    .reg .b32 %r0;
    .reg .b64 %rd<5>;
    ld.param.u64 %rd0, [y];
    ld.param.u64 %rd1, [nanoseconds];
    mov.u64 %rd2, %globaltimer;
again:
    mov.u64 %rd3, %globaltimer;
    sub.u64 %rd4, %rd3, %rd2;
    setp.lt.u64 %p0, %rd4, %rd1;
    @%p0 bra again;
    mov.u32 %r0, 7;
    st.global.u32 [%rd0], %r0;
    ret;
}
"""


def test_kernel_that_does_not_stop_keeps_its_arrays_and_the_error_says_so(library) -> None:
    stubborn = wb.load(STUBBORN).entries["stubborn"]
    y = library.array(np.zeros(1, np.uint32))
    stubborn(1, 1, [y, 0])
    gone = weakref.ref(y)
    start = time.monotonic()
    with pytest.raises(wb.LaunchTimeout) as caught:
        stubborn(1, 1, [y, 6_000_000_000], timeout=0.2)
    assert 0.7 <= time.monotonic() - start < 30  # the deadline, and half a second to stop
    text = re.sub(r"after \d+\.\d{3} s", "after T s", str(caught.value))
    assert re.sub(r"stream \w+:", "stream S:", text) == (
        "stubborn on cuda:0, stream S: not finished after T s, expected at most 0.200 s; the kernel did not stop when "
        "asked: it stays on the device, and its arrays stay in use, until it ends; its arguments were "
        "y uint32 (1,), nanoseconds = 6000000000"
    )
    assert caught.value.still_running is True
    del y, caught
    gc.collect()
    assert gone() is not None
    deadline = time.monotonic() + 10
    while gone() is not None and time.monotonic() < deadline:
        time.sleep(0.05)
        gc.collect()
    assert gone() is None


def test_learned_call_is_stopped_by_its_deadline(library) -> None:
    x = library.array(np.zeros(1000, np.float32))
    for _ in range(3):
        with pytest.raises(wb.LaunchTimeout) as caught:
            wb.kernels.deadlock_demo(x, timeout=0.2)
        assert caught.value.still_running is False


def test_learned_launches_see_other_arrays_streams_and_layouts(library) -> None:
    streams = [library.stream() for _ in range(2)]
    for n in (1000, 999, 1000, 64):
        for stream in streams:
            host = np.random.default_rng(n).standard_normal(n, dtype=np.float32)
            x, y = library.array(host), library.array(np.zeros_like(host))
            wb.device("cuda:0").synchronize()
            assert wb.kernels.scale.launch(x, 2.0, out=y, stream=stream) is y
            z = wb.kernels.scale.launch(y, 1.0, 1.0, stream=stream)
            library.synchronize(stream)
            np.testing.assert_array_equal(library.numpy(z), 2 * host + 1)
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale.launch(x[::2], 2.0, out=y[:32], stream=streams[0])
    assert str(caught.value) == (
        "scale: argument 1 (x) has strides (2,), expected a C-contiguous array of shape (32,); "
        "make a contiguous copy first"
    )


def test_learned_launch_is_captured_and_replayed(library) -> None:
    host = np.linspace(-1, 1, 1000, dtype=np.float32)
    x, y = library.array(host), library.array(np.zeros_like(host))
    stream = library.stream()
    for _ in range(3):
        wb.kernels.scale.launch(x, 5.0, out=y, stream=stream)
    replay = library.capture(stream, lambda: wb.kernels.scale.launch(x, 5.0, out=y, stream=stream))
    x[:] = library.array(host + 1)
    y[:] = 0
    wb.device("cuda:0").synchronize()
    replay()
    library.synchronize(stream)
    np.testing.assert_array_equal(library.numpy(y), 5 * (host + 1))
