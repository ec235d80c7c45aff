"""Run every case's PTX on a GPU with CuPy and the driver alone, to prove PTX and references without warpbridge.

`python tests/compiled/run_cupy.py [NAME ...]` prints one line per case with its largest error and ends with status 1 if
any case failed. Each case has a process of its own, with a deadline, so that a hang or a fault ends that case alone.
CuPy holds the memory; the launch goes to `cuLaunchKernelEx` through ctypes, because CuPy launches no clusters.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from compiled.case import Case, TensorMap, largest_error
from compiled.cases import CASES

DEADLINE_S = 25
AT_ONCE = 6

# Values of the driver's enumerations (cuda.h).
FUNC_MAX_DYNAMIC_SHARED_BYTES = 8
LAUNCH_CLUSTER_DIMENSION = 4
JIT_ERROR_LOG_BUFFER, JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 5, 6
MAP_DTYPES = {"uint8": 0, "uint16": 1, "uint32": 2, "int32": 3, "float16": 6, "float32": 7, "float64": 8}
MAP_SWIZZLES = {0: 0, 32: 1, 64: 2, 128: 3}


class LaunchAttribute(ctypes.Structure):
    """CUlaunchAttribute, for a cluster dimension."""

    _fields_ = (
        ("id", ctypes.c_uint),
        ("pad", ctypes.c_char * 4),
        ("cluster", ctypes.c_uint * 3),
        ("rest", ctypes.c_char * 52),
    )


class LaunchConfig(ctypes.Structure):
    """CUlaunchConfig."""

    _fields_ = (
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared_bytes", ctypes.c_uint),
        ("stream", ctypes.c_void_p),
        ("attributes", ctypes.POINTER(LaunchAttribute)),
        ("attribute_count", ctypes.c_uint),
    )


def check(driver: ctypes.CDLL, status: int, what: str) -> None:
    """Raise with the driver's name for a status other than success."""
    if status:
        name = ctypes.c_char_p()
        driver.cuGetErrorName(status, ctypes.byref(name))
        raise RuntimeError(f"{what}: {(name.value or b'?').decode()}")


def load(driver: ctypes.CDLL, ptx: bytes, entry: str) -> ctypes.c_void_p:
    """Load PTX text through the driver's compiler, and return the entry's function."""
    log = ctypes.create_string_buffer(8192)
    keys = (ctypes.c_int * 2)(JIT_ERROR_LOG_BUFFER, JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
    values = (ctypes.c_void_p * 2)(ctypes.addressof(log), len(log))
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    status = driver.cuModuleLoadDataEx(ctypes.byref(module), ctypes.c_char_p(ptx), 2, keys, values)
    check(driver, status, f"load: {log.value.decode(errors='replace').strip()}")
    check(driver, driver.cuModuleGetFunction(ctypes.byref(function), module, entry.encode()), f"entry {entry}")
    return function


def encode_map(driver: ctypes.CDLL, described: TensorMap, address: int) -> ctypes.Array[ctypes.c_char]:
    """Encode a tiled tensor map; the driver counts axes from the innermost."""
    array, rank = described.array, described.array.ndim
    raw = ctypes.create_string_buffer(128 + 64)
    encoded = (ctypes.c_char * 128).from_buffer(raw, -ctypes.addressof(raw) % 64)
    status = driver.cuTensorMapEncodeTiled(
        encoded,
        MAP_DTYPES[array.dtype.name],
        ctypes.c_uint32(rank),
        ctypes.c_void_p(address),
        (ctypes.c_uint64 * rank)(*array.shape[::-1]),
        (ctypes.c_uint64 * (rank - 1))(*array.strides[-2::-1]),
        (ctypes.c_uint32 * rank)(*described.box[::-1]),
        (ctypes.c_uint32 * rank)(*[1] * rank),
        0,  # no interleaving
        MAP_SWIZZLES[described.swizzle],
        0,  # no promotion to L2
        0,  # zeros outside
    )
    check(driver, status, "cuTensorMapEncodeTiled")
    return encoded


def parameter(driver: ctypes.CDLL, value: Any, on_device: Any) -> ctypes.Array[ctypes.c_char]:
    """Return the bytes of one kernel parameter."""
    if isinstance(value, TensorMap):
        return encode_map(driver, value, on_device.data.ptr)
    if on_device is not None:
        return ctypes.create_string_buffer(np.uint64(on_device.data.ptr).tobytes(), 8)
    data = value if isinstance(value, bytes) else value.tobytes()
    return ctypes.create_string_buffer(data, len(data))


def three(size: int | tuple[int, ...]) -> tuple[int, ...]:
    """Widen a grid or a block to three axes."""
    axes = (size,) if isinstance(size, int) else size
    return (*axes, 1, 1)[:3]


def run(case: Case) -> float:
    """Launch one case on the current GPU and return its largest error."""
    import cupy

    driver = ctypes.CDLL("libcuda.so.1")
    work = case.work()
    arrays = [arg.array if isinstance(arg, TensorMap) else arg for arg in work.args]
    on_device = [cupy.asarray(a) if isinstance(a, np.ndarray) else None for a in arrays]
    function = load(driver, case.path.read_bytes() + b"\0", case.entry)
    parameters = [parameter(driver, arg, there) for arg, there in zip(work.args, on_device, strict=True)]
    pointers = (ctypes.c_void_p * len(parameters))(*[ctypes.addressof(p) for p in parameters])
    status = driver.cuFuncSetAttribute(function, FUNC_MAX_DYNAMIC_SHARED_BYTES, case.shared_bytes)
    check(driver, status, f"{case.shared_bytes} bytes of shared memory")
    config = LaunchConfig(three(case.grid), three(case.block), case.shared_bytes, None, None, 0)
    if case.cluster:
        attribute = LaunchAttribute(LAUNCH_CLUSTER_DIMENSION, b"", three(case.cluster), b"")
        config.attributes, config.attribute_count = ctypes.pointer(attribute), 1
    check(driver, driver.cuLaunchKernelEx(ctypes.byref(config), function, pointers, None), "launch")
    check(driver, driver.cuCtxSynchronize(), "run")
    return largest_error(work, {at: on_device[at].get() for at in work.expected})


def run_apart(name: str) -> tuple[str, str, bool]:
    """Run one case in a process of its own; return its name, what it said and whether it passed."""
    command = [sys.executable, __file__, "--one", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    except subprocess.TimeoutExpired:
        return name, f"no end within {DEADLINE_S} s", False
    # Kernels may print too; in no fixed order with this process.
    said = [line for line in done.stdout.splitlines() if line.startswith("error ")] or done.stderr.strip().splitlines()
    return name, said[-1] if said else f"status {done.returncode}", done.returncode == 0


def main(arguments: list[str]) -> int:
    """Run one case here, or the named ones (default: all) each apart."""
    if arguments[:1] == ["--one"]:
        case = CASES[arguments[1]]
        found = run(case)
        print(f"error {found:.3g}, tolerance {case.tolerance:g}")
        return int(found > case.tolerance)
    failed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for name, said, passed in pool.map(run_apart, arguments or CASES):
            failed += not passed
            print(f"{'ok  ' if passed else 'FAIL'} {name:40} {said}", flush=True)
    print(f"{len(arguments or CASES) - failed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
