//! One turn of a split: its instructions one after the other until it must stop, and where it stands then. There are two
//! loops, a bare one and one with the judge watching; whose turn it is says `schedule`.

use super::cluster::Waiting;
use super::ctx::Ctx;
use super::inst::Flow;
use super::judge::watch;
use crate::fault::Fault;

/// Memory polls in one turn before others get theirs.
const POLLS: u32 = 32;

/// Why a split stopped.
pub(super) enum End {
    Budget,
    Yield,
    Pause,
    Switch,
    Block,
    Exit,
}

/// Runs the split that a context has entered until it stops, or has used up its budget.
pub(super) fn run(x: &mut Ctx<'_>, budget: &mut u32, judged: bool) -> Result<End, Box<Fault>> {
    if x.cluster.trace.is_some() {
        run_traced(x, budget, judged)
    } else if judged {
        run_judged(x, budget)
    } else {
        run_split(x, budget)
    }
}

/// Writes back where a split has come to.
pub(super) fn settle(x: &mut Ctx<'_>, end: &End) {
    if matches!(end, End::Exit) {
        let split = x.split;
        x.warp_mut().splits.swap_remove(split);
        return;
    }
    let (pc, mask, block) = (x.pc, x.active, x.block);
    let (resumed, timed_out) = (x.resumed, x.timed_out);
    let alone = x.alone;
    let split = x.split_mut();
    split.pc = pc;
    split.mask = mask;
    split.resumed = resumed;
    split.timed_out = timed_out;
    match end {
        End::Block => {
            split.waiting = block;
            split.resumed = false;
            split.timed_out = false;
        }
        End::Yield => {
            split.polled = Some((pc - 1, block));
            split.idle = true;
            split.turn += 1;
        }
        End::Pause => {
            split.paused = true;
            split.turn += 1;
        }
        End::Budget if !alone => split.turn += 1,
        _ => {}
    }
    if alone {
        split.turn = 0;
    }
}

/// One instruction of the split that a context has entered.
pub(super) fn step(x: &mut Ctx<'_>) -> Result<End, Box<Fault>> {
    x.polls = 0;
    if x.cluster.judge.is_some() {
        run_judged(x, &mut 1)
    } else {
        run_split(x, &mut 1)
    }
}

/// Either of them, one instruction at a time, so that the recorder's clocks are right in every handler.
#[cold]
fn run_traced(x: &mut Ctx<'_>, budget: &mut u32, judged: bool) -> Result<End, Box<Fault>> {
    loop {
        let mut one = 1;
        let end = if judged {
            run_judged(x, &mut one)?
        } else {
            run_split(x, &mut one)?
        };
        *budget -= 1;
        let (cta, warp) = (x.cta, x.warp);
        // An instruction that blocks is counted when it runs again.
        if let Some(recorder) = x.cluster.trace.as_mut().filter(|_| !matches!(end, End::Block)) {
            recorder.step(cta, warp);
        }
        if *budget == 0 || !matches!(end, End::Budget) {
            return Ok(end);
        }
    }
}

/// Runs one split until it must stop. The place and the budget live in registers; handlers see `x.pc`.
fn run_split(x: &mut Ctx<'_>, budget: &mut u32) -> Result<End, Box<Fault>> {
    let code: &[super::inst::Inst] = &x.env.program.code;
    let mut left = *budget;
    // Only the first instruction can be one that was waited for.
    let mut resumed = x.resumed || x.timed_out;
    let end = loop {
        if left == 0 {
            break End::Budget;
        }
        left -= 1;
        let inst = &code[x.pc as usize];
        let mask = x.guarded(inst.guard);
        if mask == 0 {
            x.pc += 1;
        } else {
            // SAFETY: `decode/` made the instruction, see `Handler`; `enter` pointed x at the split's frame.
            let flow = unsafe { (inst.run)(x, inst, mask) };
            match flow {
                Flow::Next => x.pc += 1,
                // Whoever polls jumps back to the poll.
                Flow::Jump if x.polls < POLLS => {}
                Flow::Jump => break End::Pause,
                _ => {
                    *budget = left;
                    return special_end(x, flow, mask);
                }
            }
            if resumed {
                resumed = false;
                x.resumed = false;
                x.timed_out = false;
            }
        }
        if !x.alone && regroup(x) {
            break End::Switch;
        }
    };
    *budget = left;
    Ok(end)
}

