//! Handlers without lanes to loop over: fences, sleeps, hints, wide moves.

use std::sync::atomic::{fence, Ordering};

use super::ctx::Ctx;
use super::inst::{Flow, Inst};

/// Hints that have no effect here.
pub(crate) unsafe fn nothing(_x: &mut Ctx<'_>, _i: &Inst, _mask: u32) -> Flow {
    Flow::Next
}

/// `membar`, `fence` of every kind.
pub(crate) unsafe fn memory_fence(_x: &mut Ctx<'_>, _i: &Inst, _mask: u32) -> Flow {
    fence(Ordering::SeqCst);
    Flow::Next
}

/// `nanosleep`: others go first.
pub(crate) unsafe fn sleep(_x: &mut Ctx<'_>, _i: &Inst, _mask: u32) -> Flow {
    Flow::Pause
}

/// Splits `a` into the slots of list `extra`, or joins them: each element has `imm` bytes; the register 2, 4, 8 or 16 in `d`.
pub(crate) unsafe fn unpack(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let list = &x.env.program.lists[i.extra as usize];
    let whole = wide_lanes(x, i.a, i.d);
    for (number, slot) in list.iter().enumerate() {
        let shift = number as u32 * i.imm as u32 * 8;
        let part = whole.map(|value| value >> shift);
        put_narrow(x, *slot, i.imm as u32, &part, mask);
    }
    Flow::Next
}

/// See [`unpack`].
pub(crate) unsafe fn pack(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let list = &x.env.program.lists[i.extra as usize];
    let mut whole = [0u128; 32];
    for (number, slot) in list.iter().enumerate() {
        let shift = number as u32 * i.imm as u32 * 8;
        let part = wide_lanes(x, *slot, i.imm as u32);
        for l in 0..32 {
            whole[l] |= part[l] << shift;
        }
    }
    put_narrow(x, i.dst, i.d, &whole, mask);
    Flow::Next
}

fn wide_lanes(x: &Ctx<'_>, slot: u32, bytes: u32) -> [u128; 32] {
    match bytes {
        1 => x.lanes::<u16>(slot).map(|v| u128::from(v & 0xff)),
        2 => x.lanes::<u16>(slot).map(u128::from),
        4 => x.lanes::<u32>(slot).map(u128::from),
        8 => x.lanes::<u64>(slot).map(u128::from),
        _ => *x.lanes::<u128>(slot),
    }
}

fn put_narrow(x: &mut Ctx<'_>, slot: u32, bytes: u32, values: &[u128; 32], mask: u32) {
    match bytes {
        1 => x.put::<u16>(slot, &values.map(|v| v as u16 & 0xff), mask),
        2 => x.put::<u16>(slot, &values.map(|v| v as u16), mask),
        4 => x.put::<u32>(slot, &values.map(|v| v as u32), mask),
        8 => x.put::<u64>(slot, &values.map(|v| v as u64), mask),
        _ => x.put::<u128>(slot, values, mask),
    }
}
