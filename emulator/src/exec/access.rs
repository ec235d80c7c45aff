//! `ld`, `st` and address handlers. A warp whose lanes stand side by side is one block copy.

use std::sync::atomic::{fence, Ordering};

use super::ctx::Ctx;
use super::inst::{Flow, Handler, Inst, FULL};
use super::lanes::{handler, operation, wide, Lane};
use super::memory::{addresses, resolve, space, window, Found, RANK_SHIFT};

/// Reads one element.
#[inline(always)]
fn read<T: Lane>(address: usize) -> T {
    // SAFETY: `resolve` found these bytes inside a registered range or a block of ours, which live as long as the
    // launch. Volatile where aligned would not help more: each element is read once, by one instruction.
    unsafe { (address as *const T).read_unaligned() }
}

#[inline(always)]
fn write<T: Lane>(address: usize, value: T) {
    // SAFETY: as in `read`, and `resolve` was asked for a writable place.
    unsafe { (address as *mut T).write_unaligned(value) }
}

/// Whether a store changes what is there.
fn differs<T: Lane>(address: usize, value: T) -> bool {
    let size = std::mem::size_of::<T>();
    let old = read::<T>(address);
    // SAFETY: both are initialised values of a plain number type, read as bytes for their own size.
    let (old, new) = unsafe {
        (
            std::slice::from_raw_parts((&raw const old).cast::<u8>(), size),
            std::slice::from_raw_parts((&raw const value).cast::<u8>(), size),
        )
    };
    old != new
}

/// Whether nobody but the lane itself sees the access.
fn is_private(x: &Ctx<'_>, i: &Inst, mask: u32) -> bool {
    match i.extra & space::MASK {
        space::LOCAL => true,
        space::GENERIC => {
            let at = addresses(x, i, mask)[mask.trailing_zeros() as usize & 31];
            at & window::TAG == window::LOCAL
        }
        _ => false,
    }
}

#[inline(always)]
fn registers(i: &Inst) -> [u32; 4] {
    [i.dst, i.b, i.c, i.d]
}

handler! {
    /// d = f(memory), elements of type T; up to four registers in `dst`, `b`, `c`, `d`.
    load<[T, D], F: Fn(T) -> D>(x, i, mask) {
        let f = operation::<F>();
        let count = (i.extra >> space::COUNT_SHIFT) as usize;
        let size = std::mem::size_of::<T>();
        let found = match resolve(x, i, mask, (size * count) as u32, false) {
            Ok(found) => found,
            Err(flow) => return flow,
        };
        let mut out = [D::default(); 32];
        match found {
            Found::Linear(start) if count == 1 => {
                for l in 0..32 {
                    out[l] = f(read::<T>(start + l * size));
                }
                // Only full warps are linear or uniform.
                x.put(i.dst, &out, FULL);
            }
            Found::Linear(start) => {
                for (k, register) in registers(i).into_iter().enumerate().take(count) {
                    for l in 0..32 {
                        out[l] = f(read::<T>(start + (l * count + k) * size));
                    }
                    x.put(register, &out, FULL);
                }
            }
            Found::Uniform(start) => {
                for (k, register) in registers(i).into_iter().enumerate().take(count) {
                    x.put(register, &[f(read::<T>(start + k * size)); 32], FULL);
                }
            }
            Found::Scattered => {
                for (k, register) in registers(i).into_iter().enumerate().take(count) {
                    for l in 0..32 {
                        out[l] = f(read::<T>(x.address[l] + k * size));
                    }
                    x.put(register, &out, mask);
                }
            }
        }
        if i.extra & space::ACQUIRE != 0 {
            x.polls += 1;
            fence(Ordering::Acquire);
        }
        Flow::Next
    }
}

