//! The operands of one `wgmma` as f32, in the order in which the product runs through them, and the product itself.
//! Every type fits: products of f16, bf16, tf32 and FP8 are exact in f32, and so are sums of up to 256 products of bytes.
//!
//! The product works on whole registers of the fragment: register `4j + 2h + p` of D holds, in lane l, row l / 4 + 8h and
//! column 8j + 2 (l % 4) + p. A is spread to 32 lanes for that, B keeps eight columns side by side, the even ones first.

use super::descriptor::{Descriptor, PIECE};
use super::element::{e4m3, Element};
use super::fragment::{place, Part};
use crate::exec::memory::Shared;
use crate::num::half::{bf16_to_f32, f16_to_f32};

/// The 32 lanes of two registers of D, or of what is added to them.
pub(crate) type Pair = [[f32; 32]; 2];

/// Operands of the running `wgmma`; the memory serves the next one too.
#[derive(Debug, Default)]
pub(crate) struct Panels {
    /// `[row / 8][k][lane]`.
    a: Vec<f32>,
    /// `[column / 8][k][even columns, odd columns]`.
    b: Vec<f32>,
    k: usize,
}

/// Where an operand lies, in which order.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    pub memory: Shared,
    pub descriptor: Descriptor,
    pub transposed: bool,
    pub element: Element,
    pub negated: bool,
}

impl Tile {
    #[inline(always)]
    fn piece(&self, address: u32) -> [u8; PIECE as usize] {
        // SAFETY: `wgmma::issue` has compared the end of each piece with the shared memory, which lives as long as the launch.
        unsafe {
            self.memory
                .start
                .add(address as usize)
                .cast::<[u8; PIECE as usize]>()
                .read()
        }
    }

    /// Calls `each` with row, k and value of every element.
    #[inline(always)]
    fn elements(&self, rows: u32, k: u32, mut each: impl FnMut(u32, u32, f32)) {
        match self.element {
            Element::F16 => self.walk::<8>(rows, k, f16s, &mut each),
            Element::Bf16 => self.walk::<8>(rows, k, bf16s, &mut each),
            Element::E4m3 => self.walk::<16>(rows, k, |p| p.map(e4m3), &mut each),
            Element::E5m2 => self.walk::<16>(rows, k, |p| p.map(|v| f16_to_f32(u16::from(v) << 8)), &mut each),
            Element::S8 => self.walk::<16>(rows, k, |p| p.map(|v| f32::from(v as i8)), &mut each),
            Element::U8 => self.walk::<16>(rows, k, |p| p.map(f32::from), &mut each),
            Element::B1 => self.walk::<128>(rows, k, bits, &mut each),
            _ => self.walk::<4>(rows, k, tf32s, &mut each),
        }
    }

    #[inline(always)]
    fn walk<const EACH: usize>(
        &self,
        rows: u32,
        k: u32,
        values: impl Fn([u8; 16]) -> [f32; EACH],
        each: &mut impl FnMut(u32, u32, f32),
    ) {
        let sign = if self.negated { -1.0 } else { 1.0 };
        let count = EACH as u32;
        if self.transposed {
            for piece in 0..rows / count {
                for step in 0..k {
                    let found = values(self.piece(self.descriptor.across_k(piece, step)));
                    for e in 0..EACH {
                        each(piece * count + e as u32, step, found[e] * sign);
                    }
                }
            }
            return;
        }
        for row in 0..rows {
            for piece in 0..k / count {
                let found = values(self.piece(self.descriptor.along_k(row, piece)));
                for e in 0..EACH {
                    each(row, piece * count + e as u32, found[e] * sign);
                }
            }
        }
    }
}

#[inline(always)]
fn f16s(piece: [u8; 16]) -> [f32; 8] {
    std::array::from_fn(|i| f16_to_f32(u16::from_le_bytes([piece[2 * i], piece[2 * i + 1]])))
}

#[inline(always)]
fn bf16s(piece: [u8; 16]) -> [f32; 8] {
    std::array::from_fn(|i| bf16_to_f32(u16::from_le_bytes([piece[2 * i], piece[2 * i + 1]])))
}

#[inline(always)]
fn tf32s(piece: [u8; 16]) -> [f32; 4] {
    std::array::from_fn(|i| {
        let word = [piece[4 * i], piece[4 * i + 1], piece[4 * i + 2], piece[4 * i + 3]];
        Element::Tf32.real(u32::from_le_bytes(word), 0)
    })
}

#[inline(always)]
fn bits(piece: [u8; 16]) -> [f32; 128] {
    std::array::from_fn(|i| f32::from(piece[i / 8] >> (i % 8) & 1))
}

/// Element of a register, integers too.
#[inline(always)]
fn value(t: Element, register: u32, number: u32) -> f32 {
    if t.is_float() {
        t.real(register, number)
    } else {
        t.integer(register, number) as f32
    }
}

