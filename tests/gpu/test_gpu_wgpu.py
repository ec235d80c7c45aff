"""wgpu buffers as arguments of kernels on a GPU: every transport that there is, every call style, other libraries.

The twin of tests/test_wgpu.py. Needs wgpu and the GPU's own Vulkan driver.
"""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warpbridge as wb

pytestmark = pytest.mark.gpu

scale = wb.kernels.scale
TRANSPORTS = ["staged", "pinned", "shared"]


class Wgpu:
    """wgpu on the GPU, with views by one transport."""

    def __init__(self, transport: str) -> None:
        import wgpu_device
        from warpbridge.adapters import wgpu as wbgpu

        wbgpu.enable()
        self.transport = transport
        self.tools, self.adapter = wgpu_device, wbgpu
        self.device = wgpu_device.new_device()
        assert self.device.adapter.info["adapter_type"] == "DiscreteGPU"

    def view(self, data: np.ndarray | int, dtype: Any = "float32", **options: Any) -> Any:
        """A view of a buffer with these bytes, or of this size."""
        if self.transport != "shared":
            buffer = self.tools.new_buffer(self.device, data)
            return self.adapter.view(buffer, dtype=dtype, require=self.transport, **options)
        size = data if isinstance(data, int) else data.nbytes
        made = self.adapter.share(
            self.device, size=size, dtype=dtype, usage=self.tools.USAGE, require=self.transport, **options
        )
        if not isinstance(data, int):
            self.device.queue.write_buffer(made.buffer, 0, data)
        return made

    def read(self, view: Any, dtype: Any = np.float32) -> np.ndarray:
        return self.tools.read(view.buffer, dtype)


@pytest.fixture(params=TRANSPORTS, scope="module")
def wgpu(request: pytest.FixtureRequest) -> Wgpu:
    return Wgpu(request.param)


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return np.random.default_rng(6).standard_normal(100_000).astype(np.float32)


def test_view_is_on_the_gpu_that_wgpu_uses(wgpu, values) -> None:
    view = wgpu.view(values)
    assert (view.device, view.transport) == (wb.device("cuda:0"), wgpu.transport)


def test_every_call_style_reads_and_writes(wgpu, values) -> None:
    x, y = wgpu.view(values), wgpu.view(values.nbytes)
    scale(x, 2.0, 1.0, out=y)
    np.testing.assert_allclose(wgpu.read(y), values * 2 + 1, rtol=1e-6)
    scale.submit(x, 3.0, 0.0, out=y).result(60)
    np.testing.assert_allclose(wgpu.read(y), values * 3, rtol=1e-6)
    scale.launch(x, 4.0, 0.0, out=y)
    y.wait()
    np.testing.assert_allclose(wgpu.read(y), values * 4, rtol=1e-6)
    bound = scale.bind(x, 5.0, 0.0, out=y)
    bound()
    np.testing.assert_allclose(wgpu.read(y), values * 5, rtol=1e-6)


def test_call_sees_the_shader_before_it_and_is_seen_by_the_one_after(wgpu, values) -> None:
    view = wgpu.view(values)
    for turn in range(1, 6):
        wgpu.tools.double(view.buffer)
        scale(view, 3.0, 0.0, out=view)
        np.testing.assert_allclose(wgpu.read(view), values * 6.0**turn, rtol=1e-5)


def test_launches_and_shaders_take_turns_on_a_stream(wgpu, values) -> None:
    view, stream = wgpu.view(values), wb.device("cuda:0").stream()
    for _ in range(5):
        wgpu.tools.double(view.buffer)
        scale.launch(view, 0.5, 0.0, out=view, stream=stream)
        view.wait()
    np.testing.assert_allclose(wgpu.read(view), values, rtol=1e-6)


def test_block_hands_over_once(wgpu, values) -> None:
    view = wgpu.view(values)
    before = wgpu.adapter.copied_bytes()
    with view:
        for _ in range(4):
            scale.launch(view, 2.0, 0.0, out=view)
        scale(view, 2.0, 0.0, out=view)
    np.testing.assert_array_equal(wgpu.read(view), values * 32)
    assert wgpu.adapter.copied_bytes() - before == (0 if wgpu.transport == "shared" else 2 * values.nbytes)


def test_cupy_and_torch_use_the_memory_inside_a_block(wgpu, values) -> None:
    import cupy
    import torch

    view = wgpu.view(values)
    with view:
        cupy.from_dlpack(view)[:] += 1
        torch.from_dlpack(view).mul_(2)
    np.testing.assert_allclose(wgpu.read(view), (values + 1) * 2, rtol=1e-6)


