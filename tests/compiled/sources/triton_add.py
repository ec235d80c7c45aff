"""Vector addition in Triton, and dropout from Triton's own counter-based random numbers.

Exercises: what Triton makes of plain loads and stores (vectors under a predicate, block parameters), and Philox: wide
integer multiplication, xor rounds, int-to-float conversion. Compiled with line information, as Triton does unasked.
"""

import triton
import triton.language as tl


@triton.jit
def vector_add(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):  # noqa: N803
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    x = tl.load(x_ptr + offsets, mask=mask)
    y = tl.load(y_ptr + offsets, mask=mask)
    tl.store(out_ptr + offsets, x + y, mask=mask)


@triton.jit
def dropout(x_ptr, out_ptr, n, rate, seed, BLOCK: tl.constexpr):  # noqa: N803
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    x = tl.load(x_ptr + offsets, mask=mask)
    kept = tl.rand(seed, offsets) > rate
    tl.store(out_ptr + offsets, tl.where(kept, x / (1.0 - rate), 0.0), mask=mask)


# What `build.py` compiles, by stem: function, signature (":16" promises divisibility by 16), constants, warps, stages.
SPECIALISATIONS = {
    "triton_add": {
        "function": vector_add,
        "signature": {"x_ptr": "*fp32:16", "y_ptr": "*fp32:16", "out_ptr": "*fp32:16", "n": "i32:16"},
        "constants": {"BLOCK": 512},
        "warps": 4,
        "stages": 2,
        "line_info": True,
    },
    "triton_dropout": {
        "function": dropout,
        "signature": {"x_ptr": "*fp32:16", "out_ptr": "*fp32:16", "n": "i32", "rate": "fp32", "seed": "i32"},
        "constants": {"BLOCK": 256},
        "warps": 2,
        "stages": 2,
    },
}
