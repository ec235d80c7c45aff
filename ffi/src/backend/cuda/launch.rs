//! Queues launches: the hot path. No allocation, no synchronisation, no lock when the launch is not tracked.
//!
//! Parameters go to the driver as one pointer each, into the plan's bytes: nothing is copied, and the control block's
//! address is put in by pointing its parameter elsewhere. Modules and functions: `module.rs`; what follows a tracked
//! launch: `ticket.rs`.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use super::context::Current;
use super::control::ENDED;
use super::failure;
use super::module::CudaFunction;
use super::result::{Checked, Failure};
use super::state::{DeviceState, InFlight};
use super::sys::{self, Api, LaunchAttribute, LaunchConfig, Stream};
use super::ticket::{CudaTicket, Ends};
use super::wait::poll_until;
use crate::backend::changes::{Changes, KeptScalars, NewScalars};
use crate::backend::control_block::ControlBlock;
use crate::backend::faults_at_once;
use crate::backend::{LaunchPlan, StreamHandle};
use crate::error::{Error, Kind, Result};

/// Pointers kept on the stack; entries with more parameters pay for a `Vec`.
const STACK_PARAMETERS: usize = 32;
const STACK_PARAMETER_BYTES: usize = 256;

/// Which launch: what it runs, with which numbers in place of the plan's, and where.
pub(super) struct Named<'a> {
    pub(super) plan: &'a Arc<LaunchPlan>,
    pub(super) scalars: &'a NewScalars,
    pub(super) stream: StreamHandle,
}

impl Named<'_> {
    pub(super) fn kept(&self) -> InFlight {
        InFlight {
            plan: Arc::clone(self.plan),
            scalars: KeptScalars::of(self.scalars),
            stream: self.stream,
        }
    }
}

/// Hands over the plan's parameter bytes with changes in them: on the stack, unless there are very many.
pub(super) fn with_changes<T>(plan: &LaunchPlan, changes: &Changes<'_>, launch: impl FnOnce(&[u8]) -> T) -> T {
    let mut on_stack = [0; STACK_PARAMETER_BYTES];
    let mut on_heap = Vec::new();
    let params = match on_stack.get_mut(..plan.params.len()) {
        Some(params) => params,
        None => {
            on_heap.resize(plan.params.len(), 0);
            &mut on_heap[..]
        }
    };
    params.copy_from_slice(&plan.params);
    plan.put(changes, params);
    launch(params)
}

/// Queues a stream-ordered launch. Legal while the stream is captured.
pub(super) fn untracked(state: &DeviceState, launch: &Named<'_>, params: &[u8]) -> Result<()> {
    let plan = launch.plan;
    state.check_alive(&plan.label)?;
    let function = function_of(state, plan)?;
    let context = state.context()?;
    // Not relaxed: a launch is legal under capture as it is, and this is the path that must cost nothing.
    let _current = Current::enter(state.api(), context).map_err(|f| state.error(&plan.label, f))?;
    function.keep_for_ever();
    queue(state, function, plan, params, launch.stream, 0).map_err(|f| refused(state, function, launch, f))?;
    state.recent.note(launch);
    if faults_at_once() {
        return synchronise(state, launch);
    }
    Ok(())
}

/// `WARPBRIDGE_SYNC=1`: waits for a stream-ordered launch, so that its fault is its own. A stream under capture runs nothing.
#[cold]
fn synchronise(state: &DeviceState, launch: &Named<'_>) -> Result<()> {
    let (api, raw) = (state.api(), Stream(launch.stream.0 as usize));
    let failed = |f| state.sync_error(&launch.kept(), f);
    if api.is_capturing(raw).map_err(failed)? {
        return Ok(());
    }
    let _current = state.enter(&launch.plan.label)?;
    let ended = poll_until(Duration::MAX, || match api.stream_done(raw) {
        Ok(false) => None,
        Ok(true) => Some(Ok(())),
        Err(failure) => Some(Err(failed(failure))),
    });
    ended.unwrap_or(Ok(()))
}