@pytest.mark.parametrize("nbytes", [1, 3, 4, 4097, (8 << 20) + 5])
def test_odd_sizes_go_round(wgpu, nbytes: int) -> None:
    data = np.random.default_rng(nbytes).integers(0, 256, nbytes, dtype=np.uint8)
    view = wgpu.view(-(-nbytes // 4) * 4, "uint8", shape=nbytes)
    with view:
        import cupy

        cupy.from_dlpack(view)[:] = cupy.asarray(data)
    assert view.copy("cpu").tobytes() == data.tobytes()
    assert wgpu.read(view, np.uint8)[:nbytes].tobytes() == data.tobytes()


@pytest.mark.parametrize("mebibytes", [64, 1024])
def test_large_buffers_go_round(wgpu, mebibytes: int) -> None:
    import cupy

    view = wgpu.view(mebibytes << 20, "int64")
    with view:
        cupy.from_dlpack(view)[:] = cupy.arange(mebibytes << 17)
    wrong = int((cupy.asarray(wgpu.read(view, np.int64)) != cupy.arange(mebibytes << 17)).sum())
    assert wrong == 0
    view.buffer.destroy()


def test_entry_takes_a_view(wgpu, data) -> None:
    numbers = np.arange(64, dtype=np.float32)
    x, y = wgpu.view(numbers), wgpu.view(numbers.nbytes)
    wb.load(data / "axpb.ptx").entries["axpb"](1, 64, [x, y, 64, 2.0, 1.0])
    np.testing.assert_array_equal(wgpu.read(y), numbers * 2 + 1)


def test_eight_threads_have_views_of_their_own(wgpu) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            start = np.full(50_000, number + 1, np.float32)
            view = wgpu.view(start)
            for _ in range(6):
                scale(view, 2.0, 0.0, out=view)
            np.testing.assert_array_equal(wgpu.read(view), start * 64)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_two_wgpu_devices_in_one_call(wgpu, values) -> None:
    other = Wgpu(wgpu.transport)
    x, y = wgpu.view(values), other.view(values.nbytes)
    scale(x, 2.0, 0.0, out=y)
    np.testing.assert_array_equal(other.read(y), values * 2)


def test_destroyed_buffer_is_refused_and_its_view_goes_quietly(wgpu, values) -> None:
    view = wgpu.view(values)
    view.buffer.destroy()
    with pytest.raises(wb.ArgumentError, match="has been destroyed, expected a live one"):
        scale(view, 2.0, 0.0)
    del view
    gc.collect()


def test_copying_view_is_refused_under_graph_capture(wgpu, values) -> None:
    import cupy

    view, stream = wgpu.view(values), cupy.cuda.Stream(non_blocking=True)
    scale(view, 1.0, 0.0, out=view)
    with stream:
        stream.begin_capture()
        try:
            if wgpu.transport == "shared":
                scale.launch(view, 2.0, 0.0, out=view, stream=stream)
            else:
                with pytest.raises(wb.ArgumentError, match="is used under graph capture, expected an array that needs"):
                    scale.launch(view, 2.0, 0.0, out=view, stream=stream)
        finally:
            graph = stream.end_capture()
    if wgpu.transport == "shared":
        with view:
            graph.launch(stream)
            stream.synchronize()
        np.testing.assert_array_equal(wgpu.read(view), values * 2)


def test_hundreds_of_buffers_leave_no_gpu_memory_and_no_descriptors(wgpu) -> None:
    import cupy

    def used() -> tuple[int, int]:
        wgpu.device._poll_wait()
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir())), cupy.cuda.runtime.memGetInfo()[0] >> 20

    data = np.ones(1 << 20, np.float32)
    for turn in range(250):
        view = wgpu.view(data)
        scale(view, 2.0, 0.0, out=view)
        view.buffer.destroy()
        del view
        if turn == 49:
            before = used()
    after = used()
    assert after[0] == before[0]
    assert before[1] - after[1] < 128  # mebibytes; 800 were made


@pytest.mark.gpus(2)
def test_shared_buffer_of_another_gpu_names_both(wgpu) -> None:
    with pytest.raises(wb.ArgumentError, match=r"cannot be shared: .*cuda:1"):
        wgpu.adapter.share(wgpu.device, size=64, usage=wgpu.tools.USAGE, require="shared", on="cuda:1")
    assert wgpu.adapter.share(wgpu.device, size=64, usage=wgpu.tools.USAGE, on="cuda:1").transport != "shared"
