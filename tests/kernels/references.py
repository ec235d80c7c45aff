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


def image_resize(
    x: NDArray[np.uint8],
    mean: ArrayLike,
    std: ArrayLike,
    *,
    boxes: ArrayLike | None = None,
    mirror: ArrayLike | None = None,
    size: tuple[int, int] | None = None,
) -> NDArray[np.float64]:
    """Cut a box out of each image, resize it bilinearly, mirror and normalise it, in float64.

    Parameters
    ----------
    x : ndarray of uint8, (n, h, w, 3)
    mean, std : three numbers
        Used as float32, per channel, in units of ``x/255``.
    boxes : int array (n, 4), optional
        Top, left, height and width; all of each image by default.
    mirror : bool or uint8 array (n,), optional
        Which images to mirror left to right; none by default.
    size : (oh, ow), optional
        By default the images'.

    Returns
    -------
    ndarray of float64, (n, 3, oh, ow)
    """
    n, h, w, _ = x.shape
    oh, ow = size or (h, w)
    areas = np.tile([0, 0, h, w], (n, 1)) if boxes is None else np.asarray(boxes)
    flags = np.zeros(n, bool) if mirror is None else np.asarray(mirror).astype(bool)
    mean64, std64 = (np.asarray(v, np.float32).astype(np.float64) for v in (mean, std))
    y = np.empty((n, 3, oh, ow))
    for i, ((top, left, height, width), flag) in enumerate(zip(areas, flags, strict=True)):
        part = x[i, top : top + height, left : left + width].astype(np.float64)
        part = _between(_between(part, oh, axis=0), ow, axis=1)
        part = part[:, ::-1] if flag else part
        y[i] = ((part / 255.0 - mean64) / std64).transpose(2, 0, 1)
    return y


def _between(x: NDArray[np.float64], size: int, axis: int) -> NDArray[np.float64]:
    """Return `x` at `size` places along `axis`: pixel centres at halves, edge pixels repeated outside."""
    most = x.shape[axis] - 1
    place = np.clip((np.arange(size) + 0.5) * (most + 1) / size - 0.5, 0, None)
    first = np.minimum(place.astype(np.int64), most)
    weight = np.expand_dims(place - first, [i for i in range(x.ndim) if i != axis])
    before, behind = (np.take(x, np.minimum(first + by, most), axis) for by in (0, 1))
    return before + (behind - before) * weight


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


