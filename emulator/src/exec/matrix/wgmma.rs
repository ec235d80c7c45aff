//! `wgmma` (ISA 9.7.15): issue, groups, and when results appear. The arithmetic is in `panels`, the layouts in `descriptor`.
//!
//! The four warps of a warpgroup execute the same instruction, each for 16 of the 64 rows. Warps run one after the other
//! here, so each leaves its part in the warpgroup's queue, and nothing waits until `wait_group`: that one blocks until the
//! others have left theirs, because one warp of four may tell a producer that the operands are free. Operands are read
//! and results appear as soon as the last part is there (eager), or at a random moment behind that (seeded); under the
//! latest schedule operands are read when the first warp waits, and each warp's results appear when it waits itself.
//! `transfer` does both.

mod transfer;

use std::collections::VecDeque;
use std::ops::Range;

use super::super::cluster::{Cluster, Waiting};
use super::super::ctx::Ctx;
use super::super::inst::{Flow, Inst};
use super::super::judge::wgmma as judge;
use super::super::memory::{self, space};
use super::super::program::Program;
use super::descriptor::{Descriptor, PIECE};
use super::element::Element;
use super::panels::Panels;
use super::sparse::Sparsity;
use super::whole_warp;
use crate::launch::Schedule;

/// Where A comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Registers(Vec<u32>),
    /// Slot of the descriptor.
    Shared(u32),
}

/// One `wgmma.mma_async`.
#[derive(Clone, Debug)]
pub(crate) struct Wgmma {
    pub n: u32,
    /// Of B.
    pub k: u32,
    pub d: Element,
    pub a: Element,
    pub b: Element,
    pub source: Source,
    /// Slot of B's descriptor.
    pub b_slot: u32,
    pub d_slots: Vec<u32>,
    /// Predicate: D is added to, not overwritten.
    pub accumulate: u32,
    /// Of A and B.
    pub negated: (bool, bool),
    pub transposed: (bool, bool),
    pub saturate: bool,
    /// Of `.sp`: A stores every second step of K.
    pub sparsity: Option<Sparsity>,
}

impl Wgmma {
    /// Steps of K that A has stored.
    fn stored(&self) -> u32 {
        self.k / if self.sparsity.is_some() { 2 } else { 1 }
    }

    /// Calls `each` with the shared address of every piece of B, and of these rows of A where they are there too.
    pub(crate) fn pieces(&self, operands: (u64, u64), rows: Range<u32>, mut each: impl FnMut(u32)) {
        let mut walk = |bits: u64, t: Element, transposed: bool, rows: Range<u32>, k: u32| {
            let (descriptor, elements) = (Descriptor::decode(bits), PIECE * 8 / t.bits());
            if transposed {
                let pieces = rows.start / elements..rows.end / elements;
                pieces.for_each(|piece| (0..k).for_each(|step| each(descriptor.across_k(piece, step))));
            } else {
                rows.for_each(|row| (0..k / elements).for_each(|piece| each(descriptor.along_k(row, piece))));
            }
        };
        if matches!(self.source, Source::Shared(_)) {
            walk(operands.0, self.a, self.transposed.0, rows, self.stored());
        }
        walk(operands.1, self.b, self.transposed.1, 0..self.n, self.k);
    }

    /// Whether accumulators of the two may follow each other without a wait.
    pub(crate) fn same_shape(&self, other: &Wgmma) -> bool {
        (self.n, self.k, self.d) == (other.n, other.k, other.d)
    }
}

/// A warp's share of one `wgmma`.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Offset of the running frame in the register file.
    frame: u32,
    accumulate: bool,
}

/// One `wgmma` that is not over for all of its warps.
#[derive(Debug)]
struct Flight {
    op: u32,
    pc: u32,
    /// Descriptors of A and B.
    operands: (u64, u64),
    parts: [Option<Part>; 4],
    /// Once the operands are read.
    panels: Option<Panels>,
    /// Warps whose results have appeared.
    done: [bool; 4],
}

impl Flight {
    fn is_complete(&self) -> bool {
        self.parts.iter().all(Option::is_some)
    }
}

/// What one warpgroup has in flight.
#[derive(Debug, Default)]
pub(crate) struct Warpgroup {
    /// In order; the first has number `first`.
    queue: VecDeque<Flight>,
    first: u64,
    /// How many each warp has issued.
    issued: [u64; 4],
    /// The count at each commit since the last wait, by warp.
    commits: [VecDeque<u64>; 4],
}

