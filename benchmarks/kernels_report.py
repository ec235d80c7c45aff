"""The tables of kernels.py: one per kernel, a column per peer, and below them the targets that are missed.

The floor of a row is the time that the copy of the same rounds would take for the same bytes. Where a launch that
does nothing takes more than a fiftieth of that, the text says so: no kernel of one launch gets below both. Nothing
here needs a GPU: `kernels_measure.py` has the clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Line:
    """What was measured of a row. Times in seconds; a peer without one has the reason instead."""

    floor_s: float
    ours_s: float
    ratio: float
    moved_bytes: int
    peers: dict[str, float | str] = field(default_factory=dict)
    target: float | None = None
    times: dict[str, float] = field(default_factory=dict)


def tables(lines: dict[str, Line], nothing_s: float) -> str:
    """Return a table per kernel, and what is missed of the targets; names are 'kernel case'."""
    kernels = dict.fromkeys(kernel_of(name) for name in lines)
    parts = [table(kernel, {n: line for n, line in lines.items() if kernel_of(n) == kernel}) for kernel in kernels]
    text = "\n".join(parts)
    short = [name for name, line in lines.items() if nothing_s > line.floor_s / 50]
    if short:
        text += f"\nA launch that does nothing took {nothing_s * 1e6:.1f} us, which counts in: {'; '.join(short)}.\n"
    missed = [f"- {name}: {reason}\n" for name, line in lines.items() for reason in misses(line)]
    return text + ("\n## Missed targets\n\n" + "".join(missed) if missed else "")


def kernel_of(name: str) -> str:
    """Return the kernel that a row is about: the first word of its name."""
    return name.split(maxsplit=1)[0].rstrip(",")


def table(kernel: str, lines: dict[str, Line]) -> str:
    """Return one kernel's table."""
    peers = list(dict.fromkeys(peer for line in lines.values() for peer in line.peers))
    head = ["case", "floor", "ours", "TB/s", "of the floor", "target", *peers]
    text = f"## {kernel}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}\n"
    for name, line in lines.items():
        rate = line.moved_bytes / line.ours_s / 1e12
        cells = [name.removeprefix(kernel).strip(" ,"), us(line.floor_s), us(line.ours_s), f"{rate:.3f}"]
        cells += [f"{line.ratio:.3f}", target(line), *(against(line, peer) for peer in peers)]
        text += f"| {' | '.join(cells)} |\n"
    return text


def us(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} us"


def target(line: Line) -> str:
    """Return what is asked for: a share of the floor, and multiples of peers."""
    wanted = [f"{line.target:.2f}"] if line.target else []
    return ", ".join(wanted + [f"{times:g} x {peer}" for peer, times in line.times.items()])


def against(line: Line, peer: str) -> str:
    """Return a peer's time and in brackets what multiple of ours that is; or why there is none."""
    found = line.peers.get(peer, "")
    return found if isinstance(found, str) else f"{us(found)} ({found / line.ours_s:.2f})"


def misses(line: Line) -> list[str]:
    """Return what the row falls short of."""
    short = [f"{line.ratio:.3f} of the floor, {line.target:.2f} asked"] if line.ratio < (line.target or 0) else []
    for peer, times in line.times.items():
        found = line.peers.get(peer)
        if isinstance(found, float) and found / line.ours_s < times:
            short.append(f"{found / line.ours_s:.2f} times as fast as {peer}, {times:g} asked")
    return short
