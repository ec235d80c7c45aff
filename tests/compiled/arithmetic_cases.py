"""The cases of functions.cu, unoptimised.cu, mathematics.cu and narrow.cu: calls, library functions, narrow types."""

from __future__ import annotations

import math
import struct

import numpy as np

from .case import Case, Work, from_bfloat16, registrar, to_bfloat16

CASES: list[Case] = []
case = registrar(CASES)
Generator = np.random.Generator
LONG = 2**64 - 1
TABLE = np.array([0.5, 1.5, -2, 8, 0.25, -1, 3, 100], np.float32)
PAIR = np.dtype({"names": ["weight", "index", "tag"], "formats": ["f8", "i4", "3i2"], "itemsize": 24})


@case("functions", "apply_operations", 2, 64, 0)
def apply_operations(rng: Generator) -> Work:
    x, chosen = rng.standard_normal(100).astype(np.float32), rng.integers(0, 3, 100, dtype=np.int32)
    table = np.resize(TABLE, 100)
    expected = np.choose(chosen, [x + table, x * table, np.maximum(x, table)])
    return Work([chosen, x, np.zeros_like(x), np.int32(100)], {2: expected})


def pair_fields(raw: np.ndarray) -> np.ndarray:
    """Spread the fields of pairs over columns; what lies between the fields is left out."""
    pairs = raw.view(PAIR).reshape(-1)
    return np.column_stack([pairs["weight"], pairs["index"], pairs["tag"]])


@case("functions", "combine_pairs", 2, 32, 1e-15)
def combine_pairs(rng: Generator) -> Work:
    pairs = np.zeros(50, PAIR)
    pairs["weight"], pairs["index"] = rng.standard_normal(50), rng.integers(-1000, 1000, 50)
    pairs["tag"] = rng.integers(-1000, 1000, (50, 3))
    expected = pairs.copy()
    expected["weight"] *= 1.25**2
    expected["index"] += 2 * 7
    expected["tag"] -= 2 * np.array([3, 2, 1], np.int16)
    args = [pairs.view(np.uint8), struct.pack("<di3h6x", 1.25, 7, 1, 2, 3), np.zeros(50 * 24, np.uint8), np.int32(50)]
    return Work(args, {2: pair_fields(expected)}, view=pair_fields)


@case("functions", "recurse", 1, 8, 0)
def recurse(rng: Generator) -> Work:
    values = 2 * np.arange(8, dtype=np.uint32) + 3
    args = [np.zeros(8, np.uint32), np.zeros(4, np.int32)]
    return Work(args, {0: values, 1: np.array([10, 24, 30, 44], np.int32)})


@case("functions", "measure_shapes", 1, 64, 1e-6)
def measure_shapes(rng: Generator) -> Work:
    sizes = rng.uniform(0, 3, 50).astype(np.float32)
    disc = np.arange(50) * 7 % 5 % 2 == 1
    areas = np.where(disc, 3.0, 1.0) * sizes.astype(np.float64) ** 2
    return Work([sizes, np.zeros_like(sizes), np.float32(25), np.int32(50)], {1: areas})


def special(rng: Generator, dtype: type, large: float) -> np.ndarray:
    """Ordinary values, large ones, and the corners of the type."""
    corners = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, np.finfo(dtype).tiny / 8, np.finfo(dtype).max]
    values = [rng.normal(0, 3, 80), rng.uniform(-large, large, 20), rng.uniform(-80, 80, 20), corners]
    return np.concatenate(values).astype(dtype)


@case("mathematics", "functions_f32", 3, 64, 1e-6)
def functions_f32(rng: Generator) -> Work:
    x = special(rng, np.float32, 1e7)
    v, exponent, divisor = x.astype(np.float64), float(np.float32(0.7)), float(np.float32(0.3))
    with np.errstate(all="ignore"):
        rows = [np.sin(v), np.cos(v), np.tan(v), np.exp(v), np.log(np.abs(v)), np.abs(v) ** exponent, np.tanh(v)]
        rows += [np.arctan2(v, 1.5), np.vectorize(math.erf)(v), 1 / np.sqrt(np.abs(v)), np.cbrt(v), np.fmod(v, divisor)]
        expected = np.array(rows).astype(np.float32)
    return Work([x, np.zeros_like(expected), np.int32(x.size)], {1: expected}, floor=1e-38)


