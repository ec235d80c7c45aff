"""Regenerates `ptx/` from `sources/` with the three compilers whose output people bring: nvcc, Triton and rustc.

Needs no GPU. The compilers stand in an environment of their own (`ENVIRONMENT` below)::

    python -m venv .venv && .venv/bin/pip install $(python tests/compiled/build.py --requirements)
    .venv/bin/python tests/compiled/build.py [STEM ...]

rustc is the system's, with the source of core (`rust-src`). One job per line of `JOBS`; `--check` compares instead of
writing.
"""

from __future__ import annotations

import argparse
import atexit
import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import types
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "sources"
PTX = HERE / "ptx"
RUSTC = os.environ.get("RUSTC", "/usr/bin/rustc")

# CUDA 13.0 emits PTX 9.0, which every driver of the 580 series and later loads.
ENVIRONMENT = (
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cuda-cccl==13.0.85",
    "triton==3.5.1",
    "numpy>=2",
)


@dataclass(frozen=True)
class Job:
    """One PTX file: its stem, the source it comes from and the architecture it is compiled for."""

    stem: str
    source: str
    arch: str
    flags: tuple[str, ...] = ()


JOBS = (
    Job("reduce", "reduce.cu", "sm_80"),
    Job("scan", "scan.cu", "sm_80"),
    Job("transpose", "transpose.cu", "sm_80"),
    Job("histogram", "histogram.cu", "sm_80"),
    Job("softmax", "softmax.cu", "sm_80"),
    Job("functions", "functions.cu", "sm_80"),
    Job("mathematics", "mathematics.cu", "sm_80"),
    Job("narrow", "narrow.cu", "sm_90"),
    Job("unoptimised", "unoptimised.cu", "sm_90", ("-Xcicc", "-O0")),
    Job("async_pipeline", "async_pipeline.cu", "sm_80"),
    Job("gemm_mma", "gemm_mma.cu", "sm_80"),
    Job("gemm_wmma", "gemm_wmma.cu", "sm_80"),
    Job("cluster", "cluster.cu", "sm_90"),
    Job("bulk_pipeline", "bulk_pipeline.cu", "sm_90"),
    Job("tma_copy", "tma_copy.cu", "sm_90a"),
    Job("wgmma_gemm", "wgmma_gemm.cu", "sm_90a"),
    Job("wgmma_tma", "wgmma_tma.cu", "sm_90a"),
    Job("triton_add", "triton_add.py", "sm_80"),
    Job("triton_dropout", "triton_add.py", "sm_80"),
    Job("triton_softmax", "triton_softmax.py", "sm_80"),
    Job("triton_layer_norm", "triton_softmax.py", "sm_90a"),
    Job("triton_scan", "triton_scan.py", "sm_80"),
    Job("triton_sort", "triton_scan.py", "sm_80"),
    Job("triton_histogram", "triton_scan.py", "sm_80"),
    Job("triton_matmul_sm80", "triton_matmul.py", "sm_80"),
    Job("triton_matmul_tf32", "triton_matmul.py", "sm_80"),
    Job("triton_matmul_sm90", "triton_matmul.py", "sm_90a"),
    Job("triton_matmul_tma", "triton_matmul.py", "sm_90a"),
    Job("rust_saxpy", "rust_saxpy.rs", "sm_80"),
    Job("rust_collatz", "rust_collatz.rs", "sm_80"),
    Job("rust_reduce", "rust_reduce.rs", "sm_80"),
)


