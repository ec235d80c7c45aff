"""The contact sheet: each photograph with its crop marked, under it what the kernel made of it. Knows no kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

GAP_PX = 8
HEADER_PX = 44
COLUMNS = 4
BACKGROUND = (24, 26, 30)
TEXT = (225, 228, 232)
CROP = (255, 196, 0)
MIRRORED = (90, 200, 255)


def contact_sheet(
    path: Path,
    photographs: npt.NDArray[np.uint8],
    prepared: npt.NDArray[np.floating],
    offsets: npt.NDArray[np.int32],
    mirror: npt.NDArray[np.uint8],
    *,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    caption: str,
) -> None:
    """Write a PNG of the first pictures and their prepared crops.

    Parameters
    ----------
    path : Path
        Where the PNG goes; an existing file is replaced.
    photographs : numpy.ndarray
        uint8, ``(n, h, w, 3)``.
    prepared : numpy.ndarray
        floating, ``(n, 3, oh, ow)``: normalised, channels first.
    offsets : numpy.ndarray
        int32, ``(n, 2)``: row and column of each crop in pixels.
    mirror : numpy.ndarray
        uint8, ``(n,)``: non-zero where the crop was mirrored.
    mean, std : tuple of float
        Undo the normalisation for display.
    caption : str
        Heading.
    """
    shown = min(len(photographs), 2 * COLUMNS)
    height, width = photographs.shape[1:3]
    out_height, out_width = prepared.shape[2:]
    cell_width, cell_height = max(width, out_width), height + GAP_PX + out_height
    rows = -(-shown // COLUMNS)
    columns = min(shown, COLUMNS)
    sheet = Image.new(
        "RGB",
        (GAP_PX + columns * (cell_width + GAP_PX), HEADER_PX + rows * (cell_height + 2 * GAP_PX)),
        BACKGROUND,
    )
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP_PX, GAP_PX), caption, fill=TEXT)
    draw.text((GAP_PX, GAP_PX + 14), "above: input, the crop in yellow (blue: mirrored); below: prepared", fill=TEXT)
    for i in range(shown):
        left = GAP_PX + (i % COLUMNS) * (cell_width + GAP_PX)
        top = HEADER_PX + (i // COLUMNS) * (cell_height + 2 * GAP_PX)
        sheet.paste(Image.fromarray(photographs[i]), (left, top))
        row, column = (int(v) for v in offsets[i])
        corner = (left + column, top + row)
        draw.rectangle(
            (*corner, corner[0] + out_width - 1, corner[1] + out_height - 1),
            outline=MIRRORED if mirror[i] else CROP,
            width=2,
        )
        sheet.paste(_displayable(prepared[i], mean, std), (left, top + height + GAP_PX))
    sheet.save(path, format="PNG")


def _displayable(
    planes: npt.NDArray[np.floating], mean: tuple[float, float, float], std: tuple[float, float, float]
) -> Image.Image:
    rgb = planes.astype(np.float64) * np.reshape(std, (3, 1, 1)) + np.reshape(mean, (3, 1, 1))
    return Image.fromarray((np.clip(rgb, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8).transpose(1, 2, 0))
