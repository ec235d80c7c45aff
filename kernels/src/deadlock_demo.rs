//! A kernel that deadlocks on purpose: y = x, if the two warps did not wait for each other.
//!
//! The bug is the usual one with mbarriers: the producer waits for parity 0 of a fresh barrier, so for the consumer's first release,
//! which comes after the producer's first tile. Parity 1 would count as complete and all would be well. Both waits
//! go through the executor, so the host can still end the launch.
//! sync: bar.sync 1, bar.warp.sync 2, vote.sync.all.pred 2, vote.sync.any.pred 2

use warpbridge_runtime::mbarrier::{BARRIER_BYTES, Barrier};
use warpbridge_runtime::{Control, block, engine, global, run, shared, warp};

/// The two barriers and the 32 elements between the warps.
#[derive(Clone, Copy)]
struct Desk {
    offered: Barrier,
    taken: Barrier,
    slot: u32,
}

/// Puts 32 elements of x on the desk at a time.
async fn produce(desk: Desk, x: u64, n: u32) {
    let (mut first, mut parity) = (0, 0); // the bug: parity starts at 1 in a kernel that works
    while first < n {
        desk.taken.wait(parity, ()).await;
        if first + warp::lane() < n {
            // SAFETY: an element of x; the slot is this lane's until it arrives.
            unsafe { shared::store_u32(desk.slot, global::load_u32(x + u64::from(first + warp::lane()) * 4)) };
        }
        warp::sync();
        if warp::lane() == 0 {
            desk.offered.arrive();
        }
        (first, parity) = (first + warp::LANES, parity ^ 1);
    }
}

/// Takes them to y.
async fn consume(desk: Desk, y: u64, n: u32, control: Control) {
    let (mut first, mut parity) = (0, 0);
    while first < n {
        desk.offered.wait(parity, ()).await;
        if first + warp::lane() < n {
            // SAFETY: the slot was filled for this lane, and y has the element.
            unsafe { global::store_u32(y + u64::from(first + warp::lane()) * 4, shared::load_u32(desk.slot)) };
        }
        warp::sync();
        if warp::lane() == 0 {
            desk.taken.arrive();
            control.report().set_progress(first / warp::LANES + 1);
        }
        (first, parity) = (first + warp::LANES, parity ^ 1);
    }
}

/// The manifest says what the arguments are. Without a control block nothing could stop it: then it leaves at once.
#[unsafe(no_mangle)]
pub extern "ptx-kernel" fn deadlock_demo(x: u64, y: u64, n: u32, control: Control) {
    if control.is_null() {
        return;
    }
    let base = shared::base();
    let desk = Desk {
        offered: Barrier(base),
        taken: Barrier(base + BARRIER_BYTES),
        slot: base + 2 * BARRIER_BYTES + warp::lane() * 4,
    };
    if block::thread() == 0 {
        desk.offered.init(1);
        desk.taken.init(1);
        engine::publish_barriers();
    }
    block::sync();
    if warp::index() == 0 {
        run(produce(desk, x, n), control);
    } else {
        run(consume(desk, y, n, control), control);
    }
}