def nvcc(job: Job) -> str:
    """Compile a .cu file with the wheels' nvcc, found beside the running interpreter."""
    spec = importlib.util.find_spec("nvidia.cu13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"nvcc is not installed beside {sys.executable}: install {' '.join(ENVIRONMENT)}")
    compiler = Path(next(iter(spec.submodule_search_locations))) / "bin" / "nvcc"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.ptx"
        # A relative source path keeps the name of this checkout out of the output.
        command = [compiler, "-ptx", f"-arch={job.arch}", "-O3", "-std=c++17", *job.flags, job.source, "-o", out]
        subprocess.run(command, cwd=SOURCES, check=True)
        return out.read_text()


def triton(job: Job) -> str:
    """Compile one specialisation of a Triton file; needs neither a driver nor a device."""
    import triton as compiler
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    module = load_by_relative_name(job.source)
    spec = module.SPECIALISATIONS[job.stem]
    names = spec["function"].arg_names
    kinds = {name: kind.partition(":")[0] for name, kind in spec["signature"].items()}
    source = ASTSource(
        fn=spec["function"],
        signature=kinds | dict.fromkeys(spec["constants"], "constexpr"),
        constexprs={(names.index(name),): value for name, value in spec["constants"].items()},
        attrs={(names.index(n),): [["tt.divisibility", 16]] for n, kind in spec["signature"].items() if ":" in kind},
    )
    compiler.knobs.compilation.disable_line_info = not spec.get("line_info", False)
    target = GPUTarget("cuda", int(job.arch[3:5]), 32)
    options = {"num_warps": spec["warps"], "num_stages": spec["stages"]}
    result = compiler.compile(source, target=target, options=options)
    shared, scratch = result.metadata.shared, result.metadata.global_scratch_size
    print(f"{job.stem:24} needs shared_bytes={shared}, global scratch {scratch} bytes per program")
    return result.asm["ptx"]


def load_by_relative_name(name: str) -> types.ModuleType:
    """Import a source under its bare file name, so that line information does not name this checkout."""
    os.chdir(SOURCES)
    module = types.ModuleType(Path(name).stem)
    module.__file__ = name
    sys.modules[module.__name__] = module
    exec(compile(Path(name).read_text(), name, "exec"), module.__dict__)
    return module


def rustc(job: Job) -> str:
    """Compile a .rs file for nvptx64 with the system's rustc, after building core once per architecture."""
    flags = ["--edition=2024", "--target=nvptx64-nvidia-cuda", f"-Ctarget-cpu={job.arch}", "-Copt-level=3"]
    # JumpThreading duplicates barriers in rustc up to 1.96 (rust-lang/rust#149637).
    flags += ["-Cpanic=abort", "-Ccodegen-units=1", "-Zmir-enable-passes=-JumpThreading"]
    core = built_core(job.arch, tuple(flags))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.ptx"
        run_rustc([*flags, "--crate-type", "lib", "--emit", "asm", "-L", str(core), "-o", str(out), job.source])
        return out.read_text()


@functools.cache
def built_core(arch: str, flags: tuple[str, ...]) -> Path:
    """Build core, and the empty compiler_builtins that every crate links, into a folder that lives as long as we do."""
    folder = tempfile.mkdtemp(prefix=f"core-{arch}-")
    atexit.register(shutil.rmtree, folder)
    sysroot = subprocess.run([RUSTC, "--print", "sysroot"], check=True, capture_output=True, text=True).stdout.strip()
    source = Path(sysroot) / "lib/rustlib/src/rust/library/core/src/lib.rs"
    if not source.exists():
        raise SystemExit(f"{source} is missing: install the source of core (Debian: rust-web-src)")
    common = [*flags, "--crate-type", "rlib", "-L", folder, "--out-dir", folder]
    run_rustc([*common, "--cap-lints", "allow", "--crate-name", "core", str(source)])
    empty = Path(folder) / "compiler_builtins.rs"
    empty.write_text(
        "#![feature(compiler_builtins)]\n#![compiler_builtins]\n#![no_std]\n#![allow(internal_features)]\n"
    )
    run_rustc([*common, "--crate-name", "compiler_builtins", str(empty)])
    return Path(folder)


def run_rustc(arguments: list[str]) -> None:
    """Run rustc among the sources, with unstable features allowed."""
    subprocess.run([RUSTC, *arguments], cwd=SOURCES, check=True, env=os.environ | {"RUSTC_BOOTSTRAP": "1"})


COMPILERS = {".cu": nvcc, ".py": triton, ".rs": rustc}


def build(job: Job) -> str:
    """Return the PTX of one job, exactly as its compiler wrote it, with a trailing newline."""
    text = COMPILERS[Path(job.source).suffix](job)
    for path in (str(HERE), os.fspath(Path.home())):
        if path in text:
            raise SystemExit(f"{job.stem}: the PTX holds the path {path}")
    return text.rstrip("\n\0") + "\n"


def main() -> int:
    """Build the named stems, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stems", nargs="*", help="what to build; default: everything")
    parser.add_argument("--check", action="store_true", help="compare with the committed files instead of writing them")
    parser.add_argument("--requirements", action="store_true", help="print what to install, and stop")
    options = parser.parse_args()
    if options.requirements:
        print(" ".join(ENVIRONMENT))
        return 0
    unknown = set(options.stems) - {job.stem for job in JOBS}
    if unknown:
        parser.error(f"no such stem: {', '.join(sorted(unknown))}; there are {', '.join(job.stem for job in JOBS)}")
    stale = 0
    for job in JOBS:
        if options.stems and job.stem not in options.stems:
            continue
        text, path = build(job), PTX / f"{job.stem}.ptx"
        same = path.exists() and path.read_text() == text
        stale += not same
        if not options.check:
            path.write_text(text)
        print(f"{job.stem:24} {job.arch:6} {len(text.splitlines()):5} lines {'as committed' if same else 'changed'}")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
