//! The recorder of a traced launch: a clock per warp, and for everything that can be waited for the time it came.
//! Handlers call the free functions here; without a recorder in the cluster they do nothing. See `crate::trace`.
//!
//! No wait is recorded when it begins: a warp that gets past a barrier asks when that barrier's phase was complete, and if
//! that lies ahead of its clock, the time between was a wait. Polls in vain cost no time for the same reason.

use std::collections::{HashMap, VecDeque};

use super::cluster::{Cluster, Waiting};
use super::ctx::Ctx;
use super::env::Env;
use crate::fault::WaitKind;
use crate::trace::{TraceCause, TraceCta, TraceEvent, TraceSink, TraceWhat, MOST_EVENTS};

/// Phases of a `bar` remembered: a warp may be late, but never by this much.
const PHASES: u64 = 8;

/// When something came, and by whom.
#[derive(Clone, Copy, Debug, Default)]
struct Stamp {
    time: u64,
    by: Option<TraceCause>,
}

impl Stamp {
    fn later(self, other: Stamp) -> Stamp {
        if other.time > self.time || self.by.is_none() {
            other
        } else {
            self
        }
    }
}

/// An mbarrier: what has come in this phase, and when the last one was complete.
#[derive(Debug, Default)]
struct Phase {
    coming: Stamp,
    complete: Stamp,
}

/// Copies that are waited for by groups.
#[derive(Debug, Default)]
struct Groups {
    open: Stamp,
    committed: VecDeque<Stamp>,
}

impl Groups {
    fn commit(&mut self) {
        let group = std::mem::take(&mut self.open);
        self.committed.push_back(group);
    }

    /// The time at which all but the last `keep` groups have come.
    fn wait(&mut self, keep: usize) -> Stamp {
        let mut last = Stamp::default();
        while self.committed.len() > keep {
            last = last.later(self.committed.pop_front().unwrap_or_default());
        }
        last
    }

    fn all(&self) -> Stamp {
        self.committed.iter().fold(self.open, |last, group| last.later(*group))
    }
}

#[derive(Debug, Default)]
struct WarpClock {
    now: u64,
    /// End of the last event: what follows is computation.
    since: u64,
    /// Instructions since a poll in vain: they count only if the warp then does something else.
    polling: Option<u64>,
    /// The `bar` and `barrier.cluster` phases it arrived in.
    bar_phase: u64,
    cluster_phase: u32,
    lane: Groups,
    bulk: Groups,
}

#[derive(Debug)]
struct CtaClock {
    wanted: bool,
    index: [u32; 3],
    warps: Vec<WarpClock>,
    mbarriers: HashMap<u32, Phase>,
    bars: HashMap<(u32, u64), Stamp>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Recorder {
    ctas: Vec<CtaClock>,
    cluster: HashMap<u32, Stamp>,
    latency: u64,
    copies: u64,
    events: Vec<TraceEvent>,
    dropped: u64,
}

/// Which groups a copy belongs to, or what it signals.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// `cp.async` groups of the warp.
    Lane,
    /// Bulk groups of the warp.
    Bulk,
    /// An mbarrier: CTA of the cluster, shared offset.
    Mbarrier(usize, u32),
}

/// A recorder for a cluster that is about to start, if anybody wants to see one of its CTAs.
pub(super) fn start(cluster: &Cluster, env: &Env<'_>) -> Option<Box<Recorder>> {
    let sink = env.trace?;
    let grid = env.launch.grid.map(u64::from);
    let clock = |index: [u32; 3]| {
        let [x, y, z] = index.map(u64::from);
        CtaClock {
            wanted: sink.wants(x + grid[0] * (y + grid[1] * z)),
            index,
            warps: (0..env.threads.div_ceil(32)).map(|_| WarpClock::default()).collect(),
            mbarriers: HashMap::new(),
            bars: HashMap::new(),
        }
    };
    let ctas: Vec<CtaClock> = cluster.ctas.iter().map(|cta| clock(cta.index)).collect();
    ctas.iter().any(|c| c.wanted).then(|| {
        Box::new(Recorder {
            ctas,
            cluster: HashMap::new(),
            latency: sink.latency,
            copies: 0,
            events: Vec::new(),
            dropped: 0,
        })
    })
}

