//! Who runs when: splits inside a warp (lowest instruction first), warps inside a cluster (round by round).
//! A round in which nobody got anywhere completes a copy in flight; if there is none either, `stuck` judges. What a split
//! does when it is its turn is in `turn`.

use super::cluster::{Cluster, Split, Waiting};
use super::copies;
use super::ctx::Ctx;
use super::env::Env;
use super::livelock;
use super::matrix::wgmma;
use super::turn;
use crate::fault::Fault;
use crate::launch::Schedule;

/// Instructions of one warp before others get their turn.
const TURN: u32 = 8192;
/// Instructions between two looks at [`crate::Stop`].
const SLICE: u64 = 1 << 16;
/// Polls in vain of every role, without any change in between, until a cluster counts as stuck: executors that look at
/// a control word every so many pending polls get there several times.
const VAIN_POLLS: u32 = 4096;
/// Rounds full of polls in vain until stores are compared with what is there: a role that writes the same value again
/// and again changes nothing.
const WATCH_AFTER: u32 = 64;
/// A poll in vain is recent for so many rounds.
pub(super) const RECENT: u64 = 32;
/// Rounds in which everybody polled memory, until copies in flight land, one per round, and then others get their turn.
const POLLING_ROUNDS: u32 = 16;
/// Rounds after which a `try_wait` times out although others run.
const PATIENCE: u64 = 256;

/// How a slice of a cluster's execution ended.
#[derive(Debug)]
pub(crate) enum Slice {
    /// All threads have exited.
    Finished,
    /// Time is up.
    Running,
    /// It polls memory that someone else must change.
    Polling,
    /// Nothing changes any more unless someone outside changes memory that it polls.
    Stuck,
    /// Nothing can ever run again.
    Dead,
}

/// Runs a cluster for about `SLICE` instructions.
pub(crate) fn slice(cluster: &mut Cluster, env: &Env<'_>) -> Result<Slice, Box<Fault>> {
    let before = cluster.instructions;
    let seeded = env.launch.settings.schedule == Schedule::Seeded;
    livelock::forget(cluster);
    loop {
        let epoch = cluster.epoch;
        round(cluster, env)?;
        cluster.rounds += 1;
        watch(cluster);
        livelock::look(cluster, env)?;
        if live_splits(cluster).next().is_none() {
            copies::complete_all(cluster);
            return Ok(Slice::Finished);
        }
        let now = cluster.epoch;
        if live_splits(cluster).all(|s| s.waiting != Waiting::No || s.idle || s.spins(now)) {
            if let Some(end) = nobody_got_anywhere(cluster, seeded) {
                return Ok(end);
            }
        } else {
            if cluster.rounds.is_multiple_of(PATIENCE) {
                time_out(cluster);
            }
            if seeded {
                wgmma::complete_one(cluster, env.program);
            }
            if seeded && cluster.draw().is_multiple_of(4) {
                copies::complete_one(cluster, true);
            }
            let quiet = live_splits(cluster).all(|s| s.waiting != Waiting::No || s.idle || s.paused);
            // Of the cluster, not of this slice: many warps that poll use a slice up in fewer rounds.
            cluster.polling_rounds = if quiet && cluster.epoch == epoch {
                cluster.polling_rounds.saturating_add(1)
            } else {
                0
            };
            if cluster.polling_rounds >= POLLING_ROUNDS && !copies::complete_one(cluster, false) {
                return Ok(Slice::Polling);
            }
        }
        if cluster.instructions - before > SLICE {
            return Ok(Slice::Running);
        }
    }
}

fn live_splits(cluster: &Cluster) -> impl Iterator<Item = &Split> {
    cluster.ctas.iter().flat_map(|c| &c.warps).flat_map(|w| &w.splits)
}

fn every_split(cluster: &mut Cluster) -> impl Iterator<Item = &mut Split> {
    cluster
        .ctas
        .iter_mut()
        .flat_map(|c| &mut c.warps)
        .flat_map(|w| &mut w.splits)
}