impl Warpgroup {
    /// Which warps have not executed `wgmma` number `number`, as a mask of ranks, and where it stands.
    pub(crate) fn missing(&self, number: u64) -> (u32, u32) {
        let flight = number
            .checked_sub(self.first)
            .and_then(|at| self.queue.get(at as usize));
        let late = |f: &Flight| {
            (0..4)
                .filter(|r| f.parts[*r].is_none())
                .fold(0, |mask, r| mask | 1 << r)
        };
        flight.map_or((0, 0), |f| (late(f), f.pc))
    }

    /// How many `wgmma` warp `rank` has executed.
    pub(crate) fn issued(&self, rank: usize) -> u64 {
        self.issued[rank]
    }

    /// Where the next `wgmma` stands that warp `rank` has not executed though others have.
    pub(crate) fn behind(&self, rank: usize) -> Option<u32> {
        let at = self.issued[rank].saturating_sub(self.first);
        self.queue.get(at as usize).map(|flight| flight.pc)
    }

    /// Those that are over for all warps leave the queue, and their memory serves the next.
    fn trim(&mut self, gone: [bool; 4], spare: &mut Vec<Panels>) {
        let over = |f: &Flight| (0..4).all(|r| f.done[r] || gone[r] && f.panels.is_some());
        while self.queue.front().is_some_and(over) {
            spare.extend(self.queue.pop_front().and_then(|f| f.panels));
            self.first += 1;
        }
    }
}

/// Number of the warpgroup, rank of the warp in it.
fn place(x: &Ctx<'_>) -> (usize, usize) {
    (x.warp / 4, x.warp % 4)
}

/// `wgmma.mma_async`; `extra` is its number in the program's list.
pub(crate) unsafe fn issue(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    match join(x, i.extra, mask) {
        Ok(()) => Flow::Next,
        Err(flow) => flow,
    }
}

fn join(x: &mut Ctx<'_>, number: u32, mask: u32) -> Result<(), Flow> {
    let op = &x.env.program.wgmmas[number as usize];
    let lane = mask.trailing_zeros() as usize & 31;
    let descriptor = |slot: u32| x.lanes::<u64>(slot)[lane];
    let a = match op.source {
        Source::Shared(slot) => descriptor(slot),
        Source::Registers(_) => 0,
    };
    let operands = (a, descriptor(op.b_slot));
    let (group, rank) = place(x);
    let warps = x.cta().warps.len();
    if warps < group * 4 + 4 {
        let text = format!(
            "wgmma needs four warps from warp {} on, and the thread block has {warps}",
            group * 4
        );
        return Err(x.trap(None, text));
    }
    let part = Part {
        frame: x.split_mut().frame,
        accumulate: x.pred(op.accumulate) >> lane & 1 != 0,
    };
    let pc = x.pc;
    let all = &mut x.cta_mut().warpgroups[group];
    let at = (all.issued[rank] - all.first) as usize;
    match all.queue.get_mut(at) {
        None => {
            check_bounds(x, op, operands)?;
            let flight = Flight {
                op: number,
                pc,
                operands,
                parts: [None; 4],
                panels: None,
                done: [false; 4],
            };
            x.cta_mut().warpgroups[group].queue.push_back(flight);
        }
        Some(flight) if flight.pc != pc || flight.operands != operands => {
            let other = (flight.pc, flight.operands);
            return Err(disagree(x, other, operands));
        }
        Some(_) => {}
    }
    let time = x.cta().warpgroups[group].issued[rank] + 1;
    judge::issue(x, number, operands, time)?;
    let all = &mut x.cta_mut().warpgroups[group];
    all.issued[rank] = time;
    all.queue[at].parts[rank] = Some(part);
    if all.queue[at].is_complete() {
        wake(x, group);
        if x.env.launch.settings.schedule == Schedule::Eager {
            let (cta, program) = (x.cta, x.env.program);
            complete(x.cluster, (cta, group), at + 1, 0..4, program);
        }
    }
    x.touch();
    Ok(())
}

/// The warps of a warpgroup execute different instructions, or one on different operands.
#[cold]
fn disagree(x: &mut Ctx<'_>, other: (u32, (u64, u64)), operands: (u64, u64)) -> Flow {
    let (pc, theirs) = other;
    let text = if pc == x.pc {
        let (found, expected) = if theirs.0 == operands.0 {
            (operands.1, theirs.1)
        } else {
            (operands.0, theirs.0)
        };
        format!(
            "wgmma with matrix descriptor {found:#x}, expected {expected:#x} as in the other warps of its warpgroup"
        )
    } else {
        let line = x.env.program.place(pc).line;
        format!("the warps of a warpgroup execute different wgmma, expected that of line {line} as in the others")
    };
    x.trap(None, text)
}

