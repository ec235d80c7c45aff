"""Calls that were checked once are repeated without Python code, and anything that differs is checked again."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import inspect
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warpbridge as wb
from misses import Misses
from warpbridge.kernel import Kernel

DATA = Path(__file__).parent / "data"


@pytest.fixture
def scale() -> Kernel:
    """A kernel of its own: nothing has been learned yet."""
    return wb.load(DATA / "axpb.ptx").kernels["axpb"]


@pytest.fixture
def x() -> np.ndarray:
    return np.linspace(-1, 1, 1000, dtype=np.float32)


def test_this_interpreter_can_learn_calls() -> None:
    from warpbridge import calls

    assert calls.is_available()


def test_blocking_call_is_learned_with_other_arrays_of_the_same_kind(
    scale: Kernel, x: np.ndarray, misses: Misses
) -> None:
    y = np.empty_like(x)
    assert misses.since(lambda: scale(x, 2.0, 1.0, out=y)) == 1
    for start in range(5):
        source, out = np.full_like(x, start), np.empty_like(x)
        assert misses.since(lambda source=source, out=out: scale(source, 2.0, 1.0, out=out)) == 0
        assert (out == 2 * start + 1).all()


def test_launch_is_learned_and_returns_what_it_was_given(scale: Kernel, x: np.ndarray, misses: Misses) -> None:
    stream = wb.device("cpu").stream()
    y = np.empty_like(x)
    scale.launch(x, 2.0, out=y, stream=stream)
    other = wb.device("cpu").stream()
    assert misses.since(lambda: scale.launch(x, 2.0, out=y, stream=other)) == 0
    assert scale.launch(x, 2.0, out=y, stream=other) is y
    other.synchronize()
    np.testing.assert_array_equal(y, 2 * x)


def test_call_without_out_is_learned_and_makes_a_new_array_each_time(
    scale: Kernel, x: np.ndarray, misses: Misses
) -> None:
    first = scale(x, 3.0)
    results: list[np.ndarray] = []
    assert misses.since(lambda: results.extend(scale(x + i, 3.0) for i in range(3))) == 0
    for i, result in enumerate(results):
        np.testing.assert_array_equal(result, 3 * (x + i))
    assert len({first.ctypes.data, *(r.ctypes.data for r in results)}) == 4


def test_call_by_keyword_is_learned_by_its_names(scale: Kernel, x: np.ndarray, misses: Misses) -> None:
    scale(x=x, a=2.0)
    assert misses.since(lambda: scale(x=x, a=2.0)) == 0
    assert misses.since(lambda: scale(a=2.0, x=x)) == 1
    assert misses.since(lambda: scale(a=2.0, x=x)) == 0
    np.testing.assert_array_equal(scale(a=2.0, x=x), 2 * x)


@pytest.mark.parametrize(
    "other",
    [
        lambda x, y: ((x[:500], 2.0), {"out": y[:500]}),
        lambda x, y: ((x.reshape(10, 100), 2.0), {"out": y.reshape(10, 100)}),
        lambda x, y: ((x, True + 1.0, 0.0), {"out": y}),
        lambda x, y: ((x, np.float32(2)), {"out": y}),
        lambda x, y: ((x,), {"a": 2.0, "out": y}),
        lambda x, y: ((x, 2.0), {"out": y, "timeout": 5.0}),
        lambda x, y: ((x, 2.0), {"out": x}),
    ],
    ids=["shorter", "reshaped", "default", "numpy-scalar", "names", "option", "in-place"],
)
def test_call_that_differs_goes_the_long_way(scale: Kernel, x: np.ndarray, misses: Misses, other: Any) -> None:
    y = np.empty_like(x)
    for _ in range(2):
        scale(x, 2.0, out=y)
    (source, *scalars), keywords = other(x, y)
    expected = np.asarray(source) * float(keywords.get("a", scalars[0] if scalars else 2.0))
    results: list[np.ndarray] = []
    assert misses.since(lambda: results.append(scale(source, *scalars, **keywords))) == 1
    np.testing.assert_array_equal(results[0], expected)


def readonly(y: np.ndarray) -> np.ndarray:
    y.flags.writeable = False
    return y


@pytest.mark.parametrize(
    "spoil",
    [
        lambda x, y: (x.astype(np.int64), y),
        lambda x, y: (x[:10], y),
        lambda x, y: (x[::-1], y),
        lambda x, y: (x, readonly(y)),
        lambda x, y: (x, np.zeros(1000, "f8")),
        lambda x, y: (x.astype(">f4"), y),
        lambda x, y: (x, np.frombuffer(bytearray(4001), np.uint8)[1:].view("f4")),
        lambda x, y: (None, y),
        lambda x, y: (x.tolist(), y),
    ],
    ids=["dtype", "length", "strides", "readonly", "out-dtype", "byte-order", "misaligned", "none", "list"],
)
def test_error_of_a_learned_call_is_that_of_a_first_call(scale: Kernel, x: np.ndarray, spoil: Any) -> None:
    texts = []
    for learn in (False, True):
        y = np.empty_like(x)
        if learn:
            for _ in range(3):
                scale(x, 2.0, out=y)
        source, out = spoil(x, y)
        with pytest.raises(wb.ArgumentError) as caught:
            scale(source, 2.0, out=out)
        texts.append(str(caught.value).split(" address 0x")[0])
    assert texts[0] == texts[1]


def test_launch_has_a_signature_and_a_docstring(scale: Kernel) -> None:
    assert str(inspect.signature(scale.launch)) == "(*args, **keywords)"
    assert inspect.getdoc(scale.launch).startswith("Queue on a stream and return the outputs at once: `stream=`")


def test_shape_that_changes_in_place_is_seen(scale: Kernel, x: np.ndarray, misses: Misses) -> None:
    y = np.empty_like(x)
    scale(x, 2.0, out=y)
    x.resize((10, 100), refcheck=False)  # in its place; NumPy 2.5 deprecates to set `shape`
    with pytest.raises(wb.ArgumentError) as caught:
        scale(x, 2.0, out=y)
    assert str(caught.value) == (
        "axpb: out (y) has shape (1000,), expected (10, 100), the shape of argument 1 (x); reshape or slice it first"
    )


def test_partial_overlap_goes_the_long_way(scale: Kernel, misses: Misses) -> None:
    memory = np.zeros(3000, np.float32)
    scale(memory[:1000], 2.0, out=memory[1000:2000])
    assert misses.since(lambda: scale(memory[2000:], 2.0, out=memory[1000:2000])) == 0

    def overlapping() -> None:
        with contextlib.suppress(wb.ArgumentError):  # whether that is allowed is the checks' business
            scale(memory[:1000], 2.0, out=memory[500:1500])

    assert misses.since(overlapping) == 1
    assert misses.since(overlapping) == 1


def test_settings_of_the_cpu_device_hold_for_learned_calls() -> None:
    folder = Path(__file__).parents[1] / "emulator" / "tests" / "ptx" / "judge"
    bound = wb.load(folder / "barrier_missing.ptx").entries["bug"].bind(1, 64, [np.zeros(1024, np.float32)])
    for _ in range(3):
        bound()
        with wb.cpu(checks="all"), pytest.raises(wb.RaceError):
            bound()


def test_timeout_stops_a_learned_call(misses: Misses) -> None:
    steps = wb.load(DATA / "steps.ptx").kernels["steps"]
    y = np.zeros(100_000, np.int32)
    for _ in range(2):
        with pytest.raises(wb.LaunchTimeout) as caught:
            steps(y, 20_000, timeout=0.2)
    short = np.zeros(4, np.int32)
    for limit in (5.0, 4, None):
        steps(short, 20, timeout=limit)
    learned = misses.count
    start = time.monotonic()
    with pytest.raises(wb.LaunchTimeout) as caught:
        steps(short, 20, timeout=1e-9)
    assert misses.count == learned
    assert time.monotonic() - start < 60
    assert str(caught.value).startswith("steps on cpu, stream 0: not finished after 0.")
    assert str(caught.value).endswith("its arguments were y int32 (4,), rounds = 20")
    with pytest.raises(wb.ArgumentError) as refused:
        steps(short, 20, timeout=-1.0)
    assert str(refused.value) == "steps: timeout is -1.0, expected a positive number of seconds, or None for no limit"


def test_fault_of_a_learned_call_is_raised_each_time() -> None:
    walk = wb.load(DATA / "steps.ptx").entries["outside"]
    memory = np.zeros(4, np.uint32)
    inside, beyond = walk.bind(1, 1, [memory, 4]), walk.bind(1, 1, [memory, 64])
    for _ in range(3):
        inside()
        with pytest.raises(wb.MemoryFault) as caught:
            beyond()
        assert str(caught.value).startswith('outside: out-of-bounds write in "outside": 4 bytes at offset 64 of "y"')
        stream = wb.device("cpu").stream()
        beyond.launch(stream)
        with pytest.raises(wb.MemoryFault):
            stream.synchronize()


def test_number_whose_value_decides_is_checked_in_each_call() -> None:
    """`gather_rows` scales rows of some types only, which its manifest asks by `is_value`."""
    rows, idx = np.arange(40, dtype=np.int8).reshape(10, 4), np.array([1, 2, 3])
    for call in (wb.kernels.gather_rows, wb.kernels.gather_rows.launch):
        for _ in range(5):
            call(rows, idx, 1.0)
        with pytest.raises(wb.ArgumentError) as caught:
            call(rows, idx, 2.0)
        assert str(caught.value) == (
            "gather_rows: scale is not 1, expected 1 unless src is float32, float16 or bfloat16; "
            "scale the rows afterwards"
        )


def test_learned_calls_keep_no_array_alive(scale: Kernel, x: np.ndarray) -> None:
    y = np.empty_like(x)
    for _ in range(3):
        scale(x, 2.0, out=y)
    gone = [weakref.ref(x), weakref.ref(y)]
    del x, y
    assert gone[1]() is None


def test_bound_lets_its_arrays_go_without_a_collection(scale: Kernel, x: np.ndarray) -> None:
    y = np.empty_like(x)
    bound = scale.bind(x, 2.0, out=y)
    for _ in range(3):
        assert bound() is y
    gone = weakref.ref(y)
    gc.disable()
    try:
        del bound, y
        assert gone() is None
    finally:
        gc.enable()


def test_bound_launch_refuses_what_its_signature_does_not_take(scale: Kernel, x: np.ndarray) -> None:
    bound = scale.bind(x, 2.0)
    bound.launch()
    with pytest.raises(TypeError):
        bound.launch(None, None)
    with pytest.raises(TypeError):
        bound.launch(timeout=1.0)
    with pytest.raises(wb.ArgumentError) as caught:
        bound.launch("mine")
    assert str(caught.value).startswith("axpb: stream is a str, expected a wb.Stream")
    wb.device("cpu").synchronize()


def test_learned_calls_from_many_threads(scale: Kernel) -> None:
    def work(seed: int) -> bool:
        sizes = np.random.default_rng(seed).integers(1, 50, 60)
        return all((scale(np.full(n, seed, np.float32), 2.0) == 2 * seed).all() for n in sizes.tolist())

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(16)))


def test_learning_can_be_turned_off(run_python) -> None:
    program = (
        "import numpy as np, warpbridge as wb\n"
        "x = np.ones(8, 'f4')\n"
        "print(type(wb.kernels.scale.launch).__name__, [wb.kernels.scale(x, 2.0)[0] for _ in range(2)])"
    )
    assert run_python(program, WARPBRIDGE_LEARN="0").stdout.startswith("method [")
    assert run_python(program).stdout.startswith("builtin_function_or_method [")


def test_launches_do_not_grow_the_process(run_python) -> None:
    program = """