impl Panels {
    /// Makes room for operands of `n` columns and `k` steps; A may leave steps out.
    pub(crate) fn begin(&mut self, n: u32, k: u32) {
        self.k = k as usize;
        self.a.clear();
        self.a.resize(8 * self.k * 32, 0.0);
        self.b.resize(n as usize * self.k, 0.0);
    }

    /// Spreads an element of A to the four lanes of its row.
    #[inline(always)]
    fn put_a(&mut self, row: u32, k: u32, value: f32) {
        let at = ((row / 8) as usize * self.k + k as usize) * 32 + (row % 8) as usize * 4;
        self.a[at..at + 4].fill(value);
    }

    /// A from shared memory; `step` gives the place of a stored element along K.
    #[inline(always)]
    pub(crate) fn load_a(&mut self, tile: &Tile, stored: u32, step: impl Fn(u32, u32) -> u32) {
        tile.elements(64, stored, |row, k, value| self.put_a(row, step(row, k), value));
    }

    /// The 16 rows of A that a warp has in registers.
    #[inline(always)]
    pub(crate) fn take_a(
        &mut self,
        rank: usize,
        registers: &[[u32; 32]],
        t: Element,
        negated: bool,
        step: impl Fn(u32, u32) -> u32,
    ) {
        let (packed, sign) = (t.per_register(), if negated { -1.0 } else { 1.0 });
        for (number, lanes) in registers.iter().enumerate() {
            for lane in 0..32u32 {
                for element in 0..packed {
                    let (row, k) = place(Part::A, 16, packed, lane, number as u32, element);
                    let row = row + rank as u32 * 16;
                    self.put_a(row, step(row, k), value(t, lanes[lane as usize], element) * sign);
                }
            }
        }
    }

    #[inline(always)]
    pub(crate) fn load_b(&mut self, tile: &Tile, n: u32) {
        let (k, b) = (self.k, &mut self.b);
        tile.elements(n, k as u32, |column, step, value| {
            let side = column as usize % 8;
            b[(column as usize / 8 * k + step as usize) * 8 + side % 2 * 4 + side / 2] = value;
        });
    }

    /// Adds the product to the two registers of eight columns and eight rows; `wide` as `lanes::wide`.
    #[inline(always)]
    pub(crate) fn multiply(&self, columns: usize, rows: usize, wide: bool, sums: &mut Pair) {
        let a = &self.a[rows * self.k * 32..(rows + 1) * self.k * 32];
        let b = &self.b[columns * self.k * 8..(columns + 1) * self.k * 8];
        #[cfg(target_arch = "x86_64")]
        if wide {
            // SAFETY: `wide` says that the CPU has what the function is compiled for.
            return unsafe { multiply_v3(a, b, sums) };
        }
        let _ = wide;
        for (a, b) in a.chunks_exact(32).zip(b.chunks_exact(8)) {
            for (parity, sums) in sums.iter_mut().enumerate() {
                for lane in 0..32 {
                    sums[lane] += a[lane] * b[parity * 4 + lane % 4];
                }
            }
        }
    }
}

/// Eight accumulators of eight lanes: as many as keep both multipliers of the CPU busy.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn multiply_v3(a: &[f32], b: &[f32], sums: &mut Pair) {
    use std::arch::x86_64::{
        _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set_m128, _mm256_setzero_ps, _mm256_storeu_ps, _mm_loadu_ps,
    };
    // SAFETY: callers name eight floats.
    let load = |from: &[f32]| unsafe { _mm256_loadu_ps(from[..8].as_ptr()) };
    let mut all = [[_mm256_setzero_ps(); 4]; 2];
    for (parity, all) in all.iter_mut().enumerate() {
        for (v, all) in all.iter_mut().enumerate() {
            *all = load(&sums[parity][v * 8..]);
        }
    }
    for (a, b) in a.chunks_exact(32).zip(b.chunks_exact(8)) {
        // SAFETY: four floats of the eight.
        let four = |at: usize| unsafe { _mm_loadu_ps(b[at..at + 4].as_ptr()) };
        let (even, odd) = (_mm256_set_m128(four(0), four(0)), _mm256_set_m128(four(4), four(4)));
        for v in 0..4 {
            let a = load(&a[v * 8..]);
            all[0][v] = _mm256_fmadd_ps(a, even, all[0][v]);
            all[1][v] = _mm256_fmadd_ps(a, odd, all[1][v]);
        }
    }
    for (parity, all) in all.iter().enumerate() {
        for (v, all) in all.iter().enumerate() {
            // SAFETY: eight of the 32 floats of this register.
            unsafe { _mm256_storeu_ps(sums[parity][v * 8..v * 8 + 8].as_mut_ptr(), *all) };
        }
    }
}
