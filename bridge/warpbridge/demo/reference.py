"""``image_prep`` in NumPy and float64, to check the demo's results against. Slow and plain on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def image_prep(
    x: npt.NDArray[np.uint8],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    offsets: npt.NDArray[np.int32],
    mirror: npt.NDArray[np.uint8],
    size: tuple[int, int],
) -> npt.NDArray[np.float64]:
    """Crop, mirror, normalise, channels first.

    Parameters
    ----------
    x : numpy.ndarray
        uint8, ``(n, h, w, 3)``.
    mean, std : tuple of float
        Per channel, for values scaled to [0, 1]; rounded to float32 first, as the kernel receives them.
    offsets : numpy.ndarray
        int32, ``(n, 2)``: row and column of each crop.
    mirror : numpy.ndarray
        uint8, ``(n,)``: non-zero mirrors left to right.
    size : tuple of int
        Height and width of the crop.

    Returns
    -------
    numpy.ndarray
        float64, ``(n, 3, *size)``.
    """
    height, width = size
    out = np.empty((len(x), 3, height, width))
    centre, spread = (np.asarray(v, np.float32).astype(np.float64).reshape(3, 1, 1) for v in (mean, std))
    for i, (row, column) in enumerate(offsets):
        crop = x[i, row : row + height, column : column + width].transpose(2, 0, 1)
        out[i] = (crop[:, :, ::-1] if mirror[i] else crop) / 255.0
    return (out - centre) / spread


def worst_ulp(found: npt.NDArray[np.floating], exact: npt.NDArray[np.float64]) -> float:
    """Greatest distance from the exact result, in units in the last place of ``found``'s type.

    Parameters
    ----------
    found : numpy.ndarray
        float16 or float32.
    exact : numpy.ndarray
        float64, same shape.

    Returns
    -------
    float
        0.5 is a correctly rounded result; NaN anywhere gives infinity.
    """
    spacing = np.spacing(np.abs(exact).astype(found.dtype)).astype(np.float64)
    distance = np.abs(found.astype(np.float64) - exact) / spacing
    return float(np.nan_to_num(distance, nan=np.inf).max(initial=0.0))
