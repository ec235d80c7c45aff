"""Does async cost anything? Our kernels beside hand-written CUDA C++ twins, and beside one-role variants.

GPU:       python benchmarks/async_cost.py [--only NAME ...] [--markdown FILE]     needs PyTorch and nvcc
No GPU:    python benchmarks/async_cost.py --check                                 needs nvcc; all on the CPU device

Method: the twins (twins/*.cu) have the pipeline of our kernels. nvcc compiles them to PTX, so that the driver assembles
theirs and ours alike; all are launched by warpbridge's bound launch. Fresh random inputs several times the L2; every
runner's output is poisoned and checked before anything is timed. Bursts of the stream's own time (`stream_time.py`),
all runners and the copy in turn, medians; ours over twin is the median of the rounds' ratios. Bytes counted: each input
read once, each output written once.
"""

from __future__ import annotations

import argparse
import datetime
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import warpbridge as wb
from async_cases import Case, gather_case, image_case, matvec_case, scale_case, softmax_case
from async_machine import KERNELS, Gpu, Machine, Runner, burst_s
from async_sass import Facts, facts_table
from stream_time import count_of

TWINS = Path(__file__).resolve().parent / "twins"
NAMES = ("scale", "image_prep", "softmax", "gather_rows", "dequant_matvec")
ROUNDS = 15
PTX_VERSION = ".version 8.0"
MIB = 1 << 20

Make = Callable[[Machine], Case]

FULL: dict[str, list[Make]] = {
    "scale": [
        lambda m: scale_case(m, 256 * MIB, "float32"),
        lambda m: scale_case(m, 512 * MIB, "float16"),
    ],
    "image_prep": [lambda m: image_case(m, 4096)],
    "softmax": [
        lambda m: softmax_case(m, 512 * MIB, 4096, "float16"),
        lambda m: softmax_case(m, 512 * MIB, 4096, "float32"),
        lambda m: softmax_case(m, 512 * MIB, 32_768, "float32"),
        lambda m: softmax_case(m, 512 * MIB, 262_144, "float32"),
    ],
    "gather_rows": [
        lambda m: gather_case(m, 512 * MIB, 256),
        lambda m: gather_case(m, 512 * MIB, 1024),
        lambda m: gather_case(m, 512 * MIB, 4096),
        lambda m: gather_case(m, 512 * MIB, 16_384),
    ],
    "dequant_matvec": [
        lambda m: matvec_case(m, 65_536, 8192, 1),
        lambda m: matvec_case(m, 65_536, 8192, 8),
    ],
}

SMALL: dict[str, list[Make]] = {
    "scale": [lambda m: scale_case(m, 25_001, "float32"), lambda m: scale_case(m, 20_003, "float16")],
    "image_prep": [lambda m: image_case(m, 3, 224, 5)],
    "softmax": [
        lambda m: softmax_case(m, 5 * 8192, 4096, "float16"),
        lambda m: softmax_case(m, 3 * 16384, 4096, "float32"),
        lambda m: softmax_case(m, 131_072, 32_768, "float32"),
        lambda m: softmax_case(m, 262_144, 65_536, "float32"),
    ],
    "gather_rows": [
        lambda m: gather_case(m, 64 * 1024, 256),
        lambda m: gather_case(m, 64 * 1024, 4096),
        lambda m: gather_case(m, 96 * 1024, 20_480),
    ],
    "dequant_matvec": [lambda m: matvec_case(m, 128, 4096, 1), lambda m: matvec_case(m, 64, 8192, 6)],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="small cases on the CPU device, checked and not timed")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="these kernels")
    parser.add_argument("--kernels", type=Path, default=KERNELS, help="directory of our manifests and PTX")
    parser.add_argument("--nvcc", default=find("nvcc"), help="the CUDA compiler")
    parser.add_argument("--markdown", type=Path, help="also write the tables there")
    options = parser.parse_args()
    if options.nvcc is None:
        parser.error("nvcc was not found on PATH or in /usr/local/cuda/bin: name it with --nvcc")
    with tempfile.TemporaryDirectory() as folder:
        ptx = {name: compile_twin(options.nvcc, name, Path(folder)) for name in options.only}
        machine = machine_for(options.check, ptx, options.kernels)
        if options.check:
            check_all(machine, options.only)
            return 0
        table, seen = measure_all(machine, options.only)
        text = header(options.nvcc) + table + "\n" + facts_of(seen)
    print(text)
    if options.markdown:
        options.markdown.write_text(text)
    return 0


def find(tool: str) -> str | None:
    return shutil.which(tool) or shutil.which(tool, path="/usr/local/cuda/bin")