/// Turns the comparison of stores on once everybody has polled in vain for a while.
fn watch(cluster: &mut Cluster) {
    let recently = cluster.rounds.saturating_sub(RECENT);
    let quiet = live_splits(cluster).all(|s| match s.waiting {
        Waiting::No | Waiting::Mbarrier { .. } => s.vain_round > recently,
        _ => true,
    });
    cluster.quiet_rounds = if quiet {
        cluster.quiet_rounds.saturating_add(1)
    } else {
        0
    };
    cluster.watch = cluster.quiet_rounds > WATCH_AFTER;
}

/// After a round in which every live split was blocked or polled in vain.
fn nobody_got_anywhere(cluster: &mut Cluster, seeded: bool) -> Option<Slice> {
    if copies::complete_one(cluster, seeded) {
        return None;
    }
    let epoch = cluster.epoch;
    let stuck = live_splits(cluster).all(|s| match s.waiting {
        Waiting::No if s.spins(epoch) => true,
        Waiting::No | Waiting::Mbarrier { .. } => s.vain_epoch == epoch && s.vain_polls >= VAIN_POLLS,
        _ => true,
    });
    let polls = live_splits(cluster).any(|s| matches!(s.waiting, Waiting::No | Waiting::Mbarrier { .. }));
    match (polls, stuck) {
        (false, _) => Some(Slice::Dead),
        (true, true) => {
            // Before anything times out, so that a report sees the waits. Whoever looks again starts to count again.
            every_split(cluster).for_each(|s| s.vain_polls = 0);
            Some(Slice::Stuck)
        }
        (true, false) => {
            time_out(cluster);
            None
        }
    }
}

/// Every `try_wait` in vain answers false.
fn time_out(cluster: &mut Cluster) {
    for split in every_split(cluster) {
        if matches!(split.waiting, Waiting::Mbarrier { .. }) {
            split.waiting = Waiting::No;
            split.timed_out = true;
        }
    }
}

/// Every warp of every CTA gets one turn.
fn round(cluster: &mut Cluster, env: &Env<'_>) -> Result<(), Box<Fault>> {
    let warps = cluster.ctas[0].warps.len();
    let total = warps * cluster.ctas.len();
    let seeded = env.launch.settings.schedule == Schedule::Seeded;
    let (first, turn) = if seeded {
        (cluster.draw() as usize % total, 1 + (cluster.draw() % 256) as u32)
    } else {
        (0, TURN)
    };
    for step in 0..total {
        let number = (first + step) % total;
        run_warp(cluster, number / warps, number % warps, env, turn)?;
    }
    Ok(())
}

fn run_warp(cluster: &mut Cluster, cta: usize, warp: usize, env: &Env<'_>, turn: u32) -> Result<(), Box<Fault>> {
    let epoch = cluster.epoch;
    let splits = &mut cluster.ctas[cta].warps[warp].splits;
    for split in splits.iter_mut() {
        split.idle = split.spins(epoch);
        split.paused = false;
    }
    if pick(splits).is_none() {
        return Ok(());
    }
    let judged = cluster.judge.is_some();
    let seeded = env.launch.settings.schedule == Schedule::Seeded;
    cluster.begin(cta, warp, env);
    let mut x = Ctx::new(cluster, cta, warp, env);
    let mut budget = turn;
    while let Some(split) = pick(&x.warp().splits) {
        x.enter(split);
        x.polls = 0;
        let end = turn::run(&mut x, &mut budget, judged)?;
        // A seeded turn may be too short for as many polls: one of them is enough if the turn ends among them.
        let end = match end {
            turn::End::Budget if seeded && x.polls > 0 => turn::End::Pause,
            end => end,
        };
        turn::settle(&mut x, &end);
        if budget == 0 {
            break;
        }
    }
    let used = u64::from(turn - budget);
    cluster.instructions += used;
    cluster.end(cta, warp);
    Ok(())
}

/// The runnable split that has yielded least, then the one that stands first in the text.
fn pick(splits: &[Split]) -> Option<usize> {
    if let [only] = splits {
        return (only.waiting == Waiting::No && !only.idle && !only.paused).then_some(0);
    }
    let runnable = splits
        .iter()
        .enumerate()
        .filter(|(_, s)| s.waiting == Waiting::No && !s.idle && !s.paused);
    runnable.min_by_key(|(_, s)| (s.turn, s.pc)).map(|(number, _)| number)
}
