//! The texts of what the judge finds: what, then each side's place, then what is missing.

use std::fmt::{self, Display, Formatter};

use super::text::{Index, Place};
use super::{AccessKind, MisuseReport, RaceKind, RaceReport};

/// A noun for one side of a race.
fn noun(kind: AccessKind) -> &'static str {
    match kind {
        AccessKind::Read | AccessKind::StrongRead => "a read",
        AccessKind::Write | AccessKind::StrongWrite => "a write",
        AccessKind::AsyncRead => "an asynchronous read",
        AccessKind::AsyncWrite => "an asynchronous write",
        AccessKind::CopyFrom => "a copy from it",
        AccessKind::CopyInto => "a copy into it",
        AccessKind::Product => "a wgmma that reads it",
        AccessKind::Mbarrier => "an mbarrier operation",
        AccessKind::MbarrierInit => "the start or end of an mbarrier",
    }
}

impl Display for RaceReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (earlier, later) = (noun(self.earlier.kind), noun(self.later.kind));
        let missing = match self.kind {
            RaceKind::Unordered => "that nothing orders",
            RaceKind::CopyInFlight => "without a wait for the copy",
            RaceKind::ProductInFlight => "without a wait for the wgmma",
            RaceKind::ProxyFence => "without a proxy fence",
        };
        write!(f, "race in \"{}\" on ", self.entry)?;
        match &self.array {
            Some(array) => write!(f, "\"{array}\"+{}", self.offset)?,
            None => write!(f, "shared+{} of thread block {}", self.offset, Index(self.cta))?,
        }
        write!(f, ": {earlier} and {later} {missing}")?;
        write!(f, "\n  {}", Place(&self.earlier.location))?;
        write!(f, "\n  {}", Place(&self.later.location))?;
        write!(f, "\n  expected {}", self.remedy())
    }
}

impl RaceReport {
    fn remedy(&self) -> &'static str {
        match (self.kind, self.later.kind) {
            (RaceKind::ProxyFence, _) => {
                "fence.proxy.async behind the write, before the barrier that the reader's thread passes"
            }
            (RaceKind::CopyInFlight, _) if self.array.is_some() => {
                "a wait on the copy's mbarrier, or for its group without .read, and then an order between the two"
            }
            (RaceKind::CopyInFlight, _) => {
                "a wait on the copy's mbarrier, or for its group and then a barrier, between the two"
            }
            (RaceKind::ProductInFlight, _) => {
                "wgmma.wait_group for its group, then a barrier, or an arrive and a wait on an mbarrier, between the two"
            }
            (RaceKind::Unordered, AccessKind::CopyInto) => {
                "a barrier, or an arrive and a wait on an mbarrier, before the copy is issued"
            }
            (RaceKind::Unordered, _) if self.array.is_some() => {
                "a barrier, or between thread blocks an atomic access on each side, between the two"
            }
            (RaceKind::Unordered, _) => "a barrier, or an arrive and a wait on an mbarrier, between the two",
        }
    }
}

impl Display for MisuseReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "misuse in \"{}\": {}", self.location.entry, self.what)?;
        write!(f, "\n  {}", Place(&self.location))?;
        if let Some((label, place)) = &self.other {
            write!(f, "\n  {label} {}", Place(place))?;
        }
        write!(f, "\n  {}", self.expected)
    }
}
