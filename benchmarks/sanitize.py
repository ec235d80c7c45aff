"""Every kernel under NVIDIA's compute-sanitizer: memcheck, racecheck, synccheck.

    python benchmarks/sanitize.py [--only NAME ...] [--tools TOOL ...] [--jobs 8] [--kernels DIR] [--markdown FILE]
    python benchmarks/sanitize.py --run NAME ARCH [--kernels DIR]   one kernel's launches, as they are done below a tool

Needs an NVIDIA GPU, CuPy, and compute-sanitizer on the path (it comes with the CUDA toolkit). The inputs are small,
because a tool takes hundreds of times as long, and odd: tails, odd addresses. Each is launched twice, with the
kernel's own grid, and with a few thread blocks, which fill their stages again and again. `--kernels` takes manifests
and PTX from a folder like this repository's `kernels`, not those of the installed package. What a tool reports is
counted, not judged: docs/notes/racecheck.md. Exits with 1 if there is any.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import warpbridge as wb
from warpbridge import _ffi

HERE = Path(__file__).resolve().parent
TOOLS = ("memcheck", "racecheck", "synccheck")
ARCHITECTURES = ("sm_90", "sm_80")
LIMIT_S = 60.0
FEW = 3  # thread blocks
SUMMARY = re.compile(r"(?:ERROR SUMMARY: |RACECHECK SUMMARY: .*\()(\d+) errors?")


def cases(cp: Any) -> dict[str, Callable[[str], Any]]:
    """Return what launches each kernel, by name; it takes the architecture. `cp` makes the arrays, CuPy or NumPy."""
    k, rng = wb.kernels, cp.random.default_rng(7)
    device = "cuda:0" if hasattr(cp, "cuda") else "cpu"

    def numbers(*shape: int, dtype: Any = "float32") -> Any:
        return rng.standard_normal(shape).astype(dtype)

    def bfloat16(*shape: int) -> Any:
        """Numbers of a type that CuPy makes no outputs of; those are of warpbridge's own arrays, too."""
        upper = np.random.default_rng(7).standard_normal(shape).astype("float32").view("uint32") >> 16
        array = wb.empty(shape, "bfloat16")
        array.frombytes(upper.astype("uint16").tobytes())
        return array.copy(device)

    def integers(most: int, *shape: int, dtype: Any = "int32") -> Any:
        return rng.integers(0, most, shape).astype(dtype)

    def rows(name: str) -> Callable[[str], Any]:
        def launch(arch: str) -> None:
            for shape in ((700, 300), (90, 4096), (9, 12_345), (16, 40_001)):
                x, weight = numbers(*shape), numbers(shape[1])
                affine = () if name.startswith("softmax") else (weight,)
                getattr(k, name)(x, *affine, arch=arch)
            for shape in ((90, 4096), (2, 70_001)):
                affine = () if name.startswith("softmax") else (bfloat16(shape[1]),)
                getattr(k, name)(bfloat16(*shape), *affine, arch=arch)

        return launch

    def form(name: str, **keywords: Any) -> Callable[[str], Any]:
        def launch(arch: str) -> None:
            # Blocks that share rows fill their stages again.
            long = (2, 60_001) if "residual" in keywords else (16, 40_001)
            for shape in ((90, 4096), (5, 12_345), long):
                x = numbers(*shape, dtype=cp.float16)
                more = {"residual": numbers(*shape, dtype=cp.float16)} if "residual" in keywords else {}
                getattr(k, name)(x, numbers(shape[1], dtype=cp.float16), arch=arch, **{**keywords, **more})
            more = {"residual": bfloat16(90, 4096)} if "residual" in keywords else {}
            getattr(k, name)(bfloat16(90, 4096), bfloat16(4096), arch=arch, **{**keywords, **more})

        return launch

    image, mean = integers(256, 5, 61, 75, 3, dtype=cp.uint8), cp.full(3, 0.5, cp.float32)
    lut, signal = integers(256, 256, 4, dtype=cp.uint8), integers(99, 2 * 300_001, dtype=cp.int16)
    spectra, window = numbers(64, 1025).astype(cp.complex64), numbers(1024)
    weights = integers(256, 256, 4096, dtype=cp.uint8)
    scales, x16 = numbers(256, 64, dtype=cp.float16), numbers(8, 8192, dtype=cp.float16)
    stencil = cp.full((3, 5), 0.05, cp.float32)
    found: dict[str, Callable[[str], Any]] = {
        "scale": lambda arch: k.scale(numbers(1_000_003)[1:], 2.0, arch=arch),
        "image_prep": lambda arch: k.image_prep(image, mean, mean, arch=arch),
        "image_resize": lambda arch: k.image_resize(image, mean, mean, oh=33, ow=97, arch=arch),
        "gather_rows": lambda arch: [
            k.gather_rows(numbers(500, d, dtype=cp.float16), integers(500, 3000), arch=arch) for d in (128, 129, 9000)
        ],
        "cross_entropy": lambda arch: k.cross_entropy(numbers(700, 3000), integers(3000, 700), arch=arch),
        "fft_frames": lambda arch: k.fft_frames(signal, window, 512, arch=arch),
        "fft_power": lambda arch: k.fft_power(spectra, 8, 1.0, 1, arch=arch),
        "spectral_multiply": lambda arch: k.spectral_multiply(spectra, spectra[:1], arch=arch),
        "field_to_rgba": lambda arch: k.field_to_rgba(numbers(301, 777), lut, -1.0, 1.0, arch=arch),
        "field_to_rgba_own_range": lambda arch: k.field_to_rgba(numbers(301, 777), lut, arch=arch),
        "dequant_matvec": lambda arch: k.dequant_matvec(weights, scales, x16, arch=arch),
        "stencil3d": lambda arch: k.stencil3d(numbers(30, 25, 131), stencil, 3, arch=arch),
        **{name: rows(name) for name in ("softmax", "rms_norm", "layer_norm")},
    }
    for name in ("rms_norm", "layer_norm"):
        found[f"{name}_residual"] = form(name, residual=True)
        found[f"{name}_quantised"] = form(name, quantise="int8")
        found[f"{name}_residual_quantised"] = form(name, residual=True, quantise="int8")
    return found


