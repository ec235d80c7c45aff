"""Matrix multiplication in Triton: through pointers, and through tensor descriptors made on the device.

Exercises: on sm_80 mma.sync fed by ldmatrix and a cp.async pipeline; on sm_90 wgmma with asynchronous waits; with
descriptors also tensormap.replace, cp.async.bulk.tensor both ways and mbarriers, all without a host-made tensor map.
"""

import triton
import triton.language as tl


@triton.jit
def matmul(a_ptr, b_ptr, c_ptr, m, n, k, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):  # noqa: N803
    rows = (tl.program_id(0) * BM + tl.arange(0, BM)) % m
    columns = (tl.program_id(1) * BN + tl.arange(0, BN)) % n
    inner = tl.arange(0, BK)
    a_ptrs = a_ptr + rows[:, None] * k + inner[None, :]
    b_ptrs = b_ptr + inner[:, None] * n + columns[None, :]
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for step in range(tl.cdiv(k, BK)):
        a = tl.load(a_ptrs, mask=inner[None, :] < k - step * BK, other=0.0)
        b = tl.load(b_ptrs, mask=inner[:, None] < k - step * BK, other=0.0)
        total = tl.dot(a, b, total)
        a_ptrs += BK
        b_ptrs += BK * n
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    columns = tl.program_id(1) * BN + tl.arange(0, BN)
    mask = (rows[:, None] < m) & (columns[None, :] < n)
    c_ptrs = c_ptr + rows[:, None] * n + columns[None, :]
    tl.store(c_ptrs, total.to(c_ptr.dtype.element_ty), mask=mask)


@triton.jit
def matmul_descriptors(a_ptr, b_ptr, c_ptr, m, n, k, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):  # noqa: N803
    a_map = tl.make_tensor_descriptor(a_ptr, [m, k], [k, 1], [BM, BK])
    b_map = tl.make_tensor_descriptor(b_ptr, [k, n], [n, 1], [BK, BN])
    c_map = tl.make_tensor_descriptor(c_ptr, [m, n], [n, 1], [BM, BN])
    row, column = tl.program_id(0) * BM, tl.program_id(1) * BN
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for start in range(0, k, BK):
        total = tl.dot(a_map.load([row, start]), b_map.load([start, column]), total)
    c_map.store([row, column], total.to(tl.float16))


POINTERS = {"a_ptr": "*fp16:16", "b_ptr": "*fp16:16", "c_ptr": "*fp16:16", "m": "i32:16", "n": "i32:16", "k": "i32:16"}
FLOATS = {**POINTERS, "a_ptr": "*fp32:16", "b_ptr": "*fp32:16", "c_ptr": "*fp32:16"}

SPECIALISATIONS = {
    "triton_matmul_sm80": {
        "function": matmul,
        "signature": POINTERS,
        "constants": {"BM": 64, "BN": 64, "BK": 32},
        "warps": 4,
        "stages": 3,
    },
    "triton_matmul_tf32": {
        "function": matmul,
        "signature": FLOATS,
        "constants": {"BM": 32, "BN": 32, "BK": 32},
        "warps": 4,
        "stages": 2,
    },
    "triton_matmul_sm90": {
        "function": matmul,
        "signature": POINTERS,
        "constants": {"BM": 64, "BN": 64, "BK": 64},
        "warps": 4,
        "stages": 3,
    },
    "triton_matmul_tma": {
        "function": matmul_descriptors,
        "signature": POINTERS,
        "constants": {"BM": 64, "BN": 64, "BK": 64},
        "warps": 4,
        "stages": 3,
    },
}
