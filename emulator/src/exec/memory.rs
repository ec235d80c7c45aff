//! Addresses to host memory: windows, bounds, alignment, once per warp access; and the faults when they do not fit.
//! Loads and stores are in `access`, read-modify-write in `atomic`, single lanes' accesses in `place`.

use super::ctx::Ctx;
use super::inst::{Flow, Inst, FULL};
use super::ranges::Refusal;
use super::shape::{shape32, shape64, Shape};
use crate::fault::{Fault, MemoryFault, MemoryFaultKind, Space};

pub(crate) use super::place::place;

/// Generic addresses carry their window in the top byte; host addresses never have one there.
pub(crate) mod window {
    pub(crate) const SHARED: u64 = 0xf0 << 56;
    pub(crate) const LOCAL: u64 = 0xf1 << 56;
    pub(crate) const CONST: u64 = 0xf2 << 56;
    pub(crate) const PARAM: u64 = 0xf3 << 56;
    pub(crate) const FUNCTION: u64 = 0xf4 << 56;
    pub(crate) const TAG: u64 = 0xff << 56;
}

/// Shared addresses of other CTAs of the cluster: (rank + 1) in these bits, as `mapa` makes them.
pub(crate) const RANK_SHIFT: u32 = 24;

/// State space of an access, in the low bits of `Inst::extra`.
pub(crate) mod space {
    pub(crate) const GLOBAL: u32 = 0;
    pub(crate) const SHARED: u32 = 1;
    pub(crate) const LOCAL: u32 = 2;
    pub(crate) const CONST: u32 = 3;
    pub(crate) const PARAM: u32 = 4;
    pub(crate) const GENERIC: u32 = 5;
    pub(crate) const MASK: u32 = 7;
    /// The address register has 32 bits.
    pub(crate) const NARROW: u32 = 8;
    /// `.acquire` and stronger.
    pub(crate) const ACQUIRE: u32 = 16;
    /// `.release` and stronger.
    pub(crate) const RELEASE: u32 = 32;
    /// `red`: no result.
    pub(crate) const RED: u32 = 64;
    /// Elements of a vector, from this bit on.
    pub(crate) const COUNT_SHIFT: u32 = 8;
}

/// Shared memory of one CTA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared {
    pub start: *mut u8,
    pub bytes: u32,
}

/// Where an access goes.
#[derive(Clone, Copy)]
pub(crate) enum Found {
    /// All lanes at this host address; only reads.
    Uniform(usize),
    /// Lane `l` at this host address plus `l` times the access size.
    Linear(usize),
    /// `Ctx::address`, by lane.
    Scattered,
}

impl Found {
    /// The host address of lane `l` of an access of `bytes` per lane.
    #[inline(always)]
    pub(crate) fn at(self, x: &Ctx<'_>, l: usize, bytes: usize) -> usize {
        match self {
            Found::Uniform(start) => start,
            Found::Linear(start) => start + l * bytes,
            Found::Scattered => x.address[l],
        }
    }
}

/// Addresses of an access, lanes outside the mask repeating the first active one.
#[inline(always)]
pub(crate) fn addresses(x: &Ctx<'_>, i: &Inst, mask: u32) -> [u64; 32] {
    let mut at = [0u64; 32];
    if i.extra & space::NARROW != 0 {
        let base = x.lanes::<u32>(i.a);
        for l in 0..32 {
            at[l] = u64::from(base[l].wrapping_add(i.imm as u32));
        }
    } else {
        let base = x.lanes::<u64>(i.a);
        for l in 0..32 {
            at[l] = base[l].wrapping_add(i.imm);
        }
    }
    if mask != FULL {
        let first = at[mask.trailing_zeros() as usize & 31];
        for l in 0..32 {
            at[l] = if (mask >> l) & 1 != 0 { at[l] } else { first };
        }
    }
    at
}

/// Checks one access of `bytes` (a power of two) per active lane and finds its host addresses.
#[inline(always)]
pub(crate) fn resolve(x: &mut Ctx<'_>, i: &Inst, mask: u32, bytes: u32, write: bool) -> Result<Found, Flow> {
    if mask == FULL {
        if let Some(found) = regular(x, i, bytes, write) {
            return Ok(found);
        }
    }
    #[cfg(target_arch = "x86_64")]
    if x.wide {
        // SAFETY: `wide` says that the CPU has what the function is compiled for.
        return unsafe { irregular_v3(x, i, mask, bytes, write) };
    }
    irregular(x, i, mask, bytes, write)
}

