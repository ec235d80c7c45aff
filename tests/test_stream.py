"""Streams of the CPU device, and every form of stream that a call accepts; CUDA streams stand in tests/gpu."""

from __future__ import annotations

import ctypes
import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb
from until import until
from warpbridge.stream import handle_of

DATA = Path(__file__).parent / "data"


@pytest.fixture
def x() -> np.ndarray:
    return np.linspace(-1, 1, 1003, dtype=np.float32)


def test_launches_on_one_stream_follow_each_other(x: np.ndarray) -> None:
    stream = wb.device("cpu").stream()
    y = x
    for _ in range(20):
        y = wb.kernels.scale.launch(y, 1.0, 1.0, stream=stream)
    stream.synchronize()
    expected = x
    for _ in range(20):
        expected = expected + np.float32(1)
    np.testing.assert_array_equal(y, expected)


def test_launch_returns_at_once_and_synchronize_waits() -> None:
    gate = wb.load(DATA / "gate.ptx").kernels["gate"]
    stream, shut = wb.device("cpu").stream(), np.zeros(2, np.int32)
    y = np.full(200, -1, np.int32)
    gate.launch(shut, y, stream=stream)
    assert y[-1] == -1
    shut[0] = 1
    stream.synchronize()
    np.testing.assert_array_equal(y, np.arange(200))


def test_blocking_call_runs_behind_earlier_launches(x: np.ndarray) -> None:
    y = wb.kernels.scale.launch(x, 2.0)
    z = wb.kernels.scale(y, 1.0, 1.0)
    np.testing.assert_array_equal(z, 2 * x + 1)


def test_stream_waits_for_another(x: np.ndarray) -> None:
    steps = wb.load(DATA / "steps.ptx").kernels["steps"]
    first, second = wb.device("cpu").stream(), wb.device("cpu").stream()
    y = np.zeros(50, np.int32)
    steps.launch(y, 20_000, stream=first)
    second.wait(first)
    copied = np.zeros(50, np.int32)
    as_floats = wb.kernels.scale.launch(y.view(np.float32), 1.0, stream=second)
    second.synchronize()
    copied = as_floats.view(np.int32)
    np.testing.assert_array_equal(copied[-10:], y[-10:])
    assert y[-1] == 49


def test_stream_waits_for_streams_only() -> None:
    stream = wb.device("cpu").stream()
    with pytest.raises(wb.ArgumentError) as caught:
        stream.wait(None)
    assert str(caught.value) == f"{stream!r}: wait for None, expected a wb.Stream on cpu"


def test_launch_keeps_its_arrays_until_it_has_run() -> None:
    gate = wb.load(DATA / "gate.ptx").kernels["gate"]
    stream, shut = wb.device("cpu").stream(), np.zeros(2, np.int32)
    y = np.zeros(100, np.int32)
    gone = weakref.ref(y)
    gate.launch(shut, y, stream=stream)
    del y
    gc.collect()
    assert gone() is not None
    shut[0] = 1
    stream.synchronize()
    assert until(lambda: gone() is None)


def test_fault_of_a_launch_comes_out_of_synchronize_once() -> None:
    outside = wb.load(DATA / "steps.ptx").entries["outside"]
    stream = wb.device("cpu").stream()
    outside.launch(1, 1, [np.zeros(4, np.uint32), 64], stream=stream)
    with pytest.raises(wb.MemoryFault):
        stream.synchronize()
    stream.synchronize()


def test_device_synchronize_waits_for_all_its_streams() -> None:
    steps = wb.load(DATA / "steps.ptx").kernels["steps"]
    cpu = wb.device("cpu")
    first, second = cpu.stream(), cpu.stream()
    ys = [np.zeros(50, np.int32) for _ in range(3)]
    for y, stream in zip(ys, (None, first, second), strict=True):
        steps.launch(y, 20_000, stream=stream)
    cpu.synchronize()
    assert [y[-1] for y in ys] == [49, 49, 49]


class Protocol:
    def __init__(self, says: object = (0, 0x1230)) -> None:
        self.says = says

    def __cuda_stream__(self) -> object:
        return self.says


class OldCore:
    __cuda_stream__ = (0, 0x2340)


class OldCuPy:
    ptr = 0x4560


class OldTorch:
    cuda_stream = 0x7890


class PyCUDA:
    handle = 0x9990