/// Hands everything over; waits that nobody has ended last until a little after the last event.
pub(super) fn finish(cluster: &mut Cluster, env: &Env<'_>) {
    let (Some(mut recorder), Some(sink)) = (cluster.trace.take(), env.trace) else {
        return;
    };
    for (rank, cta) in cluster.ctas.iter().enumerate() {
        for (warp, state) in cta.warps.iter().enumerate() {
            recorder.compute(rank, warp, 0);
            // A `test_wait` in vain has moved on already: what it asked for is remembered.
            let waits = state.splits.iter().find_map(|s| match (s.waiting, s.polled) {
                (Waiting::No, Some((pc, polled))) => kind(polled).map(|on| (pc, on)),
                (waiting, _) => kind(waiting).map(|on| (s.pc, on)),
            });
            if let Some((pc, on)) = waits {
                let start = recorder.ctas[rank].warps[warp].now;
                let end = recorder.horizon();
                let line = env.program.place(pc).line;
                recorder.push(rank, warp, (start, end), line, TraceWhat::Wait { on, by: None });
            }
        }
    }
    recorder.hand_over(sink);
}

fn kind(waiting: Waiting) -> Option<WaitKind> {
    match waiting {
        Waiting::No => None,
        Waiting::Mbarrier { address, parity } => Some(WaitKind::Mbarrier { address, parity }),
        Waiting::Barrier(id) => Some(WaitKind::Barrier { id }),
        Waiting::Lanes(missing) | Waiting::Sync(missing) => Some(WaitKind::Warp { missing }),
        Waiting::Cluster => Some(WaitKind::Cluster),
        Waiting::Registers(wanted) => Some(WaitKind::Registers {
            wanted,
            held: 0,
            free: 0,
            total: 0,
            holders: Vec::new(),
        }),
        Waiting::Warpgroup(_) => None,
    }
}

impl Recorder {
    /// One instruction of a warp has been executed.
    pub(super) fn step(&mut self, rank: usize, warp: usize) {
        let clock = &mut self.ctas[rank].warps[warp];
        match &mut clock.polling {
            Some(spare) => *spare += 1,
            None => clock.now += 1,
        }
    }

    fn horizon(&self) -> u64 {
        let last = self
            .ctas
            .iter()
            .flat_map(|c| &c.warps)
            .map(|w| w.now)
            .max()
            .unwrap_or(0);
        last + (last / 8).max(50)
    }

    fn hand_over(self, sink: &TraceSink) {
        let wanted = self.ctas.into_iter().filter(|c| c.wanted);
        let ctas = wanted.map(|c| TraceCta {
            index: c.index,
            ends: c.warps.iter().map(|w| w.now).collect(),
        });
        sink.add(ctas.collect(), self.events, self.dropped);
    }

    fn push(&mut self, rank: usize, warp: usize, (start, end): (u64, u64), line: u32, what: TraceWhat) {
        let cta = &self.ctas[rank];
        if !cta.wanted || end <= start {
            return;
        }
        if self.events.len() >= MOST_EVENTS {
            self.dropped += 1;
            return;
        }
        let (cta, warp) = (cta.index, warp as u32);
        self.events.push(TraceEvent {
            cta,
            warp,
            start,
            end,
            line,
            what,
        });
    }

    /// Ends a stretch of computation.
    fn compute(&mut self, rank: usize, warp: usize, line: u32) {
        let clock = &mut self.ctas[rank].warps[warp];
        let span = (clock.since, clock.now);
        clock.since = clock.now;
        self.push(rank, warp, span, line, TraceWhat::Compute);
    }

