"""Arrays on a GPU: who orders them, how long they live, what is refused; and our own, handed to other libraries."""

from __future__ import annotations

import gc
import importlib
import time
from pathlib import Path
from typing import Any

import late
import numpy as np
import pytest
import warpbridge as wb
from producer import Producer

pytestmark = pytest.mark.gpu
STEPS = Path(__file__).parent.parent / "data" / "steps.ptx"
SLOW = 200_000
COUNT = 10_000


@pytest.fixture
def cupy() -> Any:
    return importlib.import_module("cupy")


@pytest.fixture
def torch() -> Any:
    return importlib.import_module("torch")


class ByDLPack:
    """A CuPy array that is known by DLPack only; its producer works on a stream of its own."""

    def __init__(self, array: Any, stream: Any) -> None:
        self.array, self.stream = array, stream
        self.asked: list[object] = []

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()

    def __dlpack__(self, *, stream: object = None, **keywords: Any) -> Any:
        self.asked.append(stream)
        with self.stream:
            return self.array.__dlpack__(stream=stream, **keywords)


class ByInterface:
    """The same, known by the CUDA array interface only."""

    def __init__(self, array: Any, stream: Any) -> None:
        self.array, self.stream = array, stream
        self.__cuda_array_interface__ = {
            **{key: array.__cuda_array_interface__[key] for key in ("shape", "typestr", "data", "strides")},
            "version": 3,
            "stream": stream.ptr,
        }


# ---- producers that work on a stream of their own --------------------------------------------------------------------


@pytest.mark.parametrize("form", [ByDLPack, ByInterface], ids=["dlpack", "interface"])
@pytest.mark.parametrize("explicit", [False, True], ids=["default stream", "stream given"])
def test_launch_waits_for_the_producer_and_the_host_does_not(cupy, form: type, explicit: bool) -> None:
    produce, use = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream(non_blocking=True)
    x, y = cupy.zeros(COUNT, "f4"), cupy.zeros(COUNT, "f4")
    wb.kernels.scale(x, 2.0, out=y)  # compiled before it matters
    cupy.cuda.Device().synchronize()
    late.fill(x, 3.0, produce)
    wb.kernels.scale.launch(form(x, produce), 2.0, out=y, stream=use if explicit else None)
    assert not produce.done, "the host has waited"
    if explicit:
        use.synchronize()
    else:
        cupy.cuda.Stream.null.synchronize()
        produce.synchronize()
    assert (y == 6).all()


def test_every_launch_of_a_bound_call_waits_for_the_producer(cupy) -> None:
    produce, use = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream(non_blocking=True)
    x, y = cupy.zeros(COUNT, "f4"), cupy.zeros(COUNT, "f4")
    cupy.cuda.Device().synchronize()
    source = ByDLPack(x, produce)
    bound = wb.kernels.scale.bind(source, 2.0, out=y)
    for value in (1.0, 2.0, 3.0):
        late.fill(x, value, produce)
        bound.launch(use)
        use.synchronize()
        assert (y == 2 * value).all()
    assert source.asked == [-1, use.ptr, use.ptr, use.ptr]


def test_stream_of_the_interface_waits_for_the_launch(cupy) -> None:
    produce, use = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream(non_blocking=True)
    x = cupy.ones(COUNT, "f4")
    y = cupy.zeros(COUNT, "f4")
    wb.kernels.scale(x, 2.0, out=y)
    y[:] = 0
    cupy.cuda.Device().synchronize()
    busy = cupy.zeros(1, "f4")
    late.fill(busy, 1.0, use)  # the launch starts late
    wb.kernels.scale.launch(ByInterface(x, produce), 2.0, out=y, stream=use)
    with produce:
        x[:] = 100
    assert not use.done
    use.synchronize()
    assert (y == 2).all()


def test_producer_of_the_launch_stream_itself_is_not_waited_for(cupy) -> None:
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        x = cupy.full(COUNT, 3, "f4")
    y = wb.kernels.scale(ByInterface(x, stream), 2.0)
    assert isinstance(y, wb.Array)
    assert (cupy.from_dlpack(y) == 6).all()


