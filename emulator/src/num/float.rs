//! f32 and f64 arithmetic in the four rounding modes, with flush to zero and saturation (ISA 9.7.3).
//! A mode is a const parameter: 0 nearest even, 1 toward zero, 2 toward minus infinity, 3 toward plus infinity.

/// The NaN that f32 instructions give (ISA 9.7.3: 0x7fffffff).
pub(crate) const NAN32: u32 = 0x7fff_ffff;

/// Subnormals become zeros of the same sign.
#[inline(always)]
pub(crate) fn flush<const FTZ: bool>(x: f32) -> f32 {
    let bits = x.to_bits();
    if FTZ && bits & 0x7f80_0000 == 0 {
        return f32::from_bits(bits & 0x8000_0000);
    }
    x
}

#[allow(clippy::manual_clamp)] // `clamp` would keep a NaN
/// Flush, saturation to [0, 1] (NaN to 0) and the canonical NaN of a result.
#[inline(always)]
pub(crate) fn result<const FTZ: bool, const SAT: bool>(x: f32) -> f32 {
    let x = flush::<FTZ>(x);
    if SAT {
        // `max` and `min` of Rust drop a NaN, as saturation does; adding zero makes -0 a 0.
        return x.max(0.0).min(1.0) + 0.0;
    }
    canonical(x)
}

/// Any NaN becomes the one that the hardware gives. On bits, because the compiler may take a NaN for as good as another.
#[inline(always)]
pub(crate) fn canonical(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits(if bits & 0x7fff_ffff > 0x7f80_0000 { NAN32 } else { bits })
}

macro_rules! neighbour {
    ($name:ident, $float:ty) => {
        /// The neighbour of a rounded-to-nearest `value` that mode R asks for: the exact one lies below, above or neither.
        #[inline(always)]
        pub(super) fn $name<const R: u8>(value: $float, down: bool, up: bool) -> $float {
            match R {
                1 if down && value > 0.0 => value.next_down(),
                1 if up && value < 0.0 => value.next_up(),
                2 if down => value.next_down(),
                3 if up => value.next_up(),
                _ => value,
            }
        }
    };
}
neighbour!(neighbour32, f32);
neighbour!(neighbour64, f64);

/// As `neighbour32`; `error` is the sign of (exact - value).
#[inline(always)]
fn directed32<const R: u8>(value: f32, error: f64) -> f32 {
    if value.is_nan() || error == 0.0 {
        return value;
    }
    neighbour32::<R>(value, error < 0.0, error > 0.0)
}

#[inline(always)]
fn directed64<const R: u8>(value: f64, error: f64) -> f64 {
    if value.is_nan() || error == 0.0 || error.is_nan() {
        return value;
    }
    neighbour64::<R>(value, error < 0.0, error > 0.0)
}

/// f64 to f32 in mode R.
#[inline(always)]
pub(crate) fn narrow<const R: u8>(x: f64) -> f32 {
    let value = x as f32;
    if R == 0 || x.is_infinite() {
        return value;
    }
    // A value below the least subnormal rounds to a zero, whose neighbours `next_up` and `next_down` know.
    let error = x - f64::from(value);
    if R == 1 && value == 0.0 {
        return value;
    }
    directed32::<R>(value, error)
}

/// Rounds x + e (e far smaller) to odd, so that a second rounding is correct.
#[inline(always)]
pub(crate) fn to_odd(x: f64, e: f64) -> f64 {
    let bits = x.to_bits();
    if e == 0.0 || e.is_nan() || !x.is_finite() || bits & 1 != 0 {
        return x;
    }
    if x == 0.0 {
        return e;
    }
    if (e > 0.0) == (x > 0.0) {
        f64::from_bits(bits + 1)
    } else {
        f64::from_bits(bits - 1)
    }
}

/// The rounding error of `s = a + b` (Knuth).
#[inline(always)]
pub(crate) fn sum_error(a: f64, b: f64, s: f64) -> f64 {
    let bb = s - a;
    (a - (s - bb)) + (b - bb)
}

/// An exact zero of a sum of opposite values is -0 when rounding down.
#[inline(always)]
fn zero_sign<const R: u8>(a: f64, b: f64, s: f64) -> f64 {
    if R == 2 && s == 0.0 && (a.is_sign_negative() || b.is_sign_negative()) {
        return -0.0;
    }
    s
}

