//! What a launch costs without us: the driver's own call in a loop, as a C program would write it. For benchmarks.

use std::time::{Duration, Instant};

use super::launch;
use super::state::DeviceState;
use super::sys::Stream;
use crate::backend::{LaunchPlan, StreamHandle};
use crate::error::Result;

/// Time of so many bare launches; if `blocking`, each with a wait for the stream.
pub(super) fn measure(
    state: &DeviceState,
    plan: &LaunchPlan,
    stream: StreamHandle,
    launches: u32,
    blocking: bool,
) -> Result<Duration> {
    let doing = "measuring bare launches";
    let _current = state.enter(doing)?;
    let api = state.api();
    let spent = launch::with_bare_launch(state, plan, stream, |bare| {
        let start = Instant::now();
        for _ in 0..launches {
            bare()?;
            if blocking {
                api.synchronize(Stream(stream.0 as usize))?;
            }
        }
        Ok(start.elapsed())
    })?;
    spent.map_err(|f| state.error(doing, f))
}
