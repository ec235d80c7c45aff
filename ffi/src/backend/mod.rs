//! What a device must do for us: the [`Backend`] trait and the values that cross it.
//!
//! Callers (`bound.rs`, `dispatch.rs`) have checked every argument; a backend reports only what they could not foresee.
//! `cuda/` and `cpu.rs` implement it and never import each other. The choice is made once, in `device.rs`.

pub mod changes;
mod control_block;
pub mod cpu;
pub mod cuda;
mod external;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::process::Lazy;

use changes::{Changes, NewScalars, ScalarPlace};
pub use external::{External, Mapped};

/// What `wb.device(...)` shows.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeviceInfo {
    /// `cpu` or `cuda`.
    pub kind: &'static str,
    /// Number among devices of its kind.
    pub ordinal: u32,
    /// Marketing name.
    pub name: String,
    /// `sm_90`, ...; for the CPU device the greatest architecture it executes.
    pub arch: String,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Multiprocessors; on the CPU device its threads, or what `WARPBRIDGE_MULTIPROCESSORS` says.
    pub sm_count: u32,
    /// Whether manifests cut the work as for a GPU (`is_gpu`).
    #[serde(skip)]
    pub counts_as_gpu: bool,
    /// Greatest dynamic shared memory per thread block, in bytes.
    pub max_shared_bytes: u32,
    /// Driver version as text (`13.0`), empty on the CPU device.
    pub driver: String,
    /// Greatest PTX version accepted, as (major, minor).
    pub ptx_version: (u32, u32),
    /// UUID as 32 hex digits, empty where there is none.
    pub uuid: String,
}

/// A stream as its library hands it out: 0 and 1 the legacy default, 2 the per-thread default, else a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct StreamHandle(pub u64);

/// One PTX text, checked by the front end, shared by all devices that load it.
pub struct Image {
    /// The PTX, UTF-8.
    pub text: String,
    /// Parsed form: entries, parameters, versions.
    pub module: emulator::Module,
    /// For error messages: a path, or `<string>`.
    pub origin: String,
}

/// The error for PTX that the front end refuses.
#[must_use]
pub fn load_error(origin: &str, e: &emulator::LoadError) -> Error {
    let place = if e.line == 0 {
        String::new()
    } else {
        format!("line {}, column {}: ", e.line, e.column)
    };
    Error::new(Kind::Load, format!("{origin}: {place}{}", e.message))
        .with("origin", origin)
        .with("line", e.line)
        .with("column", e.column)
}

/// A registered argument of a launch.
#[derive(Clone, Debug)]
pub struct ArrayRange {
    /// Device address of the first byte.
    pub address: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// Argument name.
    pub name: String,
    /// Whether the kernel may write.
    pub writable: bool,
    /// What its address must be a multiple of.
    pub align: u64,
    /// Where in the parameters its address stands; `None` where that is not the address of the first byte.
    pub param: Option<usize>,
    /// Whether its bytes are set to zero before each launch, in the order of the stream.
    pub zeroed: bool,
}

/// Whether `WARPBRIDGE_SYNC=1` asks that a launch be over when its call returns, so that a fault is reported by the call that
/// caused it. Read once.
pub(crate) fn faults_at_once() -> bool {
    static ASKED: Lazy<bool> = Lazy::new();
    let is_yes = |value: std::ffi::OsString| !(value.is_empty() || value == "0");
    *ASKED.get_or_init(|| std::env::var_os("WARPBRIDGE_SYNC").is_some_and(is_yes))
}

/// Execution settings that only the CPU device reads.
pub type CpuSettings = emulator::Settings;

/// A complete launch; immutable, reused by bound calls.
#[derive(Clone)]
pub struct LaunchPlan {
    /// Kernel or entry name, for errors.
    pub label: String,
    /// What the arguments were, one line, for errors.
    pub arguments: String,
    /// The entry to run.
    pub function: Arc<dyn Function>,
    /// Thread blocks per axis; never zero (the caller drops empty launches).
    pub grid: [u32; 3],
    /// Threads per axis.
    pub block: [u32; 3],
    /// Thread blocks per cluster.
    pub cluster: [u32; 3],
    /// Dynamic shared memory.
    pub shared_bytes: u32,
    /// The `.param` space, laid out by the PTX.
    pub params: Vec<u8>,
    /// Offset and size of each parameter in `params`.
    pub layout: Vec<(usize, usize)>,
    /// Where in `params` the control block's address goes.
    pub control_offset: Option<usize>,
    /// Whether a GPU's control block lies in its own memory, with a mirror on the host (docs/control-block.md).
    pub control_on_device: bool,
    /// Every array argument.
    pub ranges: Vec<ArrayRange>,
    /// Numbers among the parameters that a launch may replace, in the order of `arguments`.
    pub scalars: Vec<ScalarPlace>,
    /// Role names and warps, for reports.
    pub roles: Vec<emulator::Role>,
}

