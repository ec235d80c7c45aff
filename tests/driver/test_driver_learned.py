"""Learned calls of GPU arrays: what the driver is asked to launch, what errors say, what many calls leave behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parents[1]

OPENING = """
import struct
sys.path.insert(0, TESTS + "/driver")
import look_alike
from warpbridge.entry import Entry
from warpbridge.kernel import Kernel
cupy = look_alike.install()
driver.driver_noted.restype = ctypes.c_uint64
bits = lambda value: struct.unpack("I", struct.pack("f", value))[0]
new = lambda device=0: cupy.ndarray(np.zeros(8, np.float32), device)
missed = []
for owner in (Kernel, Entry):
    for style in ("_missed_run", "_missed_launch"):
        original = getattr(owner, style)
        setattr(owner, style, lambda *a, original=original: missed.append(1) or original(*a))

def loaded(name):
    params = ".param .u64 x, .param .u64 y, .param .f32 a, .param .s32 i"
    text = f".version 8.0\\n.target sm_80\\n.address_size 64\\n.visible .entry {name}({params}) {{ ret; }}\\n"
    array = dict(kind="array", dtype="float32", shape=["n"], summary="numbers")
    args = [dict(array, name="x", intent="in"), dict(array, name="y", intent="out"),
            dict(name="a", kind="scalar", dtype="float32", max=1e6), dict(name="i", kind="scalar", dtype="int32")]
    variant = dict(ptx=name + ".ptx", arch="sm_80", entry=name)
    manifest = dict(manifest=1, name=name, summary=name, variants=[variant], launch=dict(block=1, grid=1), args=args)
    return wb.load(text, manifest=manifest)

def noted(x, y, a, i):
    return [driver.driver_noted(k) for k in range(4)] == [x.data.ptr, y.data.ptr, bits(a), i % 2**32]
"""


def test_other_arrays_numbers_and_streams_reach_the_driver(on_driver: Callable[..., str]) -> None:
    program = """
module = loaded("noting")
kernel, entry = module.kernels["noting"], module.entries["noting"]
styles = [
    (kernel.launch, lambda x, y, a, i, s: kernel.launch(x, a, i, out=y, stream=s)),
    (kernel, lambda x, y, a, i, s: kernel(x, a, i, out=(y,), stream=s)),
    (entry.launch, lambda x, y, a, i, s: entry.launch(1, 1, [x, y, a, i], stream=s)),
    (entry, lambda x, y, a, i, s: entry(1, 1, (x, y, a, i), stream=s)),
]
streams = [wb.device("cuda:0").stream() for _ in range(2)]
for _, call in styles:
    del missed[:]
    for turn, (a, i) in enumerate([(2.0, 1), (3.5, -1), (1e-3, 2**31 - 1), (-0.0, -2**31)]):
        x, y, s = new(), new(), streams[turn % 2]
        call(x, y, a, i, s)
        assert noted(x, y, a, i) and driver.driver_noted(4) == s.handle, turn
    print(len(missed))
x, y = new(), new()
look_alike.stream.ptr = streams[0].handle
made = [kernel.launch(x, a, 1) for a in (1.0, 2.0, 3.0)]
assert noted(x, made[-1], 3.0, 1) and driver.driver_noted(4) == streams[0].handle and len(set(map(id, made))) == 3
look_alike.stream.ptr = streams[1].handle
kernel.launch(x, 4.0, 1, out=y)
kernel.launch(x, 5.0, 1, out=y)
assert noted(x, y, 5.0, 1) and driver.driver_noted(4) == streams[1].handle
print(len(missed))
"""
    assert on_driver(opened(program)) == "1\n1\n1\n1\n3\n"


def test_another_device_is_noticed_by_learned_calls(on_driver: Callable[..., str]) -> None:
    program = """
module = loaded("noting")
kernel, entry = module.kernels["noting"], module.entries["noting"]
for device in (0, 1, 0, 1):
    x, y = new(device), new(device)
    kernel.launch(x, 2.0, device, out=y)
    assert noted(x, y, 2.0, device)
    entry.launch(1, 1, [x, y, 3.0, device])
    assert noted(x, y, 3.0, device)
    print(len(missed))