def softmax(x: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the softmax of each row of `x`, (n, d), in float64."""
    wide = x.astype(np.float64)
    with np.errstate(invalid="ignore"):
        powers = np.exp(wide - wide.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def cross_entropy(
    x: NDArray[np.floating], target: NDArray[np.integer], ignore_index: int = -100
) -> NDArray[np.float64]:
    """Return ``log(sum(exp(x[i]))) - x[i, target[i]]`` per row, 0 where the target is `ignore_index`, in float64."""
    wide = x.astype(np.float64)
    most = wide.max(axis=-1)
    total = np.log(np.exp(wide - most[:, None]).sum(axis=-1)) + most
    ignored = target == ignore_index
    chosen = wide[np.arange(len(wide)), np.where(ignored, 0, target)]
    return np.where(ignored, 0.0, total - chosen)


def rms_norm(
    x: NDArray[np.floating], weight: NDArray[np.floating] | None = None, eps: float = 1e-6
) -> NDArray[np.float64]:
    """Return each row of `x` over the root of its mean square (and `eps`), times `weight`, in float64."""
    wide = x.astype(np.float64)
    y = wide / np.sqrt((wide**2).mean(axis=-1, keepdims=True) + eps)
    return y if weight is None else y * weight.astype(np.float64)


def layer_norm(
    x: NDArray[np.floating],
    weight: NDArray[np.floating] | None = None,
    bias: NDArray[np.floating] | None = None,
    eps: float = 1e-5,
) -> NDArray[np.float64]:
    """Return each row of `x` less its mean, over its standard deviation, times `weight`, plus `bias`, in float64."""
    wide = x.astype(np.float64)
    y = (wide - wide.mean(axis=-1, keepdims=True)) / np.sqrt(wide.var(axis=-1, keepdims=True) + eps)
    y = y if weight is None else y * weight.astype(np.float64)
    return y if bias is None else y + bias.astype(np.float64)


def rounded_sum(x: NDArray[np.floating], residual: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return ``x + residual`` rounded to the type of `x`: exact in float64, or in float32 for 16-bit types."""
    wide = np.float64 if x.dtype == np.float32 else np.float32
    return (x.astype(wide) + residual.astype(wide)).astype(x.dtype)


def row_scales(y: NDArray[np.float64], dtype: DTypeLike) -> NDArray[np.float64]:
    """Return what the largest magnitude of each row of `y`, (n, d), becomes 127 (int8) or 448 (float8_e4m3fn) by."""
    most, least = (127.0, 2.0**-23) if np.dtype(dtype) == np.int8 else (448.0, 1.0 / (448 * 512))
    return np.maximum(np.abs(y).max(axis=-1) / most, least)


def to_8_bits(y: NDArray[np.floating], dtype: DTypeLike) -> NDArray[np.generic]:
    """Return `y` as int8 or float8_e4m3fn, rounded to nearest even, saturating; NaN is 0 in int8."""
    if np.dtype(dtype) == np.int8:
        return np.nan_to_num(np.clip(np.rint(y), -128, 127), nan=0.0).astype(np.int8)
    return np.clip(y, -448.0, 448.0).astype(dtype)


def spectral_multiply(
    a: NDArray[np.complexfloating], b: NDArray[np.complexfloating], scale: float = 1.0, conjugate: int = 0
) -> NDArray[np.complex128]:
    """Return ``scale * a * b``, or with `conjugate` ``scale * a * conj(b)``, in complex128."""
    wide = b.astype(np.complex128)
    return scale * a.astype(np.complex128) * (wide.conj() if conjugate else wide)


def fft_frames(
    x: NDArray[np.number], window: NDArray[np.float32], hop: int, scale: float = 1.0
) -> NDArray[np.complex128]:
    """Return the windowed frames of a signal, (frames, len(window)), in complex128.

    Integers in `x` are pairs of in-phase and quadrature in C order; float32 is real.
    """
    flat = x.reshape(-1).astype(np.float64)
    signal = flat + 0j if x.dtype == np.float32 else flat[0::2] + 1j * flat[1::2]
    views = np.lib.stride_tricks.sliding_window_view(signal, len(window))[::hop]
    return views * (window.astype(np.float64) * scale)


def fft_power(x: NDArray[np.complex64], average: int = 1, scale: float = 1.0, decibel: int = 0) -> NDArray[np.float64]:
    """Return ``scale * mean(|x|**2)`` over each group of `average` rows, or that in decibel, in float64."""
    groups = len(x) // average
    squares = np.abs(x[: groups * average].astype(np.complex128)) ** 2
    power = squares.reshape(groups, average, x.shape[1]).mean(axis=1) * scale
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(power) if decibel else power


def field_to_rgba(
    x: NDArray[np.number], lut: NDArray[np.uint8], vmin: float, vmax: float, nan: int = 0
) -> NDArray[np.uint8]:
    """Return ``lut[k * (x - vmin) / (vmax - vmin)]``, rounded down and clamped, in the kernel's precision."""
    k = len(lut)
    wide = np.float64 if x.dtype == np.float64 else np.float32
    place = (x.astype(wide) - wide(vmin)) * wide(k / (vmax - vmin))
    y = lut[np.clip(np.nan_to_num(place, nan=0.0), 0, k - 1).astype(np.int64)]
    y[np.isnan(x.astype(np.float64))] = np.array([nan], "<u4").view(np.uint8)
    return y


def own_range(x: NDArray[np.number], vmin: float | None = None, vmax: float | None = None) -> tuple[float, float]:
    """Return the ends that `field_to_rgba` finds where they are not given, and those that are."""
    finite = x[np.isfinite(x)].astype(np.float64)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    from_ = low if vmin is None else vmin
    to = high if vmax is None else vmax
    return (from_ if vmax is None or vmin is not None else min(from_, to), max(to, from_) if vmax is None else to)


def field_to_rgba_own_range(
    x: NDArray[np.number], lut: NDArray[np.uint8], vmin: float | None = None, vmax: float | None = None, nan: int = 0
) -> NDArray[np.uint8]:
    """Return the colours of `x` between `own_range`: between the same number twice, a step."""
    low, high = own_range(x, vmin, vmax)
    if low < high:
        return field_to_rgba(x, lut, low, high, nan)
    y = lut[np.where(x.astype(np.float64) > low, len(lut) - 1, 0)]
    y[np.isnan(x.astype(np.float64))] = np.array([nan], "<u4").view(np.uint8)
    return y


def dequant_matvec(
    w: NDArray[np.integer],
    scales: NDArray[np.floating],
    x: NDArray[np.floating],
    zeros: NDArray[np.integer] | None = None,
) -> NDArray[np.float64]:
    """Return `x` times the transpose of the dequantised `w`, (b, rows), in float64.

    Parameters
    ----------
    w : ndarray of uint8 (rows, k/2) or int8 (rows, k)
        Two unsigned int4 per byte, the one with the smaller k in the low half; or one integer per byte.
    scales : ndarray, (rows, groups)
    x : ndarray, (b, k)
    zeros : ndarray of the type of `w`, (rows, groups), optional
        By default 8 for int4, 0 for int8.
    """
    if w.dtype == np.uint8:
        integers = np.stack([w & 15, w >> 4], axis=-1).reshape(len(w), -1).astype(np.float64)
    else:
        integers = w.astype(np.float64)
    group = integers.shape[1] // scales.shape[1]
    zero = np.full(scales.shape, 8 if w.dtype == np.uint8 else 0) if zeros is None else zeros
    weights = (integers - np.repeat(zero.astype(np.float64), group, axis=1)) * np.repeat(
        scales.astype(np.float64), group, axis=1
    )
    return x.astype(np.float64) @ weights.T


def stencil3d(
    u: NDArray[np.float32], coefficients: NDArray[np.float32], steps: int = 1, periodic: int = 0
) -> NDArray[np.float32]:
    """Return `u` after `steps` of the star, bit for bit as the kernel: in float32, fused, in the order it documents."""
    r = coefficients.shape[1] // 2
    if not periodic:
        kept = np.ones(u.shape, bool)
        kept[r:-r, r:-r, r:-r] = False
    for _ in range(steps):
        total = (coefficients[0, r] + coefficients[1, r] + coefficients[2, r]) * u
        for axis in range(3):
            for d in range(1, r + 1):
                for way in (-d, d):
                    total = fused(coefficients[axis, r + way], np.roll(u, -way, axis), total)
        u = total if periodic else np.where(kept, u, total)
    return u


def fused(a: np.float32, b: NDArray[np.float32], c: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``a * b + c`` rounded once.

    The product is exact in float64. The sum is rounded there to odd (its last bit says that something was lost), so
    that rounding it again, to float32, gives what a single rounding does (Boldo and Melquiond, 2008).
    """
    product, addend = np.float64(a) * b.astype(np.float64), c.astype(np.float64)
    total = product + addend
    part = total - product
    lost = (product - (total - part)) + (addend - part)
    is_even = total.view(np.int64) % 2 == 0
    toward = np.where(lost > 0, np.inf, -np.inf)
    return np.where((lost != 0) & is_even, np.nextafter(total, toward), total).astype(np.float32)