    /// The warp goes on, at the earliest at `until`.
    fn wait(&mut self, rank: usize, warp: usize, line: u32, on: WaitKind, until: Stamp) {
        let clock = &mut self.ctas[rank].warps[warp];
        clock.polling = None;
        if until.time <= clock.now {
            return;
        }
        let span = (clock.now, until.time);
        self.compute(rank, warp, line);
        let clock = &mut self.ctas[rank].warps[warp];
        (clock.now, clock.since) = (until.time, until.time);
        self.push(rank, warp, span, line, TraceWhat::Wait { on, by: until.by });
    }

    /// The warp does something that others see: what it executed since its last poll was no part of polling.
    fn act(&mut self, rank: usize, warp: usize) -> Stamp {
        let clock = &mut self.ctas[rank].warps[warp];
        clock.now += clock.polling.take().unwrap_or(0);
        Stamp {
            time: clock.now,
            by: Some(TraceCause::Warp {
                rank: rank as u32,
                warp: warp as u32,
            }),
        }
    }

    fn come(&mut self, cta: usize, address: u32, stamp: Stamp) {
        let phase = self.ctas[cta].mbarriers.entry(address).or_default();
        phase.coming = phase.coming.later(stamp);
    }

    fn copy(&mut self, rank: usize, warp: usize, line: u32, what: (String, u64), target: Target) {
        let start = self.act(rank, warp).time;
        self.copies += 1;
        let number = self.copies;
        let stamp = Stamp {
            time: start + self.latency,
            by: Some(TraceCause::Copy(number)),
        };
        let clock = &mut self.ctas[rank].warps[warp];
        let mbarrier = match target {
            Target::Lane => {
                clock.lane.open = clock.lane.open.later(stamp);
                None
            }
            Target::Bulk => {
                clock.bulk.open = clock.bulk.open.later(stamp);
                None
            }
            Target::Mbarrier(cta, address) => {
                self.come(cta, address, stamp);
                Some(address)
            }
        };
        let (instruction, bytes) = what;
        let what = TraceWhat::Copy {
            number,
            bytes,
            instruction,
            mbarrier,
        };
        self.push(rank, warp, (start, stamp.time), line, what);
    }
}

/// An mbarrier is new.
pub(crate) fn init(x: &mut Ctx<'_>, cta: usize, address: u32) {
    if let Some(recorder) = &mut x.cluster.trace {
        recorder.act(x.cta, x.warp);
        recorder.ctas[cta].mbarriers.insert(address, Phase::default());
    }
}

/// The running warp arrives at an mbarrier.
pub(crate) fn arrive(x: &mut Ctx<'_>, cta: usize, address: u32) {
    if let Some(recorder) = &mut x.cluster.trace {
        let stamp = recorder.act(x.cta, x.warp);
        recorder.come(cta, address, stamp);
    }
}

/// It will arrive when the `cp.async` copies that it has issued are there.
pub(crate) fn arrive_after_copies(x: &mut Ctx<'_>, cta: usize, address: u32) {
    if let Some(recorder) = &mut x.cluster.trace {
        let now = recorder.act(x.cta, x.warp);
        let copies = recorder.ctas[x.cta].warps[x.warp].lane.all();
        recorder.come(cta, address, now.later(copies));
    }
}

/// A phase of an mbarrier is complete.
pub(crate) fn complete(cluster: &mut Cluster, cta: usize, address: u32) {
    if let Some(recorder) = &mut cluster.trace {
        let phase = recorder.ctas[cta].mbarriers.entry(address).or_default();
        phase.complete = std::mem::take(&mut phase.coming);
    }
}

/// The running warp has looked at an mbarrier.
pub(crate) fn look(x: &mut Ctx<'_>, waiting: Option<Waiting>, passed: bool) {
    let Some(recorder) = &mut x.cluster.trace else { return };
    let Some(Waiting::Mbarrier { address, parity }) = waiting else {
        return;
    };
    if !passed {
        recorder.ctas[x.cta].warps[x.warp].polling = Some(0);
        return;
    }
    let until = recorder.ctas[x.cta].mbarriers.entry(address).or_default().complete;
    let line = x.env.program.place(x.pc).line;
    recorder.wait(x.cta, x.warp, line, WaitKind::Mbarrier { address, parity }, until);
}

