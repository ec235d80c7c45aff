//! Integer arithmetic (ISA 9.7.1, 9.7.2).

use super::{binary, has, operands, ternary, ty, typed, unary, unsupported};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::inst::{Handler, Inst};
use crate::exec::lanes::{bin, carry, carry3, tri, un};
use crate::ptx::tree::Instruction;
use crate::ptx::types::Ty;

fn packed(f: fn(u16, u16) -> u16, a: u32, b: u32) -> u32 {
    u32::from(f(a as u16, b as u16)) | u32::from(f((a >> 16) as u16, (b >> 16) as u16)) << 16
}

pub(crate) fn add<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = if has(i, "sat") {
        bin(|a: i32, b: i32| a.saturating_add(b))
    } else if matches!(t, Ty::U16x2 | Ty::S16x2) {
        bin(|a: u32, b: u32| packed(u16::wrapping_add, a, b))
    } else {
        typed!(i, t, T in [U16: u16, S16: u16, U32: u32, S32: u32, U64: u64, S64: u64] bin(|a: T, b: T| a.wrapping_add(b)))
    };
    binary(l, i, run, (t, t, t))
}

pub(crate) fn sub<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = if has(i, "sat") {
        bin(|a: i32, b: i32| a.saturating_sub(b))
    } else {
        typed!(i, t, T in [U16: u16, S16: u16, U32: u32, S32: u32, U64: u64, S64: u64] bin(|a: T, b: T| a.wrapping_sub(b)))
    };
    binary(l, i, run, (t, t, t))
}

/// `extra` of the carry handlers: bit 0 reads the flag (`addc`), bit 1 writes it (`.cc`).
fn carry_flags(i: &Instruction<'_>) -> u32 {
    u32::from(i.opcode.ends_with('c')) | u32::from(has(i, "cc")) << 1
}

pub(crate) fn add_carry<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let adds = i.opcode.starts_with("add");
    let reads = i.opcode.ends_with('c');
    let run = match (adds, t.bytes()) {
        (true, 4) => carry(|a: u32, b: u32, c| {
            let sum = u64::from(a) + u64::from(b) + u64::from(c);
            (sum as u32, sum >> 32 != 0)
        }),
        (true, _) => carry(|a: u64, b: u64, c| {
            let sum = u128::from(a) + u128::from(b) + u128::from(c);
            (sum as u64, sum >> 64 != 0)
        }),
        // The flag of a subtraction is set when nothing was borrowed, as on the hardware.
        (false, 4) if reads => carry(|a: u32, b: u32, c| {
            let rest = i64::from(a) - i64::from(b) - i64::from(!c);
            (rest as u32, rest >= 0)
        }),
        (false, 4) => carry(|a: u32, b: u32, _| (a.wrapping_sub(b), a >= b)),
        (false, _) if reads => carry(|a: u64, b: u64, c| {
            let rest = i128::from(a) - i128::from(b) - i128::from(!c);
            (rest as u64, rest >= 0)
        }),
        (false, _) => carry(|a: u64, b: u64, _| (a.wrapping_sub(b), a >= b)),
    };
    let o = operands(i, 3, 3)?;
    let (a, b) = (l.src(&o[1], t)?, l.src(&o[2], t)?);
    let dst = l.dst(&o[0], t)?;
    let extra = carry_flags(i);
    l.emit(Inst {
        dst,
        a,
        b,
        extra,
        ..blank(run)
    });
    Ok(())
}

