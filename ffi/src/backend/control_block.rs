//! The control block as the host sees it: docs/control-block.md has its layout and says who writes what.
//! Both backends lend one to each tracked launch; where it lives is theirs to say.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use super::Ending;

/// 64 bytes shared with a running kernel. Atomics, because the device changes them behind the compiler's back.
#[repr(C, align(64))]
#[derive(Default)]
pub(super) struct ControlBlock {
    cancel: AtomicU32,
    status: AtomicU32,
    progress: AtomicU32,
    total: AtomicU32,
    fault_code: AtomicU32,
    reserved: AtomicU32,
    fault_detail: [AtomicI64; 2],
    mirror: AtomicU64,
    rest: [AtomicU32; 4],
}

impl ControlBlock {
    /// What a device's own block is before each launch.
    pub(super) fn with_mirror(address: u64) -> Self {
        Self {
            mirror: AtomicU64::new(address),
            ..Self::default()
        }
    }

    /// Whether the kernel was asked to stop, or said something: then a device's own block differs from what it was.
    pub(super) fn is_touched(&self) -> bool {
        (self.cancel.load(Ordering::Relaxed), self.status.load(Ordering::Relaxed)) != (0, 0)
    }

    /// Before the launch that uses it.
    pub(super) fn clear(&self) {
        for word in [
            &self.cancel,
            &self.status,
            &self.progress,
            &self.total,
            &self.fault_code,
            &self.reserved,
        ] {
            word.store(0, Ordering::Relaxed);
        }
        self.fault_detail
            .iter()
            .for_each(|word| word.store(0, Ordering::Relaxed));
        self.rest.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// Asks the kernel to stop; true the first time.
    pub(super) fn request_stop(&self) -> bool {
        self.cancel.swap(1, Ordering::AcqRel) == 0
    }

    /// Share done in [0, 1]; 0 where the kernel reports none.
    pub(super) fn progress(&self) -> f64 {
        let (done, total) = (
            self.progress.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        );
        if total == 0 {
            return 0.0;
        }
        (f64::from(done) / f64::from(total)).min(1.0)
    }

    /// How a kernel that has ended says it ended.
    pub(super) fn ending(&self) -> Ending {
        match self.status.load(Ordering::Acquire) {
            0 => Ending::Finished,
            1 => Ending::Stopped,
            _ => Ending::Reported {
                code: self.fault_code.load(Ordering::Relaxed),
                detail: [0, 1].map(|i| self.fault_detail[i].load(Ordering::Relaxed)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn test_control_block_has_the_documented_layout() {
        assert_eq!(size_of::<ControlBlock>(), 64);
        let offsets = [
            offset_of!(ControlBlock, cancel),
            offset_of!(ControlBlock, status),
            offset_of!(ControlBlock, progress),
            offset_of!(ControlBlock, total),
            offset_of!(ControlBlock, fault_code),
            offset_of!(ControlBlock, fault_detail),
            offset_of!(ControlBlock, mirror),
        ];
        assert_eq!(offsets, [0, 4, 8, 12, 16, 24, 40]);
    }

    #[test]
    fn test_progress_is_a_share_and_zero_when_the_kernel_reports_none() {
        let block = ControlBlock::default();
        assert_eq!(block.progress(), 0.0);
        block.total.store(8, Ordering::Relaxed);
        block.progress.store(2, Ordering::Relaxed);
        assert_eq!(block.progress(), 0.25);
        block.progress.store(9, Ordering::Relaxed);
        assert_eq!(block.progress(), 1.0);
    }

    #[test]
    fn test_ending_reads_the_status_word() {
        let block = ControlBlock::default();
        assert!(matches!(block.ending(), Ending::Finished));
        block.status.store(1, Ordering::Relaxed);
        assert!(matches!(block.ending(), Ending::Stopped));
        block.status.store(2, Ordering::Relaxed);
        block.fault_code.store(7, Ordering::Relaxed);
        block.fault_detail[0].store(-3, Ordering::Relaxed);
        block.fault_detail[1].store(i64::MAX, Ordering::Relaxed);
        let Ending::Reported { code, detail } = block.ending() else {
            panic!("a fault was reported")
        };
        assert_eq!((code, detail), (7, [-3, i64::MAX]));
        assert!(block.request_stop());
        assert!(!block.request_stop());
        assert!(block.is_touched());
        block.clear();
        assert!(!block.is_touched());
        assert!(matches!(block.ending(), Ending::Finished));
        assert_eq!(block.cancel.load(Ordering::Relaxed), 0);
    }
}
