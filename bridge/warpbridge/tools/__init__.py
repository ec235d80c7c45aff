"""The commands `trace`, `check` and `bench` of ``warpbridge``: their options, and what they print."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from warpbridge import __version__, kernels
from warpbridge.errors import ArgumentError
from warpbridge.kernel import Kernel
from warpbridge.module import load
from warpbridge.timeline import kind_of
from warpbridge.trace import COPY_LATENCY, Block, Trace

_SIZE = "value of a shape symbol or scalar; may be repeated"


def add_commands(commands: Any) -> None:
    """Add all three to the parser's commands."""
    text = "run a kernel on the CPU device and draw who computes, who waits for whom, and which copies are in flight"
    trace = commands.add_parser("trace", help=text, description=text)
    trace.add_argument("kernel", metavar="KERNEL|FILE.ptx", help="a bundled kernel, or a PTX file with a manifest")
    trace.add_argument("--manifest", type=Path, metavar="FILE", help="default: the .toml that names the PTX file")
    trace.add_argument("--svg", type=Path, metavar="PATH", help="the timeline (default: trace-KERNEL.svg)")
    trace.add_argument("--json", type=Path, metavar="PATH", help="a Chrome trace too, for ui.perfetto.dev")
    trace.add_argument("--size", type=_size, action="append", default=[], metavar="NAME=VALUE", help=_SIZE)
    trace.add_argument(
        "--cta", type=int, action="append", metavar="N", help="thread block to record; may be repeated (default: 0)"
    )
    trace.add_argument(
        "--latency",
        type=int,
        default=COPY_LATENCY,
        metavar="N",
        help=f"warp instructions that a copy is taken to need (default: {COPY_LATENCY})",
    )
    trace.add_argument("--arch", metavar="sm_NN", help="the variant to run (default: the best)")
    trace.add_argument("--from", type=int, default=0, dest="start", metavar="TICK", help="first tick drawn")
    trace.add_argument("--to", type=int, dest="end", metavar="TICK", help="last tick drawn")
    trace.set_defaults(run=_trace)

    text = "say what a PTX file needs and what is wrong with it; with a manifest, run it under every schedule"
    checker = commands.add_parser("check", help=text, description=text)
    checker.add_argument("file", type=Path, metavar="FILE.ptx", help="the file, or any variant's of its manifest")
    checker.add_argument("--manifest", type=Path, metavar="FILE", help="default: the .toml that names the PTX file")
    checker.add_argument("--size", type=_size, action="append", default=[], metavar="NAME=VALUE", help=_SIZE)
    checker.set_defaults(run=_check)

    text = "time launches in every call style, and the bundled kernels, on made-up arrays"
    bench = commands.add_parser("bench", help=text, description=text)
    bench.add_argument("names", nargs="*", metavar="KERNEL", help="time these only (default: all bundled kernels)")
    bench.add_argument("--device", metavar="NAME", help="cpu, cuda:0 ... (default: a GPU where there is one)")
    bench.set_defaults(run=_bench)


def _size(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        number = float(value) if any(c in value for c in ".eEn") else int(value, 0)
    except ValueError:
        equals = ""
        number = 0
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r}, expected NAME=NUMBER")
    return name, number


def _check(options: argparse.Namespace) -> int:
    from .check import check  # NumPy only when it is needed

    return 0 if check(options.file, options.manifest, dict(options.size)) else 1


def _bench(options: argparse.Namespace) -> int:
    from warpbridge.demo import place as places

    from .bench import bench

    wanted = [_kernel(name, None) for name in options.names or dir(kernels)]
    place = places.choose(options.device)
    print(f"warpbridge {__version__} on {place.device} ({place.device.name}), arrays by {place.library}\n")
    bench(place, wanted)
    return 0


def _trace(options: argparse.Namespace) -> int:
    from . import inputs

    kernel = _kernel(options.kernel, options.manifest)
    arguments = inputs.make(kernel, dict(options.size))
    try:
        bound = kernel.bind(**arguments, arch=options.arch)
    except ArgumentError as error:
        raise ArgumentError(f"{error}; these arguments were made up: give other sizes by --size NAME=VALUE") from None
    trace = bound.trace(ctas=options.cta or (0,), latency=options.latency)
    if not trace.blocks:
        raise ArgumentError(
            f"{kernel.__name__}: thread block {(options.cta or [0])[0]} did not run, expected one of its grid"
        )
    for line in summary(trace):
        print(line)
    svg = options.svg or (None if options.json else Path(f"trace-{kernel.__name__}.svg"))
    if svg:
        trace.to_svg(svg, options.start, options.end)
        print(f"wrote {svg}")
    if options.json:
        trace.to_chrome(options.json)
        print(f"wrote {options.json}; open it in ui.perfetto.dev")
    if trace.error is not None:
        print(f"warpbridge trace: {trace.error}", file=sys.stderr)
        return 1
    return 0


def _kernel(name: str, manifest: Path | None) -> Kernel:
    if not name.endswith(".ptx"):
        try:
            found: Kernel = getattr(kernels, name)
        except AttributeError as error:
            raise ArgumentError(f"{error}, or a PTX file") from None
        return found
    from .check import manifest_of

    path = Path(name)
    manifest = manifest or (manifest_of(path) if path.is_file() else None)
    module = load(path, manifest)
    if manifest is None:
        raise ArgumentError(
            f"{path}: no manifest says what its arguments are, expected a .toml beside it that names it, or "
            "--manifest; in Python, module.entries[...].trace(grid, block, args) needs none"
        )
    return next(iter(module.kernels.values()))


def summary(trace: Trace) -> list[str]:
    """Return lines that say how each warp of each block spent its time, in percent of the block's."""
    lines = [f"{trace.kernel}({trace.arguments})"]
    for block in trace.blocks:
        lines.append(f"thread block {block.index}: {max(block.ends)} warp instructions from start to end")
        lines += (_share(trace, block, warp) for warp in range(len(block.ends)))
    return lines


def _share(trace: Trace, block: Block, warp: int) -> str:
    events = [e for e in trace.of(block) if e.warp == warp and e.what != "copy"]
    spent: Counter[str] = Counter()
    for event in events:
        spent[kind_of(event)] += event.end - event.start
    total = max((e.end for e in trace.of(block) if e.what != "copy"), default=1)
    parts = [f"{kind} {100 * ticks / total:.0f} %" for kind, ticks in spent.most_common()]
    return f"  {trace.role(warp):<12} {', '.join(parts)}"