impl LaunchPlan {
    /// The same launch with these changes. Whoever asks has checked that all else is equal.
    #[must_use]
    pub fn with(&self, changes: &Changes<'_>) -> Self {
        let mut plan = self.clone();
        for (range, address) in plan.ranges.iter_mut().zip(changes.addresses) {
            range.address = *address;
        }
        self.put(changes, &mut plan.params);
        if !self.scalars.is_empty() {
            plan.arguments = self.arguments_with(changes.scalars);
            plan.scalars.clear(); // where they stood in the text
        }
        plan
    }

    /// The arguments in one line, for a launch with these numbers.
    #[must_use]
    pub fn arguments_with(&self, scalars: &NewScalars) -> String {
        changes::text(&self.arguments, &self.scalars, scalars)
    }

    /// Writes what changes to where `params`, a copy of the plan's, has it.
    pub fn put(&self, changes: &Changes<'_>, params: &mut [u8]) {
        changes::put(&self.scalars, changes.scalars, params);
        for (range, address) in self.ranges.iter().zip(changes.addresses) {
            if let Some(slot) = range.param.and_then(|offset| params.get_mut(offset..offset + 8)) {
                slot.copy_from_slice(&address.to_le_bytes());
            }
        }
    }
}

/// How one launch of a plan is to be run.
#[derive(Clone, Copy, Debug, Default)]
pub struct LaunchMode {
    /// Where it is queued.
    pub stream: StreamHandle,
    /// False: stream-ordered. No control block, no event, no allocation, legal under capture; the ticket is `None`.
    pub tracked: bool,
    /// When the launch is to be asked to stop (the CPU device ends it whatever the PTX does).
    pub deadline: Option<Instant>,
    /// For the CPU device.
    pub cpu: CpuSettings,
}

/// How a tracked launch ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// The kernel ran to its end.
    Finished,
    /// It left early because it was asked to.
    Stopped,
    /// Status 2 of the control block.
    Reported {
        /// The manifest's fault code.
        code: u32,
        /// Numbers for its message.
        detail: [i64; 2],
    },
    /// The CPU device's report, or the driver's error.
    Failed(crate::error::Error),
}

/// A tracked launch. Dropping it early is allowed and keeps what the device still uses alive until it is done.
pub trait Ticket: Send + Sync {
    /// Whether it has ended. Never blocks.
    fn is_done(&self) -> bool;
    /// Waits at most `limit`; true when ended. Spins briefly first, then sleeps.
    fn wait(&self, limit: Duration) -> bool;
    /// Asks the kernel to stop. Idempotent; no effect after the end.
    fn request_stop(&self);
    /// Share done in [0, 1]; 1 after the end, 0 where the kernel reports none.
    fn progress(&self) -> f64;
    /// How it ended; `None` while it runs.
    fn ending(&self) -> Option<Ending>;
    /// Calls `waker` once, at the end (at once if that has come), on any thread. False: this device cannot; poll.
    fn on_end(&self, waker: Box<dyn FnOnce() + Send>) -> bool {
        drop(waker);
        false
    }
}

/// A PTX module on one device.
pub trait Loaded: Send + Sync {
    /// An entry of it, ready to launch with up to `shared_bytes` of dynamic shared memory.
    fn function(&self, entry: &str, shared_bytes: u32) -> Result<Arc<dyn Function>>;
}

