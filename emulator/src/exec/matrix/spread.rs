//! Fragments of `mma` as matrices. A register of A or B is a tile of 8 rows (B: columns), each the elements of 4 lanes,
//! which stand side by side in the register file: a tile is read and decoded row by row, and only B is transposed.
//! `WIDE` is [`super::super::lanes::wide`], known when the handler was picked.

use super::super::ctx::Ctx;
use super::element::{e4m3, Element};
use crate::num::half::{bf16_to_f32, f16_to_f32};

/// Rows of A at most.
pub(crate) const ROWS: usize = 16;
/// Columns of B, C and D.
pub(crate) const COLUMNS: usize = 8;

/// Decodes a register's tile into `out`, whose rows are `stride` apart.
#[inline(always)]
fn tile<T: Copy, const N: usize>(
    register: &[u32; 32],
    out: &mut [T],
    stride: usize,
    decode: impl Fn(&[u32; 4]) -> [T; N],
) {
    for (row, words) in register.as_chunks::<4>().0.iter().enumerate() {
        out[row * stride..][..N].copy_from_slice(&decode(words));
    }
}

/// Element `i` of 16 bits.
#[inline(always)]
fn half(words: &[u32; 4], i: usize) -> u16 {
    (words[i / 2] >> (16 * (i % 2))) as u16
}

/// Element `i` of 8 bits.
#[inline(always)]
fn byte(words: &[u32; 4], i: usize) -> u8 {
    (words[i / 4] >> (8 * (i % 4))) as u8
}

