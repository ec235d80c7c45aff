"""Several GPUs: the data decides which one runs, and the thread's current context is left as it was found.

pytest -m gpu -k two_gpus        where there are two; with fewer they are deselected
"""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

import numpy as np
import pytest
import warpbridge as wb

pytestmark = [pytest.mark.gpu, pytest.mark.gpus(2)]


def current_context() -> int | None:
    context = ctypes.c_void_p()
    assert ctypes.CDLL("libcuda.so.1").cuCtxGetCurrent(ctypes.byref(context)) == 0
    return context.value


@pytest.fixture
def torch() -> Any:
    return importlib.import_module("torch")


def test_two_gpus_torch_tensor_of_the_other_device(torch) -> None:
    torch.zeros(1, device="cuda:0")
    before = current_context()
    host = np.arange(1000, dtype=np.float32)
    x = torch.from_numpy(host).to("cuda:1")
    for repeat in range(3):  # the first is checked, the others are learned
        y = wb.kernels.scale(x, 2.0)
        assert y.device == torch.device("cuda:1")
        np.testing.assert_array_equal(y.cpu().numpy(), 2 * host)
        z = wb.kernels.scale.launch(y, 0.5, float(repeat))
        torch.cuda.synchronize(1)
        np.testing.assert_array_equal(z.cpu().numpy(), host + repeat)
        assert (torch.cuda.current_device(), current_context()) == (0, before)


def test_two_gpus_learned_calls_follow_the_data() -> None:
    cupy = importlib.import_module("cupy")
    host = np.linspace(-1, 1, 1000, dtype=np.float32)
    arrays = []
    for ordinal in (0, 1):
        with cupy.cuda.Device(ordinal):
            arrays.append((cupy.asarray(host + ordinal), cupy.zeros(1000, "f4")))
    before = current_context()
    for turn in range(8):
        ordinal = turn % 2
        x, y = arrays[ordinal]
        with cupy.cuda.Device(ordinal):
            y[...] = 0
            cupy.cuda.runtime.deviceSynchronize()
        assert wb.kernels.scale(x, 3.0, out=y) is y
        np.testing.assert_array_equal(y.get(), 3 * (host + ordinal))
        assert (cupy.cuda.runtime.getDevice(), current_context()) == (0, before)


def test_two_gpus_mixed_in_a_learned_call_are_refused_with_both_names() -> None:
    cupy = importlib.import_module("cupy")
    x, y = cupy.zeros(8, "f4"), cupy.zeros(8, "f4")
    with cupy.cuda.Device(1):
        z = cupy.zeros(8, "f4")
    for _ in range(3):
        wb.kernels.scale(x, 2.0, out=y)
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(x, 2.0, out=z)
    assert str(caught.value) == (
        "scale: out (y) is on cuda:1, expected cuda:0, where argument 1 (x) is; move one of them first"
    )


def test_two_gpus_cancel_and_deadline_reach_the_right_one() -> None:
    cupy = importlib.import_module("cupy")
    arrays = []
    for ordinal in (0, 1):
        with cupy.cuda.Device(ordinal):
            arrays.append(cupy.zeros(1000, "f4"))
    pendings = [wb.kernels.deadlock_demo.submit(x) for x in arrays]
    assert pendings[1].cancel()
    with pytest.raises(wb.LaunchCancelled):
        pendings[1].result(timeout=10)
    assert not pendings[0].done()
    assert pendings[0].cancel()
    with pytest.raises(wb.LaunchCancelled):
        pendings[0].result(timeout=10)
    with pytest.raises(wb.LaunchTimeout):
        wb.kernels.deadlock_demo(arrays[1], timeout=0.1)