/// An entry on one device; the backend that made it knows its true type.
pub trait Function: Send + Sync + std::any::Any {
    /// For the backend's downcast.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// A device.
///
/// Contract: every method is callable from any thread. The calling thread's current CUDA context is left as found.
/// `launch` queues and returns; it never waits for the kernel. Launches on one stream run in order, launches on
/// different streams in any. Memory named by a plan is the caller's: it stays valid until the launch has ended
/// (`Ticket::is_done`, or `synchronize` for untracked ones), and the backend never frees it.
pub trait Backend: Send + Sync {
    /// Constant facts.
    fn info(&self) -> &DeviceInfo;
    /// Loads (on a GPU: compiles) a module.
    fn load(&self, image: &Arc<Image>) -> Result<Arc<dyn Loaded>>;
    /// Queues a launch.
    fn launch(&self, plan: &Arc<LaunchPlan>, mode: &LaunchMode) -> Result<Option<Arc<dyn Ticket>>>;
    /// Queues a launch with changes, as [`LaunchPlan::with`] describes it.
    fn launch_with(
        &self,
        plan: &Arc<LaunchPlan>,
        changes: &Changes<'_>,
        mode: &LaunchMode,
    ) -> Result<Option<Arc<dyn Ticket>>> {
        self.launch(&Arc::new(plan.with(changes)), mode)
    }
    /// Time of so many launches at the device's own cost, each waited for if `blocking`: what benchmarks compare with. Here:
    /// this backend's own launches; on a GPU the driver's, with nothing of ours in between.
    fn floor(&self, plan: &Arc<LaunchPlan>, stream: StreamHandle, launches: u32, blocking: bool) -> Result<Duration> {
        let mode = LaunchMode {
            stream,
            tracked: blocking,
            ..LaunchMode::default()
        };
        let start = Instant::now();
        for _ in 0..launches {
            if let Some(ticket) = self.launch(plan, &mode)? {
                ticket.wait(Duration::MAX);
            }
        }
        Ok(start.elapsed())
    }
    /// Queues a tracked launch that leaves a record of what happens. Only the CPU device can.
    fn trace(
        &self,
        plan: &Arc<LaunchPlan>,
        mode: &LaunchMode,
        sink: Arc<emulator::TraceSink>,
    ) -> Result<Arc<dyn Ticket>> {
        let _ = (mode, sink);
        let name = &self.info().name;
        let text = format!(
            "{}: its arrays are on {name}, expected host arrays: only the CPU device can trace a launch",
            plan.label
        );
        Err(crate::error::Error::new(crate::error::Kind::Argument, text).with("kernel", plan.label.as_str()))
    }
    /// Makes a stream; its handle is what foreign libraries would use.
    fn stream_new(&self) -> Result<StreamHandle>;
    /// Releases a stream made by [`Backend::stream_new`] once its work is done.
    fn stream_free(&self, stream: StreamHandle) -> Result<()>;
    /// Waits at most `limit` for all work queued on `stream`; true when done. An untracked launch's error comes out here.
    fn stream_wait(&self, stream: StreamHandle, limit: Duration) -> Result<bool>;
    /// How many jobs were ever queued on `stream`, and how many of them are done; `None` where the device does not count.
    fn stream_position(&self, stream: StreamHandle) -> Result<Option<(u64, u64)>> {
        let _ = stream;
        Ok(None)
    }
    /// Makes `later` wait for the work queued on `earlier` so far, without the host waiting.
    fn stream_order(&self, earlier: StreamHandle, later: StreamHandle) -> Result<()>;
    /// Whether `stream` is being captured into a graph: then nothing outside the graph may be ordered against it.
    fn is_capturing(&self, stream: StreamHandle) -> Result<bool> {
        let _ = stream;
        Ok(false)
    }
    /// New memory of the device, at least `bytes` of it, aligned to 256, host memory of whole pages to a page; `pinned`: host memory that its GPU reaches.
    fn memory_new(&self, bytes: u64, pinned: bool) -> Result<u64>;
    /// Frees what [`Backend::memory_new`] made, with the same `bytes` and `pinned`, after everything queued that may use it.
    fn memory_free(&self, address: u64, bytes: u64, pinned: bool) -> Result<()>;
    /// Copies bytes between memory of this device, or of the host, in the order of a stream. The host's side of a copy has
    /// been read or written when this returns.
    fn memory_copy(&self, to: u64, from: u64, bytes: u64, stream: StreamHandle) -> Result<()>;
    /// The bytes of a tensor map that was checked against the documented limits. `l2_promotion`: 0 none, 1 to 3 for 64, 128
    /// and 256 bytes.
    fn tensor_map(&self, map: &emulator::TensorMap, l2_promotion: u32) -> Result<[u8; 128]>;
    /// What it can do with memory and semaphores of another API; `None` where it has no such notion.
    fn external(&self) -> Option<&dyn External> {
        None
    }
    /// The device that owns an address, for `auto` checks; `None` when unknown.
    fn owns(&self, address: u64) -> Option<bool>;
}
