//! Loops over 32 lanes, one per operand shape: the operation itself is a closure without captures, so each handler is
//! compiled for exactly one operation and type, and the compiler vectorises the loop.
//!
//! Every handler exists twice, for any CPU and for AVX2 with FMA; `wide` decides when a module is decoded.

use super::ctx::Ctx;
use super::inst::{Flow, Handler, Inst};

/// What a lane of a register can hold.
pub(crate) trait Lane: Copy + Default + 'static {}
impl Lane for u8 {}
impl Lane for i8 {}
impl Lane for u16 {}
impl Lane for u32 {}
impl Lane for u64 {}
impl Lane for u128 {}
impl Lane for i16 {}
impl Lane for i32 {}
impl Lane for i64 {}
impl Lane for f32 {}
impl Lane for f64 {}

/// Whether the CPU has what the second version of each handler is compiled for.
pub(crate) fn wide() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("f16c")
            && std::arch::is_x86_feature_detected!("fma")
            && std::arch::is_x86_feature_detected!("bmi2")
            && std::arch::is_x86_feature_detected!("lzcnt")
            && std::arch::is_x86_feature_detected!("popcnt")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Makes the function `$name(closure) -> Handler` out of a body that is generic over the closure's type.
macro_rules! handler {
    ($(#[$doc:meta])* $name:ident<[$($g:ident),*], $f:ident: $bound:path>($x:ident, $i:ident, $mask:ident) $body:block) => {
        $(#[$doc])*
        pub(crate) fn $name<$($g: Lane,)* $f: $bound + Copy + 'static>(_operation: $f) -> Handler {
            #[allow(clippy::extra_unused_type_parameters)] // of a shape that needs the closure for its type only
            #[inline(always)]
            fn body<$($g: Lane,)* $f: $bound + Copy + 'static>($x: &mut Ctx<'_>, $i: &Inst, $mask: u32) -> Flow $body

            unsafe fn base<$($g: Lane,)* $f: $bound + Copy + 'static>(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
                body::<$($g,)* $f>(x, i, mask)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
            unsafe fn v3<$($g: Lane,)* $f: $bound + Copy + 'static>(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
                body::<$($g,)* $f>(x, i, mask)
            }
            #[cfg(target_arch = "x86_64")]
            if wide() {
                return v3::<$($g,)* $f>;
            }
            base::<$($g,)* $f>
        }
    };
}

/// The closure that `F` is the type of.
#[inline(always)]
pub(crate) fn operation<F: Copy + 'static>() -> F {
    const { assert!(std::mem::size_of::<F>() == 0, "operations must not capture anything") };
    // SAFETY: F has no bytes, and a value of it existed when the handler was made, so F is inhabited.
    unsafe { std::mem::transmute_copy::<(), F>(&()) }
}

handler! {
    /// d = f(a)
    un<[A, D], F: Fn(A) -> D>(x, i, mask) {
        let f = operation::<F>();
        let a = x.lanes::<A>(i.a);
        let mut out = [D::default(); 32];
        for l in 0..32 {
            out[l] = f(a[l]);
        }
        x.put(i.dst, &out, mask);
        Flow::Next
    }
}

handler! {
    /// d = f(a, b)
    bin<[A, B, D], F: Fn(A, B) -> D>(x, i, mask) {
        let f = operation::<F>();
        let (a, b) = (x.lanes::<A>(i.a), x.lanes::<B>(i.b));
        let mut out = [D::default(); 32];
        for l in 0..32 {
            out[l] = f(a[l], b[l]);
        }
        x.put(i.dst, &out, mask);
        Flow::Next
    }
}

handler! {
    /// d = f(a, b, c)
    tri<[A, B, C, D], F: Fn(A, B, C) -> D>(x, i, mask) {
        let f = operation::<F>();
        let (a, b, c) = (x.lanes::<A>(i.a), x.lanes::<B>(i.b), x.lanes::<C>(i.c));
        let mut out = [D::default(); 32];
        for l in 0..32 {
            out[l] = f(a[l], b[l], c[l]);
        }
        x.put(i.dst, &out, mask);
        Flow::Next
    }
}

handler! {
    /// d = f(a, b, c, d)
    quad<[A, B, C, E, D], F: Fn(A, B, C, E) -> D>(x, i, mask) {
        let f = operation::<F>();
        let (a, b) = (x.lanes::<A>(i.a), x.lanes::<B>(i.b));
        let (c, d) = (x.lanes::<C>(i.c), x.lanes::<E>(i.d));
        let mut out = [D::default(); 32];
        for l in 0..32 {
            out[l] = f(a[l], b[l], c[l], d[l]);
        }
        x.put(i.dst, &out, mask);
        Flow::Next
    }
}

handler! {
    /// d = f(a, b) with the carry flag CC.CF: f(a, b, carry) gives the result and the new carry.
    /// `extra` bit 0: read the flag, bit 1: write it.
    carry<[A], F: Fn(A, A, bool) -> (A, bool)>(x, i, mask) {
        let f = operation::<F>();
        let (a, b) = (x.lanes::<A>(i.a), x.lanes::<A>(i.b));
        let flags = if i.extra & 1 != 0 { x.carry() } else { 0 };
        let mut out = [A::default(); 32];
        let mut carries = 0u32;
        for l in 0..32 {
            let (value, carry) = f(a[l], b[l], (flags >> l) & 1 != 0);
            out[l] = value;
            carries |= u32::from(carry) << l;
        }
        x.put(i.dst, &out, mask);
        if i.extra & 2 != 0 {
            x.set_carry(carries, mask);
        }
        Flow::Next
    }
}