#[inline(always)]
pub(crate) fn add32<const R: u8, const FTZ: bool, const SAT: bool>(a: f32, b: f32) -> f32 {
    let (a, b) = (flush::<FTZ>(a), flush::<FTZ>(b));
    if R == 0 {
        return result::<FTZ, SAT>(a + b);
    }
    let (x, y) = (f64::from(a), f64::from(b));
    let s = zero_sign::<R>(x, y, x + y);
    result::<FTZ, SAT>(narrow::<R>(to_odd(s, sum_error(x, y, s))))
}

#[inline(always)]
pub(crate) fn sub32<const R: u8, const FTZ: bool, const SAT: bool>(a: f32, b: f32) -> f32 {
    add32::<R, FTZ, SAT>(a, -b)
}

#[inline(always)]
pub(crate) fn mul32<const R: u8, const FTZ: bool, const SAT: bool>(a: f32, b: f32) -> f32 {
    let (a, b) = (flush::<FTZ>(a), flush::<FTZ>(b));
    if R == 0 {
        return result::<FTZ, SAT>(a * b);
    }
    result::<FTZ, SAT>(narrow::<R>(f64::from(a) * f64::from(b)))
}

#[inline(always)]
pub(crate) fn fma32<const R: u8, const FTZ: bool, const SAT: bool>(a: f32, b: f32, c: f32) -> f32 {
    let (a, b, c) = (flush::<FTZ>(a), flush::<FTZ>(b), flush::<FTZ>(c));
    if R == 0 {
        return result::<FTZ, SAT>(a.mul_add(b, c));
    }
    let (p, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let s = zero_sign::<R>(p, c, p + c);
    result::<FTZ, SAT>(narrow::<R>(to_odd(s, sum_error(p, c, s))))
}

#[inline(always)]
pub(crate) fn div32<const R: u8, const FTZ: bool, const SAT: bool>(a: f32, b: f32) -> f32 {
    let (a, b) = (flush::<FTZ>(a), flush::<FTZ>(b));
    let q = a / b;
    if R == 0 || b == 0.0 || !a.is_finite() || !b.is_finite() {
        return result::<FTZ, SAT>(q);
    }
    let (x, y) = (f64::from(a), f64::from(b));
    // The hardware's sequence flushes what is subnormal before it is rounded.
    if FTZ && R != 0 && x.abs() < f64::from(f32::MIN_POSITIVE) * y.abs() {
        return if q.is_sign_negative() { -0.0 } else { 0.0 };
    }
    // An overflowed quotient is compared through its f64 value.
    let rest = if q.is_finite() {
        (x - f64::from(q) * y) * y.signum()
    } else {
        -f64::from(q).signum()
    };
    result::<FTZ, SAT>(if R == 1 && q == 0.0 {
        q
    } else {
        directed32::<R>(q, rest)
    })
}

#[inline(always)]
pub(crate) fn rcp32<const R: u8, const FTZ: bool, const SAT: bool>(a: f32) -> f32 {
    div32::<R, FTZ, SAT>(1.0, a)
}

#[inline(always)]
pub(crate) fn sqrt32<const R: u8, const FTZ: bool, const SAT: bool>(a: f32) -> f32 {
    let a = flush::<FTZ>(a);
    let s = a.sqrt();
    let rest = f64::from(a) - f64::from(s) * f64::from(s);
    result::<FTZ, SAT>(if s.is_finite() { directed32::<R>(s, rest) } else { s })
}

#[inline(always)]
pub(crate) fn add64<const R: u8>(a: f64, b: f64) -> f64 {
    let s = a + b;
    if R == 0 {
        return s;
    }
    overflowed::<R>(
        zero_sign::<R>(a, b, s),
        a.is_finite() && b.is_finite(),
        sum_error(a, b, s),
    )
}

#[inline(always)]
pub(crate) fn sub64<const R: u8>(a: f64, b: f64) -> f64 {
    add64::<R>(a, -b)
}

/// A finite operation that overflowed has an exact value below infinity.
#[inline(always)]
fn overflowed<const R: u8>(value: f64, finite: bool, error: f64) -> f64 {
    if value.is_infinite() && finite {
        return directed64::<R>(value, -value.signum());
    }
    directed64::<R>(value, error)
}

#[inline(always)]
pub(crate) fn mul64<const R: u8>(a: f64, b: f64) -> f64 {
    let p = a * b;
    if R == 0 {
        return p;
    }
    let finite = a.is_finite() && b.is_finite();
    overflowed::<R>(p, finite, small_product_error(a, b, p))
}

/// The sign of a*b - p; scaled where the error itself would underflow.
#[inline(always)]
fn small_product_error(a: f64, b: f64, p: f64) -> f64 {
    if p == 0.0 && a != 0.0 && b != 0.0 {
        return a.signum() * b.signum();
    }
    if p.abs() < 1e-250 {
        let (large, small) = if a.abs() > b.abs() { (a, b) } else { (b, a) };
        return large.mul_add(small * UP, -p * UP);
    }
    a.mul_add(b, -p)
}

/// 2^768: lifts a subnormal far into the normal range.
const UP: f64 = f64::from_bits((768 + 1023) << 52);

#[inline(always)]
pub(crate) fn fma64<const R: u8>(a: f64, b: f64, c: f64) -> f64 {
    let value = a.mul_add(b, c);
    if R == 0 || !a.is_finite() || !b.is_finite() || !c.is_finite() {
        return value;
    }
    if value.is_infinite() {
        return overflowed::<R>(value, true, 0.0);
    }
    let error = fma_error(a, b, c, value);
    let value = if value == 0.0 && error == 0.0 {
        zero_sign::<R>(a * b, c, value)
    } else {
        value
    };
    directed64::<R>(value, error)
}

/// The sign of a*b + c - value.
#[inline(always)]
fn fma_error(a: f64, b: f64, c: f64, value: f64) -> f64 {
    let p = a * b;
    if p.abs() >= 1e-250 || a == 0.0 || b == 0.0 {
        return exact_error(p, a.mul_add(b, -p), c, value);
    }
    let sign = a.signum() * b.signum();
    if c.abs() > 1e-200 {
        // The product is far below the last place of c: value is c.
        return sign;
    }
    let (large, small) = if a.abs() > b.abs() { (a, b) } else { (b, a) };
    let p = large * (small * UP);
    if p == 0.0 {
        // Still too small to be seen: only its side of c counts.
        return if value == c { sign } else { c - value };
    }
    exact_error(p, large.mul_add(small * UP, -p), c * UP, value * UP)
}

/// The sign of p + low + c - value (Boldo, Muller 2005).
#[inline(always)]
fn exact_error(p: f64, low: f64, c: f64, value: f64) -> f64 {
    let s = c + low;
    let s_low = sum_error(c, low, s);
    let t = p + s;
    let t_low = sum_error(p, s, t);
    (t - value) + t_low + s_low
}

#[inline(always)]
pub(crate) fn div64<const R: u8>(a: f64, b: f64) -> f64 {
    let q = a / b;
    if R == 0 || b == 0.0 || !a.is_finite() || !b.is_finite() {
        return q;
    }
    if q == 0.0 {
        return directed64::<R>(q, if a == 0.0 { 0.0 } else { a.signum() * b.signum() });
    }
    let scale = if a.abs() < 1e-200 && b.abs() < 1e70 { UP } else { 1.0 };
    let rest = (-q).mul_add(b * scale, a * scale) * b.signum();
    overflowed::<R>(q, true, rest)
}

#[inline(always)]
pub(crate) fn rcp64<const R: u8>(a: f64) -> f64 {
    div64::<R>(1.0, a)
}

#[inline(always)]
pub(crate) fn sqrt64<const R: u8>(a: f64) -> f64 {
    let s = a.sqrt();
    if R == 0 || !s.is_finite() {
        return s;
    }
    let rest = if a < 1e-250 {
        // UP is a square: both sides scale without loss.
        let root = f64::from_bits((384 + 1023) << 52);
        (-(s * root)).mul_add(s * root, a * UP)
    } else {
        (-s).mul_add(s, a)
    };
    directed64::<R>(s, rest)
}

macro_rules! extremum {
    ($name:ident, $t:ty, $sign:expr, $less:tt) => {
        /// NaN loses against a number, unless `NAN`; -0 is less than +0.
        #[inline(always)]
        pub(crate) fn $name<const NAN: bool>(a: $t, b: $t) -> $t {
            if a.is_nan() || b.is_nan() {
                return if NAN || (a.is_nan() && b.is_nan()) {
                    <$t>::NAN
                } else if a.is_nan() {
                    b
                } else {
                    a
                };
            }
            if a == b {
                // Equal values differ at most in the sign of zero.
                return if a.is_sign_negative() == $sign { a } else { b };
            }
            if a $less b { a } else { b }
        }
    };
}
extremum!(min32, f32, true, <);
extremum!(max32, f32, false, >);
extremum!(min64, f64, true, <);
extremum!(max64, f64, false, >);
