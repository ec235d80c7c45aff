"""Signals and forks in the middle of a blocking call on a GPU, and how its end is seen, with the stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

# `watchful` runs until its control block says stop.
OPENING = """
import signal, weakref
sys.path.insert(0, TESTS + "/driver")
import look_alike
cupy = look_alike.install()
text = (".version 8.0\\n.target sm_80\\n.address_size 64\\n"
        ".visible .entry watchful(.param .u64 x, .param .u64 control) { ret; }\\n"
        ".visible .entry fine(.param .u64 x, .param .u64 control) { ret; }\\n")
array = dict(name="x", kind="array", intent="in", dtype="float32", shape=["n"], summary="numbers")
args = [array, dict(name="control", kind="control", memory="device")]

def loaded(name):
    variant = dict(ptx=name + ".ptx", arch="sm_80", entry=name)
    manifest = dict(manifest=1, name=name, summary="waits", variants=[variant], launch=dict(block=1, grid=1), args=args)
    return wb.load(text, manifest=manifest).kernels[name]

watchful, fine = loaded("watchful"), loaded("fine")
new = lambda: cupy.ndarray(np.zeros(8, np.float32))
stream = wb.device("cuda:0").stream()
look_alike.stream.ptr = stream.handle
"""


def opened(program: str) -> str:
    return OPENING.replace("TESTS", repr(str(TESTS))) + program


@pytest.mark.parametrize("writes", [True, False], ids=["flag", "event"])
@pytest.mark.parametrize("learned", [True, False], ids=["learned", "first"])
def test_handler_that_raises_stops_the_kernel_and_lets_its_arrays_go(on_driver, learned: bool, writes: bool) -> None:
    program = """
class Interrupt(Exception):
    pass

def handler(*_):
    raise Interrupt

def interrupted(kernel):
    x = new()
    gone = weakref.ref(x)
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        kernel(x, timeout=60.0)
    except Interrupt as error:
        error.__traceback__ = None
        return gone
    sys.exit("no signal was seen")

if LEARNED:
    print(type(caught(lambda: watchful(new(), timeout=0.05))).__name__)
gone = [interrupted(watchful) for _ in range(3)]
stream.synchronize()
gc.collect()
print([ref() for ref in gone], fine(new()), count("depth"), count("capture mode"))
print(type(caught(lambda: watchful(new(), timeout=0.05))).__name__)  # nobody stops it before that
"""
    timed_out = "LaunchTimeout\n"
    environment = {} if writes else {"DRIVER_NO_WRITES": "1"}
    found = on_driver(opened(program.replace("LEARNED", str(learned))), **environment)
    assert found == learned * timed_out + "[None, None, None] None 0 0\n" + timed_out


@pytest.mark.parametrize("writes", [True, False], ids=["flag", "event"])
def test_end_is_seen_with_and_without_values_that_streams_write(on_driver, writes: bool) -> None:
    program = """
x = new()
for _ in range(100):
    fine(x)
pending = [fine.submit(x) for _ in range(300)]  # more than one slab of control blocks
print({p.result(60) for p in pending}, count("launches"), count("writes"))
"""
    environment = {} if writes else {"DRIVER_NO_WRITES": "1"}
    assert on_driver(opened(program), **environment) == f"{{None}} 400 {400 * writes}\n"


def test_fork_in_the_middle_of_a_call_leaves_both_processes_usable(on_driver) -> None:
    program = """
failures = []
waiting = threading.Thread(target=lambda: failures.append(caught(lambda: watchful(new(), timeout=3.0))))
waiting.start()
while count("launches") == 0:
    pass
child = os.fork()
if child == 0:
    signal.alarm(60)
    print(type(caught(lambda: fine(new()))).__name__, type(caught(lambda: fine.launch(new()))).__name__)
    assert (wb.kernels.scale(host, 2.0) == 2).all()
    gc.collect()
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
waiting.join(60)
print(type(failures[0]).__name__, failures[0].still_running, fine(new()))
"""
    assert on_driver(opened(program)) == "DeviceError DeviceError\n7\nLaunchTimeout False None\n"


@pytest.mark.parametrize("writes", [True, False], ids=["flag", "event"])
def test_threads_that_wait_and_forget_give_every_control_block_back(on_driver, writes: bool) -> None:
    program = """
failures = []

def work():
    try:
        x, own = new(), wb.device("cuda:0").stream()
        for turn in range(1000):
            assert fine(x, stream=own) is None
            pending = fine.submit(x, stream=own)
            if turn % 2:
                pending.result(60)
    except BaseException as error:
        failures.append(error)

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(120)
blocks = count("events")  # one of each control block
for _ in range(8):
    last = [fine.submit(new()) for _ in range(256)]
    print({p.result(60) for p in last}, end=" ")
print(failures, count("launches"), count("events") - blocks <= 256)
"""
    environment = {} if writes else {"DRIVER_NO_WRITES": "1"}
    launches = 8 * 1000 * 2 + 8 * 256
    assert on_driver(opened(program), **environment) == 8 * "{None} " + f"[] {launches} True\n"
