//! `alloca`, `stacksave`, `stackrestore` (ISA 9.7.17): memory on a lane's stack behind its frame, which ends with the function.
//! Frames are common to the lanes of a split, so each lane keeps its own list of stack pointers.

use super::cluster::Warp;
use super::control::MAX_LOCAL;
use super::ctx::Ctx;
use super::inst::{Flow, Inst};

/// Stack pointers of one lane, innermost last: only of frames that have moved theirs.
pub(crate) type Pointers = Vec<Pointer>;

/// See [`Pointers`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pointer {
    /// Where the frame begins in local memory.
    frame: u32,
    /// Where its memory ends.
    end: u32,
}

impl Warp {
    /// The end of what the running lanes may use, as far as they have moved it themselves; 0 where none has.
    pub(crate) fn highest_pointer(&self) -> u32 {
        let live = self
            .pointers
            .iter()
            .enumerate()
            .filter(|(lane, _)| self.live >> lane & 1 != 0);
        live.filter_map(|(_, list)| list.last())
            .map(|p| p.end)
            .max()
            .unwrap_or(0)
    }

    /// The frame at `frame` is over for these lanes, and all memory on its stack with it.
    pub(crate) fn drop_pointers(&mut self, frame: u32, mask: u32) {
        for (lane, list) in self.pointers.iter_mut().enumerate() {
            while mask >> lane & 1 != 0 && list.last().is_some_and(|p| p.frame >= frame) {
                list.pop();
            }
        }
    }
}

impl Ctx<'_> {
    /// Where the running frame ends without `alloca`.
    fn frame_end(&self) -> u32 {
        let split = &self.warp().splits[self.split];
        split.local + self.env.program.functions[split.function as usize].local_bytes
    }

    /// The end of a lane's local memory: what lies behind it belongs to no function that still runs.
    pub(crate) fn local_end(&self, lane: u32) -> u32 {
        let frame = self.warp().splits[self.split].local;
        let list = self.warp().pointers.get(lane as usize);
        match list.and_then(|list| list.last()).filter(|p| p.frame == frame) {
            Some(pointer) => pointer.end,
            None => self.frame_end(),
        }
    }

    fn set_local_end(&mut self, lane: u32, end: u32) {
        let frame = self.warp().splits[self.split].local;
        let warp = self.warp_mut();
        if warp.pointers.is_empty() {
            warp.pointers = vec![Pointers::new(); 32];
        }
        let list = &mut warp.pointers[lane as usize];
        match list.last_mut().filter(|p| p.frame == frame) {
            Some(pointer) => pointer.end = end,
            None => list.push(Pointer { frame, end }),
        }
    }

    fn numbers(&self, slot: u32, bytes: u32) -> [u64; 32] {
        if bytes == 4 {
            self.lanes::<u32>(slot).map(u64::from)
        } else {
            *self.lanes::<u64>(slot)
        }
    }

    fn put_numbers(&mut self, slot: u32, bytes: u32, values: &[u64; 32], mask: u32) {
        if bytes == 4 {
            self.put::<u32>(slot, &values.map(|v| v as u32), mask);
        } else {
            self.put::<u64>(slot, values, mask);
        }
    }
}

/// `alloca`: `a` bytes aligned to `imm`; registers of `extra` bytes.
pub(crate) unsafe fn allocate(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let sizes = x.numbers(i.a, i.extra);
    let mut starts = [0u64; 32];
    let mut highest = 0;
    for lane in (0..32u32).filter(|lane| mask >> lane & 1 != 0) {
        let start = u64::from(x.local_end(lane)).next_multiple_of(i.imm);
        let size = sizes[lane as usize];
        let end = start.checked_add(size).filter(|end| *end <= u64::from(MAX_LOCAL));
        let Some(end) = end else {
            let text = format!("alloca of {size} bytes needs more stack than a thread has");
            return x.trap(Some(lane), text);
        };
        x.set_local_end(lane, end as u32);
        starts[lane as usize] = start;
        highest = highest.max(end as u32);
    }
    x.warp_mut().reserve(0, highest);
    x.put_numbers(i.dst, i.extra, &starts, mask);
    Flow::Next
}

/// `stacksave`.
pub(crate) unsafe fn save(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let ends = std::array::from_fn(|lane| u64::from(x.local_end(lane as u32)));
    x.put_numbers(i.dst, i.extra, &ends, mask);
    Flow::Next
}

/// `stackrestore`: only downwards, and never into the frame's own variables.
pub(crate) unsafe fn restore(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let wanted = x.numbers(i.a, i.extra);
    for lane in (0..32u32).filter(|lane| mask >> lane & 1 != 0) {
        let (end, least, most) = (wanted[lane as usize], x.frame_end(), x.local_end(lane));
        if end < u64::from(least) || end > u64::from(most) {
            let text = format!(
                "stackrestore to {end}, expected what a stacksave of this function gave and no later one freed ({least} to {most})"
            );
            return x.trap(Some(lane), text);
        }
        x.set_local_end(lane, end as u32);
    }
    Flow::Next
}