pub(crate) fn mad_carry<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = match (has(i, "hi"), t) {
        (false, Ty::U32 | Ty::S32) => carry3(|a: u32, b: u32, c: u32, f| {
            let sum = u64::from(a.wrapping_mul(b)) + u64::from(c) + u64::from(f);
            (sum as u32, sum >> 32 != 0)
        }),
        (true, Ty::U32) => carry3(|a: u32, b: u32, c: u32, f| {
            let sum = (u64::from(a) * u64::from(b) >> 32) + u64::from(c) + u64::from(f);
            (sum as u32, sum >> 32 != 0)
        }),
        (true, Ty::S32) => carry3(|a: u32, b: u32, c: u32, f| {
            let high = ((i64::from(a as i32) * i64::from(b as i32)) >> 32) as u32;
            let sum = u64::from(high) + u64::from(c) + u64::from(f);
            (sum as u32, sum >> 32 != 0)
        }),
        (false, _) => carry3(|a: u64, b: u64, c: u64, f| {
            let sum = u128::from(a.wrapping_mul(b)) + u128::from(c) + u128::from(f);
            (sum as u64, sum >> 64 != 0)
        }),
        (true, Ty::U64) => carry3(|a: u64, b: u64, c: u64, f| {
            let sum = (u128::from(a) * u128::from(b) >> 64) + u128::from(c) + u128::from(f);
            (sum as u64, sum >> 64 != 0)
        }),
        (true, _) => carry3(|a: u64, b: u64, c: u64, f| {
            let high = ((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64;
            let sum = u128::from(high) + u128::from(c) + u128::from(f);
            (sum as u64, sum >> 64 != 0)
        }),
    };
    let o = operands(i, 4, 4)?;
    let (a, b, c) = (l.src(&o[1], t)?, l.src(&o[2], t)?, l.src(&o[3], t)?);
    let dst = l.dst(&o[0], t)?;
    let extra = carry_flags(i);
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        extra,
        ..blank(run)
    });
    Ok(())
}

fn wide_type(i: &Instruction<'_>, t: Ty) -> Lowered<Ty> {
    match t {
        Ty::U16 => Ok(Ty::U32),
        Ty::S16 => Ok(Ty::S32),
        Ty::U32 => Ok(Ty::U64),
        Ty::S32 => Ok(Ty::S64),
        _ => Err(unsupported(i)),
    }
}

pub(crate) fn mul<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    if has(i, "wide") {
        let run = match t {
            Ty::U16 => bin(|a: u16, b: u16| u32::from(a) * u32::from(b)),
            Ty::S16 => bin(|a: i16, b: i16| i32::from(a) * i32::from(b)),
            Ty::U32 => bin(|a: u32, b: u32| u64::from(a) * u64::from(b)),
            _ => bin(|a: i32, b: i32| i64::from(a) * i64::from(b)),
        };
        return binary(l, i, run, (wide_type(i, t)?, t, t));
    }
    let run = if has(i, "hi") { mul_high(i, t)? } else { mul_low(i, t)? };
    binary(l, i, run, (t, t, t))
}

fn mul_low(i: &Instruction<'_>, t: Ty) -> Lowered<Handler> {
    Ok(
        typed!(i, t, T in [U16: u16, S16: u16, U32: u32, S32: u32, U64: u64, S64: u64] bin(|a: T, b: T| a.wrapping_mul(b))),
    )
}

fn mul_high(i: &Instruction<'_>, t: Ty) -> Lowered<Handler> {
    Ok(match t {
        Ty::U16 => bin(|a: u16, b: u16| (u32::from(a) * u32::from(b) >> 16) as u16),
        Ty::S16 => bin(|a: i16, b: i16| (i32::from(a) * i32::from(b) >> 16) as i16),
        Ty::U32 => bin(|a: u32, b: u32| (u64::from(a) * u64::from(b) >> 32) as u32),
        Ty::S32 => bin(|a: i32, b: i32| (i64::from(a) * i64::from(b) >> 32) as i32),
        Ty::U64 => bin(|a: u64, b: u64| (u128::from(a) * u128::from(b) >> 64) as u64),
        Ty::S64 => bin(|a: i64, b: i64| (i128::from(a) * i128::from(b) >> 64) as i64),
        _ => return Err(unsupported(i)),
    })
}

