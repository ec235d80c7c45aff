"""Deterministic inputs: special values crossed, then seeded random bit patterns.

Nothing is stored, nothing depends on NumPy's generators: the stream is splitmix64, so the same question is asked
on every machine.

A kind is a name: a PTX type (`u32`, `f16x2`, `e4m3x2`) or a restriction of one (`shift`, `s32nz`, `angle`).
"""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np

FORMATS = {"f16": (5, 10), "bf16": (8, 7), "f32": (8, 23), "f64": (11, 52), "e4m3": (4, 3), "e5m2": (5, 2)}
"""Float formats: exponent and fraction bits."""

RESTRICTED = {
    "pred": 8, "shift": 32, "small": 32, "lane": 32, "mask": 32, "angle": 32, "posf32": 32, "selector": 32,
    "tiny": 32, "fnsoff": 32, "unit_f16x2": 32, "unit_bf16x2": 32, "unit_f32": 32, "unit_tf32": 32, "unit_f64": 64,
    "int_f16x2": 32, "int_bf16x2": 32, "int_f32": 32, "int_tf32": 32, "int_f64": 64, "int_e4m3x4": 32, "int_e5m2x4": 32,
    "cell": 32, "unit_e4m3x4": 32, "unit_e5m2x4": 32, "bound_f32": 32, "bound_f64": 64, "bound_f16": 16,
    "bound_bf16": 16,
}  # fmt: skip
"""Kinds that are no PTX type, with their width."""


def bits_of(kind: str) -> int:
    """Return the width of an element of a kind."""
    if kind in RESTRICTED:
        return RESTRICTED[kind]
    base = kind.removesuffix("nz")
    if base.endswith("x2"):
        return 2 * bits_of(base[:-2])
    if base in FORMATS:
        return 1 + sum(FORMATS[base])
    return 32 if base == "tf32" else int(base[1:])


def stream(seed: int, count: int) -> np.ndarray:
    """Return `count` random 64-bit words of splitmix64."""
    z = (np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed << 20)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _unsigned(values: list[int] | np.ndarray, bits: int) -> np.ndarray:
    words = np.array([int(v) & ((1 << 64) - 1) for v in values], dtype=np.uint64)
    return (words & np.uint64((1 << bits) - 1)).astype(f"u{bits // 8}")


