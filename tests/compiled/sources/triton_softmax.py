"""Row-wise softmax and layer normalisation in Triton, one row per program.

Exercises: reductions inside a block (shuffles, then shared memory), half and bfloat16 conversions, ex2.approx, rsqrt.
"""

import triton
import triton.language as tl


@triton.jit
def softmax(x_ptr, y_ptr, columns, stride, BLOCK: tl.constexpr):  # noqa: N803
    row = tl.program_id(0)
    offsets = tl.arange(0, BLOCK)
    mask = offsets < columns
    x = tl.load(x_ptr + row * stride + offsets, mask=mask, other=-float("inf")).to(tl.float32)
    e = tl.exp(x - tl.max(x, axis=0))
    y = e / tl.sum(e, axis=0)
    tl.store(y_ptr + row * stride + offsets, y.to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit
def layer_norm(x_ptr, weight_ptr, bias_ptr, y_ptr, columns, epsilon, BLOCK: tl.constexpr):  # noqa: N803
    row = tl.program_id(0)
    offsets = tl.arange(0, BLOCK)
    mask = offsets < columns
    x = tl.load(x_ptr + row * columns + offsets, mask=mask, other=0.0).to(tl.float32)
    mean = tl.sum(x, axis=0) / columns
    centred = tl.where(mask, x - mean, 0.0)
    variance = tl.sum(centred * centred, axis=0) / columns
    weight = tl.load(weight_ptr + offsets, mask=mask).to(tl.float32)
    bias = tl.load(bias_ptr + offsets, mask=mask).to(tl.float32)
    y = centred * tl.rsqrt(variance + epsilon) * weight + bias
    tl.store(y_ptr + row * columns + offsets, y.to(y_ptr.dtype.element_ty), mask=mask)


SPECIALISATIONS = {
    "triton_softmax": {
        "function": softmax,
        "signature": {"x_ptr": "*fp16:16", "y_ptr": "*fp16:16", "columns": "i32", "stride": "i32:16"},
        "constants": {"BLOCK": 1024},
        "warps": 4,
        "stages": 2,
    },
    "triton_layer_norm": {
        "function": layer_norm,
        "signature": {
            "x_ptr": "*bf16:16",
            "weight_ptr": "*bf16:16",
            "bias_ptr": "*bf16:16",
            "y_ptr": "*bf16:16",
            "columns": "i32:16",
            "epsilon": "fp32",
        },
        "constants": {"BLOCK": 512},
        "warps": 4,
        "stages": 2,
    },
}
