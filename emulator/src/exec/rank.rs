//! `getctarank` (ISA 9.7.9.20): which CTA of the cluster a shared address belongs to.

use super::ctx::Ctx;
use super::inst::{Flow, Inst};
use super::memory::{window, RANK_SHIFT};

/// d = rank of the address in `a`, of 32 bits with `extra` 1; an address without a rank is one of this CTA.
pub(crate) unsafe fn rank_of(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let own = x.cta().rank;
    let rank = |address: u64| match (address & !window::TAG) >> RANK_SHIFT {
        0 => own,
        number => number as u32 - 1,
    };
    let out = if i.extra == 1 {
        x.lanes::<u32>(i.a).map(|a| rank(u64::from(a)))
    } else {
        x.lanes::<u64>(i.a).map(rank)
    };
    x.put::<u32>(i.dst, &out, mask);
    Flow::Next
}