/// Full warps whose lanes stand side by side, or all at one place: nearly all of them, and only one piece to check.
#[inline(always)]
fn regular(x: &mut Ctx<'_>, i: &Inst, bytes: u32, write: bool) -> Option<Found> {
    let size = u64::from(bytes);
    let (first, shape) = if i.extra & space::NARROW != 0 {
        let base = x.lanes::<u32>(i.a);
        (
            u64::from(base[0].wrapping_add(i.imm as u32)),
            shape32(base, bytes, x.wide),
        )
    } else {
        let base = x.lanes::<u64>(i.a);
        (base[0].wrapping_add(i.imm), shape64(base, size, x.wide))
    };
    let last = match shape {
        Shape::Line => first.checked_add(31 * size)?,
        Shape::Point if !write => first,
        _ => return None,
    };
    // Addresses of 32 bits that run over the end go on at 0: the other way counts them one by one.
    let folded = i.extra & space::NARROW != 0 && last > u64::from(u32::MAX);
    if folded || first & (size - 1) != 0 {
        return None;
    }
    let delta = offset_to_host(x, i.extra & space::MASK, first, last, size, write)?;
    let start = first.wrapping_add(delta) as usize;
    Some(match shape {
        Shape::Point => Found::Uniform(start),
        _ => Found::Linear(start),
    })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn irregular_v3(x: &mut Ctx<'_>, i: &Inst, mask: u32, bytes: u32, write: bool) -> Result<Found, Flow> {
    irregular(x, i, mask, bytes, write)
}

/// Any other access.
#[inline(always)]
fn irregular(x: &mut Ctx<'_>, i: &Inst, mask: u32, bytes: u32, write: bool) -> Result<Found, Flow> {
    let at = addresses(x, i, mask);
    // Four columns, so that the compiler makes vectors of the rows; signed comparisons are what CPUs have.
    let top = 1u64 << 63;
    let (mut low, mut high, mut bits) = ([i64::MAX; 4], [i64::MIN; 4], [0u64; 4]);
    for row in at.chunks_exact(4) {
        for k in 0..4 {
            let value = (row[k] ^ top) as i64;
            low[k] = if value < low[k] { value } else { low[k] };
            high[k] = if value > high[k] { value } else { high[k] };
            bits[k] |= row[k];
        }
    }
    let low = low.iter().fold(i64::MAX, |least, v| least.min(*v)) as u64 ^ top;
    let high = high.iter().fold(i64::MIN, |most, v| most.max(*v)) as u64 ^ top;
    let bits = bits.iter().fold(0, |all, v| all | v);
    if bits & u64::from(bytes - 1) != 0 {
        return Err(refuse(x, i, mask, bytes, write));
    }
    let size = u64::from(bytes);
    let Some(delta) = offset_to_host(x, i.extra & space::MASK, low, high, size, write) else {
        return scatter(x, i, mask, bytes, write);
    };
    for l in 0..32 {
        x.address[l] = at[l].wrapping_add(delta) as usize;
    }
    Ok(Found::Scattered)
}

/// What to add to addresses of `[low, high + size)` when all of them lie in one piece of host memory.
#[inline(always)]
fn offset_to_host(x: &mut Ctx<'_>, code: u32, low: u64, high: u64, size: u64, write: bool) -> Option<u64> {
    match code {
        space::GLOBAL => global(x, low, high, size, write),
        space::SHARED => shared(x.shared, low, high, size),
        space::GENERIC if low < window::SHARED => global(x, low, high, size, write),
        space::GENERIC if low & window::TAG == window::SHARED && high & window::TAG == window::SHARED => {
            let delta = shared(x.shared, low & !window::TAG, high & !window::TAG, size)?;
            Some(delta.wrapping_sub(window::SHARED))
        }
        _ => None,
    }
}

#[inline(always)]
fn shared(shared: Shared, _low: u64, high: u64, size: u64) -> Option<u64> {
    // No overflow: a caller's address has at most 56 bits or is refused by the comparison.
    (high < 1 << 32 && high + size <= u64::from(shared.bytes)).then_some(shared.start as u64)
}

#[inline(always)]
fn global(x: &mut Ctx<'_>, low: u64, high: u64, size: u64, write: bool) -> Option<u64> {
    let end = high.checked_add(size)?;
    let hint = (x.pc & 15) as usize;
    if x.env.ranges.holds(x.cluster.hints[hint], low, end, write) {
        return Some(0);
    }
    x.cluster.hints[hint] = x.env.ranges.find(low, end, write).ok()?;
    Some(0)
}

/// Lane by lane: local memory, other windows, several ranges at once; and whatever is wrong.
#[inline(never)]
fn scatter(x: &mut Ctx<'_>, i: &Inst, mask: u32, bytes: u32, write: bool) -> Result<Found, Flow> {
    let at = addresses(x, i, mask);
    for lane in 0..32u32 {
        let l = lane as usize;
        if mask >> lane & 1 == 0 {
            continue;
        }
        match host(x, i.extra & space::MASK, at[l], bytes, write, lane) {
            Ok(address) => x.address[l] = address,
            Err(_) => return Err(refuse(x, i, mask, bytes, write)),
        }
    }
    let first = x.address[mask.trailing_zeros() as usize & 31];
    for l in 0..32 {
        if mask >> l & 1 == 0 {
            x.address[l] = first;
        }
    }
    Ok(Found::Scattered)
}

/// An access that no memory allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    pub space: Space,
    pub kind: MemoryFaultKind,
    pub range: Option<usize>,
}

