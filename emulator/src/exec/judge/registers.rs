//! Registers that were never written, lane by lane. Reading one is no fault: compilers move and pack undefined values. What
//! is computed from it is as undefined, and it is reported where it matters: as a guard, an address, an operand of a
//! barrier, copy or atomic, or as all that a store writes to global memory. Memory and matrices forget it.

use std::collections::{HashMap, HashSet};

use super::ops::Flowing;
use super::report::misuse;
use super::Judge;
use crate::exec::ctx::Ctx;
use crate::exec::env::Env;
use crate::exec::inst::{Flow, Inst, IN_POOL, NO_GUARD};
use crate::exec::memory::{space, window};
use crate::exec::program::{Callee, End, Program, Use};
use crate::exec::warp_ops::shuffle_source;
use crate::fault::{Fault, MisuseKind};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// For each warp and word of its register file, the lanes that have been written.
    warps: Vec<Vec<u32>>,
    /// For a register with an undefined value, the instruction that read one which was never written, and its name.
    origins: HashMap<(usize, usize), (u32, Use)>,
}

impl Written {
    pub(super) fn reset(&mut self, env: &Env<'_>, warps: usize) {
        let words = env.program.functions[env.function as usize].frame_bytes as usize / 4;
        self.warps.resize_with(warps, Vec::new);
        for warp in &mut self.warps {
            warp.clear();
            warp.resize(words, 0);
        }
        self.origins.clear();
    }
}

/// `mbarrier.try_wait` and `.test_wait` whose predicate no instruction of the function reads.
pub(super) fn ignored_waits(program: &Program) -> Vec<u32> {
    let mut found = Vec::new();
    let mut starts: Vec<usize> = program
        .functions
        .iter()
        .filter(|f| f.defined)
        .map(|f| f.start as usize)
        .collect();
    starts.push(program.code.len());
    starts.sort_unstable();
    for pair in starts.windows(2) {
        let range = pair[0]..pair[1];
        let guards = program.code[range.clone()].iter().map(|i| i.guard);
        let mut read: HashSet<u32> = guards.filter(|g| *g != NO_GUARD).map(|g| g & !1).collect();
        let mut waits = Vec::new();
        for pc in range {
            let uses = uses(program, pc as u32);
            read.extend(uses.iter().filter(|u| !u.write).map(|u| u.slot));
            let place = program.places[pc];
            let text = program.text.get(place.start as usize..place.end as usize).unwrap_or("");
            let word = super::ops::opcode(text);
            let waits_here = word.starts_with("mbarrier.try_wait") || word.starts_with("mbarrier.test_wait");
            if waits_here && program.used[pc] != (0, 0) {
                waits.push((pc as u32, uses.iter().find(|u| u.write).map(|u| u.slot)));
            }
        }
        let unread = |slot: &Option<u32>| slot.is_none_or(|s| !read.contains(&s));
        found.extend(waits.iter().filter(|(_, slot)| unread(slot)).map(|(pc, _)| *pc));
    }
    found
}

#[inline(always)]
fn uses(program: &Program, pc: u32) -> &[Use] {
    let (first, end) = program.used[pc as usize];
    &program.uses[first as usize..end as usize]
}

/// Where the running split's registers begin, in words.
#[inline(always)]
fn frame(x: &Ctx<'_>) -> usize {
    x.warp().splits[x.split].frame as usize / 4
}

/// Before the guard of an instruction is read.
#[inline(always)]
pub(super) fn guard(x: &mut Ctx<'_>, i: &Inst) -> Result<(), Flow> {
    let (slot, active) = ((i.guard & !1) as usize / 4, x.active);
    let at = frame(x) + slot;
    let Some(judge) = &x.cluster.judge else { return Ok(()) };
    let warp = judge.number(x.cta, x.warp);
    let known = judge.written.warps[warp].get(at).copied().unwrap_or(0);
    if active & !known == 0 {
        return Ok(());
    }
    super::with(x, |judge, x| {
        let lane = (active & !known).trailing_zeros();
        Err(judge.undefined(x, at, None, lane, "a guard"))
    })
}

