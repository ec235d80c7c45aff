"""A child made by `fork` uses the CPU device as if it were alone; what its parent launched stays the parent's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")

OPENING = """
import os, sys, threading, warnings, numpy as np, warpbridge as wb
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and newer: about threads in the parent
scale, x = wb.kernels.scale, np.arange(1000, dtype=np.float32)

def check(scale=scale, x=x):
    assert (scale(x, 2.0) == 2 * x).all()
    assert (scale.submit(x, 3.0).result(20) == 3 * x).all()
    y = scale.launch(x, 4.0)
    wb.device("cpu").synchronize()
    assert (y == 4 * x).all()

def fork(work):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        work()
        sys.exit(7)  # by way of the interpreter's exit, unlike multiprocessing
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


def run(run_python, program: str) -> str:
    process = run_python(OPENING + program)
    assert (process.returncode, process.stderr) == (0, "")
    return process.stdout


def test_child_runs_all_call_styles_after_the_parent_did(run_python) -> None:
    assert run(run_python, "check(); fork(check); check(); print('both')") == "both\n"


def test_grandchild_runs_too(run_python) -> None:
    assert run(run_python, "check(); fork(lambda: (check(), fork(check))); print('all')") == "all\n"


def test_child_runs_where_the_parent_never_did(run_python) -> None:
    assert run(run_python, "fork(check); print('child')") == "child\n"


def test_parents_stream_is_an_idle_stream_in_the_child(run_python, data: Path) -> None:
    program = """
s = wb.device("cpu").stream()
steps = wb.load(STEPS).kernels["steps"]
long = np.zeros(300, np.int32)
steps.launch(long, 20000, stream=s)

def work():
    y = scale.launch(x, 2.0, stream=s)
    s.synchronize()
    assert (y == 2 * x).all()
    assert not long[-1]  # the parent's launch is not run here

fork(work)
s.synchronize()
assert (long == np.arange(300)).all()
print("done")
"""
    assert run(run_python, program.replace("STEPS", repr(str(data / "steps.ptx")))) == "done\n"


def test_pending_of_the_parent_ends_in_the_child_with_the_reason(run_python, data: Path) -> None:
    program = """
parent, shut = os.getpid(), np.zeros(2, np.int32)
say = lambda text: sys.stdout.write(text + "\\n")  # in one piece: a callback runs on another thread
gate = wb.load(GATE).kernels["gate"]  # runs until it is cancelled
pending = gate.submit(shut, np.zeros(4, np.int32), on_done=lambda p: say(f"called in {os.getpid() - parent}"))

def work():
    try:
        pending.result(timeout=60)
    except wb.LaunchError as error:
        print(str(error).replace(str(parent), "P").replace(str(os.getpid()), "C"), pending.progress, pending.cancel())

fork(work)
pending.cancel()
try:
    pending.result(timeout=60)
except wb.WarpbridgeError:
    say("parent's ended")
"""
    program = program.replace("GATE", repr(str(data / "gate.ptx")))
    assert sorted(run(run_python, program).splitlines()) == [
        "called in 0",
        "gate: launched in process P, but this is process C, forked from it; expected its result to be taken "
        "where it was launched; launch again here, or fork before 1.0 False",
        "parent's ended",
    ]


def test_forks_under_load_do_not_hang(run_python) -> None:
    program = """
stop = threading.Event()

def load():
    while not stop.is_set():
        check(scale, np.arange(50, dtype=np.float32))

threads = [threading.Thread(target=load) for _ in range(3)]
for t in threads: t.start()
for _ in range(15): fork(check)
stop.set()
for t in threads: t.join()
print("done")
"""
    assert run(run_python, program) == "done\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pool_of_every_start_method_maps_a_kernel(run_python, method: str) -> None:
    program = f"""
import functools, multiprocessing
if __name__ == "__main__":
    check()
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        for a, y in enumerate(pool.starmap(scale, [(x, float(a)) for a in range(8)])):
            assert (y == a * x).all()
    print("done")
"""
    assert run(run_python, program) == "done\n"


def test_child_forked_in_a_callback_ends_when_the_callback_does(run_python) -> None:
    program = """
children = []

def on_done(pending):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        check()
        print("child", end=" ")
    else:
        children.append(child)

pending = scale.submit(x, 2.0, on_done=on_done)
while not children: pass
assert os.waitpid(children[0], 0)[1] == 0
check()
print("parent")
"""
    assert run(run_python, program) == "child parent\n"


def test_fork_waits_for_an_import_of_ours_in_another_thread(run_python, tmp_path: Path) -> None:
    (tmp_path / "slow_to_import.py").write_text(
        "import os, threading, time\nbegun.set()\ntime.sleep(0.3)\n"
        "child = os.fork()\nif child == 0: os._exit(0)\nos.waitpid(child, 0)\nfinished = True\n"
    )
    program = f"""
import builtins
from warpbridge import lazy
sys.path.insert(0, {str(tmp_path)!r})
builtins.begun = threading.Event()
thread = threading.Thread(target=lazy.load, args=("slow_to_import",))
thread.start()
begun.wait()
fork(lambda: print(lazy.load("slow_to_import").finished))
thread.join()
"""
    assert run(run_python, program) == "True\n"


FIRST_USES = """
import os, pickle, random, threading, time, warnings, numpy as np, warpbridge as wb
warnings.simplefilter("ignore", DeprecationWarning)
x = np.arange(1000, dtype=np.float32)

def scale(*args, **options):
    return wb.kernels.scale(*args, **options)

class Own:  # of a type that nobody knows
    def __dlpack__(self, **options): return x.__dlpack__(**options)
    def __dlpack_device__(self): return x.__dlpack_device__()

def refused():
    try:
        scale(object(), 2.0)
    except wb.ArgumentError:
        pass

def all_checks():
    with wb.cpu(checks="all", schedule="latest"):
        scale(x, 2.0)

uses = [
    refused,
    all_checks,
    wb.devices,
    lambda: dir(wb.kernels),
    lambda: scale(Own(), 2.0),
    lambda: wb.load(PTX).kernels["steps"](np.zeros(9, np.int32)),
    lambda: wb.kernels.softmax(x.reshape(10, 100)),
    lambda: pickle.loads(pickle.dumps(wb.kernels.layer_norm)),
    lambda: np.from_dlpack(scale(x, 2.0, out=wb.empty(1000))),
    lambda: wb.kernels.scale.submit(x, 2.0).result(30),
    lambda: wb.kernels.scale.submit(x, 2.0).cancel(),
    lambda: wb.kernels.scale.trace(x, 2.0),
    lambda: wb.kernels.scale.launch(x, 2.0, stream=wb.device("cpu").stream()),
]
random.seed(SEED)
random.shuffle(uses)
threads = [threading.Thread(target=use) for use in uses]
for thread in threads: thread.start()
children = []
for _ in range(8):
    time.sleep(random.random() * 0.01)
    child = os.fork()
    if child == 0:
        for use in uses: use()
        os._exit(0)
    children.append(child)
for thread in threads: thread.join()
for child in children: assert os.waitpid(child, 0)[1] == 0
print("done")
"""


@pytest.mark.parametrize("seed", range(3))
def test_forks_while_other_threads_do_everything_for_the_first_time(run_python, data: Path, seed: int) -> None:
    process = run_python(FIRST_USES.replace("SEED", str(seed)).replace("PTX", repr(str(data / "steps.ptx"))))
    assert (process.stdout, process.returncode, process.stderr) == ("done\n", 0, "")
