"""wgpu buffers as arguments of kernels: every call style, the order between wgpu's work and kernels', sizes, lifetimes.

On a software Vulkan driver (lavapipe) in CI; without wgpu or a driver these tests fail. Errors: test_wgpu_errors.py.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb
import wgpu
from warpbridge.adapters import wgpu as wbgpu
from warpbridge.adapters.wgpu import hostcopy
from wgpu_device import TRANSPORTS, USAGE, Views, double, new_buffer, new_device, read

scale = wb.kernels.scale


@pytest.fixture(scope="module")
def device():
    return new_device()


@pytest.fixture(params=TRANSPORTS, scope="module")
def views(request: pytest.FixtureRequest, device) -> Views:
    return Views(request.param, device)


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return np.random.default_rng(6).standard_normal(10_000).astype(np.float32)


# ---- what a view is --------------------------------------------------------------------------------------------------


def test_view_says_what_it_is(views) -> None:
    view = views(1024, np.float32, shape=(8, 16), offset=256)
    assert (view.shape, view.dtype, view.nbytes, view.offset) == ((8, 16), "float32", 512, 256)
    assert (view.buffer.size, view.transport, view.device) == (1024, views.transport, wb.device("cpu"))
    assert repr(view) == f"<View float32 (8, 16) of wgpu buffer 'x' on cpu, {views.transport}>"


def test_best_transport_is_taken_unless_another_is_required(device) -> None:
    shared = wbgpu.share(device, size=64, usage=USAGE)
    existing = new_buffer(device, 64)
    assert (shared.transport, wbgpu.view(existing, dtype="uint8").transport) == ("shared", "pinned")
    assert wbgpu.view(shared.buffer, dtype="uint8").transport == "shared"
    assert wbgpu.view(shared.buffer, dtype="uint8", require="staged").transport == "staged"
    assert wbgpu.view(existing, dtype="uint8", require="staged").transport == "staged"


def test_view_without_shape_goes_to_the_end(device) -> None:
    assert wbgpu.view(new_buffer(device, 1024), dtype="int16", offset=24).shape == (500,)


def test_share_makes_a_zeroed_buffer_of_the_shape(device) -> None:
    view = wbgpu.share(device, shape=(3, 5), dtype="uint8", usage=USAGE, label="frame")
    assert (view.buffer.label, view.buffer.size, view.nbytes) == ("frame", 16, 15)
    assert view.tobytes() == bytes(15)


def test_view_is_a_wb_array_for_type_checkers_and_cannot_be_pickled(device) -> None:
    view = wbgpu.view(new_buffer(device, 16), dtype="uint8")
    assert isinstance(view, wb.View)
    with pytest.raises(TypeError, match="cannot be pickled"):
        view.__reduce__()


# ---- calls -----------------------------------------------------------------------------------------------------------


def test_blocking_call_reads_before_and_writes_back_after(views, values) -> None:
    x, y = views(values), views(values.nbytes)
    assert scale(x, 2.0, 1.0, out=y) is y
    np.testing.assert_allclose(read(y.buffer), values * 2 + 1, rtol=1e-6)
    np.testing.assert_array_equal(read(x.buffer), values)


def test_output_that_is_not_given_is_an_array_of_our_own(views, values) -> None:
    y = scale(views(values), 2.0, 0.0)
    assert isinstance(y, wb.Array)
    assert not isinstance(y, wb.View)
    np.testing.assert_array_equal(np.asarray(y), values * 2)


def test_call_sees_what_a_shader_was_submitted_to_write(views, values) -> None:
    view = views(values)
    for turn in range(1, 4):  # and again: nothing is kept between calls
        double(view.buffer)
        np.testing.assert_array_equal(np.asarray(scale(view, 1.0, 0.0)), values * 2**turn)


def test_shader_sees_what_a_call_wrote(views, values) -> None:
    view = views(values)
    scale(view, 3.0, 0.0, out=view)
    double(view.buffer)
    np.testing.assert_allclose(read(view.buffer), values * 6, rtol=1e-6)


def test_submitted_call_has_written_back_when_its_result_is_there(views, values) -> None:
    x, y = views(values), views(values.nbytes)
    seen: list[np.ndarray] = []
    called = threading.Event()
    pending = scale.submit(x, 2.0, 0.0, out=y, on_done=lambda _: (seen.append(read(y.buffer)), called.set()))
    assert pending.result(60) is y
    np.testing.assert_array_equal(read(y.buffer), values * 2)
    assert called.wait(60)
    np.testing.assert_array_equal(seen[0], values * 2)


def test_launch_outside_a_block_is_there_after_wait(views, values) -> None:
    x, y = views(values), views(values.nbytes)
    stream = wb.device("cpu").stream()
    for _ in range(3):
        scale.launch(x, 2.0, 0.0, out=x, stream=stream)
    scale.launch(x, 1.0, 1.0, out=y, stream=stream)
    x.wait()
    y.wait()
    np.testing.assert_allclose(read(y.buffer), values * 8 + 1, rtol=1e-6)


def test_bound_call_takes_the_bytes_anew_each_time(views, values) -> None:
    x, y = views(values), views(values.nbytes)
    bound = scale.bind(x, 1.0, 0.0, out=y)
    for turn in range(1, 4):
        double(x.buffer)
        assert bound() is y
        np.testing.assert_array_equal(read(y.buffer), values * 2**turn)
    bound.launch()
    bound.submit().result(60)
    np.testing.assert_array_equal(read(y.buffer), values * 8)


def test_entry_reads_and_writes_a_view(views, data) -> None:
    numbers = np.arange(64, dtype=np.float32)
    x, y = views(numbers), views(numbers.nbytes)
    wb.load(data / "axpb.ptx").entries["axpb"](1, 64, [x, y, 64, 2.0, 1.0])
    np.testing.assert_array_equal(read(y.buffer), numbers * 2 + 1)
    np.testing.assert_array_equal(read(x.buffer), numbers)


def test_inline_argument_may_be_a_view(views) -> None:
    pictures = np.full((1, 4, 4, 3), 255, np.uint8)
    mean = views(np.array([0.5, 0.5, 0.5], np.float32))
    prepared = wb.kernels.image_prep(pictures, mean, (0.5, 0.5, 0.5))
    np.testing.assert_allclose(np.asarray(prepared), 1.0, rtol=1e-6)


def test_trace_takes_a_view(views, values) -> None:
    view = views(values[:256].copy())
    assert scale.bind(view, 2.0, 0.0, out=view).trace().error is None
    np.testing.assert_array_equal(read(view.buffer), values[:256] * 2)


def test_calls_work_while_an_event_loop_runs(views, values) -> None:
    view = views(values)

    async def work() -> None:
        with view:
            scale(view, 2.0, 0.0, out=view)
        await asyncio.wrap_future(scale.submit(view, 2.0, 0.0, out=view))

    asyncio.run(work())
    np.testing.assert_array_equal(read(view.buffer), values * 4)


# ---- blocks ----------------------------------------------------------------------------------------------------------


def test_block_copies_once_in_and_once_out(views, values) -> None:
    view = views(values)
    before = wbgpu.copied_bytes()
    with view:
        for _ in range(4):
            scale(view, 2.0, 0.0, out=view)
        scale.submit(view, 2.0, 0.0, out=view)
        scale.launch(view, 2.0, 0.0, out=view)
    assert wbgpu.copied_bytes() - before == views.copied(2 * values.nbytes)
    np.testing.assert_array_equal(read(view.buffer), values * 64)


def test_block_around_an_output_does_not_read_it(views, values) -> None:
    view = views(values.nbytes)
    before = wbgpu.copied_bytes()
    with view:
        scale(values, 2.0, 0.0, out=view)
    assert wbgpu.copied_bytes() - before == views.copied(values.nbytes)


def test_block_that_only_reads_does_not_write_back(views, values) -> None:
    view = views(values)
    before = wbgpu.copied_bytes()
    with view:
        scale(view, 2.0, 0.0)
        scale(view, 3.0, 0.0)
    assert wbgpu.copied_bytes() - before == views.copied(values.nbytes)


def test_nested_blocks_settle_with_the_outermost(views, values) -> None:
    view = views(values)
    with view:
        with view:
            scale(view, 2.0, 0.0, out=view)
        expected = values * 2 if views.transport == "shared" else values  # a copy is not yet back
        np.testing.assert_array_equal(read(view.buffer), expected)
    np.testing.assert_array_equal(read(view.buffer), values * 2)


def test_numpy_writes_through_dlpack_and_array_interface_inside_a_block(views) -> None:
    view = views(64, "uint8")
    with view:
        np.asarray(view)[:8] = 7
        np.from_dlpack(view)[8:16] = 9
    assert read(view.buffer, np.uint8).tolist() == [7] * 8 + [9] * 8 + [0] * 48


def test_numpy_sees_a_buffer_that_cannot_be_written_as_read_only(device, values) -> None:
    view = wbgpu.view(new_buffer(device, values), dtype="float32")
    source = new_buffer(device, values.nbytes, wgpu.BufferUsage.COPY_SRC)
    with wbgpu.view(source, dtype="float32") as readable, view:
        assert not np.asarray(readable).flags.writeable
        assert not np.from_dlpack(readable).flags.writeable
        assert np.asarray(view).flags.writeable


def test_copy_and_bytes_need_no_block(views, values) -> None:
    view = views(values)
    assert view.tobytes() == values.tobytes()
    np.testing.assert_array_equal(np.asarray(view.copy()), values)
    np.testing.assert_array_equal(np.from_dlpack(view, copy=True), values)
    view.frombytes((values * 2).tobytes())
    np.testing.assert_array_equal(read(view.buffer), values * 2)


# ---- sizes -----------------------------------------------------------------------------------------------------------


# Bytes and offset. A chunk of the copying transports has 16 MiB.
ODD = [(nbytes, offset) for nbytes in (1, 2, 3, 4, 5, 4095, 4097) for offset in (0, 1, 7, 4096)]
ODD += [((16 << 20) - 1, 1), ((16 << 20) - 1, 7), ((16 << 20) + 1, 0), ((16 << 20) + 1, 4096), (3 * (16 << 20) + 13, 7)]


@pytest.mark.parametrize(("nbytes", "offset"), ODD)
def test_odd_sizes_and_offsets_leave_their_neighbours_alone(views, nbytes: int, offset: int) -> None:
    old = np.random.default_rng(nbytes).integers(0, 256, -(-(offset + nbytes) // 4) * 4 + 8, dtype=np.uint8)
    new = np.random.default_rng(offset).integers(0, 256, nbytes, dtype=np.uint8)
    view = views(old, "uint8", shape=nbytes, offset=offset)
    assert view.tobytes() == old[offset : offset + nbytes].tobytes()
    view.frombytes(new.tobytes())
    expected = old.copy()
    expected[offset : offset + nbytes] = new
    np.testing.assert_array_equal(read(view.buffer, np.uint8), expected)


def test_a_large_buffer_goes_round(views) -> None:
    data = np.arange(1 << 25, dtype=np.int64) * 0x1E3779B97F4A7C15  # 256 MiB
    view = views(data, "int64")
    with view:
        array = np.asarray(view)
        np.testing.assert_array_equal(array, data)
        array += 1
    np.testing.assert_array_equal(read(view.buffer, np.int64), data + 1)
    view.buffer.destroy()


def test_a_gibibyte_goes_round(views) -> None:
    """Written and checked at a few places, by wgpu's own means: the buffer and its copy are all the memory it takes."""
    nbytes = 1 << 30
    view = views(nbytes, "uint32")
    places = [0, (nbytes >> 3) + 1, (nbytes >> 2) - 2]
    with view:
        array = np.asarray(view)
        array[places] = (1, 2, 3)
    read_buffer = view.buffer._device.queue.read_buffer
    assert [read_buffer(view.buffer, 4 * place, 4).cast("I")[0] for place in places] == [1, 2, 3]
    view.buffer.destroy()