pub(crate) fn mad<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    if has(i, "wide") {
        let run = match t {
            Ty::U16 => tri(|a: u16, b: u16, c: u32| (u32::from(a) * u32::from(b)).wrapping_add(c)),
            Ty::S16 => tri(|a: i16, b: i16, c: i32| (i32::from(a) * i32::from(b)).wrapping_add(c)),
            Ty::U32 => tri(|a: u32, b: u32, c: u64| (u64::from(a) * u64::from(b)).wrapping_add(c)),
            _ => tri(|a: i32, b: i32, c: i64| (i64::from(a) * i64::from(b)).wrapping_add(c)),
        };
        let w = wide_type(i, t)?;
        return ternary(l, i, run, (w, t, t, w));
    }
    let run = match (has(i, "hi"), has(i, "sat"), t) {
        (true, true, _) => tri(|a: i32, b: i32, c: i32| ((i64::from(a) * i64::from(b) >> 32) as i32).saturating_add(c)),
        (true, _, Ty::U16) => {
            tri(|a: u16, b: u16, c: u16| ((u32::from(a) * u32::from(b) >> 16) as u16).wrapping_add(c))
        }
        (true, _, Ty::S16) => {
            tri(|a: i16, b: i16, c: i16| ((i32::from(a) * i32::from(b) >> 16) as i16).wrapping_add(c))
        }
        (true, _, Ty::U32) => {
            tri(|a: u32, b: u32, c: u32| ((u64::from(a) * u64::from(b) >> 32) as u32).wrapping_add(c))
        }
        (true, _, Ty::S32) => {
            tri(|a: i32, b: i32, c: i32| ((i64::from(a) * i64::from(b) >> 32) as i32).wrapping_add(c))
        }
        (true, _, Ty::U64) => {
            tri(|a: u64, b: u64, c: u64| ((u128::from(a) * u128::from(b) >> 64) as u64).wrapping_add(c))
        }
        (true, _, _) => tri(|a: i64, b: i64, c: i64| ((i128::from(a) * i128::from(b) >> 64) as i64).wrapping_add(c)),
        (false, _, _) => typed!(i, t, T in [U16: u16, S16: u16, U32: u32, S32: u32, U64: u64, S64: u64]
            tri(|a: T, b: T, c: T| a.wrapping_mul(b).wrapping_add(c))),
    };
    ternary(l, i, run, (t, t, t, t))
}

/// `mul24`, `mad24`: the low 24 bits are multiplied.
pub(crate) fn mul24<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = match (has(i, "hi"), t) {
        (false, Ty::U32) => bin(|a: u32, b: u32| (a & 0xff_ffff).wrapping_mul(b & 0xff_ffff)),
        (false, _) => bin(|a: i32, b: i32| ((a << 8) >> 8).wrapping_mul((b << 8) >> 8)),
        (true, Ty::U32) => bin(|a: u32, b: u32| (u64::from(a & 0xff_ffff) * u64::from(b & 0xff_ffff) >> 16) as u32),
        (true, _) => bin(|a: i32, b: i32| (i64::from((a << 8) >> 8) * i64::from((b << 8) >> 8) >> 16) as i32),
    };
    binary(l, i, run, (t, t, t))
}

pub(crate) fn mad24<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = match (has(i, "hi"), has(i, "sat"), t) {
        (false, _, Ty::U32) => {
            tri(|a: u32, b: u32, c: u32| (a & 0xff_ffff).wrapping_mul(b & 0xff_ffff).wrapping_add(c))
        }
        (false, _, _) => tri(|a: i32, b: i32, c: i32| ((a << 8) >> 8).wrapping_mul((b << 8) >> 8).wrapping_add(c)),
        (true, true, _) => tri(|a: i32, b: i32, c: i32| {
            ((i64::from((a << 8) >> 8) * i64::from((b << 8) >> 8) >> 16) as i32).saturating_add(c)
        }),
        (true, _, Ty::U32) => tri(|a: u32, b: u32, c: u32| {
            ((u64::from(a & 0xff_ffff) * u64::from(b & 0xff_ffff) >> 16) as u32).wrapping_add(c)
        }),
        (true, _, _) => tri(|a: i32, b: i32, c: i32| {
            ((i64::from((a << 8) >> 8) * i64::from((b << 8) >> 8) >> 16) as i32).wrapping_add(c)
        }),
    };
    ternary(l, i, run, (t, t, t, t))
}

