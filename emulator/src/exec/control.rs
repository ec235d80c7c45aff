//! Branches, calls, returns and exits: everything that changes where lanes are.

use super::cluster::{Return, Waiting};
use super::ctx::Ctx;
use super::inst::{Flow, Inst};
use super::memory::window;
use super::program::{Callee, End, Move};

/// Deepest call stack: beyond it a recursion is endless for all we know.
const MAX_CALLS: usize = 4096;
/// Most register bytes that one warp's frames may take.
const MAX_FRAMES: u32 = 1 << 26;
/// Most local memory of one lane, as on a GPU.
pub(super) const MAX_LOCAL: u32 = 512 << 10;

/// `bra`: the lanes in the mask go to `imm`.
pub(crate) unsafe fn branch(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if mask != x.active {
        let rest = x.active & !mask;
        let next = x.pc + 1;
        x.fork(next, rest);
    }
    x.pc = i.imm as u32;
    Flow::Jump
}

/// `brx.idx`: each lane goes to entry `a` of table `extra`.
pub(crate) unsafe fn branch_table(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let program = x.env.program;
    let table = &program.lists[i.extra as usize];
    let index = x.lanes::<u32>(i.a);
    if mask != x.active {
        let rest = x.active & !mask;
        let next = x.pc + 1;
        x.fork(next, rest);
    }
    let mut left = mask;
    while left != 0 {
        let lane = left.trailing_zeros();
        let wanted = index[lane as usize];
        let Some(target) = table.get(wanted as usize) else {
            let text = format!("branch index {wanted} is outside its {} targets", table.len());
            return x.trap(Some(lane), text);
        };
        let mut same = 0u32;
        for l in 0..32 {
            let hit = table.get(index[l] as usize) == Some(target);
            same |= u32::from(hit) << l & left;
        }
        left &= !same;
        if left == 0 {
            x.active = same;
            x.split_mut().mask = same;
            x.pc = *target;
        } else {
            x.fork(*target, same);
        }
    }
    Flow::Jump
}

/// `exit`.
pub(crate) unsafe fn exit(x: &mut Ctx<'_>, _i: &Inst, mask: u32) -> Flow {
    leave(x, mask)
}

fn leave(x: &mut Ctx<'_>, mask: u32) -> Flow {
    x.warp_mut().live &= !mask;
    x.touch();
    super::barrier::lanes_left(x);
    let rest = x.active & !mask;
    x.active = rest;
    x.split_mut().mask = rest;
    if rest == 0 {
        return Flow::Exit;
    }
    Flow::Next
}

/// `trap`.
pub(crate) unsafe fn trap(x: &mut Ctx<'_>, _i: &Inst, mask: u32) -> Flow {
    x.trap(Some(mask.trailing_zeros()), "the kernel executed a trap".into())
}

/// `call`: `extra` is an index into the program's calls.
pub(crate) unsafe fn call(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let program = x.env.program;
    let call = &program.calls[i.extra as usize];
    if mask != x.active {
        let rest = x.active & !mask;
        let next = x.pc + 1;
        x.fork(next, rest);
    }
    let function = match call.callee {
        Callee::Function(function) => function,
        Callee::Register(register) => match indirect(x, register) {
            Ok(function) => function,
            Err(flow) => return flow,
        },
        Callee::Print => return super::host_calls::print(x, call),
        Callee::Allocate => return super::host_calls::allocate(x, call),
        Callee::Release => return super::host_calls::release(x, call),
        Callee::AssertFail => return super::host_calls::assert_fail(x, call),
    };
    let target = &program.functions[function as usize];
    let split = x.split_mut();
    if split.calls.len() >= MAX_CALLS {
        return x.trap(None, format!("calls are nested more than {MAX_CALLS} deep"));
    }
    let (frame, local, caller) = (split.frame, split.local, split.function);
    let back = Return {
        pc: x.pc + 1,
        frame,
        local,
        function: caller,
        call: i.extra,
    };
    let place = x.warp().called(x.split, &back, function);
    let (new_frame, new_local) = place.unwrap_or_else(|| x.warp().top(program));
    if new_frame.saturating_add(target.frame_bytes) > MAX_FRAMES
        || new_local.saturating_add(target.local_bytes) > MAX_LOCAL
    {
        return x.trap(
            None,
            format!("calling {} needs more stack than a thread has", target.name),
        );
    }
    x.warp_mut()
        .reserve(new_frame + target.frame_bytes, new_local + target.local_bytes);
    let split = x.split_mut();
    split.calls.push(back);
    split.frame = new_frame;
    split.local = new_local;
    split.function = function;
    x.refresh_frame();
    transfer(x, &call.arguments, (frame, local), (new_frame, new_local), x.active);
    x.pc = target.start;
    Flow::Jump
}

