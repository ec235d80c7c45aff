//! Loops that poll plain memory which nobody changes any more. Once nothing has changed for some rounds, each part of a warp
//! that is not blocked is stepped until it comes back to a state it was in: same place, same registers, same local memory.
//! If all of them do, and nothing changed in between, they will do so for ever; `schedule` then treats them as blocked.
//! A loop that counts, or that reads what the host may write, is never reported.

use super::cluster::{Cluster, Return, Waiting};
use super::ctx::Ctx;
use super::env::Env;
use super::judge::ops::polled;
use super::memory::{addresses, host, shared_rank, space, space_of, window, RANK_SHIFT};
use super::schedule::RECENT;
use super::turn::{settle, step, End};
use crate::fault::{Fault, Space};

/// Rounds without a change before the first look; then again each time the number has doubled.
const FIRST: u64 = 8;
/// Instructions that one split is followed for.
const STEPS: u32 = 4096;
/// Stores are compared with what is there for so many rounds, so that a loop that stores is seen too: from this round on, and
/// again each time their number has doubled.
const WATCHED: u64 = 16;
const WATCH_FROM: u64 = 64;

/// What a cluster remembers between two looks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Still {
    epoch: u64,
    since: u64,
    /// The last look found that all go round for ever.
    found: bool,
}

/// A loop that changes nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spin {
    /// `Cluster::epoch` when it was found.
    pub epoch: u64,
    /// Its first and last instruction in the text.
    pub span: (u32, u32),
    pub poll: Poll,
}

/// A read of memory that others may write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Poll {
    pub pc: u32,
    pub space: Space,
    /// Global: the address. Shared: rank of the thread block and offset.
    pub place: (usize, u64),
    pub value: u64,
}

/// What became of a split that was followed.
enum Verdict {
    Spins(Spin),
    /// It waits for an mbarrier now: that is counted elsewhere.
    Waits,
    /// It got somewhere, or may.
    Goes,
}

/// Another host thread's clusters may have changed memory since the last slice.
pub(super) fn forget(cluster: &mut Cluster) {
    let splits = cluster
        .ctas
        .iter_mut()
        .flat_map(|c| &mut c.warps)
        .flat_map(|w| &mut w.splits);
    splits.for_each(|s| s.spin = None);
}

/// After a round: whether stores should be compared, and marks the splits that go round for ever, if no other runs.
pub(super) fn look(cluster: &mut Cluster, env: &Env<'_>) -> Result<(), Box<Fault>> {
    let doubled = 1 << cluster.rounds.max(1).ilog2();
    cluster.watch |= cluster.still.found || cluster.rounds >= WATCH_FROM && cluster.rounds - doubled < WATCHED;
    let (epoch, rounds) = (cluster.epoch, cluster.rounds);
    if cluster.still.epoch != epoch {
        cluster.still = Still {
            epoch,
            since: rounds,
            found: false,
        };
    }
    let quiet = rounds - cluster.still.since;
    if !(cluster.still.found || quiet >= FIRST && quiet.is_power_of_two()) {
        return Ok(());
    }
    let spins = follow_all(cluster, env)?;
    cluster.still.found = spins.is_some();
    for ((cta, warp, number), spin) in spins.unwrap_or_default() {
        if let Some(split) = cluster.ctas[cta].warps[warp].splits.get_mut(number) {
            split.spin = Some(spin);
        }
    }
    Ok(())
}

type Found = Vec<((usize, usize, usize), Spin)>;

/// All splits that run, each with its loop; `None` when one of them gets somewhere.
fn follow_all(cluster: &mut Cluster, env: &Env<'_>) -> Result<Option<Found>, Box<Fault>> {
    let recently = cluster.rounds.saturating_sub(RECENT);
    let (mut list, epoch) = (Vec::new(), cluster.epoch);
    for cta in 0..cluster.ctas.len() {
        for warp in 0..cluster.ctas[cta].warps.len() {
            let mut number = 0;
            while let Some(split) = cluster.ctas[cta].warps[warp].splits.get(number) {
                let runs = split.waiting == Waiting::No && !split.idle && split.vain_round <= recently;
                if runs && split.spin.is_none_or(|s| s.epoch != epoch) {
                    match follow(cluster, (cta, warp, number), env)? {
                        Verdict::Spins(spin) => list.push(((cta, warp, number), spin)),
                        Verdict::Waits => {}
                        Verdict::Goes => return Ok(None),
                    }
                }
                number += 1;
            }
        }
    }
    Ok((cluster.epoch == epoch).then_some(list))
}

