//! A checked call: launched any number of times, each at nearly the cost of the device's own launch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::backend::changes::{Changes, KeptScalars};
use crate::backend::{CpuSettings, LaunchMode, LaunchPlan, StreamHandle};
use crate::bind::Extents;
use crate::device::Device;
use crate::error::Result;
use crate::pending::Pending;

/// What `bind` makes.
pub struct Bound {
    /// Kernel or entry name.
    pub label: String,
    /// The arguments in one line.
    pub arguments: String,
    /// Where it runs.
    pub device: Arc<Device>,
    /// Entry of the PTX.
    pub entry: String,
    /// Architecture of the PTX.
    pub arch: String,
    /// How large it is.
    pub extents: Extents,
    /// What the kernel's own faults mean, by code; `{detail0}` and `{detail1}` are the kernel's to say.
    pub faults: Vec<(u32, String)>,
    /// `None`: the grid is empty and there is nothing to do.
    pub plan: Option<Arc<LaunchPlan>>,
}

/// How one launch is to be run, as callers say it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mode {
    /// Where it is queued.
    pub stream: StreamHandle,
    /// From now; `None`: no limit.
    pub timeout: Option<Duration>,
    /// For the CPU device.
    pub cpu: CpuSettings,
}

impl Bound {
    /// Queues a stream-ordered launch and returns.
    pub fn launch(&self, mode: &Mode) -> Result<()> {
        let Some(plan) = &self.plan else { return Ok(()) };
        let mode = LaunchMode {
            stream: mode.stream,
            tracked: false,
            deadline: None,
            cpu: mode.cpu,
        };
        self.device.backend.launch(plan, &mode).map(drop)
    }
    /// The same with changes that fit the plan.
    pub fn launch_with(&self, changes: &Changes<'_>, mode: &Mode) -> Result<()> {
        let Some(plan) = &self.plan else { return Ok(()) };
        let mode = LaunchMode {
            stream: mode.stream,
            tracked: false,
            deadline: None,
            cpu: mode.cpu,
        };
        self.device.backend.launch_with(plan, changes, &mode).map(drop)
    }
    /// Time of so many launches at the device's own cost, for benchmarks.
    pub fn floor(&self, stream: StreamHandle, launches: u32, blocking: bool) -> Result<Duration> {
        let Some(plan) = &self.plan else {
            return Ok(Duration::ZERO);
        };
        self.device.backend.floor(plan, stream, launches, blocking)
    }
    /// Queues a tracked launch.
    pub fn submit(self: &Arc<Self>, mode: &Mode) -> Result<Arc<Pending>> {
        self.submit_on(mode, None)
    }
    /// The same with changes that fit the plan.
    pub fn submit_with(self: &Arc<Self>, changes: &Changes<'_>, mode: &Mode) -> Result<Arc<Pending>> {
        self.submit_on(mode, Some(changes))
    }
    fn submit_on(self: &Arc<Self>, mode: &Mode, changes: Option<&Changes<'_>>) -> Result<Arc<Pending>> {
        // A limit counts from here. Without one the clock is read behind the launch: what stands in front of it delays it.
        let called = mode.timeout.map(|_| Instant::now());
        // A limit beyond what the clock can say is none.
        let deadline = called.and_then(|called| called.checked_add(mode.timeout?));
        let launch = LaunchMode {
            stream: mode.stream,
            tracked: true,
            deadline,
            cpu: mode.cpu,
        };
        let backend = &self.device.backend;
        let ticket = match (&self.plan, changes) {
            (None, _) => None,
            (Some(plan), None) => backend.launch(plan, &launch)?,
            (Some(plan), Some(changes)) => backend.launch_with(plan, changes, &launch)?,
        };
        let scalars = changes.map_or_else(KeptScalars::default, |changes| KeptScalars::of(changes.scalars));
        let started = called.unwrap_or_else(Instant::now);
        let pending = Pending::new(Arc::clone(self), ticket, mode.stream, started, deadline);
        Ok(Arc::new(pending.with(scalars)))
    }
    /// Queues a tracked launch that leaves a record of what happens.
    pub fn trace(self: &Arc<Self>, mode: &Mode, sink: Arc<emulator::TraceSink>) -> Result<Arc<Pending>> {
        let started = Instant::now();
        let deadline = mode.timeout.and_then(|timeout| started.checked_add(timeout));
        let launch = LaunchMode {
            stream: mode.stream,
            tracked: true,
            deadline,
            cpu: mode.cpu,
        };
        let ticket = match &self.plan {
            None => None,
            Some(plan) => Some(self.device.backend.trace(plan, &launch, sink)?),
        };
        let pending = Pending::new(Arc::clone(self), ticket, mode.stream, started, deadline);
        Ok(Arc::new(pending))
    }
    /// For `wb_bound_json`.
    #[must_use]
    pub fn describe(&self) -> Value {
        json!({
            "device": self.device.index,
            "device_name": self.device.name(),
            "kernel": self.label,
            "entry": self.entry,
            "arch": self.arch,
            "arguments": self.arguments,
            "grid": self.extents.grid,
            "block": self.extents.block,
            "cluster": self.extents.cluster,
            "shared_bytes": self.extents.shared_bytes,
            "text": format!("{}({}) on {}", self.label, self.arguments, self.device.name()),
        })
    }
}
