"""What the CUDA driver answers becomes an error that names its launch, and leaves nothing behind."""

from __future__ import annotations

import pytest

LOST = "the CUDA context is lost, expected a new process: no CUDA call works in this one any more"
SEE_CPU = "The same launch on the CPU device names the faulty instruction"


def faults(name: str, how: str) -> str:
    """Return a program that launches `name` and tells of three errors: the launch's, a later launch's, a stream's."""
    return f"""
module = wb.load(ptx("fine {name}"))
first = caught(lambda: {how})
later = caught(lambda: module.entries["fine"](1, 1, [x]))
last = caught(wb.device("cuda:0").stream)
for error in (first, later, last):
    print(type(error).__name__, error.device_usable, error, sep="|")
print(first.kernel, first.arguments, first.stream, first.device)
print(count("depth"), count("capture mode"))
del first, later, last, error  # with the arrays in their tracebacks
"""


@pytest.mark.parametrize("eager", ["", "1"])
@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("illegal_store", "MemoryFault", "CUDA_ERROR_ILLEGAL_ADDRESS"),
        ("misaligned_load", "MemoryFault", "CUDA_ERROR_MISALIGNED_ADDRESS"),
        ("trap_here", "KernelFault", "CUDA_ERROR_LAUNCH_FAILED"),
    ],
)
def test_fault_of_a_blocking_call_names_it_and_so_do_later_calls(on_driver, name, kind, code, eager) -> None:
    environment = {"DRIVER_EAGER": "1"} if eager else {}
    lines = on_driver(faults(name, f"module.entries[{name!r}](1, 1, [x])"), **environment).splitlines()
    since = (
        f"since {code} (as the driver says); in flight: {name}(x float32 (8,)) on the legacy default stream; expected"
    )
    assert lines == [
        f"{kind}|False|{name}: {code} (as the driver says) on cuda:0, the legacy default stream; arguments: x "
        f"float32 "
        f"(8,); no other tracked launch was in flight; {LOST}. {SEE_CPU}",
        f"DeviceError|False|fine: the CUDA context of cuda:0 is lost {since} a new process: no CUDA call works in "
        f"this one "
        "any more",
        f"DeviceError|False|making a stream: the CUDA context of cuda:0 is lost {since} a new process: no CUDA "
        f"call works "
        "in this one any more",
        f"{name} x float32 (8,) 1 cuda:0",
        "0 0",
    ]


def test_fault_in_stream_order_names_the_suspects(on_driver) -> None:
    how = (
        '(module.entries["fine"].launch(1, 1, [plain]), module.entries["illegal_store"].launch(1, 1, [plain]), '
        'wb.device("cuda:0").synchronize())'
    )
    first = on_driver(faults("illegal_store", how).replace("first.arguments, first.stream, ", "")).splitlines()[0]
    assert first == (
        "MemoryFault|False|the legacy default stream: CUDA_ERROR_ILLEGAL_ADDRESS (as the driver says) on cuda:0; "
        "stream-ordered launches queued last, so one of them may be to blame: fine(x float32 (8,)) on the legacy "
        "default "
        "stream, illegal_store(x float32 (8,)) on the legacy default stream; WARPBRIDGE_SYNC=1 tells which; " + LOST
    )


@pytest.mark.parametrize("array", ["x", "plain"])
def test_sync_mode_attributes_a_fault_in_stream_order_at_once(on_driver, array: str) -> None:
    how = f'(module.entries["fine"].launch(1, 1, [{array}]), module.entries["illegal_store"].launch(1, 1, [{array}]))'
    lines = on_driver(faults("illegal_store", how), WARPBRIDGE_SYNC="1").splitlines()
    assert lines[0] == (
        "MemoryFault|False|illegal_store: CUDA_ERROR_ILLEGAL_ADDRESS (as the driver says) on cuda:0, the legacy "
        "default "
        f"stream; arguments: x float32 (8,); no other tracked launch was in flight; {LOST}. {SEE_CPU}"
    )
    assert lines[3:] == ["illegal_store x float32 (8,) 1 cuda:0", "0 0"]


def test_sync_mode_lets_a_capture_be(on_driver) -> None:
    program = """
module = wb.load(ptx("illegal_store"))
module.entries["illegal_store"]  # runs only when the graph does
driver.driver_capture(1)
module.entries["illegal_store"].launch(1, 1, [plain])
print(count("launches"), count("depth"))
"""
    assert on_driver(program, WARPBRIDGE_SYNC="1") == "1 0\n"


def test_fault_of_a_submitted_launch_arrives_in_its_pending(on_driver) -> None:
    program = """
module = wb.load(ptx("fine illegal_store"))
pending = module.entries["illegal_store"].submit(1, 1, [x])
error = pending.exception(timeout=10)
print(type(error).__name__, error.kernel, error.device_usable)
"""
    assert on_driver(program) == "MemoryFault illegal_store False\n"