/// The function that a register's lanes point at; lanes with other targets wait in a split of their own.
fn indirect(x: &mut Ctx<'_>, register: u32) -> Result<u32, Flow> {
    let at = *x.lanes::<u64>(register);
    let lane = x.active.trailing_zeros();
    let address = at[lane as usize];
    let number = address ^ window::FUNCTION;
    let known = x.env.program.functions.get(number as usize).filter(|f| f.defined);
    if known.is_none() {
        return Err(x.trap(Some(lane), format!("the called address 0x{address:x} is no function")));
    }
    let mut same = 0u32;
    for (l, other) in at.iter().enumerate() {
        same |= u32::from(*other == address) << l & x.active;
    }
    if same != x.active {
        let rest = x.active & !same;
        let pc = x.pc;
        x.fork(pc, rest);
    }
    Ok(number as u32)
}

/// `ret`; from an entry it is `exit`.
pub(crate) unsafe fn ret(x: &mut Ctx<'_>, _i: &Inst, mask: u32) -> Flow {
    let program = x.env.program;
    if x.split_mut().calls.is_empty() {
        return leave(x, mask);
    }
    if mask != x.active {
        let rest = x.active & !mask;
        let next = x.pc + 1;
        x.fork(next, rest);
    }
    let split = x.split_mut();
    let Some(back) = split.calls.pop() else {
        return Flow::Exit;
    };
    let from = (split.frame, split.local);
    split.frame = back.frame;
    split.local = back.local;
    split.function = back.function;
    let active = x.active;
    x.warp_mut().drop_pointers(from.1, active);
    x.refresh_frame();
    let call = &program.calls[back.call as usize];
    transfer(x, &call.results, from, (back.frame, back.local), x.active);
    x.pc = back.pc;
    Flow::Jump
}

/// Copies parameters or results between two frames of the running warp.
fn transfer(x: &mut Ctx<'_>, moves: &[Move], from: (u32, u32), to: (u32, u32), mask: u32) {
    let pool = x.env.program.pool.start();
    let warp = x.warp();
    let (regs, local) = (warp.regs.start() as usize, warp.local.start() as usize);
    let stride = warp.local_bytes() as usize;
    let place = |end: End, frame: (u32, u32), lane: usize| match end {
        End::Register(slot, bytes) if slot & super::inst::IN_POOL != 0 => {
            pool as usize + (slot & !super::inst::IN_POOL) as usize + lane * bytes as usize
        }
        End::Register(slot, bytes) => regs + frame.0 as usize + slot as usize + lane * bytes as usize,
        End::Local(offset) => local + lane * stride + frame.1 as usize + offset as usize,
    };
    for step in moves {
        for lane in (0..32usize).filter(|l| mask >> l & 1 != 0) {
            let (source, target) = (place(step.from, from, lane), place(step.to, to, lane));
            // SAFETY: `decode/` laid both ends out inside their frames with room for `bytes`; `reserve` made the
            // memory large enough; `copy` allows them to overlap.
            unsafe { std::ptr::copy(source as *const u8, target as *mut u8, step.bytes as usize) };
        }
    }
}

impl Ctx<'_> {
    /// Lanes `mask` leave the running split for one of their own at `pc`.
    pub(crate) fn fork(&mut self, pc: u32, mask: u32) {
        self.active &= !mask;
        let split = self.split_mut();
        split.mask &= !mask;
        let mut other = split.clone();
        other.pc = pc;
        other.mask = mask;
        other.waiting = Waiting::No;
        other.resumed = false;
        other.timed_out = false;
        other.spin = None;
        self.alone = false;
        self.warp_mut().splits.push(other);
    }
}
