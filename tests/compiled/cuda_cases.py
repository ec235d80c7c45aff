"""The cases of nvcc-compiled kernels, in the order of their sources: plain ones, tensor cores, asynchronous copies."""

from __future__ import annotations

import numpy as np

from .case import Case, TensorMap, Work, from_bfloat16, registrar, to_bfloat16

CASES: list[Case] = []
case = registrar(CASES)
Generator = np.random.Generator


def softmax(x: np.ndarray) -> np.ndarray:
    """Softmax of each row, in double precision."""
    e = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@case("reduce", "reduce_sum", 4, 256, 1e-5)
def reduce_sum(rng: Generator) -> Work:
    x = rng.standard_normal(10_001).astype(np.float32)
    return Work([x, np.zeros(1, np.float32), np.uint32(x.size)], {1: np.array([x.sum(dtype=np.float64)])})


@case("reduce", "reduce_max", 3, 128, 0)
def reduce_max(rng: Generator) -> Work:
    x = rng.integers(-(2**31), 2**31, 3_000, dtype=np.int32)
    return Work([x, np.full(1, -(2**31), np.int32), np.uint32(x.size)], {1: x.max(keepdims=True)})


@case("scan", "block_scan", 3, 256, 0)
def block_scan(rng: Generator) -> Work:
    x = rng.integers(-1000, 1000, 700, dtype=np.int32)
    padded = np.pad(x, (0, 68)).reshape(3, 256)
    return Work([x, np.zeros_like(x), np.int32(x.size)], {1: np.cumsum(padded, axis=1, dtype=np.int32).ravel()[:700]})


@case("scan", "compact_positive", 1, 32, 0)
def compact_positive(rng: Generator) -> Work:
    x = rng.integers(-5, 5, 333, dtype=np.int32)
    kept = x[x > 0]
    args = [x, np.zeros_like(x), np.zeros(1, np.int32), np.int32(x.size)]
    return Work(args, {1: np.pad(kept, (0, x.size - kept.size)), 2: np.array([kept.size], np.int32)})


@case("scan", "warp_group_sizes", 2, 64, 0)
def warp_group_sizes(rng: Generator) -> Work:
    keys = rng.integers(0, 7, 128, dtype=np.uint32)
    sizes = np.zeros_like(keys)
    for warp in range(4):
        values, firsts, counts = np.unique(keys[warp * 32 :][:32], return_index=True, return_counts=True)
        assert values.size == 7
        sizes[warp * 32 + firsts] = counts
    return Work([keys, np.zeros_like(keys)], {1: sizes})


@case("transpose", "transpose_f32", (3, 2), (32, 8), 0)
def transpose_f32(rng: Generator) -> Work:
    x = rng.standard_normal((50, 70)).astype(np.float32)
    return Work([x, np.zeros((70, 50), np.float32), np.int32(50), np.int32(70)], {1: x.T})


@case("transpose", "transpose_u16", (2, 2), (32, 8), 0)
def transpose_u16(rng: Generator) -> Work:
    x = rng.integers(0, 65536, (33, 64), dtype=np.uint16)
    return Work([x, np.zeros((64, 33), np.uint16), np.int32(33), np.int32(64)], {1: x.T})