/// Every piece of both operands must lie in the thread block's shared memory.
fn check_bounds(x: &mut Ctx<'_>, op: &Wgmma, operands: (u64, u64)) -> Result<(), Flow> {
    let mut last = 0;
    op.pieces(operands, 0..64, |address| last = last.max(address));
    if last + PIECE <= x.shared.bytes {
        return Ok(());
    }
    memory::place(x, space::SHARED, u64::from(last), PIECE, PIECE, false, 0).map(drop)
}

/// Warps that wait for the others' parts look again.
fn wake(x: &mut Ctx<'_>, group: usize) {
    let warps = &mut x.cta_mut().warps[group * 4..group * 4 + 4];
    for split in warps.iter_mut().flat_map(|w| &mut w.splits) {
        if matches!(split.waiting, Waiting::Warpgroup(_)) {
            split.waiting = Waiting::No;
        }
    }
}

/// `wgmma.fence`: registers have no order here that it could change.
pub(crate) unsafe fn fence(x: &mut Ctx<'_>, _i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    judge::fence(x).err().unwrap_or(Flow::Next)
}

/// `wgmma.commit_group`.
pub(crate) unsafe fn commit(x: &mut Ctx<'_>, _i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let (group, rank) = place(x);
    let all = &mut x.cta_mut().warpgroups[group];
    let issued = all.issued[rank];
    all.commits[rank].push_back(issued);
    Flow::Next
}

/// `wgmma.wait_group imm`.
pub(crate) unsafe fn wait(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let (group, rank) = place(x);
    let all = &mut x.cta_mut().warpgroups[group];
    let over = all.commits[rank].len().saturating_sub(i.imm as usize);
    let Some(due) = over.checked_sub(1).map(|at| all.commits[rank][at]) else {
        return Flow::Next;
    };
    let count = due.saturating_sub(all.first) as usize;
    if let Some(at) = all.queue.iter().take(count).position(|f| !f.is_complete()) {
        let number = all.first + at as u64;
        x.block = Waiting::Warpgroup(number);
        return Flow::Block;
    }
    all.commits[rank].drain(..over);
    // Groups of nothing may be waited for by fewer warps than a warpgroup has.
    if count > 0 {
        let (cta, program) = (x.cta, x.env.program);
        complete(x.cluster, (cta, group), count, rank..rank + 1, program);
    }
    judge::waited(x, due).err().unwrap_or(Flow::Next)
}

/// Completes the oldest `wgmma` of a warpgroup drawn at random.
pub(crate) fn complete_one(cluster: &mut Cluster, program: &Program) {
    let ready = |group: &Warpgroup| group.queue.front().is_some_and(Flight::is_complete);
    let groups = cluster.ctas.iter().enumerate();
    let open: Vec<(usize, usize)> = groups
        .flat_map(|(c, cta)| {
            let groups = cta.warpgroups.iter().enumerate();
            groups.filter_map(move |(g, group)| ready(group).then_some((c, g)))
        })
        .collect();
    if !open.is_empty() {
        let pick = cluster.draw() as usize % open.len();
        complete(cluster, open[pick], 1, 0..4, program);
    }
}

/// Makes the first `count` in the queue of a warpgroup (thread block, number) appear to warps `ranks`.
fn complete(cluster: &mut Cluster, (cta, group): (usize, usize), count: usize, ranks: Range<usize>, program: &Program) {
    let spare = &mut cluster.panels;
    let cta = &mut cluster.ctas[cta];
    let memory = cta.shared();
    let all = &mut cta.warpgroups[group];
    let warps = &mut cta.warps[group * 4..group * 4 + 4];
    for flight in all.queue.iter_mut().take(count) {
        if flight.panels.is_none() {
            let mut panels = spare.pop().unwrap_or_default();
            transfer::read_operands(memory, warps, flight, program, &mut panels);
            flight.panels = Some(panels);
        }
        for rank in ranks.clone() {
            if !std::mem::replace(&mut flight.done[rank], true) {
                transfer::write_results(&warps[rank], flight, rank, program);
            }
        }
    }
    // A warp that has left without a wait has no registers any more.
    let gone = std::array::from_fn(|rank| warps[rank].splits.is_empty());
    all.trim(gone, spare);
    cluster.epoch += 1;
}
