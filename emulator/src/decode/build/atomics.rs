//! `atom` and `red` (ISA 9.7.13.5, 9.7.13.6).

use super::memory::{flags, ordering, space_code};
use super::{has, operands, ty, unsupported};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::atomic::{atomic, atomic_by_space};
use crate::exec::inst::{Handler, Inst};
use crate::exec::memory::space;
use crate::num::float::{add32, max32, min32};
use crate::num::half::{add, both2, max, min, Bf16, F16};
use crate::ptx::tree::Instruction;
use crate::ptx::types::Ty;

fn real32(f: impl Fn(f32, f32) -> f32, a: u32, b: u32) -> u32 {
    f(f32::from_bits(a), f32::from_bits(b)).to_bits()
}

fn bitwise(i: &Instruction<'_>, operation: &str, t: Ty) -> Lowered<Handler> {
    Ok(match (operation, t.bytes()) {
        ("and", 4) => atomic(|a: u32, b, _| a & b),
        ("and", 8) => atomic(|a: u64, b, _| a & b),
        ("or", 4) => atomic(|a: u32, b, _| a | b),
        ("or", 8) => atomic(|a: u64, b, _| a | b),
        ("xor", 4) => atomic(|a: u32, b, _| a ^ b),
        ("xor", 8) => atomic(|a: u64, b, _| a ^ b),
        ("exch", 4) => atomic(|_: u32, b, _| b),
        ("exch", 8) => atomic(|_: u64, b, _| b),
        ("exch", 16) => atomic(|_: u128, b, _| b),
        ("cas", 2) => atomic(|a: u16, b, c| if a == b { c } else { a }),
        ("cas", 4) => atomic(|a: u32, b, c| if a == b { c } else { a }),
        ("cas", 8) => atomic(|a: u64, b, c| if a == b { c } else { a }),
        ("cas", 16) => atomic(|a: u128, b, c| if a == b { c } else { a }),
        _ => return Err(unsupported(i)),
    })
}

pub(super) fn arithmetic(i: &Instruction<'_>, operation: &str, t: Ty) -> Lowered<Handler> {
    Ok(match (operation, t) {
        ("add", Ty::U32 | Ty::S32) => atomic(|a: u32, b, _| a.wrapping_add(b)),
        ("add", Ty::U64 | Ty::S64) => atomic(|a: u64, b, _| a.wrapping_add(b)),
        // In global memory the memory system adds, without subnormals (ISA 9.7.13.5).
        ("add", Ty::F32) => atomic_by_space(
            |a: u32, b, _| real32(add32::<0, true, false>, a, b),
            |a: u32, b, _| real32(add32::<0, false, false>, a, b),
        ),
        ("add", Ty::F64) => atomic(|a: u64, b, _| (f64::from_bits(a) + f64::from_bits(b)).to_bits()),
        ("add", Ty::F16) => atomic(|a: u16, b, _| add::<F16, false, false>(a, b)),
        ("add", Ty::Bf16) => atomic(|a: u16, b, _| add::<Bf16, false, false>(a, b)),
        ("add", Ty::F16x2) => atomic(|a: u32, b, _| both2(a, b, add::<F16, false, false>)),
        ("add", Ty::Bf16x2) => atomic(|a: u32, b, _| both2(a, b, add::<Bf16, false, false>)),
        ("min", Ty::U32) => atomic(|a: u32, b, _| a.min(b)),
        ("min", Ty::U64) => atomic(|a: u64, b, _| a.min(b)),
        ("min", Ty::S32) => atomic(|a: u32, b, _| (a as i32).min(b as i32) as u32),
        ("min", Ty::S64) => atomic(|a: u64, b, _| (a as i64).min(b as i64) as u64),
        ("min", Ty::F16) => atomic(|a: u16, b, _| min::<F16, false, false>(a, b)),
        ("min", Ty::Bf16) => atomic(|a: u16, b, _| min::<Bf16, false, false>(a, b)),
        ("min", Ty::F16x2) => atomic(|a: u32, b, _| both2(a, b, min::<F16, false, false>)),
        ("min", Ty::Bf16x2) => atomic(|a: u32, b, _| both2(a, b, min::<Bf16, false, false>)),
        ("min", Ty::F32) => atomic(|a: u32, b, _| real32(min32::<false>, a, b)),
        ("max", Ty::F32) => atomic(|a: u32, b, _| real32(max32::<false>, a, b)),
        ("max", Ty::U32) => atomic(|a: u32, b, _| a.max(b)),
        ("max", Ty::U64) => atomic(|a: u64, b, _| a.max(b)),
        ("max", Ty::S32) => atomic(|a: u32, b, _| (a as i32).max(b as i32) as u32),
        ("max", Ty::S64) => atomic(|a: u64, b, _| (a as i64).max(b as i64) as u64),
        ("max", Ty::F16) => atomic(|a: u16, b, _| max::<F16, false, false>(a, b)),
        ("max", Ty::Bf16) => atomic(|a: u16, b, _| max::<Bf16, false, false>(a, b)),
        ("max", Ty::F16x2) => atomic(|a: u32, b, _| both2(a, b, max::<F16, false, false>)),
        ("max", Ty::Bf16x2) => atomic(|a: u32, b, _| both2(a, b, max::<Bf16, false, false>)),
        ("inc", Ty::U32) => atomic(|a: u32, b, _| if a >= b { 0 } else { a + 1 }),
        ("dec", Ty::U32) => atomic(|a: u32, b, _| if a == 0 || a > b { b } else { a - 1 }),
        _ => return Err(unsupported(i)),
    })
}

const OPERATIONS: [&str; 10] = ["and", "or", "xor", "cas", "exch", "add", "inc", "dec", "min", "max"];

pub(crate) fn atom<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let operation = OPERATIONS.iter().find(|o| has(i, o)).ok_or_else(|| unsupported(i))?;
    let is_red = i.opcode == "red";
    let run = match *operation {
        "and" | "or" | "xor" | "exch" | "cas" => bitwise(i, operation, t)?,
        _ => arithmetic(i, operation, t)?,
    };
    let swaps = *operation == "cas";
    if is_red && (swaps || *operation == "exch") {
        return Err(unsupported(i));
    }
    let first = usize::from(!is_red);
    let least = first + 2 + usize::from(swaps);
    let o = operands(i, least, least + usize::from(has(i, "L2::cache_hint")))?;
    let address = l.address(&o[first])?;
    let b = l.src(&o[first + 1], t)?;
    let c = if swaps { l.src(&o[first + 2], t)? } else { b };
    let dst = if is_red { 0 } else { l.dst(&o[0], t)? };
    let red = if is_red { space::RED } else { 0 };
    l.emit(Inst {
        dst,
        a: address.slot,
        b,
        c,
        imm: address.offset,
        extra: flags(space_code(i, l.is_entry), &address) | ordering(i) | red,
        ..blank(run)
    });
    Ok(())
}
