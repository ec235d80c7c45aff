//! `mbarrier` (ISA 9.7.13.15). The state lives beside shared memory, keyed by address: the object is opaque to kernels.
//! A phase completes when no arrival and no byte is missing; then all who wait on it look again.

use super::cluster::{Cluster, Split, Waiting};
use super::ctx::Ctx;
use super::inst::{Flow, Inst};
use super::judge::{sync, transactions};
use super::memory::{addresses, place, shared_rank, space, window, RANK_SHIFT};
use super::report::{arrival, who};
use super::trace;
use crate::launch::Schedule;

/// Counts are 20 bits wide (ISA 9.7.13.15.2).
const MOST: u32 = (1 << 20) - 1;

/// Who arrived: rank of the CTA, warp, instruction.
pub(crate) type Arrival = (u32, u32, u32);

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Mbarrier {
    /// Shared offset.
    pub address: u32,
    pub expected: u32,
    pub pending: u32,
    pub tx: i64,
    pub phase: u64,
    pub last: Option<Arrival>,
    /// Warps whose `try_wait` has timed out in this phase although it need not.
    pub refused: u32,
    /// The last copy that told it of bytes: who issued it, and how many.
    pub copied: Option<(Arrival, u64)>,
}

impl Mbarrier {
    fn complete_if_due(&mut self) -> bool {
        let due = self.pending == 0 && self.tx == 0;
        if due {
            self.phase += 1;
            self.pending = self.expected;
            self.refused = 0;
        }
        due
    }

    /// What `arrive` returns: the phase and the pending count, opaque to kernels.
    fn token(&self) -> u64 {
        (self.phase & 0x7fff_ffff) << 32 | u64::from(self.pending)
    }

    fn is_over(&self, token: u64) -> bool {
        self.phase & 0x7fff_ffff != token >> 32
    }

    fn has_passed(&self, parity: u32) -> bool {
        self.phase & 1 != u64::from(parity & 1)
    }
}

/// Flags in `Inst::c`.
pub(crate) mod flag {
    /// `arrive_drop`.
    pub(crate) const DROP: u32 = 1;
    /// `.expect_tx`: `b` is a byte count and one arrives.
    pub(crate) const EXPECT: u32 = 2;
    /// No state is returned.
    pub(crate) const SINK: u32 = 4;
    /// The wait is for a parity, not for a state.
    pub(crate) const PARITY: u32 = 8;
    /// `try_wait`: may block.
    pub(crate) const BLOCKING: u32 = 16;
    /// `cp.async.mbarrier.arrive.noinc`.
    pub(crate) const NO_INCREMENT: u32 = 32;
}

/// Where lane `lane`'s operand points: CTA of the cluster and offset.
pub(crate) fn locate(x: &mut Ctx<'_>, i: &Inst, mask: u32, lane: u32) -> Result<(usize, u32), Flow> {
    let address = addresses(x, i, mask)[lane as usize];
    locate_address(x, i.extra & space::MASK, address, lane)
}

/// The same for an address in a register.
pub(crate) fn locate_address(x: &mut Ctx<'_>, code: u32, address: u64, lane: u32) -> Result<(usize, u32), Flow> {
    place(x, code, address, 8, 8, true, lane)?;
    let inner = address & !window::TAG;
    if code == space::GENERIC && address & window::TAG != window::SHARED {
        return Err(x.trap(
            Some(lane),
            format!("the mbarrier at 0x{address:x} is not in shared memory"),
        ));
    }
    let rank = shared_rank(x, inner).unwrap_or(x.cta);
    Ok((rank, (inner & ((1 << RANK_SHIFT) - 1)) as u32))
}

fn index(cluster: &Cluster, cta: usize, address: u32) -> Result<usize, usize> {
    cluster.ctas[cta]
        .mbarriers
        .binary_search_by_key(&address, |b| b.address)
}

