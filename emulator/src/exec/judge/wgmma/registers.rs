//! Registers of `wgmma` in flight (ISA 9.7.15.7): accumulators and fragments of A belong to it until the warp has waited
//! for its group, but for accumulators of a later one of the same shape. And `wgmma.fence`: it must stand in front of the
//! first `wgmma` of a warp, and of the first one behind a wait where the warp has used the same registers in between.
//! Moves behind that fence, as compilers leave them around inline assembly, are let pass.

use std::collections::{HashMap, HashSet};

use crate::exec::ctx::Ctx;
use crate::exec::inst::Flow;
use crate::exec::judge::report::misuse;
use crate::exec::judge::{with, Judge};
use crate::exec::matrix::wgmma::{Source, Wgmma};
use crate::exec::program::Program;
use crate::fault::{Fault, MisuseKind};

/// What a register is to a `wgmma`, and which one of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Accumulator(usize),
    Fragment(usize),
}

/// A `wgmma` that its warp has not waited for.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    op: u32,
    frame: u32,
    time: u64,
    pc: u32,
}

/// Of one warp.
#[derive(Clone, Debug, Default)]
struct Warp {
    flying: Vec<InFlight>,
    /// Registers used since the last fence, by place in the register file.
    used: HashSet<u32>,
    /// There was a fence since the last wait, or since the warp began.
    fenced: bool,
    /// It has waited, so that a fence is missed only for registers in `used`.
    begun: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Registers {
    /// Slots of each `wgmma`.
    roles: Vec<Slots>,
    /// What a `wgmma` takes from an earlier one that is in flight, for pairs met so far.
    conflicts: HashMap<(u32, u32), Option<Role>>,
    /// By instruction: those of its registers that any `wgmma` has.
    uses: Vec<Vec<u32>>,
    warps: Vec<Warp>,
}

/// The registers of one `wgmma`, in order and to look up.
#[derive(Debug, Default)]
struct Slots {
    list: Vec<(u32, Role)>,
    by_slot: HashMap<u32, Role>,
}

impl Slots {
    fn of(op: &Wgmma) -> Self {
        let fragments = match &op.source {
            Source::Registers(slots) => slots.as_slice(),
            Source::Shared(_) => &[],
        };
        let fragments = fragments
            .iter()
            .enumerate()
            .map(|(at, slot)| (*slot, Role::Fragment(at)));
        let sums = op.d_slots.iter().enumerate();
        let sums = sums.map(|(at, slot)| (*slot, Role::Accumulator(at)));
        let list: Vec<(u32, Role)> = sums.chain(fragments).collect();
        let by_slot = list.iter().copied().collect();
        Self { list, by_slot }
    }

    /// The first register of this one that `later` may not have while this one is in flight.
    fn conflict(&self, later: &Slots, same_shape: bool) -> Option<Role> {
        let harmful = |(slot, role): &&(u32, Role)| match (role, later.by_slot.get(slot)) {
            (_, None) | (Role::Fragment(_), Some(Role::Fragment(_))) => false,
            (Role::Accumulator(_), Some(Role::Accumulator(_))) => !same_shape,
            _ => true,
        };
        self.list.iter().find(harmful).map(|(_, role)| *role)
    }
}

/// The register's name: the first braces of the instruction hold accumulators, the second ones fragments.
fn name(program: &Program, pc: u32, role: Role) -> String {
    let text = program.instruction_text(pc);
    let (list, at) = match role {
        Role::Accumulator(at) => (1, at),
        Role::Fragment(at) => (2, at),
    };
    let inside = text.split('{').nth(list).and_then(|rest| rest.split('}').next());
    let found = inside.and_then(|names| names.split(',').nth(at));
    found.unwrap_or("a register").trim().to_owned()
}

impl Registers {
    pub(crate) fn new(program: &Program) -> Self {
        if program.wgmmas.is_empty() {
            return Self::default();
        }
        let mut own = Self {
            roles: program.wgmmas.iter().map(Slots::of).collect(),
            conflicts: HashMap::new(),
            uses: vec![Vec::new(); program.code.len()],
            warps: Vec::new(),
        };
        let slots: HashSet<u32> = own.roles.iter().flat_map(|r| r.by_slot.keys().copied()).collect();
        for (pc, slot) in program.named.iter().filter(|(_, slot)| slots.contains(slot)) {
            own.uses[*pc as usize].push(*slot);
        }
        own
    }

