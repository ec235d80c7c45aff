//! What `cp.reduce.async.bulk` and `red.async` (ISA 9.7.9.25.4.2, 9.7.13.8) do with each element.

use super::atomic::Word;
use crate::num::float::add32;
use crate::num::half::{add, max, min, Bf16, F16};
use crate::ptx::types::Ty;

/// Updates `bytes` at the first address with those at the second.
pub(crate) type Combine = fn(usize, usize, usize);

fn each<T: Word>(target: usize, source: usize, bytes: usize, f: impl Fn(T, T) -> T) {
    for offset in (0..bytes).step_by(std::mem::size_of::<T>()) {
        // SAFETY: both ends were checked for `bytes` when the operation was issued.
        let value = unsafe { ((source + offset) as *const T).read_unaligned() };
        T::update(target + offset, |old| f(old, value));
    }
}

macro_rules! rows {
    ($($op:literal $ty:ident $rust:ty: $f:expr;)*) => {
        &[$(($op, Ty::$ty, |target, source, bytes| each::<$rust>(target, source, bytes, $f)),)*]
    };
}

/// Operations by name and type; instructions refer to them by number.
pub(crate) const REDUCTIONS: &[(&str, Ty, Combine)] = rows! {
    "add" U32 u32: u32::wrapping_add;
    "add" S32 u32: u32::wrapping_add;
    "add" U64 u64: u64::wrapping_add;
    "add" F32 u32: |a, b| add32::<0, false, false>(f32::from_bits(a), f32::from_bits(b)).to_bits();
    "add" F64 u64: |a, b| (f64::from_bits(a) + f64::from_bits(b)).to_bits();
    "add" F16 u16: add::<F16, false, false>;
    "add" Bf16 u16: add::<Bf16, false, false>;
    "inc" U32 u32: |a, b| if a >= b { 0 } else { a + 1 };
    "dec" U32 u32: |a, b| if a == 0 || a > b { b } else { a - 1 };
    "min" U32 u32: Ord::min;
    "min" U64 u64: Ord::min;
    "min" S32 u32: |a, b| (a as i32).min(b as i32) as u32;
    "min" S64 u64: |a, b| (a as i64).min(b as i64) as u64;
    "min" F16 u16: min::<F16, false, false>;
    "min" Bf16 u16: min::<Bf16, false, false>;
    "max" U32 u32: Ord::max;
    "max" U64 u64: Ord::max;
    "max" S32 u32: |a, b| (a as i32).max(b as i32) as u32;
    "max" S64 u64: |a, b| (a as i64).max(b as i64) as u64;
    "max" F16 u16: max::<F16, false, false>;
    "max" Bf16 u16: max::<Bf16, false, false>;
    "and" B32 u32: |a, b| a & b;
    "and" B64 u64: |a, b| a & b;
    "or" B32 u32: |a, b| a | b;
    "or" B64 u64: |a, b| a | b;
    "xor" B32 u32: |a, b| a ^ b;
    "xor" B64 u64: |a, b| a ^ b;
};

/// `Inst::dst` of an instruction that has an operation: its number plus one. 0 is a plain copy.
pub(crate) fn reduction(number: u32) -> Option<Combine> {
    let index = (number as usize).checked_sub(1)?;
    REDUCTIONS.get(index).map(|row| row.2)
}
