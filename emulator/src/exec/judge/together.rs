//! What threads must do together: the lanes of a warp at instructions with `.aligned` or with a member mask, and warps that
//! give a named barrier its number of threads.

use super::ops::Rule;
use super::report::misuse;
use super::with;
use crate::exec::cluster::{Split, Waiting};
use crate::exec::ctx::Ctx;
use crate::exec::inst::{Flow, Inst, FULL};
use crate::fault::{lanes, Fault, MisuseKind};

type Found = Result<(), Box<Fault>>;

/// Before an instruction with a rule.
#[inline]
pub(super) fn check(x: &mut Ctx<'_>, i: &Inst, mask: u32, rule: Rule) -> Result<(), Flow> {
    if rule == Rule::Members {
        let named = x.lanes::<u32>(i.d);
        let stranger = (0..32u32).find(|l| mask >> l & 1 != 0 && named[*l as usize] >> l & 1 == 0);
        return match stranger {
            Some(lane) => with(x, |_, x| Err(stranger_report(x, lane, named[lane as usize]))),
            None => Ok(()),
        };
    }
    let live = x.warp().live;
    if mask == live && (live == FULL || rule == Rule::Barrier) || x.resumed {
        return Ok(());
    }
    with(x, |_, x| aligned(x, mask, rule))
}

fn stranger_report(x: &Ctx<'_>, lane: u32, members: u32) -> Box<Fault> {
    let what = format!("lane {lane} is not among the members 0x{members:08x} that it names");
    let fix = "expected a member mask with every lane that executes the instruction";
    misuse(x, MisuseKind::MemberMask, Some(lane), what, None, fix)
}

/// Not all lanes of the warp are here.
fn aligned(x: &Ctx<'_>, mask: u32, rule: Rule) -> Found {
    let noun = if rule == Rule::Barrier {
        "barrier"
    } else {
        "instruction"
    };
    let fix = match rule {
        Rule::Barrier => "expected all lanes of the warp at the same instruction, or barrier.sync without .aligned",
        _ => "expected all lanes of the warp at the same instruction",
    };
    let lane = Some(mask.trailing_zeros() & 31);
    let gone = !x.warp().live;
    if rule == Rule::Whole && gone != 0 {
        let (list, have) = (lanes(gone), if gone.count_ones() == 1 { "has" } else { "have" });
        let what = format!("an aligned instruction in a warp whose {list} {have} exited or never existed");
        let fix = "expected all 32 lanes of the warp at the instruction";
        return Err(misuse(x, MisuseKind::DivergedBarrier, lane, what, None, fix));
    }
    let excluded = x.active & !mask;
    if excluded != 0 {
        let what = format!("an aligned {noun} under a guard that is false in {}", lanes(excluded));
        return Err(misuse(x, MisuseKind::DivergedBarrier, lane, what, None, fix));
    }
    let stuck = |s: &Split| matches!(s.waiting, Waiting::Lanes(missing) if missing & mask != 0);
    let mut splits = x.warp().splits.iter().enumerate();
    let Some((_, other)) = splits.find(|(number, s)| *number != x.split && s.pc != x.pc && stuck(s)) else {
        return Ok(());
    };
    let first = Some(other.mask.trailing_zeros() & 31);
    let place = x.env.location(x.cta().index, x.warp as u32, first, other.pc);
    let what = format!("a diverged warp comes to an aligned {noun}, and its other lanes wait at another one");
    let other = Some(("the others wait in", place));
    Err(misuse(x, MisuseKind::DivergedBarrier, lane, what, other, fix))
}

/// A warp comes to named barrier `id` with a number of threads, 0 for all.
pub(crate) fn barrier_count(x: &mut Ctx<'_>, id: u32, expected: u32) -> Result<(), Flow> {
    let barrier = &x.cta().barriers[id as usize];
    if barrier.exact == 0 || barrier.expected == expected {
        return Ok(());
    }
    with(x, |_, x| {
        let all = x.env.threads.next_multiple_of(32);
        let threads = |count: u32| if count == 0 { all } else { count };
        let barrier = &x.cta().barriers[id as usize];
        let (first, Some((warp, pc))) = (threads(barrier.expected), barrier.last) else {
            return Ok(());
        };
        if threads(expected) == first {
            return Ok(());
        }
        let place = x.env.location(x.cta().index, warp, None, pc);
        let what = format!(
            "comes to barrier {id} with {} threads, which waits for {first} in this phase",
            threads(expected)
        );
        let fix = "expected the same number from all that meet at a barrier";
        Err(misuse(
            x,
            MisuseKind::BarrierCount,
            None,
            what,
            Some(("came before:", place)),
            fix,
        ))
    })
}
