"""The cases of Triton-compiled kernels. Their last two parameters are scratch pointers, null unless said otherwise."""

from __future__ import annotations

import numpy as np

from .case import Case, Work, aligned_zeros, from_bfloat16, registrar, to_bfloat16
from .cuda_cases import softmax

CASES: list[Case] = []
case = registrar(CASES)
Generator = np.random.Generator
NO_SCRATCH = [np.uint64(0), np.uint64(0)]


@case("triton_add", "vector_add", 3, 128, 0)
def vector_add(rng: Generator) -> Work:
    x, y = (rng.standard_normal(1_200).astype(np.float32) for _ in range(2))
    return Work([x, y, np.zeros_like(x), np.int32(x.size), *NO_SCRATCH], {2: x + y})


def philox_uniform(seed: int, counters: np.ndarray) -> np.ndarray:
    """The first word of Philox 4x32-10 (Salmon et al. 2011) for key (seed, 0), as Triton's float32 in [0, 1)."""
    mask = np.uint64(0xFFFFFFFF)
    c = [counters.astype(np.uint64), *(np.zeros(counters.size, np.uint64) for _ in range(3))]
    key_0, key_1 = np.uint64(seed), np.uint64(0)
    for _ in range(10):
        left, right = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(right >> np.uint64(32)) ^ c[1] ^ key_0, right & mask, (left >> np.uint64(32)) ^ c[3] ^ key_1, left & mask]
        key_0, key_1 = (key_0 + np.uint64(0x9E3779B9)) & mask, (key_1 + np.uint64(0xBB67AE85)) & mask
    word = c[0].astype(np.uint32).view(np.int32)
    return np.where(word < 0, ~word, word).astype(np.float32) * np.float32(4.6566127342e-10)


@case("triton_dropout", "dropout", 4, 64, 1e-6)
def dropout(rng: Generator) -> Work:
    x, rate, seed = rng.standard_normal(1_000).astype(np.float32), np.float32(0.25), 123_456_789
    kept = philox_uniform(seed, np.arange(x.size)) > rate
    assert 700 < kept.sum() < 800
    args = [x, np.ones_like(x), np.int32(x.size), rate, np.int32(seed), *NO_SCRATCH]
    return Work(args, {1: np.where(kept, x / np.float64(0.75), 0.0)})


@case("triton_softmax", "softmax", 5, 128, 1e-3, shared_bytes=16)
def triton_softmax(rng: Generator) -> Work:
    x = rng.normal(0, 3, (5, 1008)).astype(np.float16)
    x[:, 900:] = -np.inf
    expected = softmax(x.astype(np.float64))
    return Work([x, np.zeros_like(x), np.int32(1003), np.int32(1008), *NO_SCRATCH], {1: expected})


@case("triton_layer_norm", "layer_norm", 4, 128, 1e-2, shared_bytes=16)
def layer_norm(rng: Generator) -> Work:
    x, weight, bias = (to_bfloat16(rng.normal(1, 2, shape)) for shape in [(4, 480), 480, 480])
    wide, w, b = (from_bfloat16(bits).astype(np.float64) for bits in (x, weight, bias))
    centred = wide - wide.mean(axis=1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5) * w + b
    args = [x, weight, bias, np.zeros_like(x), np.int32(480), np.float32(1e-5), *NO_SCRATCH]
    return Work(args, {3: expected}, view=from_bfloat16)


@case("triton_scan", "running_sum", 3, 128, 0, shared_bytes=64)
def running_sum(rng: Generator) -> Work:
    x = rng.integers(-1000, 1000, (3, 500), dtype=np.int32)
    x[1] = np.minimum(x[1], 5)  # many equal maxima: the first one counts
    args = [x, np.zeros_like(x), np.zeros(3, np.int32), np.int32(500), *NO_SCRATCH]
    return Work(args, {1: np.cumsum(x, axis=1, dtype=np.int32), 2: x.argmax(axis=1).astype(np.int32)})


@case("triton_sort", "sort_rows", 3, 64, 0, shared_bytes=512)
def sort_rows(rng: Generator) -> Work:
    x = rng.integers(-(2**31), 2**31, (3, 128), dtype=np.int32)
    return Work([x, np.zeros_like(x), *NO_SCRATCH], {1: np.sort(x, axis=1)})


@case("triton_histogram", "histogram", 2, 128, 0, shared_bytes=256)
def triton_histogram(rng: Generator) -> Work:
    x = rng.integers(0, 64, 900, dtype=np.int32)
    bins = np.bincount(x, minlength=64).astype(np.int32)
    return Work([x, np.zeros(64, np.int32), np.int32(x.size), *NO_SCRATCH], {1: bins})


def product(rng: Generator, dtype: type, shape: tuple[int, int, int], scratch: list[object]) -> Work:
    """C = A x B for shape (m, n, k)."""
    m, n, k = shape
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    return Work([a, b, np.zeros((m, n), dtype), np.int32(m), np.int32(n), np.int32(k), *scratch], {2: expected})


@case("triton_matmul_sm80", "matmul", (2, 2), 128, 1e-3, shared_bytes=16384)
def matmul_sm80(rng: Generator) -> Work:
    return product(rng, np.float16, (112, 96, 80), NO_SCRATCH)


# tf32 keeps ten bits of the mantissa of each factor.
@case("triton_matmul_tf32", "matmul", (2, 1), 128, 3e-3, shared_bytes=8192)
def matmul_tf32(rng: Generator) -> Work:
    return product(rng, np.float32, (64, 32, 48), NO_SCRATCH)


@case("triton_matmul_sm90", "matmul", (2, 2), 128, 1e-3, shared_bytes=49152)
def matmul_sm90(rng: Generator) -> Work:
    return product(rng, np.float16, (128, 112, 160), NO_SCRATCH)


# Each program writes its three tensor maps into 384 bytes of the first scratch buffer.
@case("triton_matmul_tma", "matmul_descriptors", (2, 2), 128, 1e-3, shared_bytes=49176)
def matmul_tma(rng: Generator) -> Work:
    return product(rng, np.float16, (112, 128, 160), [aligned_zeros(4 * 384, 128), np.uint64(0)])