def load_from(folder: Path, blocks: int | None) -> None:
    """Have `wb.kernels` load what is in a folder, its grids cut to so many thread blocks."""

    def load(name: str) -> Any:
        ptx, manifest = folder / "ptx" / f"{name}.sm_90.ptx", folder / f"{name}.toml"
        text = manifest.read_text(encoding="utf-8")
        if blocks is not None:
            few = "blocks" if name.endswith("_long") else rf"min(\1, {blocks})"  # those that share a row
            text, found = re.subn(r'^grid = \["(.*?)"\]', rf'grid = ["{few}"]', text, flags=re.M)
            assert found == 1, f"{manifest}: one grid expected"
        return _ffi.module_load(ptx.read_bytes(), str(ptx), text, str(manifest), str(folder))

    _ffi.bundled_load = load
    wb.kernels._loaded.clear()


def names() -> list[str]:
    """Return the kernels' names."""
    return [name for name in dir(wb.kernels) if not name.endswith("_long")]  # those run behind the plain ones


def run(name: str, arch: str, folder: Path | None) -> None:
    """Launch a kernel: with its own grid, then with few thread blocks."""
    cupy = importlib.import_module("cupy")
    launch = cases(cupy)[name]
    if folder is not None:
        load_from(folder, None)
    launch(arch)
    load_from(folder or HERE.parent / "kernels", FEW)
    launch(arch)
    cupy.cuda.Device().synchronize()
    print(f"{name} {arch} has run")


def below(tool: str, name: str, arch: str, more: list[str]) -> tuple[str, str]:
    """Run a kernel below a tool; return what it counted, and its output."""
    program = [sys.executable, __file__, "--run", name, arch, *more]
    command = ["compute-sanitizer", "--tool", tool, "--print-limit", "4", *program]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"not done in {LIMIT_S:.0f} s", ""
    output = done.stdout + done.stderr
    counted = SUMMARY.findall(output)
    if f"{name} {arch} has run" not in output:
        return "did not run", output
    return (counted[-1] if counted else "no summary"), output


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", nargs=2, metavar=("NAME", "ARCH"), help="launch one kernel, without a tool")
    parser.add_argument("--only", nargs="+", help="kernels of these names")
    parser.add_argument("--tools", nargs="+", default=list(TOOLS), choices=TOOLS)
    parser.add_argument("--jobs", type=int, default=8, help="at a time")
    parser.add_argument("--kernels", type=Path, help="folder of manifests and PTX; default: the installed package's")
    parser.add_argument("--markdown", type=Path, help="also write the table there")
    options = parser.parse_args()
    if options.run:
        name, arch = options.run
        run(name, arch, options.kernels)
        return 0
    if shutil.which("compute-sanitizer") is None:
        sys.exit("sanitize.py: compute-sanitizer is not on the path, expected the CUDA toolkit's")
    chosen = [(name, arch) for name in options.only or names() for arch in ARCHITECTURES]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        more = [] if options.kernels is None else ["--kernels", str(options.kernels)]
        running = {(t, n, a): pool.submit(below, t, n, a, more) for n, a in chosen for t in options.tools}
        lines = [f"| kernel | variant | {' | '.join(options.tools)} |", "|---|---|" + "---|" * len(options.tools)]
        print("\n".join(lines), flush=True)
        clean = True
        for name, arch in chosen:
            counts = []
            for tool in options.tools:
                count, output = running[tool, name, arch].result()
                counts.append(count)
                if count != "0":
                    clean = False
                    print(f"--- {tool}, {name}, {arch}: {count}\n{output[-3000:]}", flush=True)
            lines.append(f"| `{name}` | {arch} | {' | '.join(counts)} |")
            print(lines[-1], flush=True)
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0 if clean else 1


if __name__ == "__main__":
    raise SystemExit(main())
