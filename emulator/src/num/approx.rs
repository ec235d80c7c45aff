//! The approximate functions (ISA 9.7.3), here as exact as f64 gives them: inside every bound that the ISA states.

use super::float::{flush, result};

macro_rules! function {
    ($name:ident, $x:ident => $e:expr) => {
        #[inline(always)]
        pub(crate) fn $name<const FTZ: bool>(a: f32) -> f32 {
            let $x = f64::from(flush::<FTZ>(a));
            result::<FTZ, false>($e as f32)
        }
    };
}

function!(sin, x => x.sin());
function!(cos, x => x.cos());
function!(ex2, x => x.exp2());
function!(lg2, x => x.log2());
function!(tanh, x => x.tanh());
function!(rsqrt, x => 1.0 / x.sqrt());
function!(rcp, x => 1.0 / x);
function!(sqrt, x => x.sqrt());

/// `div.approx`, `div.full`.
#[inline(always)]
pub(crate) fn div<const FTZ: bool>(a: f32, b: f32) -> f32 {
    result::<FTZ, false>(flush::<FTZ>(a) / flush::<FTZ>(b))
}

/// `rcp.approx.ftz.f64` and `rsqrt.approx.ftz.f64`: the upper 32 bits, the lower ones are zero.
#[inline(always)]
pub(crate) fn upper(x: f64) -> f64 {
    f64::from_bits(x.to_bits() & 0xffff_ffff_0000_0000)
}