fn outside(space: Space) -> Refused {
    Refused {
        space,
        kind: MemoryFaultKind::OutOfBounds,
        range: None,
    }
}

/// The host address of one lane's access.
pub(crate) fn host(x: &Ctx<'_>, code: u32, address: u64, bytes: u32, write: bool, lane: u32) -> Result<usize, Refused> {
    let size = u64::from(bytes);
    let inner = address & !window::TAG;
    match (code, address & window::TAG) {
        (space::GENERIC, window::SHARED) => host(x, space::SHARED, inner, bytes, write, lane),
        (space::GENERIC, window::LOCAL) => host(x, space::LOCAL, inner, bytes, write, lane),
        (space::GENERIC, window::CONST) => host(x, space::CONST, inner, bytes, write, lane),
        (space::GENERIC, window::PARAM) => host(x, space::PARAM, inner, bytes, write, lane),
        (space::GLOBAL | space::GENERIC, _) => {
            let end = address.checked_add(size).ok_or(outside(Space::Global))?;
            match x.env.ranges.find(address, end, write) {
                Ok(_) => Ok(address as usize),
                Err(Refusal::Outside) => Err(outside(Space::Global)),
                Err(Refusal::ReadOnly(index)) => Err(Refused {
                    space: Space::Global,
                    kind: MemoryFaultKind::ReadOnly,
                    range: Some(index),
                }),
            }
        }
        (space::SHARED, _) => {
            let (shared, offset) = shared_of(x, address).ok_or(outside(Space::Shared))?;
            inside(shared.start, u64::from(shared.bytes), offset, size).ok_or(outside(Space::Shared))
        }
        (space::LOCAL, _) => {
            let warp = x.warp();
            let stride = warp.local_bytes() as usize;
            let start = warp.local.start().wrapping_add(stride * lane as usize);
            inside(start, u64::from(x.local_end(lane)), address, size).ok_or(outside(Space::Local))
        }
        (space::CONST, _) => {
            let (start, bytes) = (x.env.program.constants.start(), x.env.program.constant_bytes);
            let place = inside(start, u64::from(bytes), address, size).ok_or(outside(Space::Const))?;
            read_only(place, write, Space::Const)
        }
        _ => {
            let bank = x.env.launch.params;
            let place = inside(bank.as_ptr().cast_mut(), bank.len() as u64, address, size);
            read_only(place.ok_or(outside(Space::Param))?, write, Space::Param)
        }
    }
}

fn inside(start: *mut u8, length: u64, offset: u64, size: u64) -> Option<usize> {
    let end = offset.checked_add(size)?;
    (end <= length).then(|| start as usize + offset as usize)
}

fn read_only(place: usize, write: bool, space: Space) -> Result<usize, Refused> {
    if !write {
        return Ok(place);
    }
    Err(Refused {
        space,
        kind: MemoryFaultKind::ReadOnly,
        range: None,
    })
}