handler! {
    /// As [`carry`], with a third operand.
    carry3<[A], F: Fn(A, A, A, bool) -> (A, bool)>(x, i, mask) {
        let f = operation::<F>();
        let (a, b, c) = (x.lanes::<A>(i.a), x.lanes::<A>(i.b), x.lanes::<A>(i.c));
        let flags = if i.extra & 1 != 0 { x.carry() } else { 0 };
        let mut out = [A::default(); 32];
        let mut carries = 0u32;
        for l in 0..32 {
            let (value, carry) = f(a[l], b[l], c[l], (flags >> l) & 1 != 0);
            out[l] = value;
            carries |= u32::from(carry) << l;
        }
        x.put(i.dst, &out, mask);
        if i.extra & 2 != 0 {
            x.set_carry(carries, mask);
        }
        Flow::Next
    }
}

/// The lanes for which `f` holds.
#[inline(always)]
fn test<A: Lane, B: Lane, F: Fn(A, B) -> bool>(f: F, a: &[A; 32], b: &[B; 32]) -> u32 {
    let mut hits = [0u32; 32];
    for l in 0..32 {
        hits[l] = if f(a[l], b[l]) { u32::MAX } else { 0 };
    }
    bits(&hits)
}

/// One bit for each lane, all of whose bits are equal.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn bits(hits: &[u32; 32]) -> u32 {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_movemask_epi8, _mm_packs_epi16, _mm_packs_epi32};
    // SAFETY: `at` is 0 to 7 and four lanes have 16 bytes. SSE2 is part of every CPU of this kind.
    let four = |at: usize| unsafe { _mm_loadu_si128(hits.as_ptr().cast::<__m128i>().add(at)) };
    // SAFETY: SSE2, as above.
    let eight = |at: usize| unsafe { _mm_packs_epi32(four(at), four(at + 1)) };
    // SAFETY: SSE2, as above.
    let sixteen = |at: usize| unsafe { _mm_movemask_epi8(_mm_packs_epi16(eight(at), eight(at + 2))) } as u32;
    sixteen(0) | sixteen(4) << 16
}

/// One bit for each lane, all of whose bits are equal.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn bits(hits: &[u32; 32]) -> u32 {
    (0..32).fold(0, |all, l| all | (hits[l] & 1 << l))
}

handler! {
    /// p = f(a, b), and p's complement in `b2` when there is one: `setp p|q`. `extra`: slot of q, or [`super::inst::NO_GUARD`].
    compare<[A, B], F: Fn(A, B) -> bool>(x, i, mask) {
        let hits = test(operation::<F>(), x.lanes::<A>(i.a), x.lanes::<B>(i.b));
        x.put_pred(i.dst, hits, mask);
        if i.extra != super::inst::NO_GUARD {
            x.put_pred(i.extra, !hits, mask);
        }
        Flow::Next
    }
}

handler! {
    /// `set`: d is all ones (integers) or 1.0 where f(a, b) holds and the predicate in `c` combines with it.
    /// `imm`: combination as in `setp` (0 none, 1 and, 2 or, 3 xor), from bit 8 on: 1 for float results.
    compare_set<[A, B], F: Fn(A, B) -> bool>(x, i, mask) {
        let hits = test(operation::<F>(), x.lanes::<A>(i.a), x.lanes::<B>(i.b));
        let hits = combine(hits, i.imm as u8, x, i.c);
        let yes = match i.imm >> 8 {
            1 => 0x3f80_0000,
            _ => u32::MAX,
        };
        let mut out = [0u32; 32];
        for l in 0..32 {
            out[l] = if (hits >> l) & 1 != 0 { yes } else { 0 };
        }
        x.put(i.dst, &out, mask);
        Flow::Next
    }
}

handler! {
    /// `setp` with a boolean combination: p = f(a, b) op c, q = !f(a, b) op c. `imm` as in [`compare_set`].
    compare_with<[A, B], F: Fn(A, B) -> bool>(x, i, mask) {
        let hits = test(operation::<F>(), x.lanes::<A>(i.a), x.lanes::<B>(i.b));
        let both = (combine(hits, i.imm as u8, x, i.c), combine(!hits, i.imm as u8, x, i.c));
        x.put_pred(i.dst, both.0, mask);
        if i.extra != super::inst::NO_GUARD {
            x.put_pred(i.extra, both.1, mask);
        }
        Flow::Next
    }
}

#[inline(always)]
fn combine(hits: u32, with: u8, x: &Ctx<'_>, other: u32) -> u32 {
    match with {
        1 => hits & x.pred(other),
        2 => hits | x.pred(other),
        3 => hits ^ x.pred(other),
        _ => hits,
    }
}

handler! {
    /// Predicate logic: the closure works on masks.
    pred2<[], F: Fn(u32, u32) -> u32>(x, i, mask) {
        let value = operation::<F>()(x.pred(i.a), x.pred(i.b));
        x.put_pred(i.dst, value, mask);
        Flow::Next
    }
}

handler! {
    /// d = predicate in `c` ? a : b; the closure gives the type.
    select<[A], F: Fn(A) -> A>(x, i, mask) {
        let (a, b, p) = (x.lanes::<A>(i.a), x.lanes::<A>(i.b), x.pred(i.c));
        let mut out = [A::default(); 32];
        for l in 0..32 {
            out[l] = if (p >> l) & 1 != 0 { a[l] } else { b[l] };
        }
        x.put(i.dst, &out, mask);
        Flow::Next
    }
}

pub(crate) use handler;