@case("mathematics", "functions_f64", 3, 64, 2e-15)
def functions_f64(rng: Generator) -> Work:
    v = special(rng, np.float64, 1e12)
    with np.errstate(all="ignore"):
        rows = [np.sin(v), np.cos(v), np.exp(v), np.log(np.abs(v)), np.abs(v) ** 0.7, np.tanh(v), np.sqrt(np.abs(v))]
        rows += [1 / v, np.cbrt(v), np.floor(v) + np.ceil(v) * 2 + np.rint(v) * 4 + np.trunc(v) * 8, v + 1e-17, v / 3]
    expected = np.array(rows)
    return Work([v, np.zeros_like(expected), np.int32(v.size)], {1: expected}, floor=1e-305)


def signed(value: int, bits: int) -> int:
    """Read the low bits as a two's complement number."""
    return (value & 2**bits - 1 ^ 1 << bits - 1) - (1 << bits - 1)


def divide(p: int, q: int) -> tuple[int, int]:
    """Quotient towards zero, and the remainder with the sign of p."""
    quotient = abs(p) // abs(q) * (1 if (p < 0) == (q < 0) else -1)
    return quotient, p - q * quotient


def integer_results(p: int, q: int) -> list[int]:
    """What `integer_arithmetic` in mathematics.cu computes for one pair."""
    up, uq, ip, iq = p & LONG, q & LONG, signed(p, 32), signed(q, 32) | 1
    uip, uiq = ip & 0xFFFFFFFF, iq & 0xFFFFFFFF
    reverse = int(f"{up:064b}"[::-1], 2)
    both = uip.to_bytes(4, "little") + uiq.to_bytes(4, "little")
    permuted = int.from_bytes([both[5], both[1], both[7], both[3]], "little")
    bits = (64 - up.bit_length()) * 64 + (uq & -uq).bit_length() + (up ^ uq).bit_count() * 4096
    return [
        *divide(p, q),
        *divmod(up, uq),
        divide(ip, iq)[0],
        uip % uiq,
        p * q >> 64,
        up * uq >> 64,
        p * q + p >> 64,
        bits,
        reverse + (uiq << 11 & 0xFFFFFFFF | uip >> 21),
        (abs(ip - iq) + 5 + permuted & 0xFFFFFFFF) + (ip * iq >> 32),
    ]


@case("mathematics", "integer_arithmetic", 2, 64, 0)
def integer_arithmetic(rng: Generator) -> Work:
    a, b = (rng.integers(-(2**63), 2**63, 120) >> rng.integers(0, 63, 120) for _ in range(2))
    b[b == 0] = 1
    results = [integer_results(int(p), int(q)) for p, q in zip(a, b, strict=True)]
    expected = np.array([[signed(value, 64) for value in row] for row in results], np.int64).T
    return Work([a, b, np.zeros((12, 120), np.int64), np.int32(120)], {2: expected})


@case("narrow", "half_pairs", 2, 64, 0)
def half_pairs(rng: Generator) -> Work:
    a, b = (rng.normal(0, 2, (100, 2)).astype(np.float16) for _ in range(2))
    p, q = a.astype(np.float64), b.astype(np.float64)
    rows = [p + q, np.clip(p * q, 0, 1), p * q + p, np.minimum(p, q), np.maximum(np.abs(p), -q), p > q]
    rows += [np.maximum(p * q + q, 0), np.column_stack([np.trunc(p[:, 0]), np.rint(q[:, 1])])]
    args = [a, b, np.zeros((8, 100, 2), np.float16), np.int32(100)]
    return Work(args, {2: np.array(rows).astype(np.float16)})


@case("narrow", "bfloat_pairs", 2, 64, 0)
def bfloat_pairs(rng: Generator) -> Work:
    a, b = (to_bfloat16(rng.normal(0, 2, (100, 2))) for _ in range(2))
    p, q = from_bfloat16(a).astype(np.float64), from_bfloat16(b).astype(np.float64)
    expected = to_bfloat16(np.array([p + q, p * q, p * q + p, np.maximum(p, q)]))
    return Work([a, b, np.zeros((4, 100, 2), np.uint16), np.int32(100)], {2: expected})


