"""The cases of rustc-compiled kernels, and the references of their integer programs in plain Python."""

from __future__ import annotations

import math
import struct

import numpy as np

from .case import Case, Work, registrar

CASES: list[Case] = []
case = registrar(CASES)
Generator = np.random.Generator
WORD = 0xFFFFFFFF


@case("rust_saxpy", "saxpy", 2, 96, 1e-6)
def saxpy(rng: Generator) -> Work:
    x, y = (rng.standard_normal(1_000).astype(np.float32) for _ in range(2))
    a = np.float32(-1.75)
    return Work([a, x, y, np.uint64(x.size)], {2: a * x.astype(np.float64) + y})


@case("rust_saxpy", "polynomial", 3, 64, 1e-14)
def polynomial(rng: Generator) -> Work:
    x, coefficients = rng.standard_normal(150), rng.standard_normal(4)
    cubic = struct.pack("<4dfI", *coefficients, 0.5, 3)  # only the first three count
    expected = 0.5 * (coefficients[0] + coefficients[1] * x + coefficients[2] * x**2)
    return Work([cubic, x, np.zeros_like(x), np.uint64(x.size)], {2: expected})


@case("rust_reduce", "sum_of_squares", 5, 128, 1e-13, shared_bytes=8 * 129)
def sum_of_squares(rng: Generator) -> Work:
    x = rng.standard_normal(3_000)
    args = [x, np.zeros(5), np.zeros(1, np.uint32), np.zeros(1), np.uint32(x.size)]
    return Work(args, {2: np.array([5], np.uint32), 3: np.array([np.sum(x**2)])})


def collatz_steps(n: int) -> int:
    """Count the steps down to 1; all ones where the sequence leaves 64 bits."""
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        if n >= 2**64:
            return WORD
        steps += 1
    return steps


@case("rust_collatz", "collatz", 3, 64, 0)
def collatz(rng: Generator) -> Work:
    numbers = rng.integers(1, 10_000, 180, dtype=np.uint64)
    numbers[7], numbers[20] = 2**64 - 1, 2**40
    steps = np.array([collatz_steps(int(n)) for n in numbers], np.uint32)
    assert steps[7] == WORD
    assert steps[20] == 40
    return Work([numbers, np.zeros(180, np.uint32), np.uint32(180)], {1: steps})


def signed(word: int) -> int:
    """Read 32 bits as a signed number."""
    return word - 2**32 if word >> 31 else word


def interpret_one(program: bytes) -> int:
    """What `interpret` in rust_collatz.rs computes for one program."""
    stack, depth = [1] * 16, 1
    for at, byte in enumerate(program):
        top, under = stack[depth % 16], stack[(depth + 15) % 16]
        match byte % 8:
            case 0:
                depth += 1
                value = byte + at
            case 1:
                value = top + under
            case 2:
                value = top * (under | 1)
            case 3:
                value = math.gcd(top, under)
            case 4:
                value = top << under % 32 | top >> (32 - under % 32)
            case 5:
                trailing = (top & -top).bit_length() - 1 if top else 32
                value = ((32 - top.bit_length()) << 8) + trailing
            case 6:
                value = signed(top) * signed(under) >> 16
            case _:
                depth += 3
                swapped = int.from_bytes(top.to_bytes(4, "little"), "big")
                value = swapped ^ int(f"{under:032b}"[::-1], 2)
        stack[depth % 16] = value & WORD
    result = 0
    for word in stack:
        result ^= word
    return result


@case("rust_collatz", "interpret", 2, 64, 0)
def interpret(rng: Generator) -> Work:
    programs = rng.integers(0, 256, (100, 60), dtype=np.uint8)
    results = np.array([interpret_one(program.tobytes()) for program in programs], np.uint32)
    return Work([programs, np.zeros(100, np.uint32), np.uint32(60), np.uint32(100)], {1: results})
