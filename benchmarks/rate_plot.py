"""Draws rate.py's table: TB/s against size, a line for each kernel and a dashed one for the copy.

Usage: python benchmarks/rate_plot.py benchmarks/results/rate-h200.md docs/kernels-rate.svg
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 56, 150, 24, 48
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b")
LABEL_HEIGHT = 15
STYLE = """\
text { font: 12px sans-serif; fill: #555 }
.grid { stroke: #8884; stroke-width: 1 }
.line { fill: none; stroke-width: 2 }
.copy { stroke: #888; stroke-dasharray: 6 4 }"""


def read(table: str) -> tuple[list[float], dict[str, list[float]]]:
    """Return the sizes in MiB, and TB/s by name."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]
    columns = list(zip(*rows, strict=True))
    sizes = [float(cell) for cell in columns[0][1:]]
    return sizes, {column[0]: [float(cell) for cell in column[1:]] for column in columns[1:]}


def plot(sizes: list[float], rates: dict[str, list[float]], caption: str) -> str:
    """Return the SVG: panels one below the other, each with the copy and as many kernels as there are colours."""
    names = [name for name in rates if name != "copy"]
    groups = [names[i : i + len(COLOURS)] for i in range(0, len(names), len(COLOURS))]
    height = len(groups) * HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{caption}">',
        f"<style>\n{STYLE}\n</style>",
    ]
    top = math.ceil(max(max(values) for values in rates.values()))
    for number, group in enumerate(groups):
        parts += panel(sizes, {name: rates[name] for name in ("copy", *group)}, number * HEIGHT, top)
    parts.append(f'<text x="{LEFT}" y="{height - 8}">{caption}</text>')
    return "\n".join([*parts, "</svg>\n"])


def panel(sizes: list[float], rates: dict[str, list[float]], offset: int, top: int) -> list[str]:
    """Return the elements of one diagram that begins ``offset`` below the upper edge and goes up to ``top`` TB/s."""

    def x(size: float) -> float:
        share = math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0])
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(rate: float) -> float:
        return offset + HEIGHT - BOTTOM - rate / top * (HEIGHT - TOP - BOTTOM)

    parts = []
    for rate in range(top + 1):
        parts.append(f'<path class="grid" d="M{LEFT} {y(rate):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(rate) + 4:.1f}" text-anchor="end">{rate}</text>')
    for size in sizes:
        name = f"{size / 1024:g} GiB" if size >= 1024 else f"{size:g} MiB" if size >= 1 else f"{size * 1024:g} KiB"
        parts.append(f'<text x="{x(size):.1f}" y="{y(0) + 18:g}" text-anchor="middle">{name}</text>')
    parts.append(f'<text x="{LEFT}" y="{offset + TOP - 8}">TB/s</text>')
    colours = iter(COLOURS)
    for name, label_y in labels({name: y(values[-1]) for name, values in rates.items()}).items():
        values = rates[name]
        points = " ".join(f"{x(size):.1f},{y(rate):.1f}" for size, rate in zip(sizes, values, strict=True))
        colour = "" if name == "copy" else f' style="stroke: {next(colours)}"'
        parts.append(f'<polyline class="line{" copy" if name == "copy" else ""}"{colour} points="{points}"/>')
        fill = colour.replace("stroke", "fill")
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{label_y + 4:.1f}"{fill}>{name} {values[-1]:.2f}</text>')
    return parts


def labels(ends: dict[str, float]) -> dict[str, float]:
    """Return where the lines' names stand: at their ends, but one below the other; top first."""
    placed: dict[str, float] = {}
    free = 0.0
    for name, end in sorted(ends.items(), key=lambda item: item[1]):
        placed[name] = max(end, free)
        free = placed[name] + LABEL_HEIGHT
    return placed


def draw(table: str) -> str:
    """Return the SVG of a table in Markdown; the machine's name comes from its first line."""
    machine = table.split(" on ", 1)[1].split(",", 1)[0]
    return plot(*read(table), f"Bytes read and written per second on {machine}, by bytes of the first input")


def main() -> int:
    source, target = map(Path, sys.argv[1:])
    target.write_text(draw(source.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
