"""wgpu buffers used wrongly: every text says what was found, what was expected and what to do; and nothing is lost."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import warpbridge as wb
import wgpu
from warpbridge import _vulkan
from warpbridge.adapters import wgpu as wbgpu
from warpbridge.buffer import DTYPES
from wgpu_device import USAGE, new_buffer, new_device, read

scale = wb.kernels.scale
SRC, DST = wgpu.BufferUsage.COPY_SRC, wgpu.BufferUsage.COPY_DST
VALUES = np.arange(1000, dtype=np.float32)


@pytest.fixture(scope="module")
def device():
    return new_device()


def text_of(kind: type[Exception], call) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


# ---- what is passed --------------------------------------------------------------------------------------------------


def test_bare_buffer_is_refused_with_the_remedy(device) -> None:
    buffer = new_buffer(device, VALUES)
    assert text_of(wb.ArgumentError, lambda: scale(buffer, 1.0, 0.0)) == (
        "scale: argument 1 (x): a wgpu.GPUBuffer has no dtype and no shape, expected an array; pass "
        "warpbridge.adapters.wgpu.view(buffer, dtype=..., shape=...)"
    )


def test_other_objects_are_no_buffers_and_no_devices(device) -> None:
    assert text_of(wb.ArgumentError, lambda: wbgpu.view(VALUES, dtype="float32")) == (
        "view: buffer is a numpy.ndarray, expected a wgpu.GPUBuffer"
    )
    assert text_of(wb.ArgumentError, lambda: wbgpu.share(VALUES, size=4, usage=USAGE)) == (
        "share: device is a numpy.ndarray, expected a wgpu.GPUDevice"
    )


def test_without_wgpu_the_text_says_how_to_install_it(run_python) -> None:
    found = run_python(
        "import sys; sys.modules['wgpu'] = None\n"
        "import warpbridge as wb\nfrom warpbridge.adapters import wgpu\n"
        "try: wgpu.view(object(), dtype='float32')\nexcept wb.ArgumentError as error: print(error)"
    )
    assert found.stdout == (
        "view: buffer is an object, expected a wgpu.GPUBuffer; wgpu is not installed: pip install 'warpbridge[wgpu]'\n"
    ), found.stderr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"dtype": "float31"},
            f"view has dtype float31, expected one of {', '.join(DTYPES)}",
        ),
        ({"dtype": "float32", "offset": 4001}, "view: offset is 4001, expected 0 to 4000, the buffer's size"),
        ({"dtype": "float32", "offset": -1}, "view: offset is -1, expected 0 to 4000, the buffer's size"),
        ({"dtype": "float32", "shape": (2, -1)}, "view: shape is (2, -1), expected sizes of 0 or more"),
        (
            {"dtype": "float64", "offset": 4},
            "view: 3996 bytes are no whole number of float64 of 8, expected a multiple; give shape=",
        ),
        (
            {"dtype": "float32", "shape": (10, 100), "offset": 4},
            "view: float32 (10, 100) from offset 4 needs 4004 bytes, found 4000 in wgpu buffer 'x', expected at most "
            "those",
        ),
        ({"dtype": "uint8", "require": "fast"}, "require is 'fast', expected None or one of shared, pinned, staged"),
    ],
)
def test_view_checks_dtype_shape_and_offset(device, options, text: str) -> None:
    buffer = new_buffer(device, VALUES)
    assert text_of(wb.ArgumentError, lambda: wbgpu.view(buffer, **options)) == text


ALL_FLAGS = "MAP_READ, MAP_WRITE, COPY_SRC, COPY_DST, INDEX, VERTEX, UNIFORM, STORAGE, INDIRECT, QUERY_RESOLVE"


@pytest.mark.parametrize("usage", [None, 8.0, "STORAGE|NOPE|COPY_DST", 1 << 10 | 8, -8])
def test_share_refuses_what_is_no_usage_flag(device, usage) -> None:
    assert text_of(wb.ArgumentError, lambda: wbgpu.share(device, size=16, usage=usage)) == (
        f"share: usage is {usage!r}, expected flags of wgpu.BufferUsage: {ALL_FLAGS}"
    )


def test_share_takes_usage_flags_as_text_and_as_numbers_of_numpy(device) -> None:
    for usage in ("STORAGE|COPY_SRC|COPY_DST", "copy_src, copy_dst, storage", np.uint32(USAGE), USAGE):
        assert wbgpu.share(device, size=16, usage=usage).buffer.usage == USAGE


@pytest.mark.parametrize("options", [{"size": 1 << 64}, {"shape": (1 << 31, 1 << 31), "dtype": "float64"}])
def test_share_refuses_more_than_the_device_allows(device, options) -> None:
    most = device.limits["max-buffer-size"]
    nbytes = options.get("size", 8 << 62)
    assert text_of(wb.ArgumentError, lambda: wbgpu.share(device, usage=USAGE, **options)) == (
        f"share: {nbytes} bytes, expected at most {most}, the device's limit max-buffer-size"
    )


@pytest.mark.parametrize("transport", [None, "staged"])
def test_share_says_why_wgpu_makes_no_buffer(transport: str | None) -> None:
    lost = new_device()
    lost.destroy()
    assert text_of(wb.DeviceError, lambda: wbgpu.share(lost, size=16, usage=USAGE, label="f", require=transport)) == (
        "wgpu cannot make wgpu buffer 'f' of 16 bytes: Parent device is lost; expected usage flags that go together, "
        "and a live device with room"
    )


def test_numpy_dtype_of_the_other_byte_order_is_refused(device) -> None:
    other = np.dtype(np.float32).newbyteorder()
    assert text_of(wb.ArgumentError, lambda: wbgpu.view(new_buffer(device, VALUES), dtype=other)) == (
        f"view has dtype {other.str}, expected one of {', '.join(DTYPES)}"
    )


def test_device_that_is_no_name_is_refused(device) -> None:
    assert text_of(wb.ArgumentError, lambda: wbgpu.view(new_buffer(device, VALUES), dtype="float32", on=3)) == (
        "device: name is an int, expected 'cpu', 'cuda:0', ... or a Device"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "share: neither size nor shape is given, expected one of them"),
        ({"size": -4}, "share: size is -4, expected bytes, 0 or more"),
        (
            {"size": 8, "shape": 3, "dtype": "float32"},
            "share: float32 (3,) needs 12 bytes, found size 8, expected at least those",
        ),
    ],
)
def test_share_checks_size_and_shape(device, options, text: str) -> None:
    assert text_of(wb.ArgumentError, lambda: wbgpu.share(device, usage=USAGE, **options)) == text


def test_dtype_that_the_kernel_does_not_take_is_named(device) -> None:
    view = wbgpu.view(new_buffer(device, VALUES), dtype="int32", require="staged")
    assert text_of(wb.ArgumentError, lambda: scale(view, 1.0, 0.0)) == (
        "scale: argument 1 (x) is int32, expected float32 or float16; convert it first"
    )


def test_size_that_the_kernel_does_not_take_is_named(device) -> None:
    x = wbgpu.view(new_buffer(device, VALUES), dtype="float32", require="staged")
    y = wbgpu.view(new_buffer(device, VALUES), dtype="float32", shape=999)
    assert text_of(wb.ArgumentError, lambda: scale(x, 1.0, 0.0, out=y)) == (
        "scale: out (y) has shape (999,), expected (1000,), the shape of argument 1 (x); reshape or slice it first"
    )


# ---- usage flags -----------------------------------------------------------------------------------------------------


def test_missing_copy_src_of_an_input_is_named(device) -> None:
    view = wbgpu.view(new_buffer(device, VALUES, DST), dtype="float32", require="staged")
    expected = (
        "wgpu buffer 'x' has usage COPY_DST, expected COPY_SRC too, so that the staged transport can copy it to "
        "kernels that read it; add wgpu.BufferUsage.COPY_SRC where it is made"
    )
    assert text_of(wb.ArgumentError, lambda: scale(view, 1.0, 0.0)) == f"scale: argument 1 (x): {expected}"
    assert text_of(wb.ArgumentError, view.tobytes) == expected


def test_missing_copy_dst_of_an_output_is_named(device) -> None:
    view = wbgpu.view(new_buffer(device, VALUES.nbytes, SRC, "out"), dtype="float32", require="staged")
    expected = (
        "wgpu buffer 'out' has usage COPY_SRC, expected COPY_DST too, so that the staged transport can copy into it "
        "what kernels write; add wgpu.BufferUsage.COPY_DST where it is made"
    )
    assert text_of(wb.ArgumentError, lambda: scale(VALUES, 1.0, 0.0, out=view)) == f"scale: out (y): {expected}"
    assert text_of(wb.ArgumentError, lambda: view.frombytes(VALUES.tobytes())) == expected


def test_output_that_ends_inside_a_word_needs_copy_src_too(device) -> None:
    view = wbgpu.view(new_buffer(device, 16, DST), dtype="uint8", shape=3, offset=1)
    assert text_of(wb.ArgumentError, lambda: view.frombytes(b"abc")) == (
        "wgpu buffer 'x' has usage COPY_DST, expected COPY_SRC too, because bytes 1 to 4 end inside a word of 4 bytes, "
        "whose rest is kept; add wgpu.BufferUsage.COPY_SRC where it is made"
    )


def test_bytes_that_do_not_fit_leave_a_view_as_it_was(device) -> None:
    view = wbgpu.view(new_buffer(device, VALUES), dtype="float32", require="staged")
    with view:
        assert "1 bytes are given" in text_of(wb.ArgumentError, lambda: view.frombytes(b"1"))
        assert view.tobytes() == VALUES.tobytes()


def test_share_needs_copy_dst(device) -> None:
    storage = wgpu.BufferUsage.STORAGE
    assert text_of(wb.ArgumentError, lambda: wbgpu.share(device, size=16, usage=storage, label="f")) == (
        "wgpu buffer 'f' has usage STORAGE, expected COPY_DST too, because wgpu clears it before kernels use it; add "
        "wgpu.BufferUsage.COPY_DST where it is made"
    )


def test_buffer_whose_last_bytes_wgpu_cannot_copy_is_refused(device) -> None:
    buffer = device.create_buffer(label="odd", size=5, usage=USAGE)
    assert text_of(wb.ArgumentError, lambda: wbgpu.view(buffer, dtype="uint8")) == (
        "wgpu buffer 'odd' has 5 bytes, of which wgpu cannot copy the last 1, expected a size that is a multiple of 4; "
        "make it larger and give shape="
    )
    assert wbgpu.view(buffer, dtype="uint8", shape=4).tobytes() == bytes(4)


def test_interrupted_share_leaves_no_bracket_open(device, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = _vulkan.begin_import

    def begin_and_be_interrupted(*arguments: Any) -> None:
        begin(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(_vulkan, "begin_import", begin_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt):
        wbgpu.share(device, size=16, usage=USAGE, on="cpu")
    monkeypatch.undo()
    assert wbgpu.share(device, size=16, usage=USAGE, on="cpu").transport == "shared"


# ---- state -----------------------------------------------------------------------------------------------------------


def test_mapped_buffer_is_refused_and_works_again_unmapped(device) -> None:
    buffer = new_buffer(device, VALUES.nbytes, wgpu.BufferUsage.MAP_READ | DST)
    view = wbgpu.view(buffer, dtype="float32", require="staged")
    buffer.map_sync("READ")
    expected = "wgpu buffer 'x' is mapped, expected it unmapped; call its unmap() first"
    assert text_of(wb.ArgumentError, lambda: scale(VALUES, 2.0, 0.0, out=view)) == f"scale: out (y): {expected}"
    assert text_of(wb.ArgumentError, view.__enter__) == expected
    buffer.unmap()
    scale(VALUES, 2.0, 0.0, out=view)
    buffer.map_sync("READ")
    np.testing.assert_array_equal(np.frombuffer(buffer.read_mapped(), np.float32), VALUES * 2)
    buffer.unmap()


def test_destroyed_buffer_is_refused_while_its_view_lives(device) -> None:
    view = wbgpu.view(new_buffer(device, VALUES), dtype="float32", require="staged")
    view.buffer.destroy()
    expected = "wgpu buffer 'x' has been destroyed, expected a live one; make a new one, and a view of that"
    assert text_of(wb.ArgumentError, lambda: scale(view, 1.0, 0.0)) == f"scale: argument 1 (x): {expected}"
    assert text_of(wb.ArgumentError, lambda: scale.submit(view, 1.0, 0.0)) == f"scale: argument 1 (x): {expected}"
    assert text_of(wb.ArgumentError, view.tobytes) == expected
    assert text_of(wb.ArgumentError, view.__enter__) == expected


def test_values_survive_a_buffer_that_is_destroyed_inside_the_block(device) -> None:
    view = wbgpu.view(new_buffer(device, VALUES), dtype="float32", require="staged")

    def block() -> None:
        with view:
            scale(view, 2.0, 0.0, out=view)
            view.buffer.destroy()

    expected = "wgpu buffer 'x' has been destroyed, expected a live one; make a new one, and a view of that"
    assert text_of(wb.ArgumentError, block) == expected
    np.testing.assert_array_equal(np.asarray(view.copy()), VALUES * 2)
    assert text_of(wb.ArgumentError, view.wait) == expected  # and it goes on trying


def test_values_survive_a_device_that_is_lost_inside_the_block() -> None:
    device = new_device()
    view = wbgpu.view(new_buffer(device, VALUES), dtype="float32", require="staged")

    def block() -> None:
        with view:
            scale(view, 2.0, 0.0, out=view)
            device.destroy()

    assert text_of(wb.DeviceError, block) == (
        "wgpu cannot copy wgpu buffer 'x': Parent device is lost; expected a live device with room for a staging buffer"
    )
    np.testing.assert_array_equal(np.asarray(view.copy()), VALUES * 2)


def test_mapping_that_fails_half_way_leaves_the_ring_usable(device) -> None:
    data = np.arange(6 << 20, dtype=np.int32)  # two chunks of 16 MiB
    buffer = new_buffer(device, data)
    view = wbgpu.view(buffer, dtype="int32", require="staged")
    assert view.tobytes() == data.tobytes()
    device._warpbridge_ring._slots["READ"][1].buffer._map_state = "pending"  # wgpu refuses to map the second one
    assert text_of(wb.DeviceError, view.tobytes) == (
        "wgpu cannot copy wgpu buffer 'x': Can only map a buffer if its currently unmapped, not 'pending'; expected a "
        "live device with room for a staging buffer"
    )
    assert view.tobytes() == data.tobytes()


def test_failed_kernel_leaves_the_buffer_as_it_was(device) -> None:
    rows = np.ones((8, 16), np.float32)
    view = wbgpu.view(new_buffer(device, VALUES[:64].copy()), dtype="float32", shape=(4, 16))
    with pytest.raises(wb.KernelFault):
        wb.kernels.gather_rows(rows, np.array([0, 1, 99, 2], np.int32), out=view)
    np.testing.assert_array_equal(read(view.buffer), VALUES[:64])


def test_timed_out_kernel_leaves_the_buffer_as_it_was(device, data) -> None:
    steps = wb.load(data / "steps.ptx").kernels["steps"]
    start = np.full(100_000, 7, np.int32)
    view = wbgpu.view(new_buffer(device, start), dtype="int32", require="staged")
    with pytest.raises(wb.LaunchTimeout):
        steps(view, 20_000, timeout=0.1)
    with pytest.raises(wb.LaunchTimeout):
        steps.submit(view, 20_000, timeout=0.1).result(60)
    np.testing.assert_array_equal(read(view.buffer, np.int32), start)
    np.testing.assert_array_equal(np.asarray(view.copy()), start)  # and the view takes it anew


def test_unlaunched_call_lets_go_of_the_views_before_the_one_refused(device) -> None:
    x, y = (wbgpu.view(new_buffer(device, VALUES), dtype="float32", require="staged") for _ in range(2))
    y.buffer.destroy()
    with pytest.raises(wb.ArgumentError, match=r"^scale: out \(y\): wgpu buffer 'x' has been destroyed"):
        scale(x, 1.0, 0.0, out=y)
    x.wait()  # would wait for ever if the launch were still counted
    scale(x, 2.0, 0.0, out=x)
    np.testing.assert_array_equal(read(x.buffer), VALUES * 2)


def test_view_that_is_left_but_was_not_entered_says_so_and_goes_on(device) -> None:
    view = wbgpu.view(new_buffer(device, VALUES), dtype="float32", require="staged")
    assert text_of(wb.LaunchError, lambda: view.__exit__(None, None, None)) == (
        "<View float32 (1000,) of wgpu buffer 'x' on cpu, staged> is left but was not entered, expected `with view:` "
        "around its use"
    )
    scale(view, 2.0, 0.0, out=view)
    np.testing.assert_array_equal(read(view.buffer), VALUES * 2)


# ---- handing on, requiring, waiting ----------------------------------------------------------------------------------


def test_staged_memory_is_not_handed_on_outside_a_block(device) -> None:
    view = wbgpu.view(new_buffer(device, VALUES), dtype="float32", require="staged")
    expected = (
        "<View float32 (1000,) of wgpu buffer 'x' on cpu, staged> is handed on outside a with block, where it is a "
        "copy that nobody writes back, expected it inside `with view:`; or take view.copy()"
    )
    assert text_of(BufferError, lambda: np.from_dlpack(view)) == expected
    assert text_of(TypeError, lambda: np.asarray(view)) == expected


def test_required_transport_that_cannot_be_had_says_why(device) -> None:
    buffer = new_buffer(device, VALUES)
    assert text_of(wb.ArgumentError, lambda: wbgpu.view(buffer, dtype="float32", require="shared")) == (
        "wgpu buffer 'x' cannot be shared: it was not created by warpbridge.adapters.wgpu.share; leave require out, or "
        "make it so"
    )
    assert wbgpu.view(buffer, dtype="float32", require="staged").transport == "staged"


def test_waiting_in_a_callback_for_another_launch_is_an_error(device) -> None:
    view = wbgpu.view(new_buffer(device, np.zeros(1 << 22, np.float32)), dtype="float32", require="staged")
    caught: list[str] = []
    both, called = threading.Event(), threading.Event()

    def on_done(_: object) -> None:
        both.wait(60)  # the second one is under way then, and its end is told after this callback
        try:
            view.wait()
        except wb.LaunchError as error:
            caught.append(str(error))
        called.set()

    with view:
        first = scale.submit(view, 1.0, 1.0, out=view, on_done=on_done)
        second = scale.submit(view, 1.0, 1.0, out=view)
        both.set()
        assert called.wait(60)
    first.result(60), second.result(60)
    assert caught == [
        "<View float32 (4194304,) of wgpu buffer 'x' on cpu, staged> is used by a launch under way and waited for in a "
        "callback, expected that elsewhere: callbacks run where launches are completed"
    ]
    assert read(view.buffer)[::1000].tolist() == [2.0] * 4195
