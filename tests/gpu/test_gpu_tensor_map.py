"""Tensor maps on a GPU: one box fetched through each, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import warpbridge as wb

pytestmark = pytest.mark.gpu

# Fetches the box at {c0, c1} into shared memory and stores `words` words of it as they lie there.
PTX = """
.version 8.0
.target sm_90
.address_size 64

.visible .entry fetch(
    .param .align 64 .b8 map[128], .param .u64 y, .param .s32 c0, .param .s32 c1, .param .u32 bytes, .param .u32 words)
{
    .reg .pred %p<3>;
    .reg .b32 %r<10>;
    .reg .b64 %rd<6>;
    .shared .align 1024 .b8 tile[8192];
    .shared .align 8 .b64 full;
    mov.u32 %r0, %tid.x;
    mov.u32 %r1, tile;
    mov.u32 %r2, full;
    setp.ne.u32 %p0, %r0, 0;
    @%p0 bra issued;
    mbarrier.init.shared.b64 [%r2], 1;
    fence.proxy.async.shared::cta;
    ld.param.u32 %r3, [bytes];
    mbarrier.arrive.expect_tx.shared.b64 _, [%r2], %r3;
    ld.param.s32 %r4, [c0];
    ld.param.s32 %r5, [c1];
    mov.u64 %rd0, map;
    cvta.param.u64 %rd0, %rd0;
    cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%rd0, {%r4, %r5}], [%r2];
issued:
    bar.sync 0;
again:
    mbarrier.try_wait.parity.shared.b64 %p1, [%r2], 0;
    @!%p1 bra again;
    ld.param.u64 %rd1, [y];
    ld.param.u32 %r6, [words];
next:
    setp.ge.u32 %p2, %r0, %r6;
    @%p2 bra done;
    mad.lo.u32 %r7, %r0, 4, %r1;
    ld.shared.u32 %r8, [%r7];
    mul.wide.u32 %rd2, %r0, 4;
    add.u64 %rd3, %rd1, %rd2;
    st.global.u32 [%rd3], %r8;
    add.u32 %r0, %r0, 128;
    bra next;
done:
    ret;
}
"""


def fetch(library: Any, described: wb.TensorMap, at: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Return the box whose first element is (row, column) `at`, as float32 of that shape."""
    y = library.array(np.zeros(shape, np.float32))
    bytes_moved = int(np.prod(shape)) * 4
    args = [described, y, at[1], at[0], bytes_moved, bytes_moved // 4]
    wb.load(PTX).entries["fetch"](1, 128, args, timeout=20.0)
    return library.numpy(y)


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(5).standard_normal((50, 48)).astype(np.float32)


def test_box_of_an_array(library, x: np.ndarray) -> None:
    described = wb.tensor_map(library.array(x), (8, 16))
    np.testing.assert_array_equal(fetch(library, described, (5, 8), (8, 16)), x[5:13, 8:24])


def test_box_of_a_view_with_strides_of_its_own(library, x: np.ndarray) -> None:
    described = wb.tensor_map(library.array(x)[2:40:3, 8:40], (4, 8))
    np.testing.assert_array_equal(fetch(library, described, (1, 4), (4, 8)), x[2:40:3, 8:40][1:5, 4:12])


def test_box_with_strides_given(library, x: np.ndarray) -> None:
    pairs = library.array(x)[:25]  # 25 rows of memory are 25 overlapping pieces of half a row's step
    described = wb.tensor_map(pairs[:, :24], (4, 8), strides=(96, 4))
    halves = x.reshape(100, 24)
    np.testing.assert_array_equal(fetch(library, described, (1, 4), (4, 8)), halves[1:5, 4:12])


def test_rows_that_repeat(library, x: np.ndarray) -> None:
    described = wb.tensor_map(library.array(x), (4, 8), strides=(0, 4))
    np.testing.assert_array_equal(fetch(library, described, (1, 4), (4, 8)), np.tile(x[:1, 4:12], (4, 1)))


def test_every_second_row(library, x: np.ndarray) -> None:
    described = wb.tensor_map(library.array(x), (8, 16), element_strides=(2, 1))
    np.testing.assert_array_equal(fetch(library, described, (5, 8), (4, 16)), x[5:13:2, 8:24])


@pytest.mark.parametrize(("fill", "value"), [(None, 0.0), ("nan", np.nan)])
def test_elements_outside(library, x: np.ndarray, fill: str | None, value: float) -> None:
    described = wb.tensor_map(library.array(x), (8, 16), oob_fill=fill, l2_promotion="128B")
    expected = np.full((8, 16), value, np.float32)
    expected[:4, :8] = x[46:, 40:]
    np.testing.assert_array_equal(fetch(library, described, (46, 40), (8, 16)), expected)


@pytest.mark.parametrize(("swizzle", "rows"), [("32B", 1), ("64B", 3), ("128B", 7)])
def test_swizzle_permutes_pieces_of_a_row(library, x: np.ndarray, swizzle: str, rows: int) -> None:
    columns = int(swizzle[:-1]) // 4
    described = wb.tensor_map(library.array(x), (16, columns), swizzle=swizzle)
    found = fetch(library, described, (2, 4), (16, columns)).reshape(-1, 4)
    # Bits [4, 4 + B) of the shared address are changed by bits [7, 7 + B).
    piece = np.arange(len(found))
    np.testing.assert_array_equal(found[piece ^ (piece >> 3 & rows)], x[2:18, 4 : 4 + columns].reshape(-1, 4))


def test_stride_of_a_single_row_does_not_matter(library, x: np.ndarray) -> None:
    described = wb.tensor_map(library.array(x)[3:4, :44], (1, 16))
    np.testing.assert_array_equal(fetch(library, described, (0, 8), (1, 16)), x[3:4, 8:24])


def test_map_and_host_array_do_not_mix(library, x: np.ndarray) -> None:
    described = wb.tensor_map(library.array(x), (8, 16))
    with pytest.raises(wb.ArgumentError) as caught:
        wb.load(PTX).entries["fetch"](1, 128, [described, np.zeros(8, np.float32), 0, 0, 512, 128])
    assert str(caught.value) == (
        "fetch: argument 2 (y) is on cpu, expected cuda:0, where argument 1 (map) is; move one of them first"
    )