/// The barrier at a place, or a fault when nobody has initialised it.
fn find<'c>(x: &'c mut Ctx<'_>, cta: usize, address: u32, lane: u32) -> Result<&'c mut Mbarrier, Flow> {
    match index(x.cluster, cta, address) {
        Ok(number) => Ok(&mut x.cluster.ctas[cta].mbarriers[number]),
        Err(_) => {
            let text = match x.cluster.ctas[cta].invalidated.iter().find(|(at, _)| *at == address) {
                Some((_, by)) => format!(
                    "the mbarrier at shared+{address} is used after mbarrier.inval ({})",
                    arrival(x.cluster, x.env, *by)
                ),
                None => format!("the mbarrier at shared+{address} is used before mbarrier.init"),
            };
            Err(x.trap(Some(lane), text))
        }
    }
}

/// Everybody who waits on this barrier looks again.
fn wake(cluster: &mut Cluster, cta: usize, address: u32) {
    trace::complete(cluster, cta, address);
    for split in cluster.ctas[cta].warps.iter_mut().flat_map(|w| &mut w.splits) {
        if matches!(split.waiting, Waiting::Mbarrier { address: a, .. } if a == address) {
            split.waiting = Waiting::No;
        }
    }
}

/// Bytes have come, by a copy of `who`.
pub(crate) fn complete_tx(cluster: &mut Cluster, cta: usize, address: u32, bytes: u64, who: Arrival) {
    cluster.epoch += 1;
    let Ok(number) = index(cluster, cta, address) else {
        return;
    };
    let barrier = &mut cluster.ctas[cta].mbarriers[number];
    barrier.tx -= bytes as i64;
    barrier.copied = Some((who, bytes));
    if barrier.complete_if_due() {
        wake(cluster, cta, address);
    }
}

/// Arrivals from outside an `arrive`: copies that signal an mbarrier. False when more arrive than are missing.
pub(crate) fn arrive_at(cluster: &mut Cluster, cta: usize, address: u32, count: u32, who: Arrival) -> bool {
    cluster.epoch += 1;
    let Ok(number) = index(cluster, cta, address) else {
        return false;
    };
    let barrier = &mut cluster.ctas[cta].mbarriers[number];
    if barrier.pending < count {
        return false;
    }
    barrier.pending -= count;
    barrier.last = Some(who);
    if barrier.complete_if_due() {
        wake(cluster, cta, address);
    }
    true
}

/// One more arrival is missing in this phase. False where there is no barrier.
pub(crate) fn add_pending(cluster: &mut Cluster, cta: usize, address: u32) -> bool {
    match index(cluster, cta, address) {
        Ok(number) => {
            cluster.ctas[cta].mbarriers[number].pending += 1;
            true
        }
        Err(_) => false,
    }
}

fn lanes(mask: u32) -> impl Iterator<Item = u32> {
    (0..32u32).filter(move |l| mask >> l & 1 != 0)
}

/// `mbarrier.init`: `b` arrivals per phase.
pub(crate) unsafe fn init(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    for lane in lanes(mask) {
        let (cta, address) = match locate(x, i, mask, lane) {
            Ok(found) => found,
            Err(flow) => return flow,
        };
        let expected = x.lanes::<u32>(i.b)[lane as usize];
        if expected == 0 || expected > MOST {
            return x.trap(
                Some(lane),
                format!("mbarrier count is {expected}, expected 1 to {MOST}"),
            );
        }
        trace::init(x, cta, address);
        if let Err(flow) = sync::mbarrier_init(x, cta, address, lane) {
            return flow;
        }
        let fresh = Mbarrier {
            address,
            expected,
            pending: expected,
            tx: 0,
            phase: 0,
            last: None,
            refused: 0,
            copied: None,
        };
        x.cluster.ctas[cta].invalidated.retain(|(at, _)| *at != address);
        match index(x.cluster, cta, address) {
            Ok(number) => x.cluster.ctas[cta].mbarriers[number] = fresh,
            Err(number) => x.cluster.ctas[cta].mbarriers.insert(number, fresh),
        }
    }
    x.touch();
    Flow::Next
}