x, y = new(0), new(1)
print(caught(lambda: kernel.launch(x, 2.0, 1, out=y)))
print(caught(lambda: entry.launch(1, 1, [x, y, 2.0, 1])))
print(caught(lambda: kernel.launch(new(1), 2.0, 1, out=y, stream=wb.device("cuda:0").stream())))
"""
    mixed = "is on cuda:1, expected cuda:0, where argument 1 (x) is; move one of them first"
    assert on_driver(opened(program), DRIVER_DEVICES="2") == (
        f"2\n4\n4\n4\nnoting: out (y) {mixed}\nnoting: argument 2 (y) {mixed}\n"
        "noting: stream is on cuda:0, expected a stream on cuda:1, where the arrays are\n"
    )


def test_errors_of_learned_calls_show_their_own_numbers(on_driver: Callable[..., str]) -> None:
    program = """
kernel, faulty = loaded("noting").kernels["noting"], loaded("STYLE").kernels["STYLE"]
x, y = new(), new()
for a in (2.0, 3.5):
    kernel.launch(x, a, 1, out=y)
work = CALL
print(caught(work).arguments if FIELD else caught(work))
print(missed)
"""
    arguments = "x float32 (8,), y float32 (8,), a = {}, i = 1"
    sync = "(faulty.launch(x, 7.25, 1, out=y), wb.device('cuda:0').synchronize())"
    blocking = program.replace("STYLE", "trap").replace("CALL", "lambda: faulty(x, 7.25, 1, out=y)")
    found = on_driver(opened(blocking.replace("FIELD", "True")))
    assert found == arguments.format(7.25) + "\n[1, 1]\n"
    queued = program.replace("STYLE", "illegal").replace("CALL", f"lambda: {sync}").replace("FIELD", "False")
    found = on_driver(opened(queued))
    names = [f"noting({arguments.format(a)}) on the legacy default stream" for a in (2.0, 3.5)]
    names.append(f"illegal({arguments.format(7.25)}) on the legacy default stream")
    assert ", ".join(names) in found


def test_number_that_is_refused_is_never_launched(on_driver: Callable[..., str]) -> None:
    program = """
kernel = loaded("noting").kernels["noting"]
x, y = new(), new()
kernel.launch(x, 2.0, 1, out=y)
launches = count("launches")
for a, i in ((1e7, 1), (1e39, 1), (2.0, 2**31), (2.0, 1.0)):
    print(caught(lambda: kernel.launch(x, a, i, out=y)))
print(count("launches") - launches)
"""
    assert on_driver(opened(program)) == (
        "noting: argument 2 (a) is 10000000.0, expected at most 1000000.0\n"
        "noting: argument 2 (a) is 1e39, expected at most 1000000.0\n"
        "noting: argument 3 (i) is 2147483648, expected -2147483648 to 2147483647, the range of int32\n"
        "noting: argument 3 (i) is the float 1.0, expected an integer\n"
        "0\n"
    )


def test_hundred_thousand_learned_calls_leave_nothing_behind(on_driver: Callable[..., str]) -> None:
    program = """
module = loaded("noting")
kernel, entry, stream = module.kernels["noting"], module.entries["noting"], wb.device("cuda:0").stream()
look_alike.stream.ptr = stream.handle
x, y = new(), new()
bound, pair, arguments, a = kernel.bind(x, 2.0, 1, out=y), [y], [x, y, 2.0, 1], np.float32(2)

def work(rounds):
    for turn in range(rounds):
        bound.launch(stream)
        kernel.launch(x, 0.5 * turn, 1, out=y, stream=stream)
        kernel.launch(x, a, turn, out=pair, stream=stream)
        kernel.launch(x, 2.0, 1, stream=stream)
        entry.launch(1, 1, arguments, stream=stream)

objects = (x, y, a, pair, arguments, stream, cupy.ndarray, look_alike.MemoryPointer, float, int, list, tuple, None)
books = ("modules", "streams", "events", "host blocks", "depth")
def state():
    gc.collect()
    return [sys.getrefcount(o) for o in objects[:-1]], [count(what) for what in books], len(os.listdir("/proc/self/fd"))
work(100)
before, blocks, launches = state(), sys.getallocatedblocks(), count("launches")
del missed[:]
work(20_000)
assert state() == before
print(count("launches") - launches, len(missed), sys.getallocatedblocks() - blocks < 100)
"""
    assert on_driver(opened(program)) == "100000 0 True\n"


def opened(program: str) -> str:
    """Return a program with what these have in common."""
    return OPENING.replace("TESTS", repr(str(TESTS))) + program