def test_tensor_is_kept_until_its_stream_ordered_launch_has_ended(cupy) -> None:
    steps = wb.load(STEPS).kernels["steps"]
    y = cupy.full(100, -1, "i4")
    steps(y, 0)
    cupy.cuda.Device().synchronize()
    source = Producer(np.zeros(100, np.int32), device=(2, 0), data=y.data.ptr)
    stream = cupy.cuda.Stream(non_blocking=True)
    steps.launch(source, SLOW, stream=stream)
    gc.collect()
    assert not stream.done
    assert (len(source.asked), source.deleted) == (2, 1)  # the second export was for its ordering only
    stream.synchronize()
    deadline = time.monotonic() + 5
    while source.deleted < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    gc.collect()
    assert source.deleted == 2


@pytest.mark.parametrize("form", [ByDLPack, ByInterface], ids=["dlpack", "interface"])
def test_foreign_arrays_are_captured(cupy, form: type) -> None:
    produce, stream = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream(non_blocking=True)
    x, y = cupy.ones(COUNT, "f4"), cupy.zeros(COUNT, "f4")
    wb.kernels.scale(x, 3.0, out=y)
    cupy.cuda.Device().synchronize()
    source = form(x, produce)
    with stream:
        stream.begin_capture()
        wb.kernels.scale.launch(source, 3.0, out=y, stream=stream)
        graph = stream.end_capture()
    x[:] = 5
    cupy.cuda.Device().synchronize()
    graph.launch(stream)
    stream.synchronize()
    assert (y == 15).all()
    assert getattr(source, "asked", [-1]) == [-1]


def test_outputs_for_the_interface_are_our_own(cupy) -> None:
    x = cupy.arange(6, dtype="f4").reshape(2, 3)
    y = wb.kernels.scale(ByInterface(x, cupy.cuda.Stream(non_blocking=True)), 2.0)
    assert repr(y) == "<Array float32 (2, 3) on cuda:0>"
    np.testing.assert_array_equal(np.asarray(y.copy("cpu")), 2 * cupy.asnumpy(x))


# ---- what is refused -------------------------------------------------------------------------------------------------