@pytest.mark.parametrize("how", ["e(1, 1, [x])", "e.launch(1, 1, [plain])", "e.submit(1, 1, [x])"])
def test_launch_out_of_resources_harms_nothing(on_driver, how: str) -> None:
    program = f"""
module = wb.load(ptx("fine hungry_kernel"))
e = module.entries["hungry_kernel"]
for _ in range(300):  # more than there are slots
    error = caught(lambda: {how})
print(type(error).__name__, error.device_usable, error.kernel, error.arguments, error.stream, error.device, sep="|")
print(error)
module.entries["fine"](1, 1, [x])
print(count("launches"), count("depth"), count("host blocks"))
"""
    lines = on_driver(program).splitlines()
    assert lines[:2] == [
        "LaunchError|True|hungry_kernel|x float32 (8,)|1|cuda:0",
        "hungry_kernel: the driver refused the launch on cuda:0, the legacy default stream: "
        "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (as the driver says); found grid [1, 1, 1], block [1, 1, 1], cluster "
        "[1, 1, 1], "
        "0 bytes of dynamic shared memory, expected a geometry that cuda:0 offers (this entry: at most 256 threads "
        "per "
        "block) and a stream of cuda:0; arguments: x float32 (8,)",
    ]
    assert lines[2] == "1 0 1"


def test_launch_without_memory_says_what_to_free(on_driver) -> None:
    program = """
module = wb.load(ptx("fine starved_kernel"))
error = caught(lambda: module.entries["starved_kernel"](1, 1, [x]))
print(type(error).__name__, error.device_usable, error)
module.entries["fine"](1, 1, [x])
"""
    assert on_driver(program) == (
        "LaunchError True starved_kernel: the driver refused the launch on cuda:0, the legacy default stream: "
        "CUDA_ERROR_OUT_OF_MEMORY (as the driver says); found grid [1, 1, 1], block [1, 1, 1], cluster [1, 1, 1], "
        "0 bytes "
        "of dynamic shared memory, expected free memory on cuda:0 for the launch itself; free arrays, also those "
        "that "
        "libraries keep for reuse (cupy.get_default_memory_pool().free_all_blocks(), torch.cuda.empty_cache()); "
        "arguments: "
        "x float32 (8,)\n"
    )


def test_no_pinned_memory_for_the_control_block_is_a_launch_error(on_driver) -> None:
    program = """
module = wb.load(ptx("fine"))
error = caught(lambda: module.entries["fine"](1, 1, [x]))
print(type(error).__name__, error.cuda_call, error.kernel, count("host blocks"))
del os.environ["DRIVER_NO_HOST_MEMORY"]
module.entries["fine"](1, 1, [x])
print(count("host blocks"))
"""
    assert on_driver(program, DRIVER_NO_HOST_MEMORY="1") == "LaunchError cuMemHostAlloc fine 0\n1\n"


def test_module_that_fails_to_compile_has_the_whole_log(on_driver) -> None:
    program = """
module = wb.load(ptx("fine") + "// JIT_REFUSES\\n")
error = caught(lambda: module.entries["fine"](1, 1, [x]))
lines = error.log.splitlines()
print(type(error).__name__, len(lines), lines[0], lines[-1], str(error).endswith(error.log), count("modules"), sep="|")
"""
    assert on_driver(program) == (
        "LoadError|2000|ptxas error : line 1 is wrong|ptxas error : line 2000 is wrong|True|0\n"
    )


def test_module_that_does_not_fit_into_memory(on_driver) -> None:
    program = """
module = wb.load(ptx("fine") + "// NO_MEMORY\\n")
print(caught(lambda: module.entries["fine"](1, 1, [x])))
"""
    assert on_driver(program) == (
        "<string>: the driver has no memory to load the PTX on cuda:0 (sm_90): CUDA_ERROR_OUT_OF_MEMORY (as the "
        "driver "
        "says); expected free memory there; free arrays, also those that libraries keep for reuse\n"
    )


def test_use_after_fork_names_both_processes_and_the_remedy(on_driver) -> None:
    program = """
module = wb.load(ptx("fine"))
entry = module.entries["fine"]
entry(1, 1, [x])
parent = os.getpid()
child = os.fork()
if child == 0:
    for work in (lambda: entry(1, 1, [x]), lambda: entry.launch(1, 1, [plain]), wb.device("cuda:0").stream):
        print(str(caught(work)).replace(str(parent), "P").replace(str(os.getpid()), "C"))
    assert (wb.kernels.scale(host, 2.0) == 2).all()
    del entry, module, work
    gc.collect()
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
entry(1, 1, [x])
"""
    text = (
        "cuda:0: CUDA was initialised in process P, and this is process C, forked from it; expected CUDA to be "
        "used only "
        'where it was initialised: start the child by spawn, in Python multiprocessing.set_start_method("spawn")\n'
    )
    assert on_driver(program) == 3 * text
