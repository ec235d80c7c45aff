//! `mma.sync` and `mma.sp` (ISA 9.7.14.5, .6): fragments are spread out to matrices (`spread`), multiplied, and gathered
//! again, by `float`, `double`, `integer` and `quad`. Floats are accumulated in f32 (f64 in f64) in the order of k and
//! rounded once to the type of d; the ISA leaves both open.

use super::super::inst::Handler;
use super::super::lanes::wide;
use super::element::Element;
use super::sparse::Sparsity;
use super::{double, float, integer, quad};
use crate::num::float::canonical;
use crate::num::half::f32_to_f16;

/// How products are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Combine {
    Multiply,
    XorPopc,
    AndPopc,
}

/// One `mma` instruction.
#[derive(Clone, Debug)]
pub(crate) struct Mma {
    pub shape: (u32, u32, u32),
    pub a: Element,
    pub b: Element,
    pub c: Element,
    pub d: Element,
    /// Layouts of A and B, for `m8n8k4` of f16 only.
    pub by_row: (bool, bool),
    pub saturate: bool,
    pub combine: Combine,
    /// Of `mma.sp`: half of A's elements are stored.
    pub sparsity: Option<Sparsity>,
    pub a_slots: Vec<u32>,
    pub b_slots: Vec<u32>,
    pub c_slots: Vec<u32>,
    pub d_slots: Vec<u32>,
}

/// The handler of an `mma`; `extra` is its index in the program's list.
pub(crate) fn handler(mma: &Mma) -> Handler {
    match mma.a {
        #[cfg(target_arch = "x86_64")]
        Element::F64 if wide() => double::run_v3,
        Element::F64 => double::run,
        Element::F16 if is_quad(mma) => quad::run,
        _ if mma.a.is_float() => float::handler(mma.shape.2, wide()),
        _ => integer::handler(mma, wide()),
    }
}

pub(crate) fn is_quad(mma: &Mma) -> bool {
    mma.a == Element::F16 && mma.shape == (8, 8, 4)
}

#[inline(always)]
pub(crate) fn encode(value: f32, t: Element) -> u32 {
    if t == Element::F16 {
        u32::from(f32_to_f16(value))
    } else {
        canonical(value).to_bits()
    }
}

/// A sum as s32: clamped with `.satfinite`, else wrapped.
pub(crate) fn narrow(sum: i64, saturate: bool) -> u32 {
    if saturate {
        sum.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as u32
    } else {
        sum as u32
    }
}