import gc, numpy as np, resource, warpbridge as wb
x, y = np.ones(8, 'f4'), np.ones(8, 'f4')
bound = wb.kernels.scale.bind(x, 2.0, out=y)
def work(count):
    for _ in range(count):
        bound(); wb.kernels.scale(x, 2.0, out=y); wb.kernels.scale.launch(x, 2.0, out=y)
    wb.device("cpu").synchronize()
work(300)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
work(4000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    found = run_python(program)
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) < 2000


PICKY = """
import sys
import numpy as np, warpbridge as wb
from warpbridge.kernel import Kernel

ptx = '''
.version 7.8
.target sm_80
.address_size 64
.visible .entry picky(.param .u64 x, .param .u64 y)
{
    .reg .pred %p0;
    .reg .b32 %r0;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd0, [x];
    ld.param.u64 %rd1, [y];
    ld.global.u32 %r0, [%rd0];
    setp.eq.u32 %p0, %r0, 7;
    @%p0 trap;
    st.global.u32 [%rd1], %r0;
    ret;
}
'''
array = dict(kind="array", dtype="int32", shape=["n"], summary="numbers")
args = [dict(array, name="x", intent="in"), dict(array, name="y", intent="out")]
variant = dict(ptx="picky.ptx", arch="sm_80", entry="picky")
launch = dict(block=1, grid=1)
manifest = dict(manifest=1, name="picky", summary="traps at 7", variants=[variant], launch=launch, args=args)
picky, missed, original = wb.load(ptx, manifest=manifest).kernels["picky"], [], Kernel._missed_launch
Kernel._missed_launch = lambda *arguments: missed.append(1) or original(*arguments)
x, y = (np.zeros(4, np.int32) for _ in range(2))
for value in (1, 2, 7, 3):
    x[0] = value
    try:
        picky.launch(x, out=y)
        print(len(missed), y[0])
    except wb.KernelFault as error:
        print(len(missed), type(error).__name__, error.kernel)
"""


def test_learned_launches_are_over_when_they_return_in_sync_mode(run_python) -> None:
    process = run_python(PICKY, WARPBRIDGE_SYNC="1")
    assert (process.stdout, process.stderr) == ("1 1\n1 2\n1 KernelFault picky\n1 3\n", "")