/// The running warp arrives at `bar` number `id`.
pub(crate) fn bar_arrive(x: &mut Ctx<'_>, id: u32) {
    let phase = x.cta().barriers[id as usize].phase;
    if let Some(recorder) = &mut x.cluster.trace {
        let stamp = recorder.act(x.cta, x.warp);
        let cta = &mut recorder.ctas[x.cta];
        cta.warps[x.warp].bar_phase = phase;
        let known = cta.bars.entry((id, phase)).or_default();
        *known = known.later(stamp);
        cta.bars.remove(&(id, phase.wrapping_sub(PHASES)));
    }
}

/// It gets past it.
pub(crate) fn bar_pass(x: &mut Ctx<'_>, id: u32) {
    if let Some(recorder) = &mut x.cluster.trace {
        let cta = &recorder.ctas[x.cta];
        let phase = cta.warps[x.warp].bar_phase;
        let until = cta.bars.get(&(id, phase)).copied().unwrap_or_default();
        let line = x.env.program.place(x.pc).line;
        recorder.wait(x.cta, x.warp, line, WaitKind::Barrier { id }, until);
    }
}

/// The running warp arrives at `barrier.cluster`.
pub(crate) fn cluster_arrive(x: &mut Ctx<'_>) {
    let phase = x.cluster.phase;
    if let Some(recorder) = &mut x.cluster.trace {
        let stamp = recorder.act(x.cta, x.warp);
        recorder.ctas[x.cta].warps[x.warp].cluster_phase = phase;
        let known = recorder.cluster.entry(phase).or_default();
        *known = known.later(stamp);
    }
}

/// It gets past it.
pub(crate) fn cluster_pass(x: &mut Ctx<'_>) {
    if let Some(recorder) = &mut x.cluster.trace {
        let phase = recorder.ctas[x.cta].warps[x.warp].cluster_phase;
        let until = recorder.cluster.get(&phase).copied().unwrap_or_default();
        let line = x.env.program.place(x.pc).line;
        recorder.wait(x.cta, x.warp, line, WaitKind::Cluster, until);
    }
}

/// The running warp issues a copy.
pub(crate) fn copy(x: &mut Ctx<'_>, bytes: u64, target: Target) {
    if x.cluster.trace.is_none() {
        return;
    }
    let text = x.env.program.instruction_text(x.pc);
    let words = text.split_whitespace().find(|word| !word.starts_with('@'));
    let name = words.unwrap_or_default().to_owned();
    let line = x.env.program.place(x.pc).line;
    if let Some(recorder) = &mut x.cluster.trace {
        recorder.copy(x.cta, x.warp, line, (name, bytes), target);
    }
}

/// Its copies so far become a group.
pub(crate) fn commit(x: &mut Ctx<'_>, bulk: bool) {
    if let Some(recorder) = &mut x.cluster.trace {
        let clock = &mut recorder.ctas[x.cta].warps[x.warp];
        let groups = if bulk { &mut clock.bulk } else { &mut clock.lane };
        groups.commit();
    }
}

/// It has waited for all groups but the last `keep`; `all`: for uncommitted copies too.
pub(crate) fn wait_groups(x: &mut Ctx<'_>, bulk: bool, keep: u32, all: bool) {
    if let Some(recorder) = &mut x.cluster.trace {
        let clock = &mut recorder.ctas[x.cta].warps[x.warp];
        let groups = if bulk { &mut clock.bulk } else { &mut clock.lane };
        if all {
            groups.commit();
        }
        let until = groups.wait(if all { 0 } else { keep as usize });
        let line = x.env.program.place(x.pc).line;
        recorder.wait(x.cta, x.warp, line, WaitKind::Copies, until);
    }
}