/// Queues a launch with a control block and an event behind it.
pub(super) fn tracked(state: &Arc<DeviceState>, launch: &Named<'_>, params: &[u8]) -> Result<Arc<CudaTicket>> {
    let plan = launch.plan;
    let function = function_of(state, plan)?;
    state.check_process()?;
    state.check_alive(&plan.label)?;
    let api = state.api();
    let broken = |f| state.error(&plan.label, f);
    // Not relaxed: nothing here but `find_slot` needs it, and each change of mode delays the kernel.
    let _current = Current::enter(api, state.context()?).map_err(broken)?;
    let stream = Stream(launch.stream.0 as usize);
    if api.is_capturing(stream).map_err(broken)? {
        return Err(capturing(&state.name, plan, launch.stream));
    }
    let slot = state.take_slot().map_err(|f| refused(state, function, launch, f))?;
    if slot.block.is_touched() {
        let fresh = std::ptr::from_ref(slot.fresh) as u64;
        // SAFETY: both are never freed and of this size.
        let renewed = unsafe { api.copy(slot.on_device, fresh, size_of::<ControlBlock>(), stream) };
        renewed.map_err(broken)?;
    }
    slot.block.clear();
    slot.flag.clear();
    let control = if plan.control_on_device {
        slot.on_device
    } else {
        slot.address
    };
    if let Err(failure) = queue(state, function, plan, params, launch.stream, control) {
        state.flights().give(slot);
        return Err(refused(state, function, launch, failure));
    }
    // Where the stream cannot write, the event alone says when the launch has ended.
    let ends = Ends {
        reports: api.write_value(stream, slot.flag_address, ENDED),
        control_on_device: plan.control_on_device,
    };
    let launch = launch.kept();
    let serial = state.flights().depart(&slot, launch.clone());
    // If this fails the slot is left out for good: the kernel may be writing its control block. A kernel that has faulted
    // already is what makes it fail as a rule.
    if let Err(failure) = api.record(slot.event, stream) {
        return Err(state.launch_error(serial, &launch, failure));
    }
    Ok(Arc::new(CudaTicket::new(state.clone(), serial, slot, launch, ends)))
}

fn function_of<'a>(state: &DeviceState, plan: &'a LaunchPlan) -> Result<&'a CudaFunction> {
    let function = plan.function.as_any().downcast_ref::<CudaFunction>();
    function.filter(|function| function.is_of(state)).ok_or_else(|| {
        let text = format!(
            "{}: its function was not loaded on {}, expected one that this device loaded",
            plan.label, state.name
        );
        Error::new(Kind::Internal, text)
    })
}

fn capturing(device: &str, plan: &LaunchPlan, stream: StreamHandle) -> Error {
    let text = format!(
        "{}: {} of {device} is being captured into a graph, expected a stream-ordered launch there: a graph has nobody to \
         report to",
        plan.label,
        failure::stream_text(stream)
    );
    Error::new(Kind::Launch, text)
        .with("kernel", plan.label.as_str())
        .with("stream", stream.0)
}

fn refused(state: &DeviceState, function: &CudaFunction, launch: &Named<'_>, failure: Failure) -> Error {
    let plan = launch.plan;
    if failure::loses_context(failure.code) || state.check_process().is_err() {
        return state.error(&plan.label, failure);
    }
    let attribute = state
        .api()
        .function_attribute(function.handle(), sys::FUNCTION_MAX_THREADS);
    let geometry = format!(
        "grid {:?}, block {:?}, cluster {:?}, {} bytes of dynamic shared memory",
        plan.grid, plan.block, plan.cluster, plan.shared_bytes
    );
    failure::refused_launch(&state.name, &failure, &launch.kept().name(), &geometry, attribute.ok())
}

/// Hands a launch to the driver; `control` is the control block's device address or 0.
fn queue(
    state: &DeviceState,
    function: &CudaFunction,
    plan: &LaunchPlan,
    params: &[u8],
    stream: StreamHandle,
    control: u64,
) -> Checked<()> {
    with_launch(state, function, plan, params, stream, control, |launch| launch())
}

/// Lends out the driver's launch with everything laid out, to be called any number of times.
pub(super) fn with_bare_launch<T>(
    state: &DeviceState,
    plan: &LaunchPlan,
    stream: StreamHandle,
    work: impl FnOnce(&dyn Fn() -> Checked<()>) -> T,
) -> Result<T> {
    let function = function_of(state, plan)?;
    Ok(with_launch(state, function, plan, &plan.params, stream, 0, work))
}

fn with_launch<T>(
    state: &DeviceState,
    function: &CudaFunction,
    plan: &LaunchPlan,
    params: &[u8],
    stream: StreamHandle,
    control: u64,
    work: impl FnOnce(&dyn Fn() -> Checked<()>) -> T,
) -> T {
    let mut on_stack = [ptr::null(); STACK_PARAMETERS];
    let mut on_heap = Vec::new();
    let pointers = match on_stack.get_mut(..plan.layout.len()) {
        Some(pointers) => pointers,
        None => {
            on_heap.resize(plan.layout.len(), ptr::null());
            &mut on_heap[..]
        }
    };
    point_at_parameters(pointers, plan, params, &control);
    let cluster = cluster_attribute(plan.cluster);
    let config = LaunchConfig {
        grid: plan.grid,
        block: plan.block,
        shared_bytes: plan.shared_bytes,
        stream: Stream(stream.0 as usize),
        attributes: cluster.as_ref().map_or(ptr::null(), ptr::from_ref),
        attribute_count: u32::from(cluster.is_some()),
    };
    let api = state.api();
    // SAFETY: the caller built `layout` from the entry's `.param` list, so there is one pointer per parameter, each to a value
    // inside `params` (or to `control`), which outlive the call; the driver copies them before it returns.
    let launch = || unsafe { api.launch(function.handle(), &config, pointers.as_ptr()) };
    work(&|| {
        zero(api, plan, params, config.stream)?;
        launch()
    })
}

