"""How two answers are compared: bit for bit, unless the PTX ISA leaves the result open.

The bounds are those the ISA states against the exact result; two legal answers may lie twice as far apart, so every
bound here is doubled when it is applied. NaN payloads: `any_nan` accepts any NaN for any NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FLOATS = {"f16": (5, 10), "bf16": (8, 7), "f32": (8, 23), "f64": (11, 52)}
"""Exponent and fraction bits."""


@dataclass(frozen=True)
class Rule:
    """Bit equality, or for values of float type `type` (packed ones lane by lane) equality up to the stated bounds."""

    type: str = ""
    any_nan: bool = False
    ulp: float = 0.0
    relative: float = 0.0
    absolute: float = 0.0

    def lanes(self, words: np.ndarray) -> np.ndarray:
        """Return the float lanes of packed words; words that are not packed unchanged."""
        return words.view(f"u{(sum(FLOATS[self.type]) + 1) // 8}") if self.type else words

    def mismatches(self, found: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return the indices of elements (of float lanes, for packed types) that disagree."""
        found, expected = self.lanes(found), self.lanes(expected)
        wrong = found != expected
        if not self.type or not wrong.any():
            return np.flatnonzero(wrong)
        both_nan = is_nan(found, self.type) & is_nan(expected, self.type)
        if self.any_nan:
            wrong &= ~both_nan
        if self.ulp or self.relative or self.absolute:
            wrong &= both_nan | ~self._close(value(found, self.type), value(expected, self.type))
        return np.flatnonzero(wrong)

    def _close(self, found: np.ndarray, expected: np.ndarray) -> np.ndarray:
        _, fraction = FLOATS[self.type]
        with np.errstate(invalid="ignore", over="ignore"):
            scale = np.maximum(np.abs(found), np.abs(expected))
            unit = 2.0 ** (np.floor(np.log2(np.maximum(scale, 2.0**-1000))) - fraction)
            smallest = 2.0 ** (2 - 2 ** (FLOATS[self.type][0] - 1) - fraction)
            bound = 2 * np.maximum(
                self.absolute, np.maximum(self.relative * scale, self.ulp * np.maximum(unit, smallest))
            )
            return np.isfinite(found) & np.isfinite(expected) & (np.abs(found - expected) <= bound)


EXACT = Rule()


def is_nan(bits: np.ndarray, kind: str) -> np.ndarray:
    """Return where bit patterns of float type `kind` are NaNs."""
    exponent, fraction = FLOATS[kind]
    magnitude = bits & bits.dtype.type((1 << (exponent + fraction)) - 1)
    return magnitude > bits.dtype.type(((1 << exponent) - 1) << fraction)


def value(bits: np.ndarray, kind: str) -> np.ndarray:
    """Return bit patterns of float type `kind` as float64."""
    with np.errstate(invalid="ignore"):
        if kind == "bf16":
            return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
        return bits.view({"f16": np.float16, "f32": np.float32, "f64": np.float64}[kind]).astype(np.float64)