handler! {
    /// memory = f(register), elements of type T.
    store<[S, T], F: Fn(S) -> T>(x, i, mask) {
        let f = operation::<F>();
        let count = (i.extra >> space::COUNT_SHIFT) as usize;
        let size = std::mem::size_of::<T>();
        let found = match resolve(x, i, mask, (size * count) as u32, true) {
            Ok(found) => found,
            Err(flow) => return flow,
        };
        if i.extra & space::RELEASE != 0 {
            fence(Ordering::Release);
        }
        if !is_private(x, i, mask) {
            if x.cluster.watch {
                let mut changed = false;
                for l in (0..32usize).filter(|l| (mask >> l) & 1 != 0) {
                    let at = found.at(x, l, count * size);
                    for (k, register) in registers(i).into_iter().enumerate().take(count) {
                        changed |= differs::<T>(at + k * size, f(x.lanes::<S>(register)[l]));
                    }
                }
                x.cluster.epoch += u64::from(changed);
            } else {
                x.touch();
            }
        }
        match found {
            Found::Linear(start) => {
                for (k, register) in registers(i).into_iter().enumerate().take(count) {
                    let values = x.lanes::<S>(register);
                    for l in 0..32 {
                        write::<T>(start + (l * count + k) * size, f(values[l]));
                    }
                }
            }
            Found::Uniform(_) | Found::Scattered => {
                for l in 0..32 {
                    if (mask >> l) & 1 != 0 {
                        for (k, register) in registers(i).into_iter().enumerate().take(count) {
                            write::<T>(found.at(x, l, 0) + k * size, f(x.lanes::<S>(register)[l]));
                        }
                    }
                }
            }
        }
        Flow::Next
    }
}

handler! {
    /// A parameter of the entry: the same value for all lanes, `imm` is its offset; up to four registers.
    load_param<[T, D], F: Fn(T) -> D>(x, i, mask) {
        let f = operation::<F>();
        let count = (i.extra >> space::COUNT_SHIFT) as usize;
        let size = std::mem::size_of::<T>();
        let start = x.env.launch.params.as_ptr() as usize + i.imm as usize;
        for (k, register) in registers(i).into_iter().enumerate().take(count) {
            // `decode/` checked the offset against the parameter list, `run` the length of the bytes.
            let out = [f(read::<T>(start + k * size)); 32];
            x.put(register, &out, mask);
        }
        Flow::Next
    }
}

/// d = local address of `imm` in the running frame.
pub(crate) unsafe fn frame_address(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let local = u64::from(x.split_mut().local);
    x.put(i.dst, &[local.wrapping_add(i.imm); 32], mask);
    Flow::Next
}

/// `cvta`: d = a with the window in `imm` added; null stays as it is, as on a GPU it would not, but compilers never ask.
pub(crate) unsafe fn to_generic(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let a = x.lanes::<u64>(i.a);
    let out = std::array::from_fn(|l| a[l] | i.imm);
    x.put::<u64>(i.dst, &out, mask);
    Flow::Next
}

/// `cvta.to`: the window taken off again.
pub(crate) unsafe fn from_generic(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let a = x.lanes::<u64>(i.a);
    let out = std::array::from_fn(|l| {
        if a[l] & window::TAG == i.imm {
            a[l] & !window::TAG
        } else {
            a[l]
        }
    });
    x.put::<u64>(i.dst, &out, mask);
    Flow::Next
}

/// `isspacep`: whether an address is in the window `imm`; 0 asks for global memory.
pub(crate) unsafe fn is_space(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let a = x.lanes::<u64>(i.a);
    let mut hits = 0u32;
    for (l, address) in a.iter().enumerate() {
        let tag = address & window::TAG;
        let own =
            i.extra == 0 || (address >> RANK_SHIFT & 0xff) == 0 || (address >> RANK_SHIFT & 0xff) == x.cta as u64 + 1;
        let hit = if i.imm == 0 {
            tag < window::SHARED
        } else {
            tag == i.imm && own
        };
        hits |= u32::from(hit) << l;
    }
    x.put_pred(i.dst, hits, mask);
    Flow::Next
}

/// `mapa`: the address of the same offset in CTA `b` of the cluster. `extra`: 1 for 32-bit shared addresses.
pub(crate) unsafe fn map_address(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let rank = x.lanes::<u32>(i.b);
    let offset = (1u64 << RANK_SHIFT) - 1;
    let map =
        |address: u64, rank: u32| (address & window::TAG) | (address & offset) | (u64::from(rank) + 1) << RANK_SHIFT;
    if i.extra == 1 {
        let a = x.lanes::<u32>(i.a);
        let out = std::array::from_fn(|l| map(u64::from(a[l]), rank[l]) as u32);
        x.put::<u32>(i.dst, &out, mask);
    } else {
        let a = x.lanes::<u64>(i.a);
        let out = std::array::from_fn(|l| map(a[l], rank[l]));
        x.put::<u64>(i.dst, &out, mask);
    }
    Flow::Next
}
