//! From a finding to the fault that ends the launch: who, where, and what to do.

use super::shadow::{Access, Conflict, ASYNC, COPY, MBARRIER, PRODUCT, STRONG, WRITE};
use super::Judge;
use crate::exec::ctx::Ctx;
use crate::fault::{AccessKind, Fault, Location, MisuseKind, MisuseReport, RaceAccess, RaceKind, RaceReport};

fn kind(flags: u8) -> AccessKind {
    match (flags & COPY != 0, flags & WRITE != 0) {
        (true, _) if flags & PRODUCT != 0 => AccessKind::Product,
        (true, true) => AccessKind::CopyInto,
        (true, false) => AccessKind::CopyFrom,
        (false, true) if flags & MBARRIER != 0 => AccessKind::MbarrierInit,
        (false, false) if flags & MBARRIER != 0 => AccessKind::Mbarrier,
        (false, true) if flags & STRONG != 0 => AccessKind::StrongWrite,
        (false, false) if flags & STRONG != 0 => AccessKind::StrongRead,
        (false, true) if flags & ASYNC != 0 => AccessKind::AsyncWrite,
        (false, false) if flags & ASYNC != 0 => AccessKind::AsyncRead,
        (false, true) => AccessKind::Write,
        (false, false) => AccessKind::Read,
    }
}

impl Judge {
    fn location(&self, x: &Ctx<'_>, access: Access) -> Location {
        let (cta, warp) = (
            access.warp as usize / self.warps_per_cta,
            access.warp as usize % self.warps_per_cta,
        );
        let number = match x.env.global {
            Some(_) => u64::from(access.agent / super::global::agents(self.threads.len())),
            None => x.cluster.number,
        };
        let index = x.env.cta_index(number, cta as u32);
        x.env
            .location(index, warp as u32, Some(u32::from(access.lane)), access.pc)
    }

    fn side(&self, x: &Ctx<'_>, access: Access) -> RaceAccess {
        RaceAccess {
            kind: kind(access.flags),
            location: self.location(x, access),
        }
    }

    /// The fault for a conflict at `offset` of the shared memory of `cta`.
    #[cold]
    pub(super) fn conflict(&self, x: &Ctx<'_>, cta: usize, offset: u32, access: Access, why: Conflict) -> Box<Fault> {
        let race = |kind, earlier| {
            Box::new(Fault::Race(Box::new(RaceReport {
                kind,
                entry: x.env.entry.to_owned(),
                cta: x.cluster.ctas[cta].index,
                array: None,
                offset: u64::from(offset),
                earlier: self.side(x, earlier),
                later: self.side(x, access),
            })))
        };
        let lane = Some(u32::from(access.lane));
        match why {
            Conflict::Unordered(earlier) if earlier.flags & PRODUCT != 0 => race(RaceKind::ProductInFlight, earlier),
            Conflict::Unordered(earlier) if earlier.flags & COPY != 0 => race(RaceKind::CopyInFlight, earlier),
            Conflict::Unordered(earlier) => race(RaceKind::Unordered, earlier),
            Conflict::Unfenced(earlier) => race(RaceKind::ProxyFence, earlier),
            Conflict::OverBarrier => {
                let what = format!("writes over the mbarrier at shared+{}", offset & !7);
                let fix = "expected mbarrier.inval before its memory serves something else";
                misuse(x, MisuseKind::OverMbarrier, lane, what, None, fix)
            }
            Conflict::Unknown => {
                let what = format!("reads shared+{offset}, which nobody has written yet");
                let fix = "expected a write, or a copy into it, before";
                misuse(x, MisuseKind::Uninitialised, lane, what, None, fix)
            }
        }
    }
}

impl Judge {
    /// The fault for two accesses of global memory: the array and the offset in it.
    #[cold]
    pub(super) fn global_race(
        &self,
        x: &Ctx<'_>,
        at: (String, u64),
        kind: RaceKind,
        earlier: Access,
        later: Access,
    ) -> Box<Fault> {
        Box::new(Fault::Race(Box::new(RaceReport {
            kind,
            entry: x.env.entry.to_owned(),
            cta: x.cta().index,
            array: Some(at.0),
            offset: at.1,
            earlier: self.side(x, earlier),
            later: self.side(x, later),
        })))
    }
}

/// A finding about one place, or two.
pub(super) fn misuse(
    x: &Ctx<'_>,
    kind: MisuseKind,
    lane: Option<u32>,
    what: String,
    other: Option<(&str, Location)>,
    fix: &str,
) -> Box<Fault> {
    Box::new(Fault::Misuse(Box::new(MisuseReport {
        kind,
        what,
        expected: fix.to_owned(),
        location: x.location(lane),
        other: other.map(|(label, place)| (label.to_owned(), place)),
    })))
}

pub(super) fn unknown_local(x: &Ctx<'_>, offset: u32, bytes: u32, lane: u32) -> Box<Fault> {
    let what = format!("reads {bytes} bytes at offset {offset} of its local memory, which it has not written");
    let fix = "expected a write before";
    misuse(x, MisuseKind::Uninitialised, Some(lane), what, None, fix)
}

pub(super) fn dead_frame(x: &Ctx<'_>, offset: u32, bytes: u32, lane: u32, flags: u8) -> Box<Fault> {
    let verb = if flags & WRITE != 0 { "writes" } else { "reads" };
    let what = format!(
        "{verb} {bytes} bytes at offset {offset} of its local memory, behind the frames of all running functions"
    );
    let fix = "expected an address of a variable whose function has not returned";
    misuse(x, MisuseKind::DeadFrame, Some(lane), what, None, fix)
}

pub(super) fn double_init(x: &Ctx<'_>, address: u32, lane: u32, by: (usize, u32, u32)) -> Box<Fault> {
    let warps = x.cta().warps.len();
    let index = x.cluster.ctas[by.0 / warps].index;
    let place = x.env.location(index, (by.0 % warps) as u32, Some(by.1), by.2);
    let what = format!("initialises the mbarrier at shared+{address} a second time");
    let fix = "expected one mbarrier.init, or mbarrier.inval between two";
    misuse(
        x,
        MisuseKind::DoubleInit,
        Some(lane),
        what,
        Some(("initialised by", place)),
        fix,
    )
}

pub(super) fn exit_in_flight(judge: &Judge, x: &Ctx<'_>, copy: Access) -> Box<Fault> {
    let (noun, fix) = if copy.flags & PRODUCT != 0 {
        ("wgmma", "expected wgmma.wait_group 0 before the end")
    } else {
        ("copy", "expected a wait for each copy that touches its shared memory")
    };
    let what = format!("the last thread of the thread block leaves and has not waited for a {noun}");
    let place = judge.location(x, copy);
    misuse(x, MisuseKind::ExitInFlight, None, what, Some(("issued by", place)), fix)
}

pub(super) fn exit_before_peer(judge: &Judge, x: &Ctx<'_>, access: Access) -> Box<Fault> {
    let what =
        "the last thread of the thread block leaves while another one of its cluster uses its shared memory".into();
    let fix = "expected a barrier.cluster, or a wait for a signal of that one, before";
    let place = judge.location(x, access);
    misuse(x, MisuseKind::ExitBeforePeer, None, what, Some(("used by", place)), fix)
}

pub(super) fn peer_gone(x: &Ctx<'_>, cta: usize, lane: u32, offset: u32) -> Box<Fault> {
    let what = format!("uses shared+{offset} of cluster rank {cta}, which has left");
    let fix = "expected a barrier.cluster that keeps that thread block until here";
    misuse(x, MisuseKind::ExitBeforePeer, Some(lane), what, None, fix)
}
