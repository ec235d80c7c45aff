//! What all four warps of a warpgroup must do (ISA 9.7.17.5): the same `setmaxnreg`, then meet before the next one.

use super::clock::Agent;
use super::report::misuse;
use super::with;
use crate::exec::ctx::Ctx;
use crate::exec::inst::Flow;
use crate::fault::MisuseKind;

/// Warps of a warpgroup.
const WARPS: usize = 4;
const ALL: u32 = (1 << WARPS) - 1;

/// A warpgroup's `setmaxnreg` under way.
#[derive(Clone, Debug, Default)]
struct Group {
    pc: u32,
    /// Its warps that have executed it, by their number in the group.
    done: u32,
    /// When they did, and when they did the one before.
    times: Vec<(Agent, u32)>,
    before: Vec<(Agent, u32)>,
}

/// See the module: those of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: Vec<Group>,
    per_cta: usize,
}

impl Groups {
    pub(super) fn reset(&mut self, ctas: usize, warps: usize) {
        self.per_cta = warps.div_ceil(WARPS);
        self.groups.clear();
        self.groups.resize(ctas * self.per_cta, Group::default());
    }

    fn of(&mut self, cta: usize, warp: usize) -> &mut Group {
        &mut self.groups[cta * self.per_cta + warp / WARPS]
    }
}

/// The running warp executes a `setmaxnreg`.
pub(crate) fn arrive(x: &mut Ctx<'_>) -> Result<(), Flow> {
    with(x, |judge, x| {
        let (first, warps) = (x.warp / WARPS * WARPS, x.cta().warps.len());
        if warps < first + WARPS {
            let what = format!(
                "setmaxnreg in a warpgroup of {} warps (warps {first} to {})",
                warps - first,
                warps - 1
            );
            let fix = "expected a thread block of whole warpgroups, 128 threads each";
            return Err(misuse(x, MisuseKind::Warpgroup, None, what, None, fix));
        }
        let (agent, clock) = judge.me(x);
        let known = clock.clone();
        clock.tick(agent);
        let group = judge.groups.of(x.cta, x.warp);
        let bit = 1 << (x.warp % WARPS);
        if group.done != 0 && (group.pc != x.pc || group.done & bit != 0) {
            let other = (first..first + WARPS)
                .find(|w| group.done >> (w - first) & 1 != 0)
                .unwrap_or(first);
            let place = x.env.location(x.cta().index, other as u32, None, group.pc);
            let what =
                "a warp executes setmaxnreg while others of its warpgroup have not come to the one before".into();
            let fix =
                "expected the same setmaxnreg in all four warps of the warpgroup, then a barrier, then the next one";
            return Err(misuse(
                x,
                MisuseKind::Warpgroup,
                None,
                what,
                Some(("the one before:", place)),
                fix,
            ));
        }
        if group.before.iter().any(|(other, time)| known.time(*other) < *time) {
            let what = "a second setmaxnreg, and nothing orders it behind the first one of the other warps".into();
            let fix = "expected a barrier of the warpgroup between two setmaxnreg";
            return Err(misuse(x, MisuseKind::Warpgroup, None, what, None, fix));
        }
        group.pc = x.pc;
        group.done |= bit;
        group.times.push((agent, known.time(agent)));
        if group.done == ALL {
            group.done = 0;
            group.before = std::mem::take(&mut group.times);
        }
        Ok(())
    })
}

/// Threads of the running warp have left, perhaps all.
pub(crate) fn left(x: &mut Ctx<'_>) -> Result<(), Flow> {
    if x.warp().live != 0 {
        return Ok(());
    }
    with(x, |judge, x| {
        let group = judge.groups.of(x.cta, x.warp);
        if group.done == 0 || group.done >> (x.warp % WARPS) & 1 != 0 {
            return Ok(());
        }
        let first = x.warp / WARPS * WARPS;
        let other = first + group.done.trailing_zeros() as usize;
        let place = x.env.location(x.cta().index, other as u32, None, group.pc);
        let what = "a warp leaves and has not executed the setmaxnreg of its warpgroup".into();
        let fix = "expected the same setmaxnreg in all four warps of the warpgroup";
        Err(misuse(
            x,
            MisuseKind::Warpgroup,
            None,
            what,
            Some(("executed by", place)),
            fix,
        ))
    })
}