def fp8_values(mantissa_bits: int, largest_code: int) -> np.ndarray:
    """What the finite non-negative FP8 codes stand for, in order."""
    codes = np.arange(largest_code + 1)
    bias = 7 if mantissa_bits == 3 else 15
    exponent, mantissa = codes >> mantissa_bits, codes & (1 << mantissa_bits) - 1
    fraction = mantissa / (1 << mantissa_bits) + (exponent > 0)
    return fraction * 2.0 ** (np.maximum(exponent, 1) - bias)


def fp8_codes(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Round to the nearest FP8 value, to the even code in the middle; too large becomes the largest."""
    above = np.searchsorted(values, np.abs(x)).clip(1, values.size - 1)
    low, high = np.abs(x) - values[above - 1], values[above] - np.abs(x)
    nearest = np.where((low < high) | ((low == high) & (above % 2 == 1)), above - 1, above)
    return nearest | np.where(np.signbit(x), 0x80, 0)


@case("narrow", "fp8_round_trip", 2, 64, 0)
def fp8_round_trip(rng: Generator) -> Work:
    x = (rng.normal(0, 1, (100, 2)) * 2.0 ** rng.integers(-18, 18, (100, 2))).astype(np.float32)
    codes, back = np.zeros((2, 100, 2), np.uint8), np.zeros((2, 100, 2), np.float32)
    for at, values in enumerate([fp8_values(3, 0x7E), fp8_values(2, 0x7B)]):
        codes[at] = fp8_codes(x, values)
        back[at] = np.where(codes[at] & 0x80, -1, 1) * values[codes[at] & 0x7F]
    return Work([x, np.zeros_like(codes), np.zeros_like(back), np.int32(100)], {1: codes, 2: back})


@case("narrow", "scatter_pairs", 3, 64, 0)
def scatter_pairs(rng: Generator) -> Work:
    where, values = rng.integers(0, 9, 150, dtype=np.int32), rng.integers(-20, 20, (150, 2)).astype(np.float16)
    sums = np.zeros((9, 2), np.float16)
    np.add.at(sums, where, values)
    return Work([where, values, np.zeros_like(sums), np.int32(150)], {2: sums})


@case("narrow", "byte_quads", 1, 128, 0)
def byte_quads(rng: Generator) -> Work:
    a, b = (rng.integers(0, 2**32, 100, dtype=np.uint32) for _ in range(2))
    p, q = (words.view(np.uint8).astype(np.int64).reshape(100, 4) for words in (a, b))
    greatest = np.maximum(p.astype(np.int8), q.astype(np.int8)).astype(np.uint8)
    quads = [np.abs(p - q), greatest, np.minimum(p + q, 255), np.where(p > q, 255, 0), p + q + 1 >> 1]
    rows = [quad.astype(np.uint8).view(np.uint32)[:, 0] for quad in quads]
    rows.insert(4, (np.sum(p * q, axis=1) + 7).astype(np.uint32))
    return Work([a, b, np.zeros((6, 100), np.uint32), np.int32(100)], {2: np.array(rows)})


@case("unoptimised", "scan_groups", 2, 64, 0)
def scan_groups(rng: Generator) -> Work:
    values = rng.integers(-1000, 1000, 128, dtype=np.int32)
    lanes = np.arange(128) % 64
    scaled = np.where(lanes % 8 == 0, 3 * values, values)
    expected = scaled.reshape(-1, 8).cumsum(1).reshape(-1)
    return Work([values, np.zeros_like(values)], {1: (expected + lanes).astype(np.int32)})


@case("unoptimised", "walk_lists", 2, 32, 0)
def walk_lists(rng: Generator) -> Work:
    values = rng.integers(0, 50, (64, 6), dtype=np.int32)
    weights = np.where(values % 2 == 1, 2 * values, values)
    expected = (weights * 3 ** np.arange(6)).sum(1)
    return Work([values, np.zeros(64, np.int32), np.int32(6)], {1: expected.astype(np.int32)})
