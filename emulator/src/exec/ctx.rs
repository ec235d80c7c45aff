//! What a handler sees: the current warp's registers, its active lanes, and the cluster around it.
//! The only place that turns operands into register addresses.

use super::cluster::{Cluster, Cta, Split, Waiting, Warp};
use super::env::Env;
use super::inst::{FULL, IN_POOL, NO_GUARD};
use super::lanes::Lane;
use super::memory::Shared;
use crate::fault::{Fault, Location};

/// See the module.
pub(crate) struct Ctx<'a> {
    /// The running split's frame in its warp's register file.
    regs: *mut u8,
    pool: *const u8,
    /// The lanes of the running split.
    pub active: u32,
    /// The instruction that runs.
    pub pc: u32,
    /// The running split in its warp's list.
    pub split: usize,
    /// The wait that this split was blocked in is over: the instruction runs a second time.
    pub resumed: bool,
    /// It is over because nothing else could run, not because it succeeded.
    pub timed_out: bool,
    /// What a handler that answers [`super::inst::Flow::Block`] waits for.
    pub block: Waiting,
    pub fault: Option<Box<Fault>>,
    /// This CTA's shared memory.
    pub shared: Shared,
    /// The warp has no other split.
    pub alone: bool,
    /// Reads of memory that another role may be about to change.
    pub polls: u32,
    /// Host addresses of one access, by lane: written by `memory::resolve`.
    pub address: [usize; 32],
    /// See [`super::lanes::wide`].
    pub wide: bool,
    pub cluster: &'a mut Cluster,
    pub cta: usize,
    pub warp: usize,
    pub env: &'a Env<'a>,
}

impl<'a> Ctx<'a> {
    pub(crate) fn new(cluster: &'a mut Cluster, cta: usize, warp: usize, env: &'a Env<'a>) -> Self {
        let shared = cluster.ctas[cta].shared();
        Ctx {
            regs: std::ptr::null_mut(),
            pool: env.program.pool.start(),
            active: 0,
            pc: 0,
            split: 0,
            resumed: false,
            timed_out: false,
            block: Waiting::No,
            fault: None,
            shared,
            alone: true,
            polls: 0,
            address: [0; 32],
            wide: env.wide,
            cluster,
            cta,
            warp,
            env,
        }
    }

    /// Points at the frame of split `split` and takes over its state.
    pub(crate) fn enter(&mut self, split: usize) {
        self.split = split;
        let current = &self.cluster.ctas[self.cta].warps[self.warp].splits[split];
        self.active = current.mask;
        self.pc = current.pc;
        self.resumed = current.resumed;
        self.timed_out = current.timed_out;
        self.alone = self.warp().splits.len() == 1;
        self.refresh_frame();
    }

    /// After the register file moved or the frame changed.
    pub(crate) fn refresh_frame(&mut self) {
        let warp = &self.cluster.ctas[self.cta].warps[self.warp];
        self.regs = warp.regs.start().wrapping_add(warp.splits[self.split].frame as usize);
    }

    #[inline(always)]
    fn slot(&self, operand: u32) -> *mut u8 {
        let base = if operand & IN_POOL != 0 {
            self.pool.cast_mut()
        } else {
            self.regs
        };
        base.wrapping_add((operand & !IN_POOL) as usize)
    }

    /// The 32 lanes of an operand. The reference must not be used after a `put` to the same slot.
    #[inline(always)]
    pub(crate) fn lanes<'r, T: Lane>(&self, operand: u32) -> &'r [T; 32] {
        // SAFETY: `decode/` made the operand: it lies in the frame or the pool with room for 32 lanes of this width
        // (Handler contract), aligned to 64 bytes. Handlers read all sources before they write.
        unsafe { &*self.slot(operand).cast::<[T; 32]>() }
    }

    /// Writes the lanes in `mask`.
    #[inline(always)]
    pub(crate) fn put<T: Lane>(&mut self, operand: u32, values: &[T; 32], mask: u32) {
        // SAFETY: as in `lanes`; destinations are never in the pool, and no reference to the slot is in use any more.
        let slot = unsafe { &mut *self.slot(operand).cast::<[T; 32]>() };
        if mask == FULL {
            *slot = *values;
        } else {
            // By way of copies, as a lane that is not written through memory can be blended instead of branched over.
            let (old, mut new) = (*slot, *values);
            for l in 0..32 {
                new[l] = if (mask >> l) & 1 != 0 { new[l] } else { old[l] };
            }
            *slot = new;
        }
    }

    /// A predicate's lanes.
    #[inline(always)]
    pub(crate) fn pred(&self, operand: u32) -> u32 {
        // SAFETY: as in `lanes`; a predicate's slot holds one u32.
        unsafe { self.slot(operand).cast::<u32>().read() }
    }

    /// Writes the lanes in `mask` of a predicate.
    #[inline(always)]
    pub(crate) fn put_pred(&mut self, operand: u32, value: u32, mask: u32) {
        let merged = (value & mask) | (self.pred(operand) & !mask);
        // SAFETY: as in `pred`.
        unsafe { self.slot(operand).cast::<u32>().write(merged) };
    }

    /// The lanes that execute an instruction with this guard.
    #[inline(always)]
    pub(crate) fn guarded(&self, guard: u32) -> u32 {
        if guard == NO_GUARD {
            return self.active;
        }
        let value = self.pred(guard & !1);
        self.active & if guard & 1 != 0 { !value } else { value }
    }

    pub(crate) fn carry(&self) -> u32 {
        self.warp().carry
    }

    pub(crate) fn set_carry(&mut self, value: u32, mask: u32) {
        let warp = self.warp_mut();
        warp.carry = (value & mask) | (warp.carry & !mask);
    }

    pub(crate) fn cta(&self) -> &Cta {
        &self.cluster.ctas[self.cta]
    }

    pub(crate) fn cta_mut(&mut self) -> &mut Cta {
        &mut self.cluster.ctas[self.cta]
    }

    pub(crate) fn warp(&self) -> &Warp {
        &self.cluster.ctas[self.cta].warps[self.warp]
    }

    pub(crate) fn warp_mut(&mut self) -> &mut Warp {
        &mut self.cluster.ctas[self.cta].warps[self.warp]
    }

    pub(crate) fn split_mut(&mut self) -> &mut Split {
        let split = self.split;
        &mut self.warp_mut().splits[split]
    }

    /// Something that another role can see has changed.
    #[inline(always)]
    pub(crate) fn touch(&mut self) {
        self.cluster.epoch += 1;
    }

    /// An mbarrier poll found nothing: enough of them in a row, and nothing will ever change.
    pub(crate) fn note_vain_poll(&mut self) {
        let (epoch, round) = (self.cluster.epoch, self.cluster.rounds);
        let split = self.split_mut();
        split.vain_polls = if split.vain_epoch == epoch {
            split.vain_polls + 1
        } else {
            1
        };
        split.vain_epoch = epoch;
        split.vain_round = round + 1;
    }

    /// Where the running instruction stands, for a report.
    pub(crate) fn location(&self, lane: Option<u32>) -> Location {
        self.env.location(self.cta().index, self.warp as u32, lane, self.pc)
    }

    /// Ends the launch: an operation whose result the ISA leaves undefined.
    pub(crate) fn trap(&mut self, lane: Option<u32>, text: String) -> super::inst::Flow {
        self.fault = Some(Box::new(Fault::Trap(Box::new(self.location(lane)), text)));
        super::inst::Flow::Fault
    }
}
