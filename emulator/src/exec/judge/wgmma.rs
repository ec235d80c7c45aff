//! `wgmma` in flight. To shared memory each warpgroup is one more actor, as a copy is: it reads the operands when they
//! are issued, and nobody knows that it is done until a warp of it has waited for the group. One warp's wait speaks for
//! all four, as they execute each `wgmma` together. Registers are followed in `registers`.

mod registers;

use std::collections::HashMap;

use super::clock::Agent;
use super::report::misuse;
use super::shadow::{Access, By, ASYNC, COPY, PRODUCT};
use super::{with, Judge};
use crate::exec::ctx::Ctx;
use crate::exec::inst::Flow;
use crate::exec::matrix::descriptor::PIECE;
use crate::exec::program::Program;
use crate::fault::{Fault, MisuseKind};

pub(super) use registers::{used, Registers};

type Found = Result<(), Box<Fault>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Products {
    /// By thread block and warpgroup.
    agents: HashMap<(usize, usize), Agent>,
    pub registers: Registers,
}

impl Products {
    pub(super) fn new(program: &Program) -> Self {
        Self {
            agents: HashMap::new(),
            registers: Registers::new(program),
        }
    }

    pub(super) fn reset(&mut self, warps: usize) {
        self.agents.clear();
        self.registers.reset(warps);
    }
}

impl Judge {
    fn product_agent(&mut self, x: &Ctx<'_>) -> Agent {
        let flights = &mut self.flights;
        let key = (x.cta, x.warp / 4);
        *self.products.agents.entry(key).or_insert_with(|| flights.new_agent())
    }

    /// The running warp's share of the operands is read.
    fn operands_read(&mut self, x: &Ctx<'_>, number: u32, operands: (u64, u64), time: u32) -> Found {
        let access = Access {
            agent: self.product_agent(x),
            time,
            ..self.access(x, 0, COPY | ASYNC | PRODUCT)
        };
        let first = (x.warp % 4) as u32 * 16;
        let mut pieces = Vec::new();
        x.env.program.wgmmas[number as usize].pieces(operands, first..first + 16, |piece| pieces.push(piece));
        let warp = self.number(x.cta, x.warp);
        for piece in pieces {
            let (_, clock) = self.threads[warp].of(x.active, &x.warp().splits);
            let found = self.shadows[x.cta].access(piece, PIECE, By { access, clock });
            found.map_err(|(at, conflict)| self.conflict(x, x.cta, at, access, conflict))?;
        }
        self.flights.note(x.cta, access);
        Ok(())
    }
}

/// A warp issues its warpgroup's `wgmma` number `time`, counted from 1.
pub(crate) fn issue(x: &mut Ctx<'_>, number: u32, operands: (u64, u64), time: u64) -> Result<(), Flow> {
    with(x, |judge, x| {
        if let Some(warp) = gone(x, time) {
            let what = format!("a wgmma, and warp {warp} of its warpgroup has left without executing it");
            let fix = "expected the same wgmma in all four warps of the warpgroup";
            return Err(misuse(x, MisuseKind::Warpgroup, None, what, None, fix));
        }
        judge.registers_issued(x, number, time)?;
        judge.operands_read(x, number, operands, time as u32)
    })
}

/// A warp of the running one's warpgroup that has left without executing `wgmma` number `time`.
fn gone(x: &Ctx<'_>, time: u64) -> Option<usize> {
    let group = x.warp / 4;
    let all = &x.cta().warpgroups[group];
    let ranks = (0..4).filter(|rank| all.issued(*rank) < time);
    ranks
        .map(|rank| group * 4 + rank)
        .find(|warp| x.cta().warps[*warp].live == 0)
}

/// `wgmma.fence`.
pub(crate) fn fence(x: &mut Ctx<'_>) -> Result<(), Flow> {
    with(x, |judge, x| {
        let warp = judge.number(x.cta, x.warp);
        judge.products.registers.fence(warp);
        Ok(())
    })
}

/// A warp has waited for everything up to number `due`.
pub(crate) fn waited(x: &mut Ctx<'_>, due: u64) -> Result<(), Flow> {
    with(x, |judge, x| {
        let warp = judge.number(x.cta, x.warp);
        judge.products.registers.waited(warp, due);
        let agent = judge.product_agent(x);
        judge.me(x).1.raise(agent, due as u32);
        Ok(())
    })
}

/// Threads of the running warp have left, perhaps all.
pub(crate) fn left(x: &mut Ctx<'_>) -> Result<(), Flow> {
    let (group, rank) = (x.warp / 4, x.warp % 4);
    let behind = x.cta().warpgroups.get(group).and_then(|all| all.behind(rank));
    let Some(pc) = behind.filter(|_| x.warp().live == 0) else {
        return Ok(());
    };
    with(x, |_, x| {
        let place = x.env.location(x.cta().index, (group * 4) as u32, None, pc);
        let what = "a warp leaves and has not executed a wgmma that others of its warpgroup have".into();
        let fix = "expected the same wgmma in all four warps of the warpgroup";
        let other = Some(("it stands in the warpgroup of", place));
        Err(misuse(x, MisuseKind::Warpgroup, None, what, other, fix))
    })
}
