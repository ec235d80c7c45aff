//! Bytes that come to an mbarrier: they must be expected before the phase that they belong to can be over. With
//! `arrive.expect_tx` they are, as the arrival keeps the phase open; a stage filled too early is a race instead.

use super::report::misuse;
use super::{with, Judge};
use crate::exec::copies::Signal;
use crate::exec::ctx::Ctx;
use crate::exec::inst::Flow;
use crate::fault::{Fault, MisuseKind};

/// Before a lane's `expect_tx` counts.
pub(crate) fn expect(x: &mut Ctx<'_>, cta: usize, address: u32, lane: u32) -> Result<(), Flow> {
    with(x, |judge, x| judge.expect(x, cta, address, lane))
}

impl Judge {
    fn expect(&mut self, x: &Ctx<'_>, cta: usize, address: u32, lane: u32) -> Result<(), Box<Fault>> {
        let Some(copies) = self.mbarrier(x, cta, address).map(|sync| sync.copies) else {
            return Ok(());
        };
        let Some(barrier) = x.cluster.ctas[cta].mbarriers.iter().find(|b| b.address == address) else {
            return Ok(());
        };
        // Phases that are over, as far as this thread has been told.
        let known = u64::from(self.me(x).1.time(copies));
        let what = if known < barrier.phase {
            format!(
                "expects bytes at the mbarrier at shared+{address}, whose phase {known} is over without them: nobody has told the \
                 thread that phase {} has begun",
                barrier.phase
            )
        } else if barrier.pending == 0 && barrier.tx <= in_flight(x, cta, address) {
            format!(
                "expects bytes at the mbarrier at shared+{address}, whose phase {} may be over without them: no arrival is \
                 missing and all bytes expected so far are on their way",
                barrier.phase
            )
        } else {
            return Ok(());
        };
        let fix = "expected mbarrier.expect_tx before the last arrival of the phase, best as one arrive.expect_tx of all bytes";
        Err(misuse(x, MisuseKind::LateExpect, Some(lane), what, None, fix))
    }
}

/// Bytes of copies that have been issued and will signal the mbarrier.
fn in_flight(x: &Ctx<'_>, cta: usize, address: u32) -> i64 {
    let signal = Signal::Mbarrier { cta, address };
    let copies = x.cluster.bulk.iter().filter(|copy| copy.signal == signal);
    copies.map(|copy| copy.bytes as i64).sum()
}
