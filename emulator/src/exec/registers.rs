//! `setmaxnreg` (ISA 9.7.17.5): each thread block has a pool of registers. Values are not moved: registers here have no
//! number that a warp could lose. A warp asks for itself; what its warpgroup owes is judged in `judge::warpgroup`.

use super::cluster::{Cta, Waiting};
use super::ctx::Ctx;
use super::env::Env;
use super::inst::{Flow, Inst};
use super::judge::warpgroup;
use super::matrix::whole_warp;
use crate::fault::RegisterHolder;

/// `imm` registers per thread; `d`: 1 to take them from the pool, 0 to give back what is beyond.
pub(crate) unsafe fn set_max(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    // Whose count at launch is not known: ignored, as `ptxas` does.
    if x.env.registers.is_none() {
        return judged(x);
    }
    let (wanted, pc) = (i.imm as u32, x.pc);
    let held = x.warp().registers.0;
    if i.d == 0 {
        let released = held.saturating_sub(wanted) * 32;
        x.cta_mut().free_registers += released;
        x.warp_mut().registers = (held.min(wanted), Some(pc));
        if released > 0 {
            x.touch();
            wake(x.cta_mut());
        }
        return judged(x);
    }
    let missing = wanted.saturating_sub(held) * 32;
    if missing > x.cta().free_registers {
        x.block = Waiting::Registers(wanted);
        return Flow::Block;
    }
    x.cta_mut().free_registers -= missing;
    x.warp_mut().registers = (held.max(wanted), Some(pc));
    x.touch();
    judged(x)
}

fn judged(x: &mut Ctx<'_>) -> Flow {
    warpgroup::arrive(x).err().unwrap_or(Flow::Next)
}

/// Whoever waits for registers looks again, in the order of the schedule.
fn wake(cta: &mut Cta) {
    for split in cta.warps.iter_mut().flat_map(|w| &mut w.splits) {
        if matches!(split.waiting, Waiting::Registers(_)) {
            split.waiting = Waiting::No;
        }
    }
}

/// Who holds how many, for a report: runs of warps that hold the same and came by it at the same instruction. Warps that
/// have exited keep what they had: only `setmaxnreg.dec` gives back.
pub(super) fn holders(cta: &Cta, env: &Env<'_>) -> Vec<RegisterHolder> {
    let mut list: Vec<RegisterHolder> = Vec::new();
    let mut last = None;
    for (number, warp) in cta.warps.iter().enumerate() {
        let (number, role) = (number as u32, env.role(number as u32));
        let key = (warp.registers, role.clone());
        match list.last_mut() {
            Some(run) if last.as_ref() == Some(&key) => run.warps.1 = number,
            _ => list.push(RegisterHolder {
                role,
                warps: (number, number),
                registers: warp.registers.0,
                line: warp.registers.1.map(|pc| env.program.place(pc).line),
            }),
        }
        last = Some(key);
    }
    list
}