def compile_twin(nvcc: str, name: str, folder: Path) -> Path:
    path = folder / f"{name}.ptx"
    subprocess.run([nvcc, "-ptx", "-arch=sm_90", "-O3", "-o", path, TWINS / f"{name}.cu"], check=True)
    # nvcc writes its own PTX version, which an older driver refuses; the twins use nothing newer than our kernels do.
    path.write_text(re.sub(r"^\.version .*$", PTX_VERSION, path.read_text(), count=1, flags=re.MULTILINE))
    return path


def machine_for(check: bool, twins: dict[str, Path], kernels: Path) -> Machine:
    if check:
        return Machine(twins, kernels)
    import torch  # only where there is a GPU

    return Gpu(twins, kernels, torch.cuda.get_device_properties("cuda").multi_processor_count)


def check_all(machine: Machine, names: tuple[str, ...]) -> None:
    for name in names:
        for make in SMALL[name]:
            case = make(machine)
            check(machine, case)
            print(f"{case.name}: ours, twin and one role agree with the reference")


def check(machine: Machine, case: Case) -> None:
    """Run each runner into a poisoned output; compare samples with the reference, and all of it with ours."""
    ours = None
    for runner in case.runners:
        machine.poison(case.out)
        machine.run(runner)
        try:
            case.check()
            if ours is None:
                ours = case.out * 1  # not + 0, which makes +0 of -0
            share = machine.differs(case.out, ours, 2 * case.tolerance, case.absolute)
            assert share == 0.0, f"{share:.3g} of all elements differ from ours"
        except AssertionError as error:
            raise AssertionError(f"{case.name}, {runner.name} ({runner.entry}): {error}") from None


def measure_all(machine: Machine, names: tuple[str, ...]) -> tuple[str, dict[str, Runner]]:
    """Give the table of times, and the runners timed by the names of their entries."""
    lines = [
        "| case | floor | ours | twin | ours / floor | twin / floor | ours / twin (min .. max) | one role / floor |",
        "|---|---|---|---|---|---|---|---|",
    ]
    seen: dict[str, Runner] = {}
    for name in names:
        for make in FULL[name]:
            case = make(machine)
            check(machine, case)
            lines.append(measure(case))
            print(lines[-1], flush=True)
            seen.update({runner.entry: runner.unbound() for runner in case.runners})
            del case
    return "\n".join(lines) + "\n", seen


def measure(case: Case) -> str:
    """Time the runners in turn. The floor is the time of a device-to-device copy of as many bytes."""
    import torch

    x = torch.randn(256 * MIB, device="cuda")
    y = torch.empty_like(x)
    stream = torch.cuda.current_stream()
    runs: dict[str, Callable[[], Any]] = {"copy": lambda: y.copy_(x)}
    runs |= {r.name: (lambda bound=r.bound: bound.launch(stream)) for r in case.runners}
    counts = {name: count_of(burst_s(run, 3)) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for warm in (True, *[False] * ROUNDS):
        for name, run in runs.items():
            seconds = burst_s(run, counts[name])
            if not warm:
                times[name].append(seconds)
    floor = statistics.median(times["copy"]) * case.moved_bytes / (2 * x.nbytes)
    us = {name: statistics.median(found) * 1e6 for name, found in times.items()}
    ratios = [a / b for a, b in zip(times["ours"], times["twin"], strict=True)]
    over = {name: value / (floor * 1e6) for name, value in us.items()}
    return (
        f"| {case.name} | {floor * 1e6:.1f} us | {us['ours']:.1f} us | {us['twin']:.1f} us | {over['ours']:.3f} | "
        f"{over['twin']:.3f} | {statistics.median(ratios):.3f} ({min(ratios):.3f} .. {max(ratios):.3f}) | "
        f"{over['one role']:.3f} |"
    )


def facts_of(seen: dict[str, Runner]) -> str:
    """Render registers, memory and instructions of what was timed."""
    ptxas, nvdisasm = find("ptxas"), find("nvdisasm")
    if ptxas is None or nvdisasm is None:
        return "ptxas or nvdisasm was not found: no table of registers and instructions.\n"
    rows = [(runner.ptx, entry, runner.name, runner.shared_bytes) for entry, runner in seen.items()]
    return facts_table(Facts(ptxas, nvdisasm), rows)


def header(nvcc: str) -> str:
    """Name machine, versions and date."""
    import torch

    release = subprocess.run([nvcc, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"release ([\d.]+)", release)
    return (
        f"Measured {datetime.date.today().isoformat()} on {torch.cuda.get_device_name()}, nvcc "
        f"{found[1] if found else 'unknown'}, Python {sys.version.split()[0]}, PyTorch {torch.__version__}, "
        f"warpbridge {wb.__version__}; median of {ROUNDS} bursts of 6 ms.\n\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
