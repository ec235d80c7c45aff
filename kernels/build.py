#!/usr/bin/env python3
"""Builds the kernels: Rust to PTX, for each kernel and copy engine, and checks what came out.

Usage::

    python kernels/build.py                      # build, gate, write kernels/ptx/
    python kernels/build.py --check              # gate the committed PTX, rebuild it and compare
    python kernels/build.py --check --no-rebuild # gate the committed PTX and compare the sources' hash
    python kernels/build.py --check --rebuild=auto # rebuild if there is a suitable rustc
    python kernels/build.py --lint               # clippy on the runtime and the kernels
    python kernels/build.py --doc DIR            # the runtime's documentation; an undocumented item is an error

Here: which kernels there are, and the order of the steps. The steps are the kit's (``bridge/warpbridge/kit``), which
builds everybody's kernels: ``compiler.py`` runs rustc, ``ptxtext.py`` finishes the text, ``gates.py`` refuses. Needs
Python 3.11, a rustc with the sources of ``core``, and ptxas.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent

if TYPE_CHECKING:
    from warpbridge.kit import compiler, gates, ptxtext
    from warpbridge.kit.compiler import Rustc, Variant
    from warpbridge.kit.gates import BuildError
else:
    # This repository's kit, without the package around it: there may be no native library yet.
    sys.path.append(str(HERE.parent / "bridge" / "warpbridge"))
    from kit import compiler, gates, ptxtext
    from kit.compiler import Rustc, Variant
    from kit.gates import BuildError

VARIANTS, find_rustc, compile_core = compiler.VARIANTS, compiler.find_rustc, compiler.compile_core
# `address % 16 == 0` says what is meant, the method says no more; `clamp` may panic, which no kernel can.
LINTS = ("-A", "clippy::manual_is_multiple_of", "-A", "clippy::manual_clamp", "-A", "clippy::redundant_closure")
KERNELS = (
    "scale",
    "image_prep",
    "image_resize",
    "softmax",
    "softmax_long",
    "rms_norm_long",
    "layer_norm_long",
    "cross_entropy",
    "rms_norm",
    "rms_norm_residual",
    "rms_norm_quantised",
    "rms_norm_quantised_long",
    "rms_norm_residual_quantised",
    "layer_norm",
    "layer_norm_residual",
    "layer_norm_quantised",
    "layer_norm_residual_quantised",
    "spectral_multiply",
    "fft_power",
    "fft_frames",
    "field_to_rgba",
    "field_to_rgba_own_range",
    "gather_rows",
    "dequant_matvec",
    "stencil3d",
    "deadlock_demo",
)


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
    parser.add_argument("--lint", action="store_true", help="run clippy on the runtime and the kernels")
    parser.add_argument("--doc", type=Path, metavar="DIR", help="write the runtime's documentation there")
    options = parser.parse_args(arguments)
    if options.rebuild and not options.check:
        parser.error("--rebuild and --no-rebuild go with --check")
    kernels = tuple(options.kernel or KERNELS)
    try:
        if options.doc or options.lint:
            return document(options.doc) if options.doc else lint(kernels)
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


def document(folder: Path) -> int:
    """Write the runtime's documentation, for each variant in a folder of its own."""
    rustc = find_rustc()
    with tempfile.TemporaryDirectory(prefix="warpbridge-kernels-") as scratch:
        compile_core(rustc, Path(scratch))
        for variant in VARIANTS:
            compiler.document_runtime(rustc, variant, Path(scratch), folder / variant.arch)
            print(f"{folder / variant.arch / 'warpbridge_runtime' / 'index.html'}")
    return 0


def lint(kernels: tuple[str, ...]) -> int:
    """Run clippy on the runtime and these kernels, for each variant; the first finding is an error."""
    rustc = find_rustc()
    clippy = rustc.beside("clippy-driver", "apt-get install rust-web-clippy, or rustup component add clippy")
    linter = replace(rustc, path=clippy, name=f"clippy of {rustc.name}", flags=LINTS)
    with tempfile.TemporaryDirectory(prefix="warpbridge-kernels-") as scratch:
        compile_core(rustc, Path(scratch))
        for kernel in kernels:
            for variant in VARIANTS:
                compile_kernel(linter, kernel, variant, Path(scratch))
    print(f"clippy finds nothing in the runtime and {len(kernels)} kernels")
    return 0


def path_of(kernel: str, variant: Variant) -> Path:
    """Where the PTX of one variant lives."""
    return HERE / "ptx" / f"{kernel}.{variant.arch}.ptx"


def declared(kernel: str) -> gates.Declared:
    """Return what the kernel's manifest and source declare."""
    return gates.declared(HERE / f"{kernel}.toml", HERE / "src" / f"{kernel}.rs")


def source_hash(kernel: str) -> str:
    """SHA-256 of all that decides a kernel's PTX: its sources, the runtime's, this build's flags, its block."""
    sources = [
        HERE / "src" / f"{kernel}.rs",
        *sorted((HERE / "src" / kernel).rglob("*.rs")),
        *sorted(borrowed(kernel)),
        *sorted((HERE / "runtime" / "src").rglob("*.rs")),
    ]
    variants = [(variant.arch, variant.engine) for variant in VARIANTS]
    settings = (compiler.CODEGEN_FLAGS, compiler.KERNEL_FLAGS, variants, ptxtext.PTX_VERSION, declared(kernel).block)
    digest = hashlib.sha256(repr(settings).encode())
    for source in sources:
        digest.update(f"{source.relative_to(HERE).as_posix()}\0".encode())
        digest.update(source.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    digest.update(crate_head().encode())
    return digest.hexdigest()


def borrowed(kernel: str) -> list[Path]:
    """Return the modules of other kernels that this one names by ``#[path]``."""
    text = (HERE / "src" / f"{kernel}.rs").read_text(encoding="utf-8")
    return [HERE / "src" / name for name in re.findall(r'^#\[path = "([^"]+)"\]$', text, re.M)]


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


def compile_kernel(rustc: Rustc, kernel: str, variant: Variant, out: Path) -> str:
    """Compile one kernel for one variant into finished PTX."""
    flags = ("--crate-name", "warpbridge_kernels", "--cfg", f'kernel="{kernel}"', *declared(kernel).rustc_flags)
    return ptxtext.finish(
        compiler.compile_crate(rustc, HERE, variant, out, flags)[0],
        f"{kernel}, {variant.arch}",
        rustc.name,
        source_hash(kernel),
        partial(declared(kernel).bounds_of, variant.arch),
    )


if __name__ == "__main__":
    sys.exit(main())
