"""All cases, and those that the CPU device cannot run yet, with the reason."""

from __future__ import annotations

from . import arithmetic_cases, cuda_cases, rust_cases, triton_cases

SOURCES = (cuda_cases, arithmetic_cases, triton_cases, rust_cases)
CASES = {case.name: case for source in SOURCES for case in source.CASES}

# A test asserts that each still fails on the CPU device: whoever makes one work takes it off the list.
WAITING: dict[str, str] = {
    "gemm_mma:gemm_f16": "ldmatrix",
    "gemm_mma:gemm_s8": "ldmatrix, in the other entry of the file",
    "gemm_wmma:wmma_bf16": "wmma",
    "gemm_wmma:wmma_f64": "wmma",
    "bulk_pipeline:bulk_affine": "cp.reduce.async.bulk",
    "tma_copy:tma_transpose": "tensor maps",
    "tma_copy:tma_multicast": "tensor maps",
    "wgmma_gemm:wgmma_gemm_f16": "wgmma",
    "wgmma_gemm:wgmma_gemm_bf16": "wgmma",
    "wgmma_gemm:wgmma_gemm_s8": "wgmma",
    "wgmma_tma:wgmma_tma_gemm": "tensor maps, wgmma",
    "narrow:half_pairs": "set.gt.f16x2",
    "narrow:bfloat_pairs": "set.gt.f16x2, in another entry of the file",
    "narrow:fp8_round_trip": "set.gt.f16x2, in another entry of the file",
    "narrow:scatter_pairs": "set.gt.f16x2, in another entry of the file",
    "narrow:byte_quads": "set.gt.f16x2, in another entry of the file",
    "triton_matmul_sm80:matmul": "ldmatrix",
    "triton_matmul_tf32:matmul": "ldmatrix",
    "triton_matmul_sm90:matmul": "wgmma",
    "triton_matmul_tma:matmul_descriptors": "tensormap.replace",
}