/// Eight values of half precision.
#[inline(always)]
fn halves<const WIDE: bool>(words: &[u32; 4]) -> [f32; 8] {
    #[cfg(target_arch = "x86_64")]
    if WIDE {
        // SAFETY: `WIDE` says that the CPU has what the function is compiled for.
        return unsafe { halves_v3(words) };
    }
    std::array::from_fn(|i| f16_to_f32(half(words, i)))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c")]
#[inline]
unsafe fn halves_v3(words: &[u32; 4]) -> [f32; 8] {
    use std::arch::x86_64::{_mm256_cvtph_ps, _mm256_storeu_ps, _mm_loadu_si128};
    let mut out = [0f32; 8];
    // SAFETY: four words are 16 bytes; neither access needs an alignment.
    let bits = unsafe { _mm_loadu_si128(words.as_ptr().cast()) };
    // SAFETY: eight values are 32 bytes.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), _mm256_cvtph_ps(bits)) };
    out
}

/// Decodes a register's tile of floats; `out` has rows of `stride`.
#[inline(always)]
pub(crate) fn reals<const WIDE: bool>(t: Element, register: &[u32; 32], out: &mut [f32], stride: usize) {
    match t {
        Element::F16 => tile(register, out, stride, halves::<WIDE>),
        Element::Bf16 => tile(register, out, stride, |w| {
            std::array::from_fn::<_, 8, _>(|i| bf16_to_f32(half(w, i)))
        }),
        Element::Tf32 => tile(register, out, stride, |w| w.map(|w| Element::Tf32.real(w, 0))),
        Element::E5m2 => tile(register, out, stride, |w| {
            // The upper byte of half precision.
            let upper = |i: usize| {
                let words = w.map(|w| if i == 0 { w << 8 & 0xff00_ff00 } else { w & 0xff00_ff00 });
                halves::<WIDE>(&words)
            };
            let (even, odd) = (upper(0), upper(1));
            std::array::from_fn::<_, 16, _>(|i| if i % 2 == 0 { even[i / 2] } else { odd[i / 2] })
        }),
        Element::E4m3 => tile(register, out, stride, |w| {
            std::array::from_fn::<_, 16, _>(|i| e4m3(byte(w, i)))
        }),
        _ => tile(register, out, stride, |w| w.map(f32::from_bits)),
    }
}

/// Decodes a register's tile of 8-bit or 4-bit integers.
#[inline(always)]
pub(crate) fn integers(t: Element, register: &[u32; 32], out: &mut [i16], stride: usize) {
    let nibble = |words: &[u32; 4], i: usize| words[i / 8] >> (4 * (i % 8));
    match t {
        Element::U8 => tile(register, out, stride, |w| {
            std::array::from_fn::<_, 16, _>(|i| i16::from(byte(w, i)))
        }),
        Element::S8 => tile(register, out, stride, |w| {
            std::array::from_fn::<_, 16, _>(|i| i16::from(byte(w, i) as i8))
        }),
        Element::U4 => tile(register, out, stride, |w| {
            std::array::from_fn::<_, 32, _>(|i| (nibble(w, i) & 15) as i16)
        }),
        _ => tile(register, out, stride, |w| {
            std::array::from_fn::<_, 32, _>(|i| (nibble(w, i) << 12) as i16 >> 12)
        }),
    }
}

/// Copies a register's tile of single bits, 32 to a word.
#[inline(always)]
pub(crate) fn words(register: &[u32; 32], out: &mut [u32], stride: usize) {
    tile(register, out, stride, |w| *w);
}

/// Calls `each` with every register of A (`halves` row blocks of 8) or B (one) and the place of its tile's first
/// element; a tile is `width` wide.
#[inline(always)]
pub(crate) fn registers(
    x: &Ctx<'_>,
    slots: &[u32],
    halves: usize,
    width: usize,
    stride: usize,
    mut each: impl FnMut(&[u32; 32], usize),
) {
    for (number, slot) in slots.iter().enumerate() {
        let place = number % halves * 8 * stride + number / halves * width;
        each(x.lanes::<u32>(*slot), place);
    }
}

/// C from registers of one 32-bit element: two registers hold every other column of 8 rows.
#[inline(always)]
pub(crate) fn accumulators<T: Copy>(x: &Ctx<'_>, slots: &[u32], out: &mut [[T; COLUMNS]; ROWS], of: impl Fn(u32) -> T) {
    let flat = out.as_flattened_mut();
    for (block, pair) in flat.chunks_exact_mut(64).zip(slots.as_chunks::<2>().0) {
        let (even, odd) = (x.lanes::<u32>(pair[0]), x.lanes::<u32>(pair[1]));
        let pairs = even.as_chunks::<4>().0.iter().zip(odd.as_chunks::<4>().0);
        for (out, (even, odd)) in block.as_chunks_mut::<8>().0.iter_mut().zip(pairs) {
            // By way of values, so that the compiler sees a shuffle.
            let (even, odd) = (*even, *odd);
            *out = std::array::from_fn(|at| of(if at % 2 == 0 { even[at / 2] } else { odd[at / 2] }));
        }
    }
}

/// D into such registers.
#[inline(always)]
pub(crate) fn gather<T: Copy>(
    x: &mut Ctx<'_>,
    slots: &[u32],
    from: &[[T; COLUMNS]; ROWS],
    mask: u32,
    of: impl Fn(T) -> u32,
) {
    for (block, pair) in from.as_flattened().chunks_exact(64).zip(slots.as_chunks::<2>().0) {
        for (half, slot) in pair.iter().enumerate() {
            let mut out = [0u32; 32];
            for (four, values) in out.as_chunks_mut::<4>().0.iter_mut().zip(block.as_chunks::<8>().0) {
                let values = *values;
                *four = std::array::from_fn(|at| of(values[2 * at + half]));
            }
            x.put(*slot, &out, mask);
        }
    }
}

/// Columns to rows, eight by eight where the CPU can.
#[inline(always)]
pub(crate) fn transpose<const K: usize, const WIDE: bool>(columns: &[[f32; K]; COLUMNS]) -> [[f32; COLUMNS]; K] {
    let mut rows = [[0f32; COLUMNS]; K];
    #[cfg(target_arch = "x86_64")]
    if WIDE && K.is_multiple_of(8) {
        for at in (0..K).step_by(8) {
            // SAFETY: `WIDE` says that the CPU has what the function is compiled for; 8 columns and rows begin at `at`.
            unsafe {
                transpose_v3(
                    columns.as_ptr().cast::<f32>().add(at),
                    K,
                    rows[at..].as_mut_ptr().cast(),
                )
            };
        }
        return rows;
    }
    for (row, values) in rows.iter_mut().enumerate() {
        *values = std::array::from_fn(|column| columns[column][row]);
    }
    rows
}

/// An 8x8 block from rows `stride` apart to rows 8 apart.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn transpose_v3(from: *const f32, stride: usize, to: *mut f32) {
    use std::arch::x86_64::*;
    // SAFETY: the caller gives 8 rows of 8 values.
    let row = |r: usize| unsafe { _mm256_loadu_ps(from.add(r * stride)) };
    let r: [__m256; 8] = [row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7)];
    // Pairs of rows by single elements, pairs of those by two, then the halves of 128 bits.
    let low = |p: usize| _mm256_unpacklo_ps(r[p], r[p + 1]);
    let high = |p: usize| _mm256_unpackhi_ps(r[p], r[p + 1]);
    let two = [low(0), high(0), low(2), high(2), low(4), high(4), low(6), high(6)];
    let first = |a: usize| _mm256_shuffle_ps::<0x44>(two[a], two[a + 2]);
    let second = |a: usize| _mm256_shuffle_ps::<0xee>(two[a], two[a + 2]);
    let four = [
        first(0),
        second(0),
        first(1),
        second(1),
        first(4),
        second(4),
        first(5),
        second(5),
    ];
    for column in 0..4 {
        let near = _mm256_permute2f128_ps::<0x20>(four[column], four[column + 4]);
        let far = _mm256_permute2f128_ps::<0x31>(four[column], four[column + 4]);
        // SAFETY: the caller has room for 64 values at `to`.
        unsafe { _mm256_storeu_ps(to.add(column * 8), near) };
        // SAFETY: as above.
        unsafe { _mm256_storeu_ps(to.add(column * 8 + 32), far) };
    }
}