/// A warp that waits on an mbarrier, and where.
fn waiter(cluster: &Cluster, cta: usize, address: u32) -> Option<(u32, u32)> {
    let waits = |s: &Split| matches!(s.waiting, Waiting::Mbarrier { address: a, .. } if a == address);
    let warps = cluster.ctas[cta].warps.iter().zip(0u32..);
    warps
        .filter_map(|(warp, number)| warp.splits.iter().find(|s| waits(s)).map(|s| (number, s.pc)))
        .next()
}

/// `mbarrier.inval`.
pub(crate) unsafe fn inval(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    for lane in lanes(mask) {
        let found = locate(x, i, mask, lane).and_then(|(cta, at)| find(x, cta, at, lane).map(|_| (cta, at)));
        let (cta, address) = match found {
            Ok(found) => found,
            Err(flow) => return flow,
        };
        if let Err(flow) = sync::mbarrier_inval(x, cta, address, lane) {
            return flow;
        }
        if let Some((warp, pc)) = waiter(x.cluster, cta, address) {
            let line = x.env.program.place(pc).line;
            let who = who(x.env, warp);
            let text =
                format!("mbarrier.inval of the mbarrier at shared+{address}, on which {who} still waits (line {line})");
            return x.trap(Some(lane), text);
        }
        let by = (x.cta().rank, x.warp as u32, x.pc);
        let owner = &mut x.cluster.ctas[cta];
        owner.mbarriers.retain(|b| b.address != address);
        owner.invalidated.push((address, by));
    }
    x.touch();
    Flow::Next
}

/// `mbarrier.expect_tx` and `mbarrier.complete_tx`: `b` bytes, `imm` as address offset, `d` 1 for complete.
pub(crate) unsafe fn transaction(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    for lane in lanes(mask) {
        let bytes = i64::from(x.lanes::<u32>(i.b)[lane as usize]);
        let found = locate(x, i, mask, lane);
        let (cta, address) = match found {
            Ok(found) => found,
            Err(flow) => return flow,
        };
        trace::arrive(x, cta, address);
        let expected = find(x, cta, address, lane).map(drop).and_then(|()| {
            if i.d == 1 {
                Ok(())
            } else {
                transactions::expect(x, cta, address, lane)
            }
        });
        let barrier = match expected.and_then(|()| find(x, cta, address, lane)) {
            Ok(barrier) => barrier,
            Err(flow) => return flow,
        };
        barrier.tx += if i.d == 1 { -bytes } else { bytes };
        let over = barrier.tx.abs() > i64::from(MOST);
        let due = barrier.complete_if_due();
        if over {
            return x.trap(Some(lane), overflow(address));
        }
        if due {
            wake(x.cluster, cta, address);
        }
    }
    x.touch();
    Flow::Next
}

fn overflow(address: u32) -> String {
    format!("the transaction count of the mbarrier at shared+{address} leaves its range of {MOST} bytes")
}

/// `mbarrier.arrive`, `.arrive_drop`, `.arrive.expect_tx`: `b` count or bytes, `c` flags, `dst` state.
pub(crate) unsafe fn arrive(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let mut tokens = [0u64; 32];
    for lane in lanes(mask) {
        match arrive_lane(x, i, mask, lane) {
            Ok(token) => tokens[lane as usize] = token,
            Err(flow) => return flow,
        }
    }
    x.touch();
    if i.c & flag::SINK == 0 {
        x.put(i.dst, &tokens, mask);
    }
    Flow::Next
}

fn arrive_lane(x: &mut Ctx<'_>, i: &Inst, mask: u32, lane: u32) -> Result<u64, Flow> {
    let operand = x.lanes::<u32>(i.b)[lane as usize];
    let (cta, address) = locate(x, i, mask, lane)?;
    let who = (x.cta().rank, x.warp as u32, x.pc);
    trace::arrive(x, cta, address);
    find(x, cta, address, lane)?;
    let expects = i.c & flag::EXPECT != 0;
    sync::mbarrier_arrive(x, cta, address, lane)?;
    let barrier = find(x, cta, address, lane)?;
    let token = barrier.token();
    let count = if expects { 1 } else { operand };
    if expects {
        barrier.tx += i64::from(operand);
    }
    if barrier.tx.abs() > i64::from(MOST) {
        return Err(x.trap(Some(lane), overflow(address)));
    }
    if barrier.pending < count {
        let (missing, phase, expected) = (barrier.pending, barrier.phase, barrier.expected);
        let text = format!(
            "the mbarrier at shared+{address} gets {count} arrivals, but {missing} of {expected} are missing in phase {phase}"
        );
        return Err(x.trap(Some(lane), text));
    }
    barrier.pending -= count;
    if i.c & flag::DROP != 0 {
        barrier.expected = barrier.expected.saturating_sub(count);
    }
    barrier.last = Some(who);
    if barrier.complete_if_due() {
        wake(x.cluster, cta, address);
    }
    Ok(token)
}

