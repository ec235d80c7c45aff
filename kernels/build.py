#!/usr/bin/env python3
"""Builds the kernels: Rust to PTX, for each kernel and copy engine, and checks what came out.

Usage::

    python kernels/build.py                      # build, gate, write kernels/ptx/
    python kernels/build.py --check              # gate the committed PTX, rebuild it and compare
    python kernels/build.py --check --no-rebuild # gate the committed PTX and compare the sources' hash
    python kernels/build.py --check --rebuild=auto # rebuild if there is a suitable rustc

Here: finding the tools, running rustc, and the order of the steps. What the PTX text must look like is in
``ptxtext.py``, what is refused in ``gates.py``. Needs Python 3.11, a rustc with the sources of ``core``, and ptxas.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import gates
import ptxtext
from gates import BuildError

HERE = Path(__file__).resolve().parent
KERNELS = (
    "scale",
    "image_prep",
    "softmax",
    "cross_entropy",
    "rms_norm",
    "layer_norm",
    "spectral_multiply",
    "fft_power",
    "fft_frames",
    "field_to_rgba",
    "gather_rows",
    "deadlock_demo",
)


@dataclass(frozen=True)
class Variant:
    """One architecture that PTX is built for: its copy engine, and what ptxas must accept it for."""

    arch: str
    engine: str
    assembled_for: tuple[str, ...]


VARIANTS = (
    Variant("sm_80", "cp_async", ("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")),
    Variant("sm_90", "bulk", ("sm_90", "sm_100", "sm_120")),
)

# Common to `core` and the kernels. JumpThreading copies barriers (rust-lang/rust#149637, fixed in 1.97).
CODEGEN_FLAGS = (
    *("--edition", "2024", "--crate-type", "lib", "--target", "nvptx64-nvidia-cuda"),
    *("-C", "opt-level=3", "-C", "panic=abort", "-C", "codegen-units=1"),
    *("-Z", "mir-enable-passes=-JumpThreading"),
)
# LLVM would peel the executor's first poll off, and with it a second copy of the role; and SimplifyCFG, which folds the
# state machines (LLVM has no jump threading for divergent targets), would leave those of long roles.
KERNEL_FLAGS = (
    *("-C", "llvm-args=-unroll-peel-max-count=0"),
    *("-C", "llvm-args=-max-jump-threading-live-blocks=1000"),
    *("-D", "warnings"),
)

EMPTY_CRATE = (
    "#![feature(compiler_builtins, no_core)]\n#![allow(internal_features)]\n#![compiler_builtins]\n#![no_core]\n"
)


@dataclass(frozen=True)
class Rustc:
    """A compiler that can build for nvptx: its path, the sources of ``core``, and its name in PTX headers."""

    path: str
    core: Path
    name: str


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 a gate failed, 2 a tool or a declaration is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; gate the committed PTX and compare it")
    parser.add_argument(
        "--rebuild", choices=("always", "auto", "never"), help="with --check: auto = if a suitable rustc is found"
    )
    parser.add_argument(
        "--no-rebuild", dest="rebuild", action="store_const", const="never", help="the same as --rebuild=never"
    )
    parser.add_argument("--kernel", choices=KERNELS, action="append", help="only this kernel (repeatable)")
    options = parser.parse_args(arguments)
    if options.rebuild and not options.check:
        parser.error("--rebuild and --no-rebuild go with --check")
    kernels = tuple(options.kernel or KERNELS)
    try:
        failures = check(kernels, options.rebuild or "always") if options.check else build(kernels)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    if not failures:
        print(f"{len(kernels) * len(VARIANTS)} PTX files {'checked' if options.check else 'built'}")
    return 1 if failures else 0


def build(kernels: tuple[str, ...]) -> list[str]:
    """Build, gate and write the PTX of these kernels; a file that fails its gates is not written."""
    ptxas = gates.find_ptxas()
    failures: list[str] = []
    for (kernel, variant), text in compile_all(find_rustc(), kernels).items():
        found = gates.gate(text, path_of(kernel, variant).name, declared(kernel), variant.assembled_for, ptxas)
        failures += found
        if not found:
            path_of(kernel, variant).parent.mkdir(exist_ok=True)
            path_of(kernel, variant).write_text(text, encoding="utf-8")
    return failures


def check(kernels: tuple[str, ...], rebuild: str) -> list[str]:
    """Gate the committed PTX of these kernels, and compare it with its sources and with a rebuild."""
    ptxas = gates.find_ptxas()
    failures: list[str] = []
    for kernel in kernels:
        for variant in VARIANTS:
            path = path_of(kernel, variant)
            if not path.is_file():
                failures.append(f"{path.name} is missing: run python kernels/build.py")
                continue
            text = path.read_text(encoding="utf-8")
            failures += gates.gate_hash(text, path.name, source_hash(kernel))
            failures += gates.gate(text, path.name, declared(kernel), variant.assembled_for, ptxas)
    if rebuild == "never" or failures:
        return failures
    try:
        rustc = find_rustc()
    except BuildError as error:
        if rebuild == "always":
            raise
        print(f"not rebuilt: {error}")
        return failures
    for (kernel, variant), text in compile_all(rustc, kernels).items():
        path = path_of(kernel, variant)
        failures += gates.gate_rebuilt(path.read_text(encoding="utf-8"), text, path.name)
        failures += gates.gate(text, f"{path.name} (rebuilt)", declared(kernel), variant.assembled_for, ptxas)
    return failures


def path_of(kernel: str, variant: Variant) -> Path:
    """Where the PTX of one variant lives."""
    return HERE / "ptx" / f"{kernel}.{variant.arch}.ptx"


def declared(kernel: str) -> gates.Declared:
    """Return what the kernel's manifest and source declare."""
    return gates.declared(HERE / f"{kernel}.toml")


