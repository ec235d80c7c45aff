//! Warp-level matrices (ISA 9.7.14): elements in registers (`element`), where a fragment's elements belong (`fragment`),
//! the product (`product`, and what it names), and the moves between registers and shared memory (`tiles`). Products of
//! a warpgroup (ISA 9.7.15) have their own files: `wgmma`, with `descriptor` and `panels`.

pub(crate) mod descriptor;
mod double;
pub(crate) mod element;
mod float;
pub(crate) mod fragment;
mod integer;
pub(crate) mod panels;
pub(crate) mod product;
mod quad;
pub(crate) mod sparse;
mod spread;
pub(crate) mod tiles;
pub(crate) mod wgmma;
pub(crate) mod wmma;

use super::cluster::Waiting;
use super::ctx::Ctx;
use super::inst::Flow;

/// `.aligned`: all live lanes of the warp must be here.
#[inline(always)]
pub(crate) fn whole_warp(x: &mut Ctx<'_>, mask: u32) -> Option<Flow> {
    let missing = x.warp().live & !mask;
    if missing == 0 {
        return None;
    }
    x.block = Waiting::Lanes(missing);
    Some(Flow::Block)
}
