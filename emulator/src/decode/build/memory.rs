//! `ld` and `st` (ISA 9.7.9.8, 9.7.9.11) in all spaces.

use super::{has, operands, ty, unsupported};
use crate::decode::lower::{blank, Address, Lower, Lowered, Register};
use crate::exec::access::{load, load_param, store};
use crate::exec::inst::{Handler, Inst};
use crate::exec::memory::space;
use crate::module::LoadError;
use crate::ptx::tree::{Instruction, Operand, OperandKind, VarSpace};
use crate::ptx::types::Ty;

/// Space code of a memory instruction, before the address is known.
pub(crate) fn space_code(i: &Instruction<'_>, is_entry: bool) -> u32 {
    let codes = [
        ("global", space::GLOBAL),
        ("shared", space::SHARED),
        ("shared::cta", space::SHARED),
        ("shared::cluster", space::SHARED),
        ("local", space::LOCAL),
        ("const", space::CONST),
        ("param::entry", space::PARAM),
        ("param::func", space::LOCAL),
        ("param", if is_entry { space::PARAM } else { space::LOCAL }),
    ];
    codes.iter().find(|c| has(i, c.0)).map_or(space::GENERIC, |c| c.1)
}

/// The space that an access of a variable by name has.
fn code_of(variable: VarSpace) -> u32 {
    match variable {
        VarSpace::Global => space::GLOBAL,
        VarSpace::Const => space::CONST,
        VarSpace::Shared => space::SHARED,
        VarSpace::Local => space::LOCAL,
        VarSpace::Param => space::PARAM,
    }
}

/// `Inst::extra` of an access, for its address.
pub(crate) fn flags(code: u32, address: &Address) -> u32 {
    let code = match address.fixed {
        _ if address.frame => space::LOCAL,
        // A generic access to a variable by its name: the name says where it is.
        Some((variable, _)) if code == space::GENERIC => code_of(variable),
        _ => code,
    };
    code | if address.narrow { space::NARROW } else { 0 }
}

/// Order qualifiers: what must be fenced on the host.
pub(crate) fn ordering(i: &Instruction<'_>) -> u32 {
    let acquire = ["acquire", "volatile", "relaxed", "mmio", "acq_rel"]
        .iter()
        .any(|m| has(i, m));
    let release = ["release", "volatile", "mmio", "acq_rel"].iter().any(|m| has(i, m));
    (if acquire { space::ACQUIRE } else { 0 }) | (if release { space::RELEASE } else { 0 })
}

/// The registers of a vector access, or the single one.
fn parts<'a, 't>(i: &Instruction<'t>, operand: &'a Operand<'t>) -> Lowered<Vec<&'a Operand<'t>>> {
    let count = match (has(i, "v2"), has(i, "v4")) {
        (true, _) => 2,
        (_, true) => 4,
        _ => 1,
    };
    let list: Vec<_> = match &operand.kind {
        OperandKind::Vector(list) => list.iter().collect(),
        _ => vec![operand],
    };
    if list.len() == count {
        return Ok(list);
    }
    let text = format!("found {} registers, expected {count}", list.len());
    Err(LoadError::at(operand.pos, text))
}

/// The handler that extends a memory element to a register of `bytes`.
macro_rules! load_handler {
    ($shape:ident, $i:expr, $t:expr, $bytes:expr) => {
        match ($t, $bytes) {
            (Ty::U8 | Ty::B8, 2) => $shape(|v: u8| u16::from(v)),
            (Ty::U8 | Ty::B8, 4) => $shape(|v: u8| u32::from(v)),
            (Ty::U8 | Ty::B8, 8) => $shape(|v: u8| u64::from(v)),
            (Ty::S8, 2) => $shape(|v: i8| i16::from(v)),
            (Ty::S8, 4) => $shape(|v: i8| i32::from(v)),
            (Ty::S8, 8) => $shape(|v: i8| i64::from(v)),
            (Ty::U16 | Ty::B16 | Ty::F16 | Ty::Bf16, 2) | (Ty::S16, 2) => $shape(|v: u16| v),
            (Ty::U16 | Ty::B16 | Ty::F16 | Ty::Bf16, 4) => $shape(|v: u16| u32::from(v)),
            (Ty::U16 | Ty::B16, 8) => $shape(|v: u16| u64::from(v)),
            (Ty::S16, 4) => $shape(|v: i16| i32::from(v)),
            (Ty::S16, 8) => $shape(|v: i16| i64::from(v)),
            (Ty::U32 | Ty::B32 | Ty::F32 | Ty::F16x2 | Ty::Bf16x2 | Ty::S32, 4) => $shape(|v: u32| v),
            (Ty::U32 | Ty::B32 | Ty::F32, 8) => $shape(|v: u32| u64::from(v)),
            (Ty::S32, 8) => $shape(|v: i32| i64::from(v)),
            (Ty::U64 | Ty::B64 | Ty::S64 | Ty::F64, 8) => $shape(|v: u64| v),
            (Ty::B128, 16) => $shape(|v: u128| v),
            _ => return Err(unsupported($i)),
        }
    };
}