/// Before an instruction is executed: its sources are looked at, its results become what they are worth.
#[inline(always)]
pub(super) fn check(x: &mut Ctx<'_>, i: &Inst, mask: u32, flow: Flowing) -> Result<(), Flow> {
    let program = x.env.program;
    let list = uses(program, x.pc);
    if list.is_empty() && flow != Flowing::Call {
        return Ok(());
    }
    let base = frame(x);
    let Some(judge) = &mut x.cluster.judge else {
        return Ok(());
    };
    let warp = x.cta * judge.warps_per_cta + x.warp;
    let words = &mut judge.written.warps[warp];
    let mut known = mask;
    for used in list.iter().filter(|u| !u.write) {
        known &= words.get(base + used.slot as usize / 4).copied().unwrap_or(0);
    }
    if known != mask || matches!(flow, Flowing::Call | Flowing::Unread) {
        return super::with(x, |judge, x| judge.follow(x, i, mask, flow, known));
    }
    for used in list.iter().filter(|u| u.write) {
        if let Some(word) = words.get_mut(base + used.slot as usize / 4) {
            *word |= mask;
        }
    }
    Ok(())
}

impl Judge {
    /// The same where a source is undefined in some lane; `known` are the lanes where none is.
    fn follow(&mut self, x: &mut Ctx<'_>, i: &Inst, mask: u32, flow: Flowing, known: u32) -> Result<(), Box<Fault>> {
        let program = x.env.program;
        let list = uses(program, x.pc);
        let warp = self.number(x.cta, x.warp);
        if flow == Flowing::Unread {
            let what = "waits on an mbarrier, and no instruction reads the answer".into();
            let fix = "expected a loop until the answer is true: try_wait may time out, test_wait does not wait";
            let lane = Some(mask.trailing_zeros() & 31);
            return Err(misuse(x, MisuseKind::IgnoredWait, lane, what, None, fix));
        }
        if flow == Flowing::Call {
            self.call(x, i, mask);
            return Ok(());
        }
        let base = frame(x);
        let at = |slot: u32| base + slot as usize / 4;
        let of = |judge: &Self, slot: u32| {
            let pooled = slot & IN_POOL != 0;
            if pooled {
                u32::MAX
            } else {
                judge.written.warps[warp].get(at(slot)).copied().unwrap_or(0)
            }
        };
        let sources: Vec<Use> = list.iter().filter(|u| !u.write).copied().collect();
        let bad = |judge: &Self, used: &Use| mask & !of(judge, used.slot);
        let needed = |used: &&Use| match flow {
            Flowing::Needs => true,
            Flowing::Load | Flowing::Store => used.slot == i.a,
            _ => false,
        };
        if let Some(used) = sources.iter().filter(needed).find(|u| bad(self, u) != 0) {
            let role = if used.slot == i.a && flow != Flowing::Needs {
                "an address"
            } else {
                "an operand"
            };
            let lane = bad(self, used).trailing_zeros();
            return Err(self.undefined(x, at(used.slot), Some(*used), lane, role));
        }
        if flow == Flowing::Store {
            return self.stored(x, i, mask, &sources);
        }
        let result = match flow {
            Flowing::Best => sources.iter().fold(0, |all, u| all | of(self, u.slot)),
            Flowing::Written | Flowing::Load | Flowing::Needs => u32::MAX,
            Flowing::Warp if known != mask => 0,
            Flowing::Select => {
                let chosen = x.pred(i.c);
                let ready = sources.last().map_or(u32::MAX, |u| of(self, u.slot));
                ready & (chosen & of(self, i.a) | !chosen & of(self, i.b))
            }
            Flowing::Shuffle => shuffled(x, i, mask, of(self, i.a)) & (known | of(self, i.a) ^ u32::MAX),
            _ => known,
        };
        let origin = sources.iter().find(|u| bad(self, u) != 0).map(|used| {
            let earlier = self.written.origins.get(&(warp, at(used.slot)));
            earlier.copied().unwrap_or((x.pc, *used))
        });
        for used in list.iter().filter(|u| u.write) {
            let place = at(used.slot);
            if let Some(word) = self.written.warps[warp].get_mut(place) {
                *word = *word & !mask | result & mask;
            }
            if let Some(origin) = origin.filter(|_| mask & !result != 0) {
                self.written.origins.insert((warp, place), origin);
            }
        }
        Ok(())
    }

