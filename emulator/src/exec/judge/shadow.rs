//! What happened to each shared word: its last write, the reads since, which bytes were ever written. An access that is
//! not ordered behind those it conflicts with is a race; the caller names both in a report.

use super::clock::{Agent, Clock};

/// Atomic, volatile, acquire or release: two of these never race.
pub(crate) const STRONG: u8 = 1;
/// Made through the asynchronous proxy.
pub(crate) const ASYNC: u8 = 2;
pub(crate) const WRITE: u8 = 4;
/// A copy in flight, of either proxy, and not a thread.
pub(crate) const COPY: u8 = 8;
/// `mbarrier` operations.
pub(crate) const MBARRIER: u8 = 16;
/// `wgmma`: a copy in flight that goes nowhere.
pub(crate) const PRODUCT: u8 = 32;

/// One access as the shadow remembers it; time 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    pub agent: Agent,
    pub time: u32,
    pub pc: u32,
    /// Warp of the cluster.
    pub warp: u16,
    pub lane: u8,
    pub flags: u8,
    /// Of the word.
    pub bytes: u8,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cell {
    write: Access,
    read: Access,
    /// More reads that nothing orders: index + 1 into `Shadow::more`.
    more: u32,
    /// Bytes that were written since the thread block began.
    known: u8,
    /// The word belongs to an mbarrier.
    barrier: bool,
}

/// Why an access is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// Nothing orders the two.
    Unordered(Access),
    /// They are ordered, but no proxy fence stands between them.
    Unfenced(Access),
    /// A write over an mbarrier.
    OverBarrier,
    /// No byte of it was ever written.
    Unknown,
}

/// The shadow of one thread block's shared memory.
#[derive(Debug, Default)]
pub(crate) struct Shadow {
    cells: Vec<Cell>,
    more: Vec<Vec<Access>>,
    /// A plain write over another one that nothing orders: harmless if both write the same, which the caller knows.
    pub doubt: Option<(u32, Access)>,
}

/// Who accesses, and what it knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By<'a> {
    pub access: Access,
    pub clock: &'a Clock,
}

impl By<'_> {
    /// Whether `earlier` is over for this one.
    #[inline(always)]
    fn knows(&self, earlier: &Access) -> bool {
        if earlier.agent == self.access.agent {
            // A thread is in order with itself; copies are not, but those of one group never meet their own kind.
            return self.access.flags & COPY == 0 || earlier.time == self.access.time || self.is_told(earlier);
        }
        self.is_told(earlier)
    }

    fn is_told(&self, earlier: &Access) -> bool {
        self.clock.time(earlier.agent) >= earlier.time
    }

    #[inline(always)]
    fn check(&self, earlier: &Access, bytes: u8) -> Result<(), Conflict> {
        let meet = earlier.time != 0 && earlier.bytes & bytes != 0;
        if !meet || earlier.flags & self.access.flags & STRONG != 0 {
            return Ok(());
        }
        if !self.knows(earlier) {
            return Err(Conflict::Unordered(*earlier));
        }
        // Triton leaves the fence out between `cp.async` and `wgmma`.
        let loaded = self.access.flags & PRODUCT != 0 && earlier.flags & COPY != 0;
        let reads_async = self.access.flags & (ASYNC | WRITE) == ASYNC && !loaded;
        if reads_async && earlier.flags & (ASYNC | WRITE) == WRITE && self.clock.fenced(earlier.agent) < earlier.time {
            return Err(Conflict::Unfenced(*earlier));
        }
        Ok(())
    }
}

impl Shadow {
    pub(crate) fn reset(&mut self, bytes: u32) {
        self.cells.clear();
        self.cells.resize(bytes.div_ceil(4) as usize, Cell::default());
        self.more.clear();
        self.doubt = None;
    }

    /// Checks one access of `size` bytes and remembers it. On a conflict: the offset of the word, and why.
    pub(crate) fn access(&mut self, offset: u32, size: u32, by: By<'_>) -> Result<(), (u32, Conflict)> {
        let end = offset + size;
        let mut known = by.access.flags & WRITE != 0;
        let mut at = offset & !3;
        while at < end {
            let low = offset.max(at) - at;
            let high = end.min(at + 4) - at;
            let bytes = ((1u32 << high) - (1u32 << low)) as u8;
            let Some(cell) = self.cells.get_mut(at as usize / 4) else {
                break;
            };
            known |= cell.known & bytes != 0;
            match touch(cell, &mut self.more, bytes, by) {
                Ok(None) => {}
                Ok(Some(earlier)) => self.doubt = self.doubt.or(Some((at + low, earlier))),
                Err(conflict) => return Err((at + low, conflict)),
            }
            at += 4;
        }
        if known {
            Ok(())
        } else {
            Err((offset, Conflict::Unknown))
        }
    }

    /// Marks or unmarks the words of an mbarrier.
    pub(crate) fn set_barrier(&mut self, offset: u32, is_barrier: bool) {
        for cell in self.cells.iter_mut().skip(offset as usize / 4).take(2) {
            cell.barrier = is_barrier;
        }
    }
}

#[inline(always)]
pub(super) fn touch(
    cell: &mut Cell,
    more: &mut Vec<Vec<Access>>,
    bytes: u8,
    by: By<'_>,
) -> Result<Option<Access>, Conflict> {
    let access = Access { bytes, ..by.access };
    let doubt = match by.check(&cell.write, bytes) {
        Err(Conflict::Unordered(earlier)) if earlier.flags == WRITE && access.flags == WRITE => Some(earlier),
        found => {
            found?;
            None
        }
    };
    if access.flags & WRITE == 0 {
        remember_read(cell, more, access, by);
        return Ok(None);
    }
    if cell.barrier && access.flags & MBARRIER == 0 {
        return Err(Conflict::OverBarrier);
    }
    by.check(&cell.read, bytes)?;
    if cell.more != 0 {
        let list = &mut more[cell.more as usize - 1];
        for read in list.iter() {
            by.check(read, bytes)?;
        }
        list.clear();
    }
    cell.read = Access::default();
    cell.write = access;
    cell.known |= bytes;
    Ok(doubt)
}

/// One read is enough while each is ordered behind the one before (FastTrack); otherwise all of them are kept.
#[inline(always)]
fn remember_read(cell: &mut Cell, more: &mut Vec<Vec<Access>>, access: Access, by: By<'_>) {
    let same = cell.read.agent == access.agent && cell.read.time == access.time;
    if same && cell.read.flags == access.flags {
        cell.read.bytes |= access.bytes;
        return;
    }
    if cell.read.time == 0 || by.knows(&cell.read) {
        cell.read = access;
        return;
    }
    if cell.more == 0 {
        more.push(Vec::new());
        cell.more = more.len() as u32;
    }
    let list = &mut more[cell.more as usize - 1];
    match list.iter_mut().find(|r| r.agent == access.agent) {
        Some(read) => *read = access,
        None => list.push(access),
    }
}