/// The CTA of the cluster that a shared address belongs to, and the offset in it.
pub(crate) fn shared_of(x: &Ctx<'_>, address: u64) -> Option<(Shared, u64)> {
    let rank = shared_rank(x, address)?;
    let shared = x.cluster.ctas.get(rank)?.shared();
    Some((shared, address & ((1 << RANK_SHIFT) - 1)))
}

/// Which CTA of the cluster a shared address belongs to.
pub(crate) fn shared_rank(x: &Ctx<'_>, address: u64) -> Option<usize> {
    let rank = usize::try_from(address >> RANK_SHIFT).ok()?;
    let rank = if rank == 0 { x.cta } else { rank - 1 };
    (rank < x.cluster.ctas.len()).then_some(rank)
}

/// Builds the fault for the first lane whose access is wrong.
#[cold]
#[inline(never)]
fn refuse(x: &mut Ctx<'_>, i: &Inst, mask: u32, bytes: u32, write: bool) -> Flow {
    let at = addresses(x, i, mask);
    let code = i.extra & space::MASK;
    for lane in (0..32u32).filter(|l| mask >> l & 1 != 0) {
        let address = at[lane as usize];
        if let Some(refused) = wrong(x, code, address, bytes, write, lane) {
            return report(x, refused, address, bytes, write, lane);
        }
    }
    x.trap(
        None,
        "refused an access that every lane may make: a defect of the CPU device".into(),
    )
}

fn wrong(x: &Ctx<'_>, code: u32, address: u64, bytes: u32, write: bool, lane: u32) -> Option<Refused> {
    match host(x, code, address, bytes, write, lane) {
        Err(refused) => Some(refused),
        Ok(_) if address & u64::from(bytes - 1) != 0 => Some(Refused {
            space: space_of(code, address),
            kind: MemoryFaultKind::Misaligned,
            range: None,
        }),
        Ok(_) => None,
    }
}

/// The space that an address of an access means.
pub(crate) fn space_of(code: u32, address: u64) -> Space {
    match (code, address & window::TAG) {
        (space::SHARED, _) | (space::GENERIC, window::SHARED) => Space::Shared,
        (space::LOCAL, _) | (space::GENERIC, window::LOCAL) => Space::Local,
        (space::CONST, _) | (space::GENERIC, window::CONST) => Space::Const,
        (space::PARAM, _) | (space::GENERIC, window::PARAM) => Space::Param,
        _ => Space::Global,
    }
}

/// Ends the launch with a memory fault.
#[cold]
pub(crate) fn report(x: &mut Ctx<'_>, refused: Refused, address: u64, size: u32, write: bool, lane: u32) -> Flow {
    report_aligned(x, refused, address, (size, size), write, lane)
}

/// As [`report`], for accesses whose alignment is not their size: size, alignment.
#[cold]
pub(crate) fn report_aligned(
    x: &mut Ctx<'_>,
    refused: Refused,
    address: u64,
    (size, align): (u32, u32),
    write: bool,
    lane: u32,
) -> Flow {
    let inner = address & !window::TAG;
    let range = match refused.space {
        Space::Global => {
            let range = match refused.range {
                Some(index) => Some(x.env.ranges.get(index)),
                None => x.env.ranges.nearest(address),
            };
            range.map(|r| (r.name.clone(), r.end - r.start, address.wrapping_sub(r.start) as i64))
        }
        Space::Shared => Some(("shared memory".to_owned(), u64::from(x.shared.bytes), inner as i64)),
        Space::Local => Some(("local memory".to_owned(), u64::from(x.local_end(lane)), inner as i64)),
        Space::Param => Some(("parameters".to_owned(), x.env.launch.params.len() as u64, inner as i64)),
        Space::Const => Some((
            "constants".to_owned(),
            u64::from(x.env.program.constant_bytes),
            inner as i64,
        )),
    };
    x.fault = Some(Box::new(Fault::Memory(Box::new(MemoryFault {
        kind: refused.kind,
        space: refused.space,
        write,
        address: if refused.space == Space::Global { address } else { inner },
        size,
        align,
        range,
        location: x.location(Some(lane)),
    }))));
    Flow::Fault
}