@case("histogram", "histogram", 3, 128, 0)
def histogram(rng: Generator) -> Work:
    x = (rng.normal(128, 40, 8_192).clip(0, 255)).astype(np.uint8)
    bins = np.bincount(x, minlength=256).astype(np.uint32)
    return Work([x, np.zeros(256, np.uint32), np.uint32(x.size // 4)], {1: bins})


@case("histogram", "group_statistics", 5, 128, 0)
def group_statistics(rng: Generator) -> Work:
    x = rng.uniform(0.5, 3e4, 600).astype(np.float32)
    group = rng.integers(0, 8, x.size, dtype=np.int32)
    largest, squares = np.zeros(8, np.float32), np.zeros(8, np.uint64)
    np.maximum.at(largest, group, x)
    np.add.at(squares, group, x.astype(np.uint64) ** 2)
    args = [x, group, np.zeros(8, np.uint32), np.zeros(8, np.uint64), np.int32(x.size)]
    return Work(args, {2: largest.view(np.uint32), 3: squares})


@case("softmax", "softmax_f32", 6, 128, 1e-6)
def softmax_f32(rng: Generator) -> Work:
    x = rng.normal(0, 4, (6, 333)).astype(np.float32)
    return Work([x, np.zeros_like(x), np.int32(333)], {1: softmax(x)})


@case("softmax", "softmax_f16", 5, 64, 1e-3, shared_bytes=8 * 200)
def softmax_f16(rng: Generator) -> Work:
    x = rng.normal(0, 3, (5, 400)).astype(np.float16)
    return Work([x, np.zeros_like(x), np.int32(200)], {1: softmax(x)})


@case("gemm_mma", "gemm_f16", (2, 2), 128, 1e-5)
def gemm_f16(rng: Generator) -> Work:
    a, b = (rng.standard_normal(shape).astype(np.float16) for shape in [(128, 96), (96, 128)])
    args = [a, b, np.zeros((128, 128), np.float32), np.int32(128), np.int32(128), np.int32(96)]
    return Work(args, {2: a.astype(np.float64) @ b.astype(np.float64)})


@case("gemm_mma", "gemm_s8", 1, 32, 0)
def gemm_s8(rng: Generator) -> Work:
    a, b = (rng.integers(-128, 128, (rows, 160), dtype=np.int8) for rows in (16, 8))
    c = a.astype(np.int32) @ b.astype(np.int32).T
    return Work([a, b, np.zeros_like(c), np.zeros_like(c), np.int32(160)], {2: c, 3: c})


@case("gemm_wmma", "wmma_bf16", (3, 2), 32, 1e-5)
def wmma_bf16(rng: Generator) -> Work:
    a, b = (to_bfloat16(rng.standard_normal((rows, 64))) for rows in (32, 48))
    c = rng.standard_normal((32, 48)).astype(np.float32)
    product = from_bfloat16(a).astype(np.float64) @ from_bfloat16(b).astype(np.float64).T
    expected = 0.5 * product - 2.0 * c
    return Work([a, b, c, np.int32(48), np.int32(64), np.float32(0.5), np.float32(-2.0)], {2: expected})


@case("gemm_wmma", "wmma_f64", (2, 3), 32, 1e-14)
def wmma_f64(rng: Generator) -> Work:
    a, b = rng.standard_normal((24, 20)), rng.standard_normal((20, 16))
    return Work([a, b, np.zeros((24, 16)), np.int32(16), np.int32(20)], {2: a @ b})


@case("async_pipeline", "pipeline_groups", 2, 128, 1e-6)
def pipeline_groups(rng: Generator) -> Work:
    x = rng.standard_normal((9, 512)).astype(np.float32)
    left = np.pad(x[:, :-1], ((0, 0), (1, 0)))
    return Work([x, np.zeros_like(x), np.int32(9)], {1: x.astype(np.float64) ** 2 + left})


@case("async_pipeline", "pipeline_mbarrier", 3, 128, 0)
def pipeline_mbarrier(rng: Generator) -> Work:
    x = rng.standard_normal(300).astype(np.float32)
    expected = np.pad(x, (0, 84)).reshape(3, 128)[:, ::-1]
    return Work([x, np.ones((3, 128), np.float32), np.int32(300)], {1: expected})


@case("cluster", "row_normalise", (4, 3), 96, 1e-5)
def row_normalise(rng: Generator) -> Work:
    x = rng.uniform(0.1, 2, (3, 800)).astype(np.float32)
    return Work([x, np.zeros_like(x), np.int32(800)], {1: x / x.mean(axis=1, keepdims=True, dtype=np.float64)})


@case("cluster", "cluster_histogram", 6, 64, 0, shared_bytes=4 * 50, cluster=(2, 1, 1))
def cluster_histogram(rng: Generator) -> Work:
    x = rng.integers(0, 2**32, 2_000, dtype=np.uint32)
    bins = np.bincount(x % 100, minlength=100).astype(np.uint32)
    return Work([x, np.zeros(100, np.uint32), np.int32(50), np.int32(x.size)], {1: bins})


@case("bulk_pipeline", "bulk_affine", 2, 160, 1e-5)
def bulk_affine(rng: Generator) -> Work:
    x = rng.standard_normal((13, 256)).astype(np.float32)
    y = 1.5 * x.astype(np.float64) - 0.25
    args = [x, np.zeros_like(x), np.zeros(256, np.float32), np.int32(13), np.float32(1.5), np.float32(-0.25)]
    return Work(args, {1: y, 2: y.sum(axis=0)})


@case("tma_copy", "tma_transpose", (3, 2), 256, 0)
def tma_transpose(rng: Generator) -> Work:
    x = rng.standard_normal((52, 80)).astype(np.float32)
    return Work([TensorMap(x, (32, 32)), TensorMap(np.zeros((80, 52), np.float32), (32, 32))], {1: x.T})


@case("tma_copy", "tma_multicast", 6, 32, 1e-6)
def tma_multicast(rng: Generator) -> Work:
    x = rng.standard_normal((96, 32)).astype(np.float32)
    tiles = x.reshape(3, 32, 32).astype(np.float64)
    sums = np.stack([tiles.sum(axis=2), tiles.sum(axis=1)], axis=1)
    return Work([TensorMap(x, (16, 32)), np.zeros((3, 2, 32), np.float32)], {1: sums})


@case("wgmma_gemm", "wgmma_gemm_f16", (2, 2), 128, 1e-5)
def wgmma_gemm_f16(rng: Generator) -> Work:
    a, b = (rng.standard_normal((128, 128)).astype(np.float16) for _ in range(2))
    args = [a, b, np.zeros((128, 128), np.float32), np.int32(128), np.int32(128)]
    return Work(args, {2: a.astype(np.float64) @ b.astype(np.float64).T})


@case("wgmma_gemm", "wgmma_gemm_bf16", 1, 128, 1e-5)
def wgmma_gemm_bf16(rng: Generator) -> Work:
    a, b = (to_bfloat16(rng.standard_normal(shape)) for shape in [(64, 128), (128, 64)])
    product = from_bfloat16(a).astype(np.float64) @ from_bfloat16(b).astype(np.float64)
    return Work([a, b, np.zeros((64, 64), np.float32), np.int32(128)], {2: product})


@case("wgmma_gemm", "wgmma_gemm_s8", 1, 128, 0)
def wgmma_gemm_s8(rng: Generator) -> Work:
    a, b = (rng.integers(-128, 128, (rows, 96), dtype=np.int8) for rows in (64, 16))
    product = a.astype(np.int32) @ b.astype(np.int32).T
    return Work([a, b, np.zeros_like(product), np.int32(96)], {2: product})


# Three stages of A and B (32 KiB each), the tile of C, six barriers.
@case("wgmma_tma", "wgmma_tma_gemm", 2, 384, 1e-3, shared_bytes=3 * 32768 + 32768 + 48)
def wgmma_tma_gemm(rng: Generator) -> Work:
    a, b = (rng.standard_normal((rows, 192)).astype(np.float16) for rows in (256, 384))
    c = np.zeros((256, 384), np.float16)
    maps = [TensorMap(a, (128, 64), 128), TensorMap(b, (128, 64), 128), TensorMap(c, (64, 64))]
    product = a.astype(np.float64) @ b.astype(np.float64).T
    return Work([*maps, np.int32(256), np.int32(384), np.int32(192)], {2: product})