/// Queues the zeros with which a launch finds its `zeroed` arrays; most plans have none.
fn zero(api: &Api, plan: &LaunchPlan, params: &[u8], stream: Stream) -> Checked<()> {
    for range in plan.ranges.iter().filter(|range| range.zeroed) {
        let place = range
            .param
            .and_then(|offset| params.get(offset..offset + 8)?.try_into().ok());
        let (Some(address), Ok(bytes @ 1..)) = (place.map(u64::from_le_bytes), usize::try_from(range.bytes)) else {
            continue;
        };
        // SAFETY: an array of the launch, which its caller keeps until the launch has ended.
        unsafe { api.zero(address, bytes, stream)? };
    }
    Ok(())
}

/// One pointer per parameter into the bytes; the control parameter's points at `control`.
fn point_at_parameters(pointers: &mut [*const c_void], plan: &LaunchPlan, params: &[u8], control: &u64) {
    for (pointer, &(offset, bytes)) in pointers.iter_mut().zip(&plan.layout) {
        *pointer = if plan.control_offset == Some(offset) {
            ptr::from_ref(control).cast()
        } else {
            params[offset..offset + bytes].as_ptr().cast()
        };
    }
}

fn cluster_attribute(cluster: [u32; 3]) -> Option<LaunchAttribute> {
    (cluster != [1, 1, 1]).then_some(LaunchAttribute {
        id: sys::ATTRIBUTE_CLUSTER_DIMENSION,
        padding: [0; 4],
        cluster,
        rest_of_value: [0; 52],
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::backend::changes::{ScalarPlace, ScalarRule};
    use crate::backend::Function;
    use crate::dtype::DType;

    struct NoFunction;
    impl Function for NoFunction {
        fn as_any(&self) -> &dyn std::any::Any {
            self
        }
    }

    fn plan(params: Vec<u8>, layout: Vec<(usize, usize)>, control_offset: Option<usize>) -> LaunchPlan {
        LaunchPlan {
            label: "scale".into(),
            arguments: String::new(),
            function: Arc::new(NoFunction),
            grid: [1; 3],
            block: [1; 3],
            cluster: [1; 3],
            shared_bytes: 0,
            params,
            layout,
            control_offset,
            control_on_device: false,
            ranges: Vec::new(),
            scalars: Vec::new(),
            roles: Vec::new(),
        }
    }

    /// `k(n = 0)`.
    pub fn plan_with_a_scalar() -> LaunchPlan {
        let rule = ScalarRule {
            dtypes: [None, Some(DType::Int32), Some(DType::Int32)],
            as_float: false,
            least: None,
            most: None,
        };
        LaunchPlan {
            label: "k".into(),
            arguments: "n = 0".into(),
            scalars: vec![ScalarPlace {
                name: "n".into(),
                offset: 0,
                bytes: 4,
                text: 4..5,
                rule,
            }],
            ..plan(vec![0; 4], vec![(0, 4)], None)
        }
    }

    #[test]
    fn test_changes_are_in_the_parameters_handed_over_and_the_plan_stays() {
        let plan = plan_with_a_scalar();
        let seven = [plan.scalars[0].rule.accept(crate::backend::changes::Given::Int(7))];
        let changes = Changes {
            addresses: &[],
            scalars: &seven,
        };
        assert_eq!(with_changes(&plan, &changes, <[u8]>::to_vec), [7, 0, 0, 0]);
        assert_eq!(plan.params, [0; 4]);
        let changed = plan.with(&changes);
        assert_eq!(
            (changed.params, changed.arguments),
            (vec![7, 0, 0, 0], "n = 7".to_owned())
        );
    }

    #[test]
    fn test_parameters_point_into_the_plan_and_control_points_outside() {
        let plan = plan((0..20).collect(), vec![(0, 8), (8, 8), (16, 4)], Some(8));
        let control = 0xabcd_u64;
        let mut pointers = [ptr::null(); 3];
        point_at_parameters(&mut pointers, &plan, &plan.params, &control);
        let base: *const c_void = plan.params.as_ptr().cast();
        assert_eq!(pointers[0], base);
        assert_eq!(pointers[1], ptr::from_ref(&control).cast());
        assert_eq!(pointers[2], base.wrapping_byte_add(16));
    }

    #[test]
    fn test_cluster_attribute_is_absent_for_a_cluster_of_one() {
        assert!(cluster_attribute([1, 1, 1]).is_none());
        let attribute = cluster_attribute([2, 1, 1]).expect("a cluster of two");
        assert_eq!((attribute.id, attribute.cluster), (4, [2, 1, 1]));
    }

    #[test]
    fn test_capturing_stream_refuses_a_tracked_launch() {
        let error = capturing("cuda:0", &plan(vec![], vec![], None), StreamHandle(0x10));
        assert_eq!(
            error.message,
            "scale: stream 0x10 of cuda:0 is being captured into a graph, expected a stream-ordered launch there: a graph \
             has nobody to report to"
        );
        assert_eq!(error.kind, Kind::Launch);
    }
}