/// `mbarrier.test_wait` and `.try_wait`: `b` state or parity, `c` flags, `dst` predicate.
///
/// A `try_wait` in vain suspends the split, as the hardware does; `schedule` lets it time out when nothing else can run,
/// and then it answers false. Where lanes wait for barriers of their own and some get past, the others are answered at once;
/// they have polled in vain all the same, or a warp that polls until all are past would keep from running what they wait for.
pub(crate) unsafe fn wait(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let mut hits = 0u32;
    let (mut first, mut missed) = (None, None);
    for lane in lanes(mask) {
        let (cta, address) = match locate(x, i, mask, lane) {
            Ok(found) => found,
            Err(flow) => return flow,
        };
        if cta != x.cta {
            return x.trap(
                Some(lane),
                "waits on an mbarrier of another thread block, expected its own".into(),
            );
        }
        let parity = (i.c & flag::PARITY != 0).then(|| x.lanes::<u32>(i.b)[lane as usize]);
        let token = if parity.is_none() {
            x.lanes::<u64>(i.b)[lane as usize]
        } else {
            0
        };
        let barrier = match find(x, cta, address, lane) {
            Ok(barrier) => barrier,
            Err(flow) => return flow,
        };
        let hit = parity.map_or_else(|| barrier.is_over(token), |p| barrier.has_passed(p));
        if hit {
            if let Err(flow) = sync::mbarrier_pass(x, cta, address, lane) {
                return flow;
            }
        }
        hits |= u32::from(hit) << lane;
        let waiting = Some(Waiting::Mbarrier { address, parity });
        first = first.or(waiting);
        if !hit {
            missed = missed.or(waiting);
        }
    }
    trace::look(x, first, hits != 0);
    let blocking = i.c & flag::BLOCKING != 0;
    if hits == 0 && blocking && !x.timed_out && !times_out_early(x, first) {
        x.block = first.unwrap_or(Waiting::No);
        return Flow::Block;
    }
    x.put_pred(i.dst, hits, mask);
    if missed.is_some() {
        x.note_vain_poll();
    }
    if missed.is_some() && (hits != 0 || !blocking) {
        x.block = missed.unwrap_or(Waiting::No);
        return Flow::Yield;
    }
    Flow::Next
}

/// Whether a `try_wait` in vain answers false at once: the ISA sets no least time. Once for each warp and phase, so that a
/// kernel which does not look at the answer shows it, and nobody polls for long.
fn times_out_early(x: &mut Ctx<'_>, waiting: Option<Waiting>) -> bool {
    let schedule = x.env.launch.settings.schedule;
    let Some(Waiting::Mbarrier { address, .. }) = waiting.filter(|_| schedule != Schedule::Eager) else {
        return false;
    };
    let bit = 1u32 << (x.warp & 31);
    let Ok(number) = index(x.cluster, x.cta, address) else {
        return false;
    };
    let barrier = &mut x.cta_mut().mbarriers[number];
    if barrier.refused & bit != 0 {
        return false;
    }
    barrier.refused |= bit;
    schedule == Schedule::Latest || x.cluster.draw().is_multiple_of(2)
}

/// `mbarrier.pending_count`.
pub(crate) unsafe fn pending_count(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let out = x.lanes::<u64>(i.a).map(|token| token as u32);
    x.put(i.dst, &out, mask);
    Flow::Next
}