/// The handler that stores the low part of a register of `bytes`.
fn store_handler(i: &Instruction<'_>, t: Ty, bytes: u32) -> Lowered<Handler> {
    Ok(match (t.bytes(), bytes) {
        (1, 2) => store(|v: u16| v as u8),
        (1, 4) => store(|v: u32| v as u8),
        (1, 8) => store(|v: u64| v as u8),
        (2, 2) => store(|v: u16| v),
        (2, 4) => store(|v: u32| v as u16),
        (2, 8) => store(|v: u64| v as u16),
        (4, 4) => store(|v: u32| v),
        (4, 8) => store(|v: u64| v as u32),
        (8, 8) => store(|v: u64| v),
        (16, 16) => store(|v: u128| v),
        _ => return Err(unsupported(i)),
    })
}

/// All registers of an access have one size.
fn common_size(operand: &Operand<'_>, registers: &[Register]) -> Lowered<u32> {
    let bytes = registers.first().map_or(0, |r| r.ty.lane_bytes());
    if registers.iter().all(|r| r.ty.lane_bytes() == bytes && r.ty != Ty::Pred) {
        return Ok(bytes);
    }
    Err(LoadError::at(
        operand.pos,
        "found registers of different sizes in one access".into(),
    ))
}

/// Up to four slots, in the order of `access::registers`.
fn slots(registers: &[Register]) -> [u32; 4] {
    std::array::from_fn(|k| registers.get(k).map_or(0, |r| r.slot))
}

pub(crate) fn ld<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    // An operand behind the address is a cache policy.
    let o = operands(i, 2, 3)?;
    let list = parts(i, &o[0])?;
    let mut registers = Vec::new();
    for part in &list {
        registers.push(match part.kind {
            OperandKind::Sink => Register { slot: l.sink()?, ty: t },
            _ => l.register(part)?,
        });
    }
    let bytes = common_size(&o[0], &registers)?;
    let address = l.address(&o[1])?;
    let code = flags(space_code(i, l.is_entry), &address);
    let count = list.len() as u32;
    let [dst, b, c, d] = slots(&registers);
    let fixed_param = code & space::MASK == space::PARAM;
    if let (true, Some((VarSpace::Param, offset))) = (fixed_param, address.fixed) {
        let end = offset.checked_add(u64::from(t.bytes() * count));
        if end.is_some_and(|end| end <= u64::from(l.param_bytes)) {
            let run = load_handler!(load_param, i, t, bytes);
            l.emit(Inst {
                dst,
                b,
                c,
                d,
                imm: offset,
                // The judge asks which space it is.
                extra: space::PARAM | count << space::COUNT_SHIFT,
                ..blank(run)
            });
            return Ok(());
        }
        return Err(LoadError::at(o[1].pos, "reads behind the end of the parameters".into()));
    }
    let run = load_handler!(load, i, t, bytes);
    l.emit(Inst {
        dst,
        a: address.slot,
        b,
        c,
        d,
        imm: address.offset,
        extra: code | ordering(i) & space::ACQUIRE | count << space::COUNT_SHIFT,
        ..blank(run)
    });
    Ok(())
}

pub(crate) fn st<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let o = operands(i, 2, 3)?;
    let list = parts(i, &o[1])?;
    let registers = list
        .iter()
        .map(|part| l.src_any(part, t))
        .collect::<Lowered<Vec<_>>>()?;
    // Numbers are made in the type of the access; registers next to them may be wider.
    let widest = registers.iter().map(|r| r.ty.lane_bytes()).max().unwrap_or(0);
    let mut same = Vec::new();
    for (part, register) in list.iter().zip(registers) {
        let constant = matches!(part.kind, OperandKind::Literal(_)) && register.ty.lane_bytes() != widest;
        same.push(if constant {
            let wide = if widest == 8 { Ty::B64 } else { Ty::B32 };
            Register {
                slot: l.src(part, wide)?,
                ty: wide,
            }
        } else {
            register
        });
    }
    let bytes = common_size(&o[1], &same)?;
    let address = l.address(&o[0])?;
    let code = flags(space_code(i, l.is_entry), &address);
    if code & space::MASK == space::PARAM {
        return Err(LoadError::at(
            o[0].pos,
            "writes to a parameter of the entry, which is read-only".into(),
        ));
    }
    let [dst, b, c, d] = slots(&same);
    let run = store_handler(i, t, bytes)?;
    l.emit(Inst {
        dst,
        a: address.slot,
        b,
        c,
        d,
        imm: address.offset,
        extra: code | ordering(i) & space::RELEASE | (list.len() as u32) << space::COUNT_SHIFT,
        ..blank(run)
    });
    Ok(())
}
