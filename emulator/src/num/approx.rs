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

function!(sin, x => turns(x).sin());
function!(cos, x => turns(x).cos());
function!(ex2, x => x.exp2());
function!(lg2, x => x.log2());
function!(tanh, x => x.tanh());
function!(rsqrt, x => 1.0 / x.sqrt());
function!(rcp, x => 1.0 / x);
function!(sqrt, x => x.sqrt());

/// `div.approx`, and with `FULL` `div.full`. The former multiplies by a reciprocal, which is flushed for divisors
/// above 2^126 (ISA 9.7.3.8).
#[inline(always)]
pub(crate) fn div<const FTZ: bool, const FULL: bool>(a: f32, b: f32) -> f32 {
    let (a, b) = (flush::<FTZ>(a), flush::<FTZ>(b));
    let large = b.abs() > f32::from_bits(0x7e80_0000) && b.is_finite();
    if !FULL && large {
        let zero = if b < 0.0 { -0.0 } else { 0.0 };
        return result::<FTZ, false>(a * zero);
    }
    result::<FTZ, false>(a / b)
}

/// `rcp.approx.ftz.f64` and `rsqrt.approx.ftz.f64` see and give the upper 32 bits only, without subnormals.
#[inline(always)]
fn upper(x: f64) -> f64 {
    let bits = x.to_bits() & 0xffff_ffff_0000_0000;
    f64::from_bits(if bits & 0x7ff0_0000_0000_0000 == 0 {
        bits & 1 << 63
    } else {
        bits
    })
}

pub(crate) fn rcp64(a: f64) -> f64 {
    upper(1.0 / upper(a))
}

pub(crate) fn rsqrt64(a: f64) -> f64 {
    upper(1.0 / upper(a).sqrt())
}

/// Sine and cosine reduce their argument in turns, rounded to f32: beyond 2^24 turns nothing of the angle is left.
fn turns(x: f64) -> f64 {
    let turns = (x as f32) * std::f32::consts::FRAC_1_PI * 0.5;
    let turns = f64::from(turns);
    (turns - turns.trunc()) * std::f64::consts::TAU
}
