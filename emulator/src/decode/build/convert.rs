//! `cvt` (ISA 9.7.9.21): the pairs that compilers emit all the time get a handler of their own, the rest a general one.

use super::{has, operands, rounding, types, unary, unsupported};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::convert::{convert, flag};
use crate::exec::inst::{Handler, Inst};
use crate::exec::lanes::{bin, tri, un};
use crate::num::float::canonical;
use crate::num::half::f32_to_bf16;
use crate::ptx::tree::Instruction;
use crate::ptx::types::{Class, Ty};

pub(crate) fn cvt<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let list = types(i);
    let [d, s] = list[..] else { return Err(unsupported(i)) };
    let o = operands(i, 2, 2)?;
    let a = l.src_any(&o[1], s)?;
    let dst = match o[0].kind {
        crate::ptx::tree::OperandKind::Sink => crate::decode::lower::Register { slot: l.sink()?, ty: d },
        _ => l.register(&o[0])?,
    };
    let narrow = a.ty.lane_bytes() < s.lane_bytes() || dst.ty.lane_bytes() < d.lane_bytes();
    if narrow || a.ty == Ty::Pred || dst.ty == Ty::Pred {
        return Err(crate::module::LoadError::at(
            i.pos,
            format!("\"{}\" has a register that is too small", super::written(i)),
        ));
    }
    let same = a.ty.lane_bytes() == s.lane_bytes() && dst.ty.lane_bytes() == d.lane_bytes();
    let plain = !has(i, "sat") && !has(i, "relu") && !has(i, "satfinite");
    if let Some(run) = fast(i, d, s).filter(|_| same && plain) {
        l.emit(Inst {
            dst: dst.slot,
            a: a.slot,
            ..blank(run)
        });
        return Ok(());
    }
    check_rounding(i, d, s)?;
    let flags = [
        ("ftz", flag::FTZ),
        ("sat", flag::SAT),
        ("relu", flag::RELU),
        ("satfinite", flag::FINITE),
    ];
    let flags = flags.iter().filter(|f| has(i, f.0)).fold(0, |all, f| all | f.1);
    let integral = ["rni", "rzi", "rmi", "rpi"].iter().any(|m| has(i, m));
    let flags = flags | if integral { flag::INTEGRAL } else { 0 } | if s == Ty::F64 { flag::WIDE } else { 0 };
    let list = vec![
        d as u32,
        s as u32,
        u32::from(rounding(i)),
        flags,
        dst.ty.lane_bytes(),
        a.ty.lane_bytes(),
    ];
    let extra = l.list(list);
    l.emit(Inst {
        dst: dst.slot,
        a: a.slot,
        extra,
        ..blank(convert)
    });
    Ok(())
}

/// Rounding must be given exactly where information can be lost to a float.
fn check_rounding(i: &Instruction<'_>, d: Ty, s: Ty) -> Lowered<()> {
    let given = ["rn", "rz", "rm", "rp", "rna"].iter().any(|m| has(i, m));
    let integral = ["rni", "rzi", "rmi", "rpi"].iter().any(|m| has(i, m));
    let allowed = match (d.class(), s.class()) {
        (Class::Float, Class::Float) => given || d.bytes() >= s.bytes(),
        (Class::Float, _) => given,
        (_, Class::Float) => integral,
        _ => !given && !integral,
    };
    if allowed {
        Ok(())
    } else {
        Err(unsupported(i))
    }
}

fn fast(i: &Instruction<'_>, d: Ty, s: Ty) -> Option<Handler> {
    let ftz = has(i, "ftz");
    Some(match (d, s) {
        (Ty::U64 | Ty::S64, Ty::U32) => un(|a: u32| u64::from(a)),
        (Ty::U64 | Ty::S64, Ty::S32) => un(|a: i32| i64::from(a)),
        (Ty::U32 | Ty::S32, Ty::U64 | Ty::S64) => un(|a: u64| a as u32),
        (Ty::U32 | Ty::S32, Ty::U16) => un(|a: u16| u32::from(a)),
        (Ty::U32 | Ty::S32, Ty::S16) => un(|a: i16| i32::from(a)),
        (Ty::U64 | Ty::S64, Ty::U16) => un(|a: u16| u64::from(a)),
        (Ty::U64 | Ty::S64, Ty::S16) => un(|a: i16| i64::from(a)),
        (Ty::U16 | Ty::S16, Ty::U32 | Ty::S32) => un(|a: u32| a as u16),
        (Ty::U16 | Ty::S16, Ty::U64 | Ty::S64) => un(|a: u64| a as u16),
        (Ty::U32 | Ty::S32, Ty::U32 | Ty::S32) => un(|a: u32| a),
        (Ty::U64 | Ty::S64, Ty::U64 | Ty::S64) => un(|a: u64| a),
        (Ty::F32, Ty::U32) if has(i, "rn") => un(|a: u32| a as f32),
        (Ty::F32, Ty::S32) if has(i, "rn") => un(|a: i32| a as f32),
        (Ty::F64, Ty::U32) if has(i, "rn") => un(|a: u32| f64::from(a)),
        (Ty::F64, Ty::S32) if has(i, "rn") => un(|a: i32| f64::from(a)),
        (Ty::F64, Ty::F32) if !ftz => un(|a: f32| f64::from(a)),
        (Ty::F32, Ty::F64) if has(i, "rn") && !ftz => un(|a: f64| a as f32),
        (Ty::F32, Ty::F16) => super::half::widen_f16(),
        (Ty::F16, Ty::F32) if has(i, "rn") && !ftz => super::half::narrow_f16(),
        (Ty::F32, Ty::Bf16) if !ftz => un(|a: u16| u32::from(a) << 16),
        (Ty::Bf16, Ty::F32) if has(i, "rn") && !ftz => un(f32_to_bf16),
        (Ty::S32, Ty::F32) if has(i, "rzi") && !ftz => un(|a: f32| a as i32),
        (Ty::U32, Ty::F32) if has(i, "rzi") && !ftz => un(|a: f32| a as u32),
        (Ty::F32, Ty::F32) if !ftz && i.modifiers.len() == 2 => un(|a: u32| a),
        (Ty::F32, Ty::F32) if has(i, "rni") && !ftz => un(|a: f32| canonical(a.round_ties_even())),
        (Ty::F32, Ty::F32) if has(i, "rzi") && !ftz => un(|a: f32| canonical(a.trunc())),
        (Ty::F32, Ty::F32) if has(i, "rmi") && !ftz => un(|a: f32| canonical(a.floor())),
        (Ty::F32, Ty::F32) if has(i, "rpi") && !ftz => un(|a: f32| canonical(a.ceil())),
        _ => return None,
    })
}