class OldNumba:
    handle = ctypes.c_void_p(0xABC0)


class OldNumbaDefault:
    handle = ctypes.c_void_p(0)


class CUstream:
    """As cuda.bindings has it: a handle that is no index."""

    def __int__(self) -> int:
        return 0xDEF0


CUstream.__module__ = "cuda.bindings.driver"


class Core:
    handle = CUstream()


@pytest.mark.parametrize(
    ("stream", "handle"),
    [
        (Protocol(), 0x1230),
        (Protocol((0, 2)), 2),
        (OldCore(), 0x2340),
        (OldCuPy(), 0x4560),
        (OldTorch(), 0x7890),
        (PyCUDA(), 0x9990),
        (OldNumba(), 0xABC0),
        (OldNumbaDefault(), 0),
        (Core(), 0xDEF0),
        (CUstream(), 0xDEF0),
        (ctypes.c_void_p(0x5550), 0x5550),
        (7, 7),
        (np.uint64(2**63), 2**63),
        (0, 0),
        (1, 1),
        (2, 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_stream_of_any_form_gives_its_handle(stream: object, handle: int) -> None:
    assert handle_of(stream, "cuda", "cuda:0", "scale") == handle


KINDS = "expected a wb.Stream, an object with __cuda_stream__, a CuPy or PyTorch stream, or an int handle"


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        (True, f"scale: stream is a bool, {KINDS}"),
        (-1, f"scale: stream is -1, {KINDS}"),
        (2**64, f"scale: stream is {2**64}, {KINDS}"),
        (1.0, f"scale: stream is a float, {KINDS}"),
        (object(), f"scale: stream is an object, {KINDS}"),
        (Protocol((1, 5)), "scale: stream has version 1 of __cuda_stream__, expected version 0"),
        (Protocol(5), "scale: stream's __cuda_stream__ gives 5, expected (0, handle)"),
        (Protocol((0, 1, 2)), "scale: stream's __cuda_stream__ gives (0, 1, 2), expected (0, handle)"),
        (Protocol((0, "a")), "scale: stream's __cuda_stream__ gives (0, 'a'), expected (0, handle)"),
        (Protocol((0, None)), "scale: stream's __cuda_stream__ gives (0, None), expected (0, handle)"),
    ],
    ids=str,
)
def test_what_is_no_stream(stream: object, text: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        handle_of(stream, "cuda", "cuda:0", "scale")
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        (
            "default",
            "scale: stream is a str, expected a wb.Stream, an object with __cuda_stream__, a CuPy or PyTorch stream, "
            "or an int handle",
        ),
        (
            Protocol(),
            "scale: stream is a CUDA stream, expected a stream on cpu, where the arrays are; "
            "make one with wb.device('cpu').stream()",
        ),
    ],
    ids=["no stream", "stream of another device"],
)
def test_stream_that_does_not_fit(x: np.ndarray, stream: object, text: str) -> None:
    for call in (wb.kernels.scale, wb.kernels.scale.submit, wb.kernels.scale.launch):
        with pytest.raises(wb.ArgumentError) as caught:
            call(x, 2.0, stream=stream)
        assert str(caught.value) == text


def test_stream_of_the_cpu_device_is_no_cuda_stream() -> None:
    stream = wb.device("cpu").stream()
    with pytest.raises(wb.ArgumentError) as caught:
        stream.__cuda_stream__()
    assert str(caught.value) == f"{stream!r} is a stream of the CPU device, expected a CUDA stream"
    with pytest.raises(wb.ArgumentError) as caught:
        handle_of(stream, "cuda", "cuda:0", "scale")
    assert str(caught.value) == "scale: stream is on cpu, expected a stream on cuda:0, where the arrays are"


def test_arrays_of_a_stream_ordered_launch_go_when_it_ends(data: Path) -> None:
    stream = wb.device("cpu").stream()
    gate = wb.load(data / "gate.ptx").kernels["gate"]
    x, shut, y = np.ones(1000, np.float32), np.zeros(2, np.int32), np.zeros(300, np.int32)
    seen = weakref.ref(x)
    wb.kernels.scale.launch(x, 2.0, stream=stream)
    del x
    gate.launch(shut, y, stream=stream)  # keeps the stream busy
    assert until(lambda: seen() is None)
    shut[0] = 1
    stream.synchronize()
    assert y[-1] == 299