/// Division by zero gives all ones, as on the hardware; the ISA leaves it open.
pub(crate) fn div<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = typed!(i, t, T in [U16: u16, S16: i16, U32: u32, S32: i32, U64: u64, S64: i64]
        bin(|a: T, b: T| if b == 0 { !0 } else { a.wrapping_div(b) }));
    binary(l, i, run, (t, t, t))
}

pub(crate) fn rem<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = typed!(i, t, T in [U16: u16, S16: i16, U32: u32, S32: i32, U64: u64, S64: i64]
        bin(|a: T, b: T| if b == 0 { a } else { a.wrapping_rem(b) }));
    binary(l, i, run, (t, t, t))
}

pub(crate) fn min_max<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = match (i.opcode, has(i, "relu"), t) {
        ("min", false, Ty::U16x2) => bin(|a: u32, b: u32| packed(u16::min, a, b)),
        ("max", false, Ty::U16x2) => bin(|a: u32, b: u32| packed(u16::max, a, b)),
        ("min", false, Ty::S16x2) => bin(|a: u32, b: u32| packed(|x, y| (x as i16).min(y as i16) as u16, a, b)),
        ("max", false, Ty::S16x2) => bin(|a: u32, b: u32| packed(|x, y| (x as i16).max(y as i16) as u16, a, b)),
        ("min", true, Ty::S16x2) => bin(|a: u32, b: u32| packed(|x, y| (x as i16).min(y as i16).max(0) as u16, a, b)),
        ("max", true, Ty::S16x2) => bin(|a: u32, b: u32| packed(|x, y| (x as i16).max(y as i16).max(0) as u16, a, b)),
        ("min", true, _) => bin(|a: i32, b: i32| a.min(b).max(0)),
        (_, true, _) => bin(|a: i32, b: i32| a.max(b).max(0)),
        ("min", false, _) => typed!(i, t, T in [U16: u16, S16: i16, U32: u32, S32: i32, U64: u64, S64: i64]
            bin(|a: T, b: T| a.min(b))),
        _ => typed!(i, t, T in [U16: u16, S16: i16, U32: u32, S32: i32, U64: u64, S64: i64]
            bin(|a: T, b: T| a.max(b))),
    };
    binary(l, i, run, (t, t, t))
}

pub(crate) fn abs_neg<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = if i.opcode == "abs" {
        typed!(i, t, T in [S16: i16, S32: i32, S64: i64] un(|a: T| a.wrapping_abs()))
    } else {
        typed!(i, t, T in [S16: i16, S32: i32, S64: i64] un(|a: T| a.wrapping_neg()))
    };
    unary(l, i, run, t, t)
}

/// `sad`: c + |a - b|.
pub(crate) fn sad<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = match t {
        Ty::U16 => tri(|a: u16, b: u16, c: u16| c.wrapping_add(a.abs_diff(b))),
        Ty::S16 => tri(|a: i16, b: i16, c: u16| c.wrapping_add(a.abs_diff(b))),
        Ty::U32 => tri(|a: u32, b: u32, c: u32| c.wrapping_add(a.abs_diff(b))),
        Ty::S32 => tri(|a: i32, b: i32, c: u32| c.wrapping_add(a.abs_diff(b))),
        Ty::U64 => tri(|a: u64, b: u64, c: u64| c.wrapping_add(a.abs_diff(b))),
        Ty::S64 => tri(|a: i64, b: i64, c: u64| c.wrapping_add(a.abs_diff(b))),
        _ => return Err(unsupported(i)),
    };
    ternary(l, i, run, (t, t, t, t))
}