    /// A store whose address is known: is all that a lane writes to global memory undefined?
    fn stored(&self, x: &Ctx<'_>, i: &Inst, mask: u32, sources: &[Use]) -> Result<(), Box<Fault>> {
        let (warp, base) = (self.number(x.cta, x.warp), frame(x));
        let values: Vec<&Use> = sources.iter().filter(|u| u.slot != i.a).collect();
        let best = values.iter().fold(0, |all, u| {
            all | self.written.warps[warp]
                .get(base + u.slot as usize / 4)
                .copied()
                .unwrap_or(0)
        });
        let registers = i.extra >> space::COUNT_SHIFT;
        let lanes = mask & !best;
        let global = match i.extra & space::MASK {
            space::GLOBAL => true,
            space::GENERIC => {
                crate::exec::memory::addresses(x, i, mask)[lanes.trailing_zeros() as usize & 31] < window::SHARED
            }
            _ => false,
        };
        // A number among the values counts as written: there are fewer registers than elements then.
        match values.first() {
            Some(used) if lanes != 0 && global && values.len() as u32 >= registers => {
                let place = base + used.slot as usize / 4;
                Err(self.undefined(
                    x,
                    place,
                    Some(**used),
                    lanes.trailing_zeros(),
                    "all that it writes to global memory",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Arguments become the callee's registers, whose others are unwritten; results count as written.
    fn call(&mut self, x: &mut Ctx<'_>, i: &Inst, mask: u32) {
        let program = x.env.program;
        let Some(call) = program.calls.get(i.extra as usize) else {
            return;
        };
        let function = match call.callee {
            Callee::Function(number) => Some(number),
            Callee::Register(slot) => {
                let lane = mask.trailing_zeros() as usize & 31;
                u32::try_from(x.lanes::<u64>(slot)[lane] ^ window::FUNCTION).ok()
            }
            _ => None,
        };
        let warp = self.number(x.cta, x.warp);
        let (base, new) = (frame(x), x.warp().top(program).0 as usize / 4);
        let words = &mut self.written.warps[warp];
        if let Some(code) = function.and_then(|f| program.functions.get(f as usize)) {
            let end = new + code.frame_bytes as usize / 4;
            words.resize(words.len().max(end), 0);
            words[new..end].fill(0);
            self.written
                .origins
                .retain(|(of, place), _| *of != warp || !(new..end).contains(place));
            for step in &call.arguments {
                let End::Register(to, _) = step.to else { continue };
                let value = match step.from {
                    End::Register(from, _) if from & IN_POOL == 0 => {
                        words.get(base + from as usize / 4).copied().unwrap_or(0)
                    }
                    _ => u32::MAX,
                };
                words[new + to as usize / 4] = value;
            }
        }
        for step in &call.results {
            if let End::Register(to, _) = step.to {
                if let Some(word) = words.get_mut(base + to as usize / 4) {
                    *word |= mask;
                }
            }
        }
    }

    /// The report: what the value is used as, which register, and where it comes from.
    #[cold]
    fn undefined(&self, x: &Ctx<'_>, place: usize, used: Option<Use>, lane: u32, role: &str) -> Box<Fault> {
        let warp = self.number(x.cta, x.warp);
        let name = |used: Use| {
            let (at, length) = (used.name.0 as usize, used.name.1 as usize);
            x.env.program.text.get(at..at + length).unwrap_or("?").to_owned()
        };
        let fix = "expected a write to the register on every path that leads here";
        let subject = used.map_or_else(|| "its predicate".to_owned(), name);
        let Some((pc, first)) = self
            .written
            .origins
            .get(&(warp, place))
            .copied()
            .filter(|(pc, _)| *pc != x.pc)
        else {
            let what = format!("uses {subject} as {role}, which lane {lane} has never written");
            return misuse(x, MisuseKind::UndefinedRegister, Some(lane), what, None, fix);
        };
        let origin = x.env.location(x.cta().index, x.warp as u32, Some(lane), pc);
        let what = format!(
            "uses {subject} as {role}, and lane {lane} computed it from {}, which it has never written",
            name(first)
        );
        misuse(
            x,
            MisuseKind::UndefinedRegister,
            Some(lane),
            what,
            Some(("which was read by", origin)),
            fix,
        )
    }
}

/// Lanes whose source lane executes the shuffle too and has a value.
fn shuffled(x: &Ctx<'_>, i: &Inst, mask: u32, written: u32) -> u32 {
    let (b, c) = (x.lanes::<u32>(i.b), x.lanes::<u32>(i.c));
    let good = |lane: usize| {
        let (source, _) = shuffle_source(i.imm, lane as u32, b[lane], c[lane]);
        written & mask & (1 << source) != 0
    };
    (0..32usize).fold(0, |all, lane| all | u32::from(good(lane)) << lane)
}