/// `cvt.rna.tf32.f32`, `cvt.rn.tf32.f32`, `cvt.rz.tf32.f32`: 10 bits of mantissa, the rest zero.
pub(crate) fn tf32<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    fn special(x: u32) -> bool {
        x & 0x7f80_0000 == 0x7f80_0000
    }
    fn away(x: u32) -> u32 {
        (if special(x) { x } else { x + 0x1000 }) & !0x1fff
    }
    fn nearest(x: u32) -> u32 {
        let up = if special(x) { 0 } else { 0xfff + (x >> 13 & 1) };
        (x + up) & !0x1fff
    }
    /// A NaN made canonical, with `.relu` a negative number made 0.
    fn source<const RELU: bool>(x: u32) -> u32 {
        let x = canonical(f32::from_bits(x)).to_bits();
        if RELU && x >> 31 != 0 {
            0
        } else {
            x
        }
    }
    let run = match (i.modifiers[0], has(i, "relu")) {
        // One step below whatever has all exponent bits, as the hardware does it even with a NaN.
        ("rna", _) if has(i, "satfinite") => un(|a: u32| away(a) - if special(away(a)) { 0x2000 } else { 0 }),
        ("rna", _) => un(away),
        ("rz", false) => un(|a: u32| source::<false>(a) & !0x1fff),
        ("rz", true) => un(|a: u32| source::<true>(a) & !0x1fff),
        (_, false) => un(|a: u32| nearest(source::<false>(a))),
        (_, true) => un(|a: u32| nearest(source::<true>(a))),
    };
    unary(l, i, run, Ty::B32, Ty::F32)
}

/// `cvt.pack.sat.{u16,s16}.s32 d, a, b` and the 8-bit forms with c.
pub(crate) fn pack_integers<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = types(i)[0];
    let run = match t {
        Ty::U16 => {
            return two(
                l,
                i,
                bin(|a: i32, b: i32| (a.clamp(0, 0xffff) as u32) << 16 | b.clamp(0, 0xffff) as u32),
            )
        }
        Ty::S16 => {
            let run = bin(|a: i32, b: i32| {
                let clamp = |v: i32| v.clamp(-0x8000, 0x7fff) as u16;
                u32::from(clamp(a)) << 16 | u32::from(clamp(b))
            });
            return two(l, i, run);
        }
        Ty::U8 => tri(|a: i32, b: i32, c: u32| c << 16 | (a.clamp(0, 255) as u32) << 8 | b.clamp(0, 255) as u32),
        Ty::S8 => tri(|a: i32, b: i32, c: u32| {
            let clamp = |v: i32| u32::from(v.clamp(-128, 127) as u8);
            c << 16 | clamp(a) << 8 | clamp(b)
        }),
        _ => return Err(unsupported(i)),
    };
    super::ternary(l, i, run, (Ty::B32, Ty::S32, Ty::S32, Ty::B32))
}

/// `cvt.pack.sat.{u4,s4,u2,s2}.s32.b32 d, a, b, c`.
pub(crate) fn pack_small<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    fn join<const BITS: u32, const SIGNED: bool>(a: i32, b: i32, c: u32) -> u32 {
        let least = if SIGNED { -(1 << (BITS - 1)) } else { 0 };
        let field = |v: i32| v.clamp(least, least + (1 << BITS) - 1) as u32 & ((1 << BITS) - 1);
        c << (2 * BITS) | field(a) << BITS | field(b)
    }
    let run = match i.modifiers[2] {
        "u4" => tri(join::<4, false>),
        "s4" => tri(join::<4, true>),
        "u2" => tri(join::<2, false>),
        _ => tri(join::<2, true>),
    };
    super::ternary(l, i, run, (Ty::B32, Ty::S32, Ty::S32, Ty::B32))
}

fn two<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>, run: Handler) -> Lowered<()> {
    super::binary(l, i, run, (Ty::B32, Ty::S32, Ty::S32))
}
