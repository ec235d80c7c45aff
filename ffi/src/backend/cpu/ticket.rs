//! One tracked launch of the CPU device: its control block, its state, its end.
//!
//! ```text
//! queued --1--> running --2--> ended        1: the stream's worker takes it
//!    \------------3------------^            2: the emulator returns   3: asked to stop before it began
//! ```

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{fault, CpuFunction};
use crate::backend::control_block::ControlBlock;
use crate::backend::{CpuSettings, Ending, LaunchMode, LaunchPlan, StreamHandle, Ticket};

/// How long a kernel with a control block may take to leave by itself before the emulator ends it.
const GRACE: Duration = Duration::from_millis(100);

type Waker = Box<dyn FnOnce() + Send>;

enum State {
    Queued(Vec<Waker>),
    Running(Vec<Waker>),
    Ended(Ending),
}

/// See the module.
pub struct Tracked {
    plan: Arc<LaunchPlan>,
    stream: StreamHandle,
    settings: CpuSettings,
    deadline: Option<Instant>,
    stop: Arc<emulator::Stop>,
    control: Option<Box<ControlBlock>>,
    /// Where a record of what happens goes.
    sink: Option<Arc<emulator::TraceSink>>,
    state: Mutex<State>,
    ended: Condvar,
}

impl Tracked {
    /// A launch that is about to be queued.
    pub fn new(plan: Arc<LaunchPlan>, mode: &LaunchMode) -> Self {
        let control = plan.control_offset.map(|_| Box::<ControlBlock>::default());
        let grace = if control.is_some() { GRACE } else { Duration::ZERO };
        Self {
            plan,
            stream: mode.stream,
            settings: mode.cpu,
            deadline: mode.deadline,
            // Ends the launch even if nobody looks at the deadline.
            stop: Arc::new(emulator::Stop::new(
                mode.deadline.and_then(|deadline| deadline.checked_add(grace)),
            )),
            control,
            sink: None,
            state: Mutex::new(State::Queued(Vec::new())),
            ended: Condvar::new(),
        }
    }

    /// The same with a record of what happens.
    pub fn with_record(self, sink: Arc<emulator::TraceSink>) -> Self {
        Self {
            sink: Some(sink),
            ..self
        }
    }

    /// Runs the launch on this thread, unless it was stopped before.
    pub fn run(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Queued(wakers) = &mut *state else { return };
        let wakers = std::mem::take(wakers);
        *state = State::Running(wakers);
        drop(state);
        let is_late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        self.end(if is_late { Ending::Stopped } else { self.execute() });
    }

    fn execute(&self) -> Ending {
        let mut params = self.plan.params.clone();
        let mut control = None;
        if let (Some(block), Some(offset)) = (&self.control, self.plan.control_offset) {
            let address = std::ptr::from_ref::<ControlBlock>(block) as u64;
            if let Some(slot) = params.get_mut(offset..offset + 8) {
                slot.copy_from_slice(&address.to_le_bytes());
            }
            control = Some(address);
        }
        let sink = self.sink.as_deref();
        match execute(&self.plan, &params, control, self.settings, &self.stop, sink) {
            Ok(()) => self.verdict(),
            Err(emulator::Fault::Stopped) => Ending::Stopped,
            Err(fault) => Ending::Failed(fault::error(&self.plan, self.stream, &fault)),
        }
    }

    /// What the control block says of a kernel that ran to its end.
    fn verdict(&self) -> Ending {
        self.control.as_ref().map_or(Ending::Finished, |block| block.ending())
    }

    /// Ends a launch that has not begun; the worker then skips it.
    fn end_queued(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::Queued(_)) {
            return false;
        }
        let before = std::mem::replace(&mut *state, State::Ended(Ending::Stopped));
        drop(state);
        self.announce(before);
        true
    }

    fn end(&self, ending: Ending) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, State::Ended(ending));
        drop(state);
        self.announce(before);
    }

    fn announce(&self, before: State) {
        self.ended.notify_all();
        if let State::Queued(wakers) | State::Running(wakers) = before {
            wakers.into_iter().for_each(|waker| waker());
        }
    }
}

impl Ticket for Tracked {
    fn is_done(&self) -> bool {
        matches!(
            *self.state.lock().unwrap_or_else(PoisonError::into_inner),
            State::Ended(_)
        )
    }
    fn wait(&self, limit: Duration) -> bool {
        let until = Instant::now().checked_add(limit);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !matches!(*state, State::Ended(_)) {
            let left = until.map_or(Duration::from_secs(3600), |u| {
                u.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return false;
            }
            state = self
                .ended
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
    fn request_stop(&self) {
        if self.is_done() || self.end_queued() {
            return;
        }
        let Some(block) = &self.control else {
            return self.stop.request();
        };
        if !block.request_stop() {
            return;
        }
        let stop = Arc::clone(&self.stop);
        let insist = move || {
            std::thread::sleep(GRACE);
            stop.request();
        };
        if std::thread::Builder::new()
            .name("warpbridge-stop".into())
            .spawn(insist)
            .is_err()
        {
            self.stop.request();
        }
    }
    fn progress(&self) -> f64 {
        if self.is_done() {
            return 1.0;
        }
        self.control.as_ref().map_or(0.0, |block| block.progress())
    }
    fn ending(&self) -> Option<Ending> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Ended(ending) => Some(ending.clone()),
            State::Queued(_) | State::Running(_) => None,
        }
    }
    fn on_end(&self, waker: Waker) -> bool {
        match &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Queued(wakers) | State::Running(wakers) => {
                wakers.push(waker);
                return true;
            }
            State::Ended(_) => {}
        }
        waker();
        true
    }
}

/// Runs a plan in the emulator. `control` is the address of its control block; `sink` gets a record, if there is one.
pub fn execute(
    plan: &LaunchPlan,
    params: &[u8],
    control: Option<u64>,
    settings: CpuSettings,
    stop: &emulator::Stop,
    sink: Option<&emulator::TraceSink>,
) -> Result<(), emulator::Fault> {
    let Some(function) = plan.function.as_any().downcast_ref::<CpuFunction>() else {
        return Err(emulator::Fault::BadLaunch("a function of another device".into()));
    };
    let mut ranges: Vec<_> = plan.ranges.iter().map(range).collect();
    ranges.extend(control.map(|address| emulator::Range {
        address,
        bytes: 64,
        name: "control".into(),
        access: emulator::Access::HostWrites,
    }));
    let launch = emulator::Launch {
        grid: plan.grid,
        block: plan.block,
        cluster: plan.cluster,
        shared_bytes: plan.shared_bytes,
        params,
        ranges: &ranges,
        roles: &plan.roles,
        settings,
        stop,
    };
    for range in plan.ranges.iter().filter(|range| range.zeroed) {
        super::memory::zero(range.address, range.bytes);
    }
    let (module, entry) = (&function.image.module, &function.entry);
    let run = || match sink {
        None => emulator::run(module, entry, &launch),
        Some(sink) => emulator::run_traced(module, entry, &launch, sink),
    };
    // A bug of the emulator must not take the stream's thread, and every launch behind it, along.
    let end = catch_unwind(AssertUnwindSafe(run));
    end.unwrap_or_else(|_| Err(emulator::Fault::BadLaunch(fault::PANICKED.into())))
        .map(drop)
}

fn range(range: &crate::backend::ArrayRange) -> emulator::Range {
    let access = if range.writable {
        emulator::Access::ReadWrite
    } else {
        emulator::Access::Read
    };
    emulator::Range {
        address: range.address,
        bytes: range.bytes,
        name: range.name.clone(),
        access,
    }
}
