"""The three call styles on a GPU, with CuPy and PyTorch arrays: results, streams, captures, timeouts, Ctrl-C."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb

pytestmark = pytest.mark.gpu
STEPS = Path(__file__).parent.parent / "data" / "steps.ptx"
SLOW = 200_000


@pytest.fixture
def host() -> np.ndarray:
    return np.linspace(-1, 1, 100_003, dtype=np.float32)


def test_blocking_call(library, host: np.ndarray) -> None:
    y = wb.kernels.scale(library.array(host), 2.0, 1.0, timeout=10.0)
    assert library.is_own(y)
    np.testing.assert_array_equal(library.numpy(y), 2 * host + 1)


def test_blocking_call_into_an_output(library, host: np.ndarray) -> None:
    x = library.array(host)
    y = library.array(np.zeros_like(host))
    assert wb.kernels.scale(x, 2.0, out=y) is y
    np.testing.assert_array_equal(library.numpy(y), 2 * host)


def test_submit_with_a_callback(library, host: np.ndarray) -> None:
    called = threading.Event()
    pending = wb.kernels.scale.submit(library.array(host), 2.0, on_done=lambda _: called.set())
    assert called.wait(10)
    assert pending.progress == 1.0
    np.testing.assert_array_equal(library.numpy(pending.result()), 2 * host)


def test_callback_may_use_the_gpu(library, host: np.ndarray) -> None:
    results: list[np.ndarray] = []
    called = threading.Event()

    def on_done(pending: wb.Pending) -> None:
        results.append(library.numpy(wb.kernels.scale(pending.result(), 2.0)))
        called.set()

    wb.kernels.scale.submit(library.array(host), 2.0, on_done=on_done)
    assert called.wait(10)
    np.testing.assert_array_equal(results[0], 4 * host)


@pytest.mark.parametrize("how", ["library's stream", "handle", "current stream", "warpbridge's stream"])
def test_launch_on_a_stream(library, host: np.ndarray, how: str) -> None:
    x = library.array(host)
    stream = wb.device("cuda:0").stream() if how == "warpbridge's stream" else library.stream()
    wb.device("cuda:0").synchronize()
    if how == "current stream":
        with library.current(stream):
            y = wb.kernels.scale.launch(wb.kernels.scale.launch(x, 2.0), 1.0, 1.0)
    else:
        s = stream if how != "handle" else getattr(stream, "ptr", None) or stream.cuda_stream
        y = wb.kernels.scale.launch(wb.kernels.scale.launch(x, 2.0, stream=s), 1.0, 1.0, stream=s)
    stream.synchronize()
    np.testing.assert_array_equal(library.numpy(y), 2 * host + 1)


def test_bound_launches_again_and_again(library, host: np.ndarray) -> None:
    x = library.array(host)
    y = library.array(np.zeros_like(host))
    bound = wb.kernels.scale.bind(x, 2.0, out=y)
    for factor in (1, 2, 3):
        x[:] = library.array(factor * host)
        assert bound() is y
        np.testing.assert_array_equal(library.numpy(y), 2 * factor * host)


def test_launch_is_captured_in_a_graph(library, host: np.ndarray) -> None:
    x, y = library.array(host), library.array(np.zeros_like(host))
    wb.kernels.scale(x, 2.0, out=y)  # compiled before the capture
    stream = library.stream()
    replay = library.capture(stream, lambda: wb.kernels.scale.launch(x, 3.0, out=y))
    y[:] = 0
    x[:] = library.array(host + 1)
    wb.device("cuda:0").synchronize()
    replay()
    library.synchronize(stream)
    np.testing.assert_array_equal(library.numpy(y), 3 * (host + 1))


def test_deadlock_ends_by_timeout_and_the_device_lives_on(library, host: np.ndarray) -> None:
    x = library.array(host)
    start = time.monotonic()
    with pytest.raises(wb.LaunchTimeout) as caught:
        wb.kernels.deadlock_demo(x, timeout=0.5)
    assert 0.5 <= time.monotonic() - start < 30
    assert str(caught.value).startswith("deadlock_demo on cuda:0, stream 0: not finished after 0.5")
    assert "the kernel was stopped; raise timeout if it needs longer" in str(caught.value)
    np.testing.assert_array_equal(library.numpy(wb.kernels.scale(x, 2.0)), 2 * host)


def test_deadlock_is_cancelled(library, host: np.ndarray) -> None:
    pending = wb.kernels.deadlock_demo.submit(library.array(host))
    time.sleep(0.2)
    assert pending.cancel()
    with pytest.raises(wb.LaunchCancelled):
        pending.result(timeout=10)
    assert pending.cancelled()


def test_progress_rises(library) -> None:
    steps = wb.load(STEPS).kernels["steps"]
    y = library.array(np.zeros(300, np.int32))
    pending = steps.submit(y, SLOW)
    seen = []
    while not pending.done():
        seen.append(pending.progress)
        time.sleep(0.005)
    pending.result()
    assert seen == sorted(seen)
    assert len({share for share in seen if 0 < share < 1}) >= 2
    np.testing.assert_array_equal(library.numpy(y), np.arange(300))


def test_host_and_gpu_array_in_one_call_names_both_devices(library, host: np.ndarray) -> None:
    x = library.array(host)
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(x, 2.0, out=np.empty_like(host))
    assert str(caught.value) == (
        "scale: out (y) is on cpu, expected cuda:0, where argument 1 (x) is; move one of them first"
    )
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(host, 2.0, out=x)
    assert str(caught.value) == (
        "scale: out (y) is on cuda:0, expected cpu, where argument 1 (x) is; move one of them first"
    )


def test_inline_arrays_of_the_host_go_with_the_launch(library) -> None:
    x = np.random.default_rng(3).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    mean, std = np.array([0.5, 0.25, 0.125], np.float32), np.array([0.5, 1, 2], np.float32)
    expected = wb.kernels.image_prep(x, mean, std)
    for form in (lambda a: a, tuple, list, library.array):
        y = wb.kernels.image_prep(library.array(x), form(mean), form(std))
        np.testing.assert_array_equal(library.numpy(y), expected)


def test_cpu_stream_is_refused_for_gpu_arrays(library, host: np.ndarray) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(library.array(host), 2.0, stream=wb.device("cpu").stream())
    assert str(caught.value) == "scale: stream is on cpu, expected a stream on cuda:0, where the arrays are"


def test_arrays_of_two_libraries_in_one_call(host: np.ndarray) -> None:
    cupy, torch = importlib.import_module("cupy"), importlib.import_module("torch")
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        x = cupy.asarray(host) + 1
        y = torch.empty(host.size, device="cuda:0")
        assert wb.kernels.scale.launch(x, 2.0, out=y) is y
    np.testing.assert_array_equal(y.cpu().numpy(), 2 * (host + 1))


def test_torch_on_the_cpu_runs_on_the_cpu_device(host: np.ndarray) -> None:
    torch = importlib.import_module("torch")
    x = torch.from_numpy(host.copy())
    y = wb.kernels.scale(x, 2.0)
    assert isinstance(y, torch.Tensor)
    assert y.device.type == "cpu"
    np.testing.assert_array_equal(y.numpy(), 2 * host)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda t: t.ones(3, device="cuda:0", requires_grad=True),
            "a torch tensor has requires_grad=True, expected one that autograd does not track; pass x.detach()",
        ),
        (
            lambda t: t.ones(3, 3, device="cuda:0").to_sparse(),
            "a torch tensor has layout torch.sparse_coo, expected torch.strided; pass x.to_dense()",
        ),
        (
            lambda t: t.ones(3, dtype=t.complex64, device="cuda:0").conj(),
            "a torch tensor is a lazy conjugate, expected stored values; pass x.resolve_conj()",
        ),
        (lambda t: t.ones(3, device="meta"), "a torch tensor is on meta, expected cpu or cuda; move it first"),
    ],
    ids=["requires_grad", "sparse", "conjugate", "meta"],
)
def test_torch_tensor_that_no_kernel_takes(make, text: str) -> None:
    torch = importlib.import_module("torch")
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(make(torch), 2.0)
    assert str(caught.value) == f"scale: argument 1 (x): {text}"


def test_ptx_that_needs_a_newer_driver(library) -> None:
    entry = wb.load(STEPS.read_text().replace(".version 8.0", ".version 9.9")).entries["steps"]
    gpu = wb.device("cuda:0")
    major, minor = gpu.ptx_version
    with pytest.raises(wb.LoadError) as caught:
        entry(1, 1, [library.array(np.zeros(1, np.int32)), 1, 0, 0])
    assert str(caught.value) == (
        f"<string>: PTX version 9.9, but cuda:0 (driver {gpu.driver}) accepts at most {major}.{minor}; "
        "update the driver, or build it with an older .version"
    )


INTERRUPTED = """
import importlib, sys, time, numpy as np, warpbridge as wb
cupy = importlib.import_module("cupy")
x = cupy.ones(1000, "f4")
wb.kernels.scale(x, 2.0)
print("ready", flush=True)
try:
    wb.kernels.deadlock_demo(x)
except KeyboardInterrupt:
    print("stopped", bool((wb.kernels.scale(x, 2.0) == 2).all()))
"""


def test_ctrl_c_stops_a_deadlocked_kernel() -> None:
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert output == "stopped True\n"


def test_interpreter_exits_cleanly_with_a_deadlocked_kernel_in_flight(run_python) -> None:
    start = time.monotonic()
    process = run_python(
        "import cupy, warpbridge as wb\np = wb.kernels.deadlock_demo.submit(cupy.ones(1000, 'f4'))\nprint('leaving')"
    )
    assert (process.returncode, process.stdout) == (0, "leaving\n"), process.stderr
    assert time.monotonic() - start < 30


def test_output_comes_from_the_pool_of_the_stream_it_is_launched_on(library, host: np.ndarray) -> None:
    x = library.array(host)
    stream = library.stream()
    wb.device("cuda:0").synchronize()
    for _ in range(50):  # a recycled block that another stream still uses would show as a wrong value
        y = wb.kernels.scale.launch(x, 2.0, stream=stream)
        z = wb.kernels.scale.launch(y, 1.0, 1.0, stream=stream)
        del y
    library.synchronize(stream)
    np.testing.assert_array_equal(library.numpy(z), 2 * host + 1)