/// The same with the judge watching: slower by design, and apart so that the loop above stays bare.
fn run_judged(x: &mut Ctx<'_>, budget: &mut u32) -> Result<End, Box<Fault>> {
    let code: &[super::inst::Inst] = &x.env.program.code;
    while *budget > 0 {
        *budget -= 1;
        let inst = &code[x.pc as usize];
        if let Err(flow) = watch::guard(x, inst) {
            return special_end(x, flow, 0);
        }
        let mask = x.guarded(inst.guard);
        if mask == 0 {
            x.pc += 1;
        } else {
            let flow = match watch::before(x, inst, mask) {
                // SAFETY: as in `run_split`.
                Ok(()) => unsafe { (inst.run)(x, inst, mask) },
                Err(flow) => flow,
            };
            let flow = watch::after(x).err().unwrap_or(flow);
            match flow {
                Flow::Next => x.pc += 1,
                Flow::Jump => {}
                Flow::Exit => {
                    let end = watch::exited(x).err().unwrap_or(flow);
                    return special_end(x, end, mask);
                }
                _ => return special_end(x, flow, mask),
            }
            if x.resumed || x.timed_out {
                x.resumed = false;
                x.timed_out = false;
            }
            if x.polls >= POLLS {
                return Ok(End::Pause);
            }
        }
        if !x.alone && regroup(x) {
            return Ok(End::Switch);
        }
    }
    Ok(End::Budget)
}

#[cold]
fn special_end(x: &mut Ctx<'_>, flow: Flow, mask: u32) -> Result<End, Box<Fault>> {
    match flow {
        Flow::Block => {
            if mask != x.active {
                let (next, rest) = (x.pc + 1, x.active & !mask);
                x.fork(next, rest);
            }
            Ok(End::Block)
        }
        Flow::Exit => Ok(End::Exit),
        Flow::Fault => match x.fault.take() {
            Some(fault) => Err(fault),
            None => Err(Box::new(x.env.trap(
                x.cta().index,
                x.warp as u32,
                x.pc,
                "failed without a reason".into(),
            ))),
        },
        Flow::Yield | Flow::Pause | Flow::Next | Flow::Jump => {
            x.pc += 1;
            x.resumed = false;
            x.timed_out = false;
            Ok(if flow == Flow::Yield { End::Yield } else { End::Pause })
        }
    }
}

/// Merges the running split with others that have come to the same place. True when another one should run instead.
fn regroup(x: &mut Ctx<'_>) -> bool {
    let pc = x.pc;
    let (frame, turn) = (x.split_mut().frame, x.split_mut().turn);
    let mut number = 0;
    let mut behind = false;
    while number < x.warp().splits.len() {
        let other = &x.warp().splits[number];
        let open = matches!(other.waiting, Waiting::No | Waiting::Lanes(_)) && !other.resumed && !other.timed_out;
        if number == x.split || !open {
            number += 1;
            continue;
        }
        if other.pc == pc && other.frame == frame && other.calls == x.warp().splits[x.split].calls {
            let mask = other.mask;
            x.active |= mask;
            let last = x.warp().splits.len() - 1;
            x.warp_mut().splits.swap_remove(number);
            if x.split == last {
                x.split = number;
            }
            let active = x.active;
            x.split_mut().mask = active;
            continue;
        }
        let runnable = other.waiting == Waiting::No && !other.idle && !other.paused;
        behind |= runnable && (other.turn, other.pc) < (turn, pc);
        number += 1;
    }
    x.alone = x.warp().splits.len() == 1;
    behind
}
