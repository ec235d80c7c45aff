//! Operations between the lanes of a warp (ISA 9.7.9.6, 9.7.13.2 to .14): shfl, vote, match, redux, elect, bar.warp.sync.
//! With a member mask they wait until all live members have come to the instruction.

use super::cluster::Waiting;
use super::ctx::Ctx;
use super::inst::{Flow, Handler, Inst, NO_GUARD};
use super::judge::sync;
use super::lanes::{operation, Lane};

/// Calls `each` with every group of lanes that names the same members; blocks while members are missing.
fn groups(x: &mut Ctx<'_>, members: u32, mask: u32, mut each: impl FnMut(&mut Ctx<'_>, u32)) -> Flow {
    let named = x.lanes::<u32>(members);
    let live = x.warp().live;
    let mut missing = 0u32;
    for l in (0..32usize).filter(|l| mask >> l & 1 != 0) {
        missing |= named[l] & live & !mask;
    }
    if missing != 0 {
        x.block = Waiting::Lanes(missing);
        return Flow::Block;
    }
    let mut left = mask;
    while left != 0 {
        let wanted = named[left.trailing_zeros() as usize];
        let mut group = 0u32;
        for (l, member) in named.iter().enumerate() {
            group |= u32::from(*member == wanted) << l & left;
        }
        left &= !group;
        each(x, group);
    }
    Flow::Next
}

/// `shfl.sync`: `a` value, `b` lane or distance, `c` clamp and segment, `d` members; `imm`: 0 up, 1 down, 2 bfly, 3 idx;
/// `extra`: slot of the in-range predicate.
pub(crate) unsafe fn shuffle(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    groups(x, i.d, mask, |x, group| {
        let (a, b, c) = (x.lanes::<u32>(i.a), x.lanes::<u32>(i.b), x.lanes::<u32>(i.c));
        let mut out = [0u32; 32];
        let mut hits = 0u32;
        for l in 0..32usize {
            let (source, hit) = shuffle_source(i.imm, l as u32, b[l], c[l]);
            // What an absent lane holds is undefined; its register is as good as anything.
            out[l] = a[source as usize];
            hits |= u32::from(hit) << l;
        }
        x.put(i.dst, &out, group);
        if i.extra != NO_GUARD {
            x.put_pred(i.extra, hits, group);
        }
    })
}

/// The pseudo code of the ISA's `shfl`.
#[inline(always)]
pub(crate) fn shuffle_source(mode: u64, lane: u32, b: u32, c: u32) -> (u32, bool) {
    let (distance, clamp, segment) = (b & 31, c & 31, c >> 8 & 31);
    let most = (lane & segment) | (clamp & !segment & 31);
    let (source, hit) = match mode {
        0 => (
            lane.wrapping_sub(distance),
            lane as i32 - distance as i32 >= most as i32,
        ),
        1 => (lane + distance, lane + distance <= most),
        2 => (lane ^ distance, lane ^ distance <= most),
        _ => {
            let source = (lane & segment) | (distance & !segment & 31);
            (source, source <= most)
        }
    };
    if hit {
        (source & 31, true)
    } else {
        (lane, false)
    }
}

/// `vote.sync`: `a` predicate, `d` members; `imm`: 0 all, 1 any, 2 uni, 3 ballot; bit 8: the predicate is negated.
pub(crate) unsafe fn vote(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    groups(x, i.d, mask, |x, group| {
        let value = x.pred(i.a) ^ if i.imm >> 8 != 0 { u32::MAX } else { 0 };
        let votes = value & group;
        let result = match i.imm & 0xff {
            0 => votes == group,
            1 => votes != 0,
            2 => votes == group || votes == 0,
            _ => return x.put(i.dst, &[votes; 32], group),
        };
        x.put_pred(i.dst, if result { u32::MAX } else { 0 }, group);
    })
}

/// `match.sync` on T: `a` value, `d` members; `imm`: 0 any, 1 all; `extra`: predicate slot of `all`.
pub(crate) fn match_lanes<T: Lane + PartialEq>() -> Handler {
    run_match::<T>
}

unsafe fn run_match<T: Lane + PartialEq>(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    groups(x, i.d, mask, |x, group| {
        let a = x.lanes::<T>(i.a);
        let mut out = [0u32; 32];
        for l in (0..32usize).filter(|l| group >> l & 1 != 0) {
            for k in (0..32usize).filter(|k| group >> k & 1 != 0) {
                out[l] |= u32::from(a[l] == a[k]) << k;
            }
        }
        if i.imm == 1 {
            let same = out[group.trailing_zeros() as usize & 31] == group;
            out = [if same { group } else { 0 }; 32];
            if i.extra != NO_GUARD {
                x.put_pred(i.extra, if same { u32::MAX } else { 0 }, group);
            }
        }
        x.put(i.dst, &out, group);
    })
}

/// `redux.sync`: `a` value, `d` members; the closure combines two values.
pub(crate) fn redux<F: Fn(u32, u32) -> u32 + Copy + 'static>(_operation: F) -> Handler {
    run_redux::<F>
}

unsafe fn run_redux<F: Fn(u32, u32) -> u32 + Copy + 'static>(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    groups(x, i.d, mask, |x, group| {
        let a = x.lanes::<u32>(i.a);
        let lanes = (0..32usize).filter(|l| group >> l & 1 != 0);
        let result = lanes.map(|l| a[l]).reduce(operation::<F>());
        x.put(i.dst, &[result.unwrap_or(0); 32], group);
    })
}

/// `activemask`.
pub(crate) unsafe fn active_mask(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    x.put(i.dst, &[mask; 32], mask);
    Flow::Next
}

/// `elect.sync d|p, members`: the lowest lane.
pub(crate) unsafe fn elect(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    groups(x, i.d, mask, |x, group| {
        let leader = group.trailing_zeros();
        x.put(i.dst, &[leader; 32], group);
        x.put_pred(i.extra, 1 << (leader & 31), group);
    })
}

/// `bar.warp.sync`: members may wait at different instructions.
pub(crate) unsafe fn warp_sync(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if x.resumed {
        return sync::warp_sync(x, true).err().unwrap_or(Flow::Next);
    }
    let named = x.lanes::<u32>(i.d);
    let live = x.warp().live;
    let wanted = named[mask.trailing_zeros() as usize & 31] & live;
    let current = x.split;
    let waits = |(number, split): (usize, &super::cluster::Split)| {
        (number != current && matches!(split.waiting, Waiting::Sync(_))).then_some(split.mask)
    };
    let waiting = x
        .warp()
        .splits
        .iter()
        .enumerate()
        .filter_map(waits)
        .fold(0, |all, m| all | m);
    let missing = wanted & !mask & !waiting;
    if let Err(flow) = sync::warp_sync(x, missing == 0) {
        return flow;
    }
    if missing != 0 {
        x.block = Waiting::Sync(missing);
        return Flow::Block;
    }
    for split in &mut x.warp_mut().splits {
        if matches!(split.waiting, Waiting::Sync(_)) && split.mask & wanted != 0 {
            split.waiting = Waiting::No;
            split.resumed = true;
        }
    }
    Flow::Next
}

/// Exited lanes are not waited for: the others look again.
pub(super) fn lanes_left(x: &mut Ctx<'_>) {
    for split in &mut x.warp_mut().splits {
        if matches!(split.waiting, Waiting::Lanes(_) | Waiting::Sync(_)) {
            split.waiting = Waiting::No;
        }
    }
}
