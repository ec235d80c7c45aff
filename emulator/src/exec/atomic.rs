//! `atom` and `red` (ISA 9.7.13.5): the operation is a closure on the old value; lanes go in order.
//! Global memory is shared with other host threads, so there the update is a compare-and-swap of the host.

use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use super::ctx::Ctx;
use super::inst::{Flow, Handler, Inst};
use super::lanes::{operation, Lane};
use super::memory::{addresses, resolve, space, space_of};
use super::wide;
use crate::fault::Space;

/// Values that can be updated in place.
pub(crate) trait Word: Lane + PartialEq {
    /// Replaces the value at `address` by `f` of it, atomically for all host threads; returns the old one.
    fn update(address: usize, f: impl Fn(Self) -> Self) -> Self;
}

macro_rules! word {
    ($t:ty, $atomic:ty) => {
        impl Word for $t {
            fn update(address: usize, f: impl Fn(Self) -> Self) -> Self {
                // SAFETY: `resolve` found these bytes, aligned, in memory that lives as long as the launch.
                let cell = unsafe { <$atomic>::from_ptr(address as *mut $t) };
                let mut old = cell.load(Ordering::Relaxed);
                loop {
                    match cell.compare_exchange_weak(old, f(old), Ordering::AcqRel, Ordering::Relaxed) {
                        Ok(value) => return value,
                        Err(found) => old = found,
                    }
                }
            }
        }
    };
}
word!(u16, AtomicU16);
word!(u32, AtomicU32);
word!(u64, AtomicU64);

impl Word for u128 {
    fn update(address: usize, f: impl Fn(Self) -> Self) -> Self {
        wide::one_at_a_time(|| exchange(address, f))
    }
}

/// d = old value; memory = f(old, b, c). The closure must not capture anything.
pub(crate) fn atomic<T: Word, F: Fn(T, T, T) -> T + Copy + 'static>(_operation: F) -> Handler {
    run::<T, F, F>
}

/// The same with another operation outside global memory.
pub(crate) fn atomic_by_space<T: Word, F, G>(_global: F, _other: G) -> Handler
where
    F: Fn(T, T, T) -> T + Copy + 'static,
    G: Fn(T, T, T) -> T + Copy + 'static,
{
    run::<T, F, G>
}

unsafe fn run<T: Word, F, G>(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow
where
    F: Fn(T, T, T) -> T + Copy + 'static,
    G: Fn(T, T, T) -> T + Copy + 'static,
{
    let (f, g) = (operation::<F>(), operation::<G>());
    let size = std::mem::size_of::<T>();
    let code = i.extra & space::MASK;
    let first = addresses(x, i, mask)[mask.trailing_zeros() as usize & 31];
    let place = space_of(code, first);
    let found = match resolve(x, i, mask, size as u32, true) {
        Ok(found) => found,
        Err(flow) => return flow,
    };
    let (b, c) = (x.lanes::<T>(i.b), x.lanes::<T>(i.c));
    let mut out = [T::default(); 32];
    let mut changed = false;
    for l in (0..32usize).filter(|l| (mask >> l) & 1 != 0) {
        let at = found.at(x, l, size);
        let old = match place {
            Space::Global => T::update(at, |old| f(old, b[l], c[l])),
            _ => exchange(at, |old| g(old, b[l], c[l])),
        };
        let new = if place == Space::Global {
            f(old, b[l], c[l])
        } else {
            g(old, b[l], c[l])
        };
        changed |= new != old;
        out[l] = old;
    }
    x.cluster.epoch += u64::from(changed);
    x.polls += u32::from(!changed);
    if i.extra & space::RED == 0 {
        x.put(i.dst, &out, mask);
    }
    Flow::Next
}

/// Without regard to other host threads.
fn exchange<T: Word>(address: usize, f: impl Fn(T) -> T) -> T {
    let place = address as *mut T;
    // SAFETY: `resolve` found these bytes, in memory that lives as long as the launch.
    let old = unsafe { place.read_unaligned() };
    // SAFETY: as above, and writable.
    unsafe { place.write_unaligned(f(old)) };
    old
}