/// All that decides what a split does next, but for memory that others see.
struct State {
    pc: u32,
    active: u32,
    carry: u32,
    calls: Vec<Return>,
    registers: Vec<u8>,
    local: Vec<u8>,
}

impl State {
    fn of(x: &Ctx<'_>) -> Self {
        let warp = x.warp();
        State {
            pc: x.pc,
            active: x.active,
            carry: warp.carry,
            calls: warp.splits[x.split].calls.clone(),
            registers: warp.regs.as_slice().to_vec(),
            local: warp.local.as_slice().to_vec(),
        }
    }

    fn is_back(&self, x: &Ctx<'_>) -> bool {
        let warp = x.warp();
        self.pc == x.pc
            && self.active == x.active
            && self.carry == warp.carry
            && self.calls == warp.splits[x.split].calls
            && self.registers == warp.regs.as_slice()
            && self.local == warp.local.as_slice()
    }
}

/// Follows one split until it is where it was, at most `STEPS` instructions far.
fn follow(
    cluster: &mut Cluster,
    (cta, warp, number): (usize, usize, usize),
    env: &Env<'_>,
) -> Result<Verdict, Box<Fault>> {
    let before = (cluster.epoch, cluster.issued);
    let mut x = Ctx::new(cluster, cta, warp, env);
    x.enter(number);
    let (mut anchor, mut next) = (State::of(&x), 2);
    let mut round = Round::default();
    for count in 1..=STEPS {
        round.note(&x);
        let active = x.active;
        match step(&mut x)? {
            End::Budget | End::Pause | End::Switch => {}
            end => {
                settle(&mut x, &end);
                return Ok(if matches!(end, End::Block | End::Yield) {
                    Verdict::Waits
                } else {
                    Verdict::Goes
                });
            }
        }
        if (x.cluster.epoch, x.cluster.issued) != before || x.active != active {
            break;
        }
        if anchor.is_back(&x) {
            settle(&mut x, &End::Switch);
            return Ok(round.verdict(before.0));
        }
        if count == next {
            (anchor, next, round) = (State::of(&x), next * 2, Round::default());
        }
    }
    settle(&mut x, &End::Switch);
    Ok(Verdict::Goes)
}

/// What one way round the loop reads.
#[derive(Default)]
struct Round {
    span: Option<(u32, u32)>,
    polls: Vec<Poll>,
    /// Something that the host may write, or that could not be followed.
    open: bool,
}

impl Round {
    /// Before an instruction.
    fn note(&mut self, x: &Ctx<'_>) {
        let (first, last) = self.span.unwrap_or((x.pc, x.pc));
        self.span = Some((first.min(x.pc), last.max(x.pc)));
        let inst = &x.env.program.code[x.pc as usize];
        let mask = x.guarded(inst.guard);
        let Some(bytes) = polled(x.env.program, x.pc).filter(|_| mask != 0) else {
            return;
        };
        let (lane, code) = (mask.trailing_zeros(), inst.extra & space::MASK);
        let at = addresses(x, inst, mask);
        for l in (0..32usize).filter(|l| mask >> l & 1 != 0) {
            let global = space_of(code, at[l]) == Space::Global;
            self.open |= global && x.env.ranges.host_writes(at[l]);
        }
        let address = at[lane as usize];
        let space = space_of(code, address);
        let place = match space {
            Space::Global => (0, address),
            Space::Shared => {
                let inner = address & !window::TAG;
                (shared_rank(x, inner).unwrap_or(x.cta), inner & ((1 << RANK_SHIFT) - 1))
            }
            _ => return,
        };
        let Ok(found) = host(x, code, address, bytes, false, lane) else {
            return;
        };
        self.polls.push(Poll {
            pc: x.pc,
            space,
            place,
            value: read(found, bytes),
        });
    }

    /// A loop that reads no memory waits for nobody: that is an endless computation, which the launch's time ends.
    fn verdict(&self, epoch: u64) -> Verdict {
        match (self.span, self.polls.last()) {
            (Some(span), Some(poll)) if !self.open => Verdict::Spins(Spin {
                epoch,
                span,
                poll: *poll,
            }),
            _ => Verdict::Goes,
        }
    }
}

/// Up to eight bytes, as a number.
fn read(address: usize, bytes: u32) -> u64 {
    let mut value = [0u8; 8];
    let count = bytes.min(8) as usize;
    // SAFETY: `memory::host` found these bytes in a registered range or a block of ours, which live as long as the launch.
    unsafe { std::ptr::copy_nonoverlapping(address as *const u8, value.as_mut_ptr(), count) };
    u64::from_le_bytes(value)
}