def _integer_specials(bits: int) -> list[int]:
    """Return boundary values, the most telling first: crossings of many operands take only the first ones."""
    top = 1 << (bits - 1)
    first = [0, 1, top, top - 1, 2 * top - 1, bits, 2, 2 * top // 3]
    return [*first, bits - 1, top + 1, 2 * top - 2, 3, top // 2, 7, 10]


def _float_specials(kind: str) -> list[int]:
    """Return special values, the most telling first."""
    exponent, fraction = FORMATS[kind]
    one, sign, unit = ((1 << (exponent - 1)) - 1) << fraction, 1 << (exponent + fraction), 1 << fraction
    infinity = ((1 << exponent) - 1) << fraction
    if kind == "e4m3":
        first = [0, sign, one, infinity + unit - 1, infinity, 1, infinity + unit - 2, infinity + unit - 1 | sign]
    else:
        first = [0, sign, one, infinity, infinity | sign, infinity + unit // 2 + 5, 1, infinity - 1]
    first += [one | sign, infinity + 1, unit - 1, unit, one + 1, unit - 1 | sign]
    more = [unit // 2 + 1, unit + 1, one - 1, one + unit // 2, one + unit, one - unit, one + unit + unit // 2]
    more += [infinity - unit, infinity + unit // 2, infinity + unit - 1]
    words = [*first, *more, *(w ^ sign for w in [*first, *more])]
    return list(dict.fromkeys(words))


def _boundaries(kind: str) -> list[int]:
    """Return floats around halves and the limits of the integer types: where conversions turn."""
    exponent, fraction = FORMATS[kind]
    bias = (1 << (exponent - 1)) - 1
    out = _float_specials(kind)
    for power in (-1, 0, 1, 2, 6, 7, 8, 10, 15, 16, 23, 24, 31, 32, 52, 53, 62, 63, 64):
        if power < bias + 1:
            word = (bias + power) << fraction
            near = [word, word + 1, word - 1, word + (1 << (fraction - 1)), word + (1 << (fraction - 2))]
            if 0 <= power < fraction:
                half = 1 << (fraction - power - 1)
                near += [word + half, word + half - 1, word + half + 1, word + 3 * half]
            out += near + [w | (1 << (exponent + fraction)) for w in near]
    return out


def _float_random(kind: str, raw: np.ndarray, mode: np.ndarray) -> np.ndarray:
    """Mix raw patterns (mode 0), exponents near 1 (1) and short fractions near 1 (2: ties and exact results)."""
    exponent, fraction = FORMATS[kind]
    bits = 1 + exponent + fraction
    bias = (1 << (exponent - 1)) - 1
    spread = min(8, bias - 1)
    near = (raw >> np.uint64(60)) % np.uint64(spread) + np.uint64(bias - spread // 2)
    sign = (raw >> np.uint64(59) & np.uint64(1)) << np.uint64(exponent + fraction)
    word = near << np.uint64(fraction) | raw & np.uint64((1 << fraction) - 1) | sign
    short = word & ~np.uint64((1 << (fraction - min(fraction, 5))) - 1 if fraction > 5 else 0)
    plain = raw >> np.uint64(64 - bits)
    return np.where(mode == 0, plain, np.where(mode == 1, word, short)).astype(np.uint64)


def _restricted(kind: str, raw: np.ndarray) -> np.ndarray | None:
    """Return random words of the kinds that are ranges, or None."""
    limits = {"pred": 2, "shift": 70, "small": 6, "lane": 40, "tiny": 3, "fnsoff": 40}
    if kind in limits:
        low = 20 if kind == "fnsoff" else 0
        return raw % np.uint64(limits[kind]) - np.uint64(low)
    if kind == "mask":
        return raw | raw >> np.uint64(32) | np.uint64(1)
    if kind == "selector":
        return raw & np.uint64(0xFFFF)
    if kind in {"angle", "posf32"}:
        scale = 4 * np.pi if kind == "angle" else 2.0**20
        real = (raw >> np.uint64(11)).astype(np.float64) / 2.0**53 * scale - (2 * np.pi if kind == "angle" else 0)
        return real.astype(np.float32).view(np.uint32).astype(np.uint64)
    return None


def _encode(real: np.ndarray, kind: str) -> np.ndarray:
    """Return small reals as bit patterns of a format that holds them exactly, or truncated to it."""
    if kind in {"f16", "f32", "f64"}:
        return real.astype({"f16": np.float16, "f32": np.float32, "f64": np.float64}[kind]).view(
            f"u{bits_of(kind) // 8}"
        )
    if kind == "tf32":
        return real.astype(np.float32).view(np.uint32) & np.uint32(0xFFFFE000)
    if kind == "bf16":
        return (real.astype(np.float32).view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    exponent, fraction = FORMATS[kind]
    words = real.astype(np.float32).view(np.uint32).astype(np.int64)
    rebased = (words & 0x7FFFFFFF) - ((127 - ((1 << (exponent - 1)) - 1)) << 23)
    return (np.where(rebased < (1 << 23), 0, rebased >> (23 - fraction)) | (words >> 31 & 1) << 7).astype(np.uint8)


def _matrix_elements(kind: str, seed: int, count: int) -> np.ndarray:
    """Return matrix elements: `int_*` small integers (sums are exact in any order), `unit_*` reals in (-1, 1)."""
    style, form = kind.split("_")
    lanes = {"x2": 2, "x4": 4}.get(form[-2:], 1)
    form = form[:-2] if lanes > 1 else form
    raw = stream(seed, count * lanes)
    real = (raw >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1.0
    if style == "int":
        real = np.trunc(real * 4) + 0.0  # no negative zeros: their sums depend on the order
    return _encode(real, form).view(f"u{bits_of(kind) // 8}")


def _specials(kind: str) -> list[int]:
    if kind.startswith("bound_"):
        return _boundaries(kind[6:])
    if kind in FORMATS:
        return _float_specials(kind)
    fixed = {
        "pred": [0, 1], "shift": [0, 1, 31, 32, 33, 63, 64, 0xFFFFFFFF], "small": [0, 1], "lane": [0, 31], "tiny": [0],
        "mask": [0xFFFFFFFF], "angle": [*_float_specials("f32")[:7], 2139095040, 4286578688, 2143289344, 1070141403],
        "posf32": list(_float_specials("f32")), "selector": [0x3210, 0x7654, 0xFEDC, 0x0123, 0x8888],
        "fnsoff": [0, 1, 0xFFFFFFFF], "tf32": _float_specials("f32"),
    }  # fmt: skip
    if kind in fixed:
        return fixed[kind]
    words = _integer_specials(bits_of(kind))
    return [w for w in words if w] if kind.endswith("nz") else words


def _random(kind: str, raw: np.ndarray, mode: np.ndarray) -> np.ndarray:
    ranged = _restricted(kind, raw)
    if ranged is not None:
        return ranged
    base = kind.removeprefix("bound_")
    base = "f32" if base == "tf32" else base
    if base in FORMATS:
        return _float_random(base, raw, mode)
    # Integers: full width, or few significant bits, of either sign.
    narrow = (raw.view(np.int64) >> (np.int64(8) + (raw % np.uint64(50)).astype(np.int64))).view(np.uint64)
    words = np.where(mode == 0, narrow, raw >> np.uint64(64 - bits_of(kind)))
    if kind.endswith("nz"):
        masked = words & np.uint64((1 << bits_of(kind)) - 1)
        words = np.where(masked == 0, np.uint64(5), words)
    return words


CROSSED = {1: 1 << 20, 2: 14}
"""How many specials of an operand are crossed, by the number of operands; 8 for more operands."""


def _crossing(kinds: tuple[str, ...], count: int) -> list[np.ndarray]:
    """Return the crossed specials, at most two thirds of the tuples, spread over the whole product if it is larger."""
    lists = [_unsigned(_specials(k)[: CROSSED.get(len(kinds), 8)], bits_of(k)) for k in kinds]
    total = int(np.prod([len(words) for words in lists]))
    head = min(total, count * 2 // 3 if len(kinds) > 1 else count * 4 // 5)
    step = 1
    if head < total:
        step = next(s for s in range(int(total * 0.618) | 1, 2 * total + 3) if np.gcd(s, total) == 1)
    index = np.arange(head, dtype=np.int64) * step % total
    columns = []
    for words in lists:
        columns.append(words[index % len(words)])
        index //= len(words)
    return columns


def _lanes(kinds: tuple[str, ...], count: int, seed: int) -> list[np.ndarray]:
    """Return tuples of unpacked kinds."""
    mode = stream(seed ^ 0xABCD, count) % np.uint64(3)
    columns = []
    for i, (kind, head) in enumerate(zip(kinds, _crossing(kinds, count), strict=True)):
        words = _unsigned(_random(kind, stream(seed + 1 + i * 104729, count), mode), bits_of(kind))
        specials = _unsigned(_specials(kind), bits_of(kind))
        pick = stream(seed ^ 0x77 ^ (i + 1) * 31, count)
        special = specials[((pick >> np.uint64(8)) % np.uint64(len(specials))).astype(np.int64)]
        words = np.where((pick & np.uint64(15)) == 0, special, words) if len(kinds) > 1 else words
        columns.append(np.concatenate([head, words[len(head) :]]))
    return columns


@lru_cache(maxsize=64)
def _tuples(kinds: tuple[str, ...], count: int) -> tuple[np.ndarray, ...]:
    plain = tuple(k[:-2] if _packed(k) else k for k in kinds)
    seed = zlib.crc32(" ".join(_family(k) for k in plain).encode()) & 0xFFFFFF
    low = _lanes(plain, count, seed)
    high = [np.roll(column, 37) for column in _lanes(plain, count, seed + 5)]
    return tuple(_pack(low[i], high[i]) if _packed(kind) else low[i] for i, kind in enumerate(kinds))


def _packed(kind: str) -> bool:
    return kind.endswith("x2") and kind not in RESTRICTED


def _pack(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.stack([low, high], axis=1)).view(f"u{2 * low.dtype.itemsize}").reshape(-1)


def _family(kind: str) -> str:
    """Signed, unsigned and untyped integers share their patterns, so equal answers are stored once."""
    return f"i{kind[1:]}" if kind[0] in "usb" and kind[1:].isdigit() else kind


def tuples(kinds: tuple[str, ...], count: int) -> list[np.ndarray]:
    """Return one array per operand: specials crossed with each other first, random patterns after."""
    return list(_tuples(kinds, count))


def array(kind: str, count: int, number: int = 0) -> np.ndarray:
    """Return one array on its own: matrix elements, or random patterns of a kind."""
    seed = (zlib.crc32(kind.encode()) + number * 7907) & 0xFFFFFF
    if kind == "cell":  # every word tells its place, and a file of them compresses
        place = np.arange(count, dtype=np.uint32) + np.uint32(5 * number)
        return place | (place * np.uint32(7) + np.uint32(3) & np.uint32(0xFF)) << np.uint32(16) | np.uint32(0x3D000000)
    if kind in RESTRICTED and kind.split("_", maxsplit=1)[0] in {"int", "unit"}:
        return _matrix_elements(kind, seed, count)
    return _unsigned(_random(kind, stream(seed, count), np.ones(count, np.uint64)), bits_of(kind))
