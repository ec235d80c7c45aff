//! What a traced launch leaves behind ([`crate::run_traced`]): who computed, who waited for whom, which copies flew when.
//!
//! Time is counted in warp instructions. Every warp has a clock of its own that advances by one with each instruction;
//! who waits goes on at the time of what it waited for; a copy takes [`TraceSink::latency`]. So the roles of a thread
//! block run side by side, as they do on a GPU, although the CPU device executes them in turn. It is a picture of the
//! dependencies, not a forecast of times. The recorder itself is `exec/trace.rs`.

use std::sync::{Mutex, PoisonError};

use crate::fault::WaitKind;

/// What a copy takes unless the caller says otherwise.
pub const COPY_LATENCY: u64 = 400;
/// Events kept of one launch; more are counted only.
pub const MOST_EVENTS: usize = 1 << 18;

/// Receives the events of one launch.
#[derive(Debug)]
pub struct TraceSink {
    /// Thread blocks to record, as `x + y * grid.x + z * grid.x * grid.y`; empty: all.
    pub ctas: Vec<u64>,
    /// Warp instructions from the issue of an asynchronous copy to its arrival.
    pub latency: u64,
    trace: Mutex<Trace>,
}

/// The record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The thread blocks recorded, by index.
    pub ctas: Vec<TraceCta>,
    /// By thread block, warp and start.
    pub events: Vec<TraceEvent>,
    /// Events that there was no room for.
    pub dropped: u64,
}

/// One thread block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceCta {
    /// Its index in the grid.
    pub index: [u32; 3],
    /// Its warps' last instructions, in warp instructions from the start of the thread block.
    pub ends: Vec<u64>,
}

/// A stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEvent {
    /// Index of the thread block.
    pub cta: [u32; 3],
    /// The warp that computes, waits, or issued the copy.
    pub warp: u32,
    /// First tick.
    pub start: u64,
    /// The tick after the last.
    pub end: u64,
    /// Line of the PTX, from 1: of the wait or the copy, of the instruction that ended a computation.
    pub line: u32,
    /// What it was.
    pub what: TraceWhat,
}

/// See [`TraceEvent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceWhat {
    /// Instructions were executed.
    Compute,
    /// Nothing could be.
    Wait {
        /// For what.
        on: WaitKind,
        /// Who came last; `None` for a wait that nobody ended.
        by: Option<TraceCause>,
    },
    /// An asynchronous copy was in flight.
    Copy {
        /// From 1, in the order of issue within the cluster.
        number: u64,
        /// All lanes together.
        bytes: u64,
        /// The instruction, without operands.
        instruction: String,
        /// Shared offset of the mbarrier that it signals.
        mbarrier: Option<u32>,
    },
}

/// Who ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceCause {
    /// A warp of the thread block with this rank in the cluster.
    Warp {
        /// Rank of the thread block.
        rank: u32,
        /// Its warp.
        warp: u32,
    },
    /// The copy with this number.
    Copy(u64),
}

impl TraceSink {
    /// Records these thread blocks (empty: all), with copies that take so long.
    #[must_use]
    pub fn new(ctas: Vec<u64>, latency: u64) -> Self {
        Self {
            ctas,
            latency,
            trace: Mutex::default(),
        }
    }

    /// The record, in order.
    #[must_use]
    pub fn into_trace(self) -> Trace {
        self.take()
    }

    /// Takes the record out, in order, where others share the sink. A launch that goes on begins another one.
    #[must_use]
    pub fn take(&self) -> Trace {
        let mut trace = std::mem::take(&mut *self.trace.lock().unwrap_or_else(PoisonError::into_inner));
        let place = |cta: [u32; 3]| (cta[2], cta[1], cta[0]);
        trace.ctas.sort_by_key(|c| place(c.index));
        trace
            .events
            .sort_by_key(|e| (place(e.cta), e.warp, e.start, matches!(e.what, TraceWhat::Copy { .. })));
        trace
    }

    pub(crate) fn wants(&self, cta: u64) -> bool {
        self.ctas.is_empty() || self.ctas.contains(&cta)
    }

    /// Takes over what one cluster recorded.
    pub(crate) fn add(&self, ctas: Vec<TraceCta>, events: Vec<TraceEvent>, dropped: u64) {
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST_EVENTS - trace.events.len();
        trace.dropped += dropped + events.len().saturating_sub(room) as u64;
        trace.events.extend(events.into_iter().take(room));
        trace.ctas.extend(ctas);
    }
}