    pub(crate) fn reset(&mut self, warps: usize) {
        self.warps.clear();
        self.warps.resize(warps, Warp::default());
    }

    /// Whether an instruction names a register that some `wgmma` has.
    #[inline(always)]
    pub(crate) fn interests(&self, pc: u32) -> bool {
        self.uses.get(pc as usize).is_some_and(|list| !list.is_empty())
    }

    pub(crate) fn fence(&mut self, warp: usize) {
        self.warps[warp].fenced = true;
        self.warps[warp].used.clear();
    }

    pub(crate) fn waited(&mut self, warp: usize, due: u64) {
        let warp = &mut self.warps[warp];
        warp.flying.retain(|f| f.time > due);
        if warp.flying.is_empty() {
            (warp.fenced, warp.begun) = (false, true);
            warp.used.clear();
        }
    }
}

/// The instruction that the running split executes next names registers that some `wgmma` has.
#[cold]
pub(crate) fn used(x: &mut Ctx<'_>) -> Result<(), Flow> {
    with(x, |judge, x| {
        let frame = x.split_mut().frame;
        let number = judge.number(x.cta, x.warp);
        let all = &mut judge.products.registers;
        // The products themselves are looked at when they are issued.
        if all.roles.is_empty() || x.env.program.instruction_text(x.pc).contains("wgmma.mma_async") {
            return Ok(());
        }
        for slot in &all.uses[x.pc as usize] {
            let warp = &mut all.warps[number];
            let holder = warp
                .flying
                .iter()
                .find(|f| f.frame == frame && all.roles[f.op as usize].by_slot.contains_key(slot));
            match holder {
                Some(flight) => return Err(touched(x, *flight, all.roles[flight.op as usize].by_slot[slot])),
                None => drop(warp.used.insert(frame + slot)),
            }
        }
        Ok(())
    })
}

fn touched(x: &Ctx<'_>, flight: InFlight, role: Role) -> Box<Fault> {
    let register = name(x.env.program, flight.pc, role);
    let noun = match role {
        Role::Accumulator(_) => "an accumulator",
        Role::Fragment(_) => "a fragment of A",
    };
    let what = format!("uses {register}, {noun} of a wgmma that its warp has not waited for");
    let place = x.env.location(x.cta().index, x.warp as u32, None, flight.pc);
    let fix = "expected wgmma.wait_group for its group before";
    let other = Some(("issued by", place));
    misuse(x, MisuseKind::ProductRegisters, None, what, other, fix)
}

impl Judge {
    /// The running warp issues `wgmma` number `op` of the program.
    pub(super) fn registers_issued(&mut self, x: &mut Ctx<'_>, op: u32, time: u64) -> Result<(), Box<Fault>> {
        let frame = x.split_mut().frame;
        let number = self.number(x.cta, x.warp);
        let Registers {
            roles,
            warps,
            conflicts,
            ..
        } = &mut self.products.registers;
        let warp = &mut warps[number];
        let (own, program) = (&roles[op as usize], x.env.program);
        for flight in warp.flying.iter().filter(|f| f.frame == frame && f.op != op) {
            let conflict = conflicts.entry((flight.op, op)).or_insert_with(|| {
                let same_shape = program.wgmmas[flight.op as usize].same_shape(&program.wgmmas[op as usize]);
                roles[flight.op as usize].conflict(own, same_shape)
            });
            if let Some(role) = *conflict {
                return Err(touched(x, *flight, role));
            }
        }
        if !warp.fenced {
            let lacks = own.list.iter().find(|(slot, _)| warp.used.contains(&(frame + *slot)));
            if !warp.begun || lacks.is_some() {
                let register = lacks.map(|(_, role)| name(program, x.pc, *role));
                return Err(unfenced(x, register));
            }
        }
        warp.flying.retain(|f| (f.op, f.frame) != (op, frame));
        let pc = x.pc;
        warp.flying.push(InFlight { op, frame, time, pc });
        Ok(())
    }
}

fn unfenced(x: &Ctx<'_>, register: Option<String>) -> Box<Fault> {
    let what = match register {
        Some(register) => format!("a wgmma with {register}, which its warp has used without a wgmma.fence behind"),
        None => "the first wgmma of a warp, and there was no wgmma.fence".into(),
    };
    let fix =
        "expected wgmma.fence between ordinary uses of its registers and the wgmma, and in front of the first one";
    misuse(x, MisuseKind::ProductFence, None, what, None, fix)
}
