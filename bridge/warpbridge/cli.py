"""The ``warpbridge`` command: `info`, `kernels`, `demo`. It prints; what it prints comes from the public API.

The commands `trace`, `check` and `bench` are in `tools/`, `new` and `build` in `kit/`.

Exit status: 0 done, 1 the demo or a check found something wrong or a traced launch failed, 2 wrong usage or an error,
130 Ctrl-C, 141 the reader of a pipe went away.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import WarpbridgeError, __version__, _ffi, devices, kernels
from .device import Device
from .kernel import Kernel
from .kit import commands as kit
from .tools import add_commands

_DESCRIPTION = "Call warp-specialised async GPU kernels from code that has never heard of async."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        As on the command line; default: the process's own.

    Returns
    -------
    int
        The exit status.
    """
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        status = run(options)
        sys.stdout.flush()  # else a closed pipe is seen at the interpreter's exit, with a traceback
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still in the buffer
        return 141
    except (WarpbridgeError, MemoryError) as error:
        print(f"warpbridge {options.command}: {error}", file=sys.stderr)
    except OSError as error:
        print(f"warpbridge {options.command}: {_reason(error)}", file=sys.stderr)
    return 2


def _reason(error: OSError) -> str:
    """Return what the system said, behind the file where there is one."""
    text = error.strerror or str(error)
    return text if error.filename is None else f"{error.filename}: {text}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("warpbridge", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"warpbridge {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    text = "show the devices, the driver, and what each device can run"
    commands.add_parser("info", help=text, description=text).set_defaults(run=_info)

    text = "list the bundled kernels with their signatures"
    catalogue = commands.add_parser("kernels", help=text, description=text)
    catalogue.add_argument("name", nargs="*", metavar="NAME", help="show all about these kernels only")
    catalogue.set_defaults(run=_kernels)

    text = "prepare photographs in all three call styles, check and time it, draw a contact sheet; then show a deadlock"
    demo = commands.add_parser("demo", help=text, description=text)
    demo.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="photographs; default: a sample")
    demo.add_argument("--output", type=Path, metavar="PNG", help="the contact sheet (default: demo-sheet.png)")
    demo.add_argument("--device", metavar="NAME", help="cpu, cuda:0 ... (default: a GPU where there is one)")
    demo.add_argument("--count", type=_at_least_one, default=8, metavar="N", help="pictures in the batch (default: 8)")
    demo.set_defaults(run=_demo)
    add_commands(commands)
    kit.add_commands(commands)
    return parser


def _at_least_one(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number of at least 1")
    return value


def _info(options: argparse.Namespace) -> int:
    del options
    print(f"warpbridge {__version__}, C ABI {_ffi.ABI_VERSION}")
    bundled = [getattr(kernels, name) for name in dir(kernels)]
    for device in devices():
        print()
        for line in _device_lines(device, bundled):
            print(line)
    cuda = _ffi.driver()["cuda"]
    print()
    if cuda["found"]:
        print(f"CUDA driver {cuda['version']} ({cuda['library']}); a kernel's PTX is compiled at its first launch")
    if not any(device.kind == "cuda" for device in devices()):
        print(f"no CUDA device: {cuda['reason']}")
    return 0


def _device_lines(device: Device, bundled: Sequence[Kernel]) -> list[str]:
    major, minor = device.ptx_version
    memory = f"{device.memory_bytes / 2**30:.1f} GiB"
    units = "threads" if device.kind == "cpu" else "multiprocessors"
    lines = [
        f"{device}: {device.name}",
        f"  runs PTX up to {major}.{minor} for {device.arch} and below",
        f"  {memory} of memory, {device.sm_count} {units}, {device.max_shared_bytes // 1024} KiB shared per block",
    ]
    for kernel in bundled:
        archs = sorted({variant["arch"] for variant in kernel.manifest["variants"]}, key=_arch_number)
        usable = [arch for arch in archs if _runs(arch, device.arch)]
        verdict = f"variants {', '.join(usable)}" if usable else f"cannot run: needs {' or '.join(archs)}"
        lines.append(f"  kernel {kernel.__name__}: {verdict}")
    return lines


def _arch_number(arch: str) -> int:
    return int("".join(c for c in arch if c.isdigit()) or 0)


def _runs(arch: str, device_arch: str) -> bool:
    """Whether PTX for `arch` runs on a device; an ``a`` or ``f`` suffix ties it to its own generation."""
    if arch[-1:].isdigit():
        return _arch_number(arch) <= _arch_number(device_arch)
    return _arch_number(arch) == _arch_number(device_arch)


def _kernels(options: argparse.Namespace) -> int:
    names = options.name or dir(kernels)
    for place, name in enumerate(names):
        try:
            kernel: Kernel = getattr(kernels, name)
        except AttributeError as error:
            print(f"warpbridge kernels: {error}", file=sys.stderr)
            return 2
        if place:
            print()
        print(f"{kernel.__name__}{kernel.__signature__}")
        text = (inspect.getdoc(kernel) or "") if options.name else kernel.summary
        print("\n".join(f"    {line}".rstrip() for line in text.splitlines()))
    return 0


def _demo(options: argparse.Namespace) -> int:
    from .demo import run

    return run(options.images, output=options.output, device=options.device, count=options.count)
