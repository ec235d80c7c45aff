"""Compiling a kernel's crate: finding a rustc that can, then ``core``, the runtime and the crate itself, to PTX text.

Nothing is linked: ``core`` and the runtime are metadata with all their MIR, and the crate's one codegen unit takes in
what it uses (docs/adr/0012). What becomes of the text is in ``ptxtext.py``, what is refused in ``gates.py``. This
folder needs nothing of the package around it: warpbridge's own kernels are built before there is a native library.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .gates import BuildError

RUNTIME = Path(__file__).resolve().parent / "runtime"
"""The crate ``warpbridge_runtime``."""


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
    flags: tuple[str, ...] = ()
    """Before all others, at each call."""

    def beside(self, tool: str, install: str) -> str:
        """Return the path of a tool of this compiler's; `BuildError` with what to ``install`` where it is missing."""
        path = Path(shutil.which(self.path) or self.path).with_name(tool)
        if not path.is_file():
            raise BuildError(f"{tool} not found beside {self.path}: {install}")
        return str(path)


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
            *("-Z", "always-encode-mir", "-D", "warnings", "--remap-path-prefix", f"{RUNTIME}=warpbridge-runtime"),
        ]
        run_rustc(rustc, [*CODEGEN_FLAGS, *flags, *target_flags(variant, out), str(RUNTIME / "src" / "lib.rs")])
    return metadata


def document_runtime(rustc: Rustc, variant: Variant, out: Path, folder: Path) -> None:
    """Write the runtime's documentation for one variant; a warning, or an item without a comment, is an error."""
    rustdoc = rustc.beside("rustdoc", "it comes with rustc")
    flags = [
        *("--edition", "2024", "--target", "nvptx64-nvidia-cuda", "-C", "panic=abort", "-D", "warnings"),
        *("--crate-name", "warpbridge_runtime", "--out-dir", str(folder)),
    ]
    run_rustc(replace(rustc, path=rustdoc), [*flags, *target_flags(variant, out), str(RUNTIME / "src" / "lib.rs")])


def runtime_sources() -> list[Path]:
    """Return the sources of the runtime crate."""
    return sorted((RUNTIME / "src").rglob("*.rs"))


def target_flags(variant: Variant, out: Path) -> list[str]:
    """Return what the runtime and the kernels of one variant are both compiled with: target, engine, and ``core``."""
    return [
        *("-C", f"target-cpu={variant.arch}", "--cfg", f'engine="{variant.engine}"'),
        *("--sysroot", str(out / "none"), "-L", str(out)),
        *("--extern", f"core={out / 'libcore.rmeta'}"),
        *("--extern", f"compiler_builtins={out / 'libcompiler_builtins.rmeta'}"),
    ]


def compile_crate(rustc: Rustc, crate: Path, variant: Variant, out: Path, flags: Sequence[str]) -> tuple[str, str]:
    """Compile a crate (its folder, with ``src/lib.rs``) for one variant; return what rustc wrote, and its warnings.

    ``out`` has what `compile_core` made; ``flags`` are the crate's name and cfgs.
    """
    crate = crate.resolve()
    with tempfile.TemporaryDirectory(prefix="warpbridge-") as scratch:
        ptx = Path(scratch) / "kernel.ptx"
        flags = [
            *("--emit", f"asm={ptx}", "--remap-path-prefix", f"{crate}={crate.name}", *flags),
            *("--extern", f"warpbridge_runtime={compile_runtime(rustc, variant, out)}"),
        ]
        source = crate / "src" / "lib.rs"
        flags = [*CODEGEN_FLAGS, *KERNEL_FLAGS, *flags, *target_flags(variant, out)]
        warnings = run_rustc(rustc, [*flags, str(source)])
        return ptx.read_text(encoding="utf-8"), warnings


def find_rustc() -> Rustc:
    """Find a rustc that is new enough and comes with the sources of ``core``, among `rustc_candidates`."""
    tried: list[str] = []
    for candidate in rustc_candidates():
        try:
            facts = rustc_facts(candidate)
            sysroot = subprocess.run(
                [candidate, "--print", "sysroot"], capture_output=True, text=True, check=True
            ).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            tried += [f"RUSTC={candidate} cannot be run"] if candidate == os.environ.get("RUSTC") else []
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
    """Return compilers to try: $RUSTC alone; without it Debian's, the one on the path, rustup's nightlies."""
    home = Path(os.environ.get("RUSTUP_HOME", Path.home() / ".rustup"))
    nightlies = [str(path) for path in sorted(home.glob("toolchains/nightly-*/bin/rustc"))]
    given = os.environ.get("RUSTC")
    return [given] if given else list(dict.fromkeys(["/usr/bin/rustc", "rustc", *nightlies]))


def rustc_facts(rustc: str) -> dict[str, str]:
    """Return the ``key: value`` lines of ``rustc -vV``."""
    text = subprocess.run([rustc, "-vV"], capture_output=True, text=True, check=True).stdout
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def run_rustc(rustc: Rustc, arguments: list[str]) -> str:
    """Run the compiler with unstable features allowed; return its warnings. A failure is an error with its output."""
    environment = {**os.environ, "RUSTC_BOOTSTRAP": "1"}
    done = subprocess.run(
        [rustc.path, *rustc.flags, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildError(f"{rustc.path} failed:\n{done.stderr}")
    return done.stderr