def source_hash(kernel: str) -> str:
    """SHA-256 of all that decides a kernel's PTX: its sources, the runtime's, this build's flags, its block."""
    sources = [HERE / "src" / f"{kernel}.rs", *sorted((HERE / "src" / kernel).rglob("*.rs")), *runtime_sources()]
    variants = [(variant.arch, variant.engine) for variant in VARIANTS]
    settings = (CODEGEN_FLAGS, KERNEL_FLAGS, variants, ptxtext.PTX_VERSION, declared(kernel).block)
    digest = hashlib.sha256(repr(settings).encode())
    for source in sources:
        digest.update(f"{source.relative_to(HERE).as_posix()}\0".encode())
        digest.update(source.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    digest.update(crate_head().encode())
    return digest.hexdigest()


def runtime_sources() -> list[Path]:
    """Return the sources of the runtime crate."""
    return sorted((HERE / "runtime" / "src").rglob("*.rs"))


def crate_head() -> str:
    """Return the kernels' ``lib.rs`` without its list of kernels: a new one leaves the hashes of the others alone."""
    text = (HERE / "src" / "lib.rs").read_text(encoding="utf-8")
    return re.sub(r'^#\[cfg\(kernel = "\w+"\)\]\npub mod \w+;\n', "", text, flags=re.M)


def compile_all(rustc: Rustc, kernels: tuple[str, ...]) -> dict[tuple[str, Variant], str]:
    """Compile these kernels for every variant; the finished PTX text by kernel and variant."""
    with tempfile.TemporaryDirectory(prefix="warpbridge-kernels-") as scratch:
        out = Path(scratch)
        compile_core(rustc, out)
        return {(k, v): compile_kernel(rustc, k, v, out) for k in kernels for v in VARIANTS}


def compile_core(rustc: Rustc, out: Path) -> None:
    """Compile ``core`` (metadata with all MIR: no code of it is linked) and an empty ``compiler_builtins``."""
    empty = out / "compiler_builtins.rs"
    empty.write_text(EMPTY_CRATE, encoding="utf-8")
    run_rustc(
        rustc,
        [*CODEGEN_FLAGS, "--crate-name", "compiler_builtins", "--emit", "metadata", "--out-dir", str(out), str(empty)],
    )
    flags = ["--cap-lints", "allow", "-Z", "always-encode-mir", "--crate-name", "core", "--emit", "metadata"]
    run_rustc(rustc, [*CODEGEN_FLAGS, *flags, "--out-dir", str(out), str(rustc.core)])


def compile_runtime(rustc: Rustc, variant: Variant, out: Path) -> Path:
    """Compile the runtime for one variant, unless that was done before; return its metadata, with all its MIR."""
    digest = hashlib.sha256(repr((rustc.name, CODEGEN_FLAGS)).encode())
    for source in runtime_sources():
        digest.update(source.read_bytes())
    folder = out / f"runtime-{variant.arch}-{digest.hexdigest()[:16]}"
    metadata = folder / "libwarpbridge_runtime.rmeta"
    if not metadata.is_file():
        flags = [
            *("--crate-name", "warpbridge_runtime", "--emit", "metadata", "--out-dir", str(folder)),
            *("-Z", "always-encode-mir", "-D", "warnings", *target_flags(variant, out)),
        ]
        run_rustc(rustc, [*CODEGEN_FLAGS, *flags, str(HERE / "runtime" / "src" / "lib.rs")])
    return metadata


def target_flags(variant: Variant, out: Path) -> list[str]:
    """Return what the runtime and the kernels of one variant are both compiled with: target, engine, and ``core``."""
    return [
        *("-C", f"target-cpu={variant.arch}", "--cfg", f'engine="{variant.engine}"'),
        *("--sysroot", str(out / "none"), "-L", str(out), "--remap-path-prefix", f"{HERE}=kernels"),
        *("--extern", f"core={out / 'libcore.rmeta'}"),
        *("--extern", f"compiler_builtins={out / 'libcompiler_builtins.rmeta'}"),
    ]


def compile_kernel(rustc: Rustc, kernel: str, variant: Variant, out: Path) -> str:
    """Compile one kernel for one variant into finished PTX."""
    ptx = out / f"{kernel}.{variant.arch}.ptx"
    flags = [
        *("--crate-name", "warpbridge_kernels", "--emit", f"asm={ptx}", "--cfg", f'kernel="{kernel}"'),
        *("--extern", f"warpbridge_runtime={compile_runtime(rustc, variant, out)}", *target_flags(variant, out)),
    ]
    run_rustc(rustc, [*CODEGEN_FLAGS, *KERNEL_FLAGS, *flags, str(HERE / "src" / "lib.rs")])
    return ptxtext.finish(
        ptx.read_text(encoding="utf-8"),
        f"{kernel}, {variant.arch}",
        rustc.name,
        source_hash(kernel),
        declared(kernel).block,
    )


def find_rustc() -> Rustc:
    """Find a rustc that is new enough and comes with the sources of ``core``: $RUSTC, Debian's, the one on the path."""
    tried: list[str] = []
    for candidate in rustc_candidates():
        try:
            facts = rustc_facts(candidate)
            sysroot = subprocess.run(
                [candidate, "--print", "sysroot"], capture_output=True, text=True, check=True
            ).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            continue
        release = facts["release"]
        version = tuple(int(part) for part in release.split("-")[0].split(".")[:2])
        sources = [Path(sysroot) / "lib/rustlib/src/rust", Path(f"/usr/src/rustc-{release}")]
        core = next((c for s in sources if (c := s / "library/core/src/lib.rs").is_file()), None)
        if version < (1, 96):
            tried.append(f"{candidate} is {release}")
        elif core is None:
            tried.append(f"{candidate} ({release}) has no sources of core")
        else:
            name = f"rustc {release} ({facts['commit-hash'][:9]}), LLVM {facts['LLVM version']}"
            return Rustc(candidate, core, name)
    raise BuildError(
        f"no suitable rustc found ({'; '.join(tried) or 'none at all'}), expected 1.96 or later with the sources of "
        "core: apt-get install rustc-web rust-web-src, or rustup toolchain install nightly --component rust-src, "
        "or set RUSTC"
    )


def rustc_candidates() -> list[str]:
    """Return compilers to try, best first: $RUSTC, Debian's, the one on the path, rustup's nightlies."""
    home = Path(os.environ.get("RUSTUP_HOME", Path.home() / ".rustup"))
    nightlies = [str(path) for path in sorted(home.glob("toolchains/nightly-*/bin/rustc"))]
    given = os.environ.get("RUSTC")
    return list(dict.fromkeys([*([given] if given else []), "/usr/bin/rustc", "rustc", *nightlies]))


def rustc_facts(rustc: str) -> dict[str, str]:
    """Return the ``key: value`` lines of ``rustc -vV``."""
    text = subprocess.run([rustc, "-vV"], capture_output=True, text=True, check=True).stdout
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def run_rustc(rustc: Rustc, arguments: list[str]) -> None:
    """Run the compiler with unstable features allowed; a failure is an error with its output."""
    environment = {**os.environ, "RUSTC_BOOTSTRAP": "1"}
    done = subprocess.run([rustc.path, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{rustc.path} failed:\n{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
