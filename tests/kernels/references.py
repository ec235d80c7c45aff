"""What each bundled kernel computes, in NumPy, float64 where it matters: the expected values of the tests.

Nothing here imports warpbridge. ``ulps`` says how far two arrays of one floating-point type are apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


def scale(x: NDArray[np.floating], a: float, b: float = 0.0) -> NDArray[np.floating]:
    """Return ``a*x + b`` with `a` and `b` as float32, in the type of `x`.

    float32: the product is exact in float64, the sum is rounded there and then once more; the kernel's fused
    multiply-add rounds once, so allow one ulp where the two roundings meet a tie. float16: in float32 first, as the
    kernel.

    Parameters
    ----------
    x : ndarray of float32 or float16, any shape
    a, b : float

    Returns
    -------
    ndarray
        Shape and type of `x`.
    """
    exact = np.float64(np.float32(a)) * x.astype(np.float64) + np.float64(np.float32(b))
    return exact.astype(np.float32).astype(x.dtype)


def image_prep(
    x: NDArray[np.uint8],
    mean: ArrayLike,
    std: ArrayLike,
    *,
    offsets: ArrayLike | None = None,
    mirror: ArrayLike | None = None,
    size: tuple[int, int] | None = None,
    dtype: DTypeLike = np.float32,
) -> NDArray[np.floating]:
    """Crop, mirror and normalise a batch of images, in float64, rounded once.

    Parameters
    ----------
    x : ndarray of uint8, (n, h, w, 3)
    mean, std : three numbers
        Used as float32, per channel, in units of ``x/255``.
    offsets : int array (n, 2), optional
        Row and column of each crop's corner; zeros by default.
    mirror : bool or uint8 array (n,), optional
        Which images to mirror left to right; none by default.
    size : (oh, ow), optional
        Size of the crops; by default the images'.
    dtype : float32 or float16

    Returns
    -------
    ndarray of `dtype`, (n, 3, oh, ow)
    """
    n, h, w, _ = x.shape
    oh, ow = size or (h, w)
    corners = np.zeros((n, 2), np.int64) if offsets is None else np.asarray(offsets)
    flags = np.zeros(n, bool) if mirror is None else np.asarray(mirror).astype(bool)
    mean64, std64 = (np.asarray(v, np.float32).astype(np.float64) for v in (mean, std))
    y = np.empty((n, 3, oh, ow), dtype)
    for i, ((row, column), flag) in enumerate(zip(corners, flags, strict=True)):
        crop = x[i, row : row + oh, column : column + ow].astype(np.float64)
        crop = crop[:, ::-1] if flag else crop
        y[i] = ((crop / 255.0 - mean64) / std64).transpose(2, 0, 1).astype(dtype)
    return y


def deadlock_demo(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the kernel would return if it did not deadlock: a copy."""
    return x.copy()


def ulps(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the distance of `a` and `b` (one type and shape) in units in the last place; NaNs are 0 apart."""

    def order(values: NDArray[np.floating]) -> NDArray[np.int64]:
        bits = values.view({2: np.int16, 4: np.int32}[values.dtype.itemsize]).astype(np.int64)
        least = np.int64(-1) << np.int64(8 * values.dtype.itemsize - 1)
        return np.where(bits < 0, least - bits, bits)

    return np.where(np.isnan(a) & np.isnan(b), 0, np.abs(order(a) - order(b)))