SPECIAL: dict[str, tuple[Any, str]] = {
    "requires_grad": (
        lambda t, d: t.ones(3, device=d, requires_grad=True),
        "a torch tensor has requires_grad=True, expected one that autograd does not track; pass x.detach()",
    ),
    "parameter": (
        lambda t, d: t.nn.Parameter(t.ones(3, device=d)),
        "a torch tensor has requires_grad=True, expected one that autograd does not track; pass x.detach()",
    ),
    "sparse": (
        lambda t, d: t.ones(3, 3, device=d).to_sparse(),
        "a torch tensor has layout torch.sparse_coo, expected torch.strided; pass x.to_dense()",
    ),
    "nested": (
        lambda t, d: t.nested.nested_tensor([t.ones(2), t.ones(3)], device=d),
        "a torch tensor is nested, expected one of a single shape; pass x.values() or x.unbind()",
    ),
    "conjugate": (
        lambda t, d: t.ones(3, dtype=t.complex64, device=d).conj(),
        "a torch tensor is a lazy conjugate, expected stored values; pass x.resolve_conj()",
    ),
    "negation": (
        lambda t, d: t.ones(3, dtype=t.complex64, device=d).conj().imag,
        "a torch tensor is a lazy negation, expected stored values; pass x.resolve_neg()",
    ),
    "meta": (
        lambda t, _: t.ones(3, device="meta"),
        "a torch tensor is on meta, expected cpu or cuda; move it first",
    ),
    "zero tensor": (
        lambda t, d: t._efficientzerotensor(3, device=d),
        "a torch tensor of type Tensor has no memory, expected one that holds values; call the kernel outside of "
        "torch.compile, torch.func and fake tensors",
    ),
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@pytest.mark.parametrize("name", SPECIAL)
def test_torch_tensor_that_no_kernel_takes(torch, device: str, name: str) -> None:
    make, text = SPECIAL[name]
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(make(torch, device), 2.0)
    assert str(caught.value) == f"scale: argument 1 (x): {text}"


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@pytest.mark.parametrize(
    ("make", "strides", "shape"),
    [
        (lambda t, d: t.ones(4, 6, device=d).T, "(1, 6)", "(6, 4)"),
        (lambda t, d: t.ones(4, 6, device=d)[::2], "(12, 1)", "(2, 6)"),
        (lambda t, d: t.ones(4, 1, device=d).expand(4, 3), "(1, 0)", "(4, 3)"),
        (lambda t, d: t.ones(2, 3, 4, 5, device=d).to(memory_format=t.channels_last), "(60, 1, 15, 3)", "(2, 3, 4, 5)"),
    ],
    ids=["transposed", "every second", "expanded", "channels last"],
)
def test_torch_view_with_gaps(torch, device: str, make: Any, strides: str, shape: str) -> None:
    text = f"has strides {strides}, expected a C-contiguous array of shape {shape}; make a contiguous copy first"
    view = make(torch, device)
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(view, 2.0)
    assert str(caught.value) == f"scale: argument 1 (x) {text}"
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(torch.zeros(view.shape, device=device), 2.0, out=view)
    assert str(caught.value) == f"scale: out (y) {text}"


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float4_e2m1fn_x2"])
def test_torch_narrow_float_is_named(torch, device: str, name: str) -> None:
    x = torch.zeros(4, dtype=torch.uint8, device=device).view(getattr(torch, name))
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(x, 2.0)
    assert str(caught.value) == f"scale: argument 1 (x) is {name}, expected float32 or float16; convert it first"


@pytest.mark.parametrize(
    ("make", "strides", "shape"),
    [
        (lambda c: c.ones((4, 6), "f4").T, "(1, 6)", "(6, 4)"),
        (lambda c: c.ones((4, 6), "f4")[:, ::-1], "(6, -1)", "(4, 6)"),
        (lambda c: c.broadcast_to(c.ones(6, "f4"), (4, 6)), "(0, 1)", "(4, 6)"),
    ],
    ids=["transposed", "reversed", "broadcast"],
)
def test_cupy_view_with_gaps(cupy, make: Any, strides: str, shape: str) -> None:
    view = make(cupy)
    text = f"has strides {strides}, expected a C-contiguous array of shape {shape}; make a contiguous copy first"
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(view, 2.0)
    assert str(caught.value) == f"scale: argument 1 (x) {text}"
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(cupy.zeros(view.shape, "f4"), 2.0, out=view)
    assert str(caught.value) == f"scale: out (y) {text}"


def test_shared_memory_on_the_gpu(library) -> None:
    x = library.array(np.arange(24, dtype=np.float32))
    assert wb.kernels.scale(x, 2.0, out=x) is x
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(x[:-4], 2.0, out=x[4:])
    assert str(caught.value) == (
        "scale: out (y) shares 64 bytes of memory with argument 1 (x), expected exactly the memory of argument 1 (x), "
        "or none of it; pass another array, or a copy"
    )
    np.testing.assert_array_equal(library.numpy(x), 2 * np.arange(24))


# ---- arrays of our own -----------------------------------------------------------------------------------------------


def own(cupy: Any, host: np.ndarray) -> wb.Array:
    """Return a copy on the GPU."""
    x = wb.empty(host.shape, host.dtype, "cuda:0")
    cupy.from_dlpack(x)[...] = cupy.asarray(host)
    cupy.cuda.Device().synchronize()
    return x


def test_own_array_goes_to_every_library(cupy, torch) -> None:
    host = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    y = wb.kernels.scale(own(cupy, host), 2.0, 1.0)
    assert repr(y) == "<Array float32 (2, 3) on cuda:0>"
    views = cupy.from_dlpack(y), cupy.asarray(y), torch.from_dlpack(y), torch.as_tensor(y, device="cuda:0")
    pointers = {views[0].data.ptr, views[1].data.ptr, views[2].data_ptr(), views[3].data_ptr()}
    assert len(pointers) == 1, "nothing is copied"
    for view in (cupy.asnumpy(views[0]), cupy.asnumpy(views[1]), views[2].cpu().numpy(), views[3].cpu().numpy()):
        np.testing.assert_array_equal(view, 2 * host + 1)
    np.testing.assert_array_equal(np.asarray(y.copy("cpu")), 2 * host + 1)
    np.testing.assert_array_equal(np.from_dlpack(y, device="cpu"), 2 * host + 1)


def test_own_array_is_exported_behind_its_launches_without_waiting(cupy) -> None:
    steps = wb.load(STEPS).kernels["steps"]
    y = own(cupy, np.full(100, -1, np.int32))
    steps(y, 0)
    cupy.from_dlpack(y)[...] = -1
    cupy.cuda.Device().synchronize()
    first, second = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream(non_blocking=True)
    with second:
        cupy.from_dlpack(y).copy()  # CuPy's pool has memory for that stream from now on: its first allocation may wait
    second.synchronize()
    steps.launch(y, SLOW, stream=first)
    with second:
        copied = cupy.from_dlpack(y).copy()
    assert not first.done, "the host has waited"
    second.synchronize()
    np.testing.assert_array_equal(cupy.asnumpy(copied), np.arange(100))


def test_own_array_by_the_interface_is_read_behind_its_launches(cupy) -> None:
    steps = wb.load(STEPS).kernels["steps"]
    y = own(cupy, np.full(100, -1, np.int32))
    assert y.__cuda_array_interface__["stream"] is None
    first = cupy.cuda.Stream(non_blocking=True)
    steps.launch(y, SLOW, stream=first)
    assert y.__cuda_array_interface__["stream"] not in (None, first.ptr), "the caller's stream may go, ours does not"
    second = cupy.cuda.Stream(non_blocking=True)
    with second:
        copied = cupy.asarray(y).copy()
    second.synchronize()
    np.testing.assert_array_equal(cupy.asnumpy(copied), np.arange(100))


def test_copy_to_the_host_waits_for_launches(cupy) -> None:
    steps = wb.load(STEPS).kernels["steps"]
    y = own(cupy, np.full(100, -1, np.int32))
    steps.launch(y, SLOW, stream=cupy.cuda.Stream(non_blocking=True))
    np.testing.assert_array_equal(np.asarray(y.copy("cpu")), np.arange(100))


def test_pinned_memory() -> None:
    x = wb.empty(COUNT, "float32", pinned=True)
    assert (repr(x), x.__dlpack_device__()) == (f"<Array float32 ({COUNT},) on cpu, pinned>", (3, 0))
    np.asarray(x)[:] = np.arange(COUNT)
    back = x.copy("cuda:0").copy("cpu", pinned=True)
    np.testing.assert_array_equal(np.asarray(back), np.arange(COUNT))
    np.testing.assert_array_equal(np.from_dlpack(back), np.arange(COUNT))
    y = wb.kernels.scale(x, 2.0)
    assert str(y.device) == "cpu"
    np.testing.assert_array_equal(np.asarray(y), 2 * np.arange(COUNT, dtype=np.float32))


def test_memory_of_own_arrays_comes_back(cupy) -> None:
    def free() -> int:
        return int(cupy.cuda.runtime.memGetInfo()[0])

    cupy.from_dlpack(wb.empty(2**28, "int8", "cuda:0"))
    gc.collect()
    before = free()
    for _ in range(1000):  # 250 GiB, were they kept
        x = wb.empty(2**28, "int8", "cuda:0")
        view = cupy.from_dlpack(x)
        x.__dlpack__(max_version=(1, 3))
        del x
        assert view.size == 2**28
    assert free() <= before - 2**28 + 2**24, "a view holds the memory"
    del view
    gc.collect()
    assert free() >= before - 2**24


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        (
            {"stream": 0},
            "<Array float32 (3,) on cuda:0>: stream is 0, expected None, -1, 1, 2 or a handle: "
            "0 could mean any of them",
        ),
        (
            {"dl_device": (1, 0), "copy": False},
            "<Array float32 (3,) on cuda:0> is asked for on cpu without a copy, expected copy=True or None",
        ),
        (
            {"dl_device": (15, 0)},
            "<Array float32 (3,) on cuda:0> is asked for on webgpu:0, expected cuda:0 or cpu; copy it first",
        ),
    ],
    ids=["stream", "copy", "device"],
)
def test_export_that_cannot_be(keywords: dict[str, Any], text: str) -> None:
    with pytest.raises(BufferError) as caught:
        wb.empty(3, device="cuda:0").__dlpack__(**keywords)
    assert str(caught.value) == text


def test_numpy_says_why_it_cannot_read_gpu_memory() -> None:
    with pytest.raises(TypeError) as caught:
        np.asarray(wb.empty(3, device="cuda:0"))
    assert str(caught.value) == (
        "<Array float32 (3,) on cuda:0> is in memory of a GPU, expected host memory; use x.copy('cpu')"
    )