@pytest.mark.parametrize("require", [None, "staged"])
def test_empty_view_is_an_empty_array(device, require: str | None) -> None:
    view = wbgpu.view(new_buffer(device, 16), dtype="float32", shape=(0, 4), require=require)
    assert view.tobytes() == b""
    assert np.asarray(scale(view, 1.0, 0.0)).shape == (0, 4)


def test_two_views_share_a_word_of_one_buffer(views) -> None:
    low = views(np.arange(8, dtype=np.uint8), "uint8", shape=2, offset=1)
    buffer = low.buffer
    high = wbgpu.view(buffer, dtype="uint8", shape=3, offset=3, require=views.transport)
    with low, high:
        np.asarray(low)[:] = 100
        np.asarray(high)[:] = 200
    assert read(buffer, np.uint8).tolist() == [0, 100, 100, 200, 200, 200, 6, 7]


# ---- several, and for long -------------------------------------------------------------------------------------------


def test_two_devices_in_one_call(views, values) -> None:
    x, y = views(values), Views(views.transport, new_device())(values.nbytes)
    scale(x, 2.0, 0.0, out=y)
    np.testing.assert_array_equal(read(y.buffer), values * 2)


def test_eight_threads_on_one_device(views) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            start = np.full(50_000, number + 1, np.float32)
            view = views(start)
            for _ in range(6):
                scale(view, 2.0, 0.0, out=view)
            np.testing.assert_array_equal(np.asarray(view.copy()), start * 64)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_eight_threads_on_one_view_read_it_alike(views, values) -> None:
    view = views(values)
    results: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: results.append(np.asarray(scale(view, 2.0, 0.0)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 8
    for result in results:
        np.testing.assert_array_equal(result, values * 2)


def test_buffer_lives_as_long_as_its_view(views, values) -> None:
    view = views(values)
    gc.collect()
    np.testing.assert_array_equal(np.asarray(view.copy()), values)


def test_launch_keeps_the_view_until_it_has_ended(views, values) -> None:
    view = views(values.nbytes)
    buffer = view.buffer
    pending = scale.submit(values, 2.0, 0.0, out=view)
    del view
    gc.collect()
    pending.result(60)
    np.testing.assert_array_equal(read(buffer), values * 2)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_hundreds_of_views_leave_no_memory_and_no_descriptors(run_python, transport: str) -> None:
    program = """
import os, sys
sys.path.insert(0, {folder!r})
import numpy as np, warpbridge as wb
from wgpu_device import Views, new_device
def used():
    resident = next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]
    return int(resident) >> 10, len(os.listdir("/proc/self/fd"))
device = new_device()
views = Views({transport!r}, device)
data = np.ones(1 << 18, np.float32)
sizes = []
for turn in range(180):
    view = views(data)
    wb.kernels.scale(view, 2.0, 0.0, out=view)
    view.buffer.destroy()
    device._poll_wait()
    if turn in (29, 179):
        sizes.append(used())
(mebibytes, descriptors), (mebibytes_after, descriptors_after) = sizes
grown = mebibytes_after - mebibytes
print(descriptors_after - descriptors, grown < 75, grown)  # 150 buffers of 1 MiB would be 150
"""
    found = run_python(program.format(folder=str(Path(__file__).parent), transport=transport))
    assert found.stdout.split()[:2] == ["0", "True"], found.stdout + found.stderr


@pytest.mark.parametrize("nbytes", [0, 1, (1 << 20) - 1, (3 << 20) + 5, (9 << 20) + 4095])
def test_host_copy_by_several_threads_copies_every_byte_and_no_other(monkeypatch, nbytes: int) -> None:
    monkeypatch.setattr(hostcopy, "_THREADS", 3)
    source = np.random.default_rng(nbytes).integers(0, 256, nbytes, dtype=np.uint8)
    to = np.full(nbytes + 8192, 7, np.uint8)
    hostcopy.host_copy(to.ctypes.data + 4096, source.ctypes.data if nbytes else to.ctypes.data, nbytes)
    np.testing.assert_array_equal(to[4096 : 4096 + nbytes], source)
    assert (to[:4096] == 7).all()
    assert (to[4096 + nbytes :] == 7).all()
