//! The warp: who am I, and the few operations in which its 32 lanes meet.
//!
//! These are LLVM intrinsics because those are convergent: LLVM neither duplicates them nor moves them under a condition.

use core::arch::nvptx::_thread_idx_x;

/// Lanes of a warp.
pub const LANES: u32 = 32;

const ALL_LANES: u32 = u32::MAX;

unsafe extern "unadjusted" {
    #[link_name = "llvm.nvvm.bar.warp.sync"]
    fn bar_warp_sync(mask: u32);
    #[link_name = "llvm.nvvm.vote.all.sync"]
    fn vote_all_sync(mask: u32, value: bool) -> bool;
    #[link_name = "llvm.nvvm.vote.any.sync"]
    fn vote_any_sync(mask: u32, value: bool) -> bool;
    #[link_name = "llvm.nvvm.redux.sync.umax"]
    fn redux_umax_sync(value: u32, mask: u32) -> u32;
    #[link_name = "llvm.nvvm.shfl.sync.bfly.f32"]
    fn shfl_bfly_sync_f32(mask: u32, value: f32, distance: u32, clamp: u32) -> f32;
    #[link_name = "llvm.nvvm.shfl.sync.bfly.i32"]
    fn shfl_bfly_sync_u32(mask: u32, value: u32, distance: u32, clamp: u32) -> u32;
    #[link_name = "llvm.nvvm.shfl.sync.idx.i32"]
    fn shfl_idx_sync_u32(mask: u32, value: u32, lane: u32, clamp: u32) -> u32;
    #[link_name = "llvm.nvvm.shfl.sync.up.i32"]
    fn shfl_up_sync_u32(mask: u32, value: u32, distance: u32, clamp: u32) -> u32;
}

/// This lane's number in its warp.
#[inline(always)]
pub fn lane() -> u32 {
    // SAFETY: reads a special register.
    unsafe { _thread_idx_x() as u32 % LANES }
}

/// This warp's number in its block (blocks are one-dimensional here).
#[inline(always)]
pub fn index() -> u32 {
    // SAFETY: reads a special register.
    unsafe { _thread_idx_x() as u32 / LANES }
}

/// Waits for the other lanes; what they wrote before is visible after.
#[inline(always)]
pub fn sync() {
    // SAFETY: roles keep their lanes together (top of this crate), so all 32 lanes come here.
    unsafe { bar_warp_sync(ALL_LANES) }
}

/// Whether `value` holds in every lane.
#[inline(always)]
pub fn all(value: bool) -> bool {
    // SAFETY: as in `sync`.
    unsafe { vote_all_sync(ALL_LANES, value) }
}

/// Whether `value` holds in some lane.
#[inline(always)]
pub fn any(value: bool) -> bool {
    // SAFETY: as in `sync`.
    unsafe { vote_any_sync(ALL_LANES, value) }
}

/// The largest of the lanes' values.
#[inline(always)]
pub fn max_u32(value: u32) -> u32 {
    // SAFETY: as in `sync`.
    unsafe { redux_umax_sync(value, ALL_LANES) }
}

/// The value of the lane whose number differs in the bits of `distance`.
#[inline(always)]
pub fn swap_f32(value: f32, distance: u32) -> f32 {
    const NO_CLAMP: u32 = 31;
    // SAFETY: as in `sync`.
    unsafe { shfl_bfly_sync_f32(ALL_LANES, value, distance, NO_CLAMP) }
}

/// As [`swap_f32`], for integers.
#[inline(always)]
pub fn swap_u32(value: u32, distance: u32) -> u32 {
    const NO_CLAMP: u32 = 31;
    // SAFETY: as in `sync`.
    unsafe { shfl_bfly_sync_u32(ALL_LANES, value, distance, NO_CLAMP) }
}

/// The value of the lane whose number is less by `distance`; 0 where there is none.
#[inline(always)]
pub fn below_u32(value: u32, distance: u32) -> u32 {
    // SAFETY: as in `sync`.
    let found = unsafe { shfl_up_sync_u32(ALL_LANES, value, distance, 0) };
    if lane() < distance { 0 } else { found }
}

/// The value of lane number `lane`, below 32.
#[inline(always)]
pub fn from_u32(value: u32, lane: u32) -> u32 {
    const NO_CLAMP: u32 = 31;
    // SAFETY: as in `sync`.
    unsafe { shfl_idx_sync_u32(ALL_LANES, value, lane, NO_CLAMP) }
}
