//! What the tests need beside the backend: device memory, contexts, graphs, and plans made by hand.
//!
//! It finds the driver by itself and uses the plain driver API, as a foreign library beside warpbridge would.

use std::ffi::{c_char, c_void, CString};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libloading::{Library, Symbol};
use warpbridge::backend::cuda::{self, CudaDevice, PtxSource};
use warpbridge::backend::{Backend, Ending, Function, LaunchMode, LaunchPlan, Loaded, StreamHandle, Ticket};

/// Longer than any kernel of these tests may take.
pub const LONG: Duration = Duration::from_secs(20);

pub const KERNELS: &str = include_str!("kernels.ptx");
pub const CLUSTER: &str = include_str!("cluster.ptx");

/// Captures and lost time would leak from one test into another, so one runs at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub fn turn() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first GPU, its primary context current on this thread.
pub struct Gpu {
    pub device: Arc<CudaDevice>,
    library: Library,
    _turn: MutexGuard<'static, ()>,
}

/// Calls a driver function by name; anything but success fails the test.
macro_rules! cu {
    ($gpu:expr, $name:literal ( $($argument:expr => $kind:ty),* $(,)? )) => {{
        type Signature = unsafe extern "C" fn($($kind),*) -> i32;
        let name = concat!($name, "\0").as_bytes();
        // SAFETY: the signature is the one in `cuda.h`.
        let function: Result<Symbol<'_, Signature>, _> = unsafe { $gpu.library().get(name) };
        let function = function.expect($name);
        // SAFETY: the arguments are valid for this function; out-pointers point at locals.
        let code = unsafe { function($($argument),*) };
        assert_eq!(code, 0, "{} returned {code}", $name);
    }};
}

impl Gpu {
    pub fn open() -> Self {
        let turn = turn();
        let status = cuda::driver_status();
        let devices = cuda::all().expect("devices can be listed");
        let device = devices.first().unwrap_or_else(|| panic!("{}", status.reason)).clone();
        // SAFETY: the backend has loaded this library already.
        let library = unsafe { Library::new(&status.library) }.expect("the driver is loaded");
        let gpu = Self {
            device,
            library,
            _turn: turn,
        };
        let primary = gpu.primary_context();
        gpu.make_current(primary);
        gpu
    }

    pub fn library(&self) -> &Library {
        &self.library
    }

    pub fn primary_context(&self) -> usize {
        let mut context = 0usize;
        cu!(self, "cuDevicePrimaryCtxRetain"(&raw mut context => *mut usize, 0 => i32));
        context
    }

    pub fn make_current(&self, context: usize) {
        cu!(self, "cuCtxSetCurrent"(context => usize));
    }

    pub fn current_context(&self) -> usize {
        let mut context = 0usize;
        cu!(self, "cuCtxGetCurrent"(&raw mut context => *mut usize));
        context
    }

    /// Device memory holding `words`; never freed, the tests are short.
    pub fn upload<T: Copy>(&self, words: &[T]) -> u64 {
        let bytes = size_of_val(words);
        let mut address = 0u64;
        cu!(self, "cuMemAlloc_v2"(&raw mut address => *mut u64, bytes => usize));
        cu!(self, "cuMemcpyHtoD_v2"(address => u64, words.as_ptr().cast() => *const c_void, bytes => usize));
        address
    }

    pub fn download<T: Copy + Default>(&self, address: u64, count: usize) -> Vec<T> {
        let mut words = vec![T::default(); count];
        let bytes = size_of_val(&words[..]);
        cu!(self, "cuMemcpyDtoH_v2"(words.as_mut_ptr().cast() => *mut c_void, address => u64, bytes => usize));
        words
    }

    pub fn load(&self, text: &str, origin: &str) -> warpbridge::error::Result<Arc<dyn Loaded>> {
        self.device.load_ptx(&source(text, origin))
    }

    pub fn function(&self, entry: &str) -> Arc<dyn Function> {
        let module = self.load(KERNELS, "kernels.ptx").expect("the PTX loads");
        module.function(entry, 0).expect("the entry is there")
    }

    pub fn submit(&self, plan: &Arc<LaunchPlan>, stream: StreamHandle) -> Arc<dyn Ticket> {
        let mode = tracked(stream);
        let ticket = self.device.launch(plan, &mode).expect("the launch is accepted");
        ticket.expect("a tracked launch has a ticket")
    }

    /// Queues without tracking.
    pub fn queue(&self, plan: &Arc<LaunchPlan>, stream: StreamHandle) {
        let mode = LaunchMode {
            stream,
            ..LaunchMode::default()
        };
        let ticket = self.device.launch(plan, &mode).expect("the launch is accepted");
        assert!(ticket.is_none(), "a stream-ordered launch has no ticket");
    }

    pub fn synchronize(&self, stream: StreamHandle) {
        let done = self.device.stream_wait(stream, LONG).expect("the stream is healthy");
        assert!(done, "the stream's work ends within {LONG:?}");
    }

    pub fn new_stream(&self) -> StreamHandle {
        self.device.stream_new().expect("a stream can be made")
    }
}

pub fn tracked(stream: StreamHandle) -> LaunchMode {
    LaunchMode {
        stream,
        tracked: true,
        ..LaunchMode::default()
    }
}

/// Reads `.version` and `.target` of a text that has both.
pub fn source<'a>(text: &'a str, origin: &'a str) -> PtxSource<'a> {
    let after = |directive: &str| {
        let (_, rest) = text.split_once(directive).expect("the directive is there");
        rest.split_whitespace().next().expect("a value follows")
    };
    let (major, minor) = after("\n.version").split_once('.').expect("major.minor");
    PtxSource {
        text,
        origin,
        version: (major.parse().expect("a number"), minor.parse().expect("a number")),
        target: after("\n.target"),
    }
}

/// A parameter of a plan.
pub enum Value {
    U32(u32),
    U64(u64),
    Control,
}

/// A plan with one thread block of one thread.
pub fn plan(label: &str, function: Arc<dyn Function>, values: &[Value]) -> LaunchPlan {
    let (mut params, mut layout, mut control_offset) = (Vec::new(), Vec::new(), None);
    for value in values {
        let bytes = match value {
            Value::U32(word) => word.to_le_bytes().to_vec(),
            Value::U64(word) => word.to_le_bytes().to_vec(),
            Value::Control => vec![0; 8],
        };
        params.resize(params.len().next_multiple_of(bytes.len()), 0u8);
        if matches!(value, Value::Control) {
            control_offset = Some(params.len());
        }
        layout.push((params.len(), bytes.len()));
        params.extend(bytes);
    }
    LaunchPlan {
        label: label.into(),
        arguments: "out=uint32[1]".into(),
        function,
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

/// `vadd` of 1000 numbers: the plan, the output's address, the expected output.
pub fn vadd(gpu: &Gpu) -> (Arc<LaunchPlan>, u64, Vec<f32>) {
    let x: Vec<f32> = (0..1000).map(|i| i as f32 * 0.5).collect();
    let y: Vec<f32> = (0..1000).map(|i| 1000.0 - i as f32).collect();
    let sum = x.iter().zip(&y).map(|(a, b)| a + b).collect();
    let out = gpu.upload(&[0f32; 1000]);
    let values = [
        Value::U64(gpu.upload(&x)),
        Value::U64(gpu.upload(&y)),
        Value::U64(out),
        Value::U32(1000),
    ];
    let mut plan = plan("vadd", gpu.function("vadd"), &values);
    plan.grid = [4, 1, 1];
    plan.block = [256, 1, 1];
    (Arc::new(plan), out, sum)
}

/// A context that is not the primary one, current on this thread.
pub fn foreign_context(gpu: &Gpu) -> usize {
    let mut context = 0usize;
    cu!(gpu, "cuCtxCreate_v2"(&raw mut context => *mut usize, 0 => u32, 0 => i32));
    context
}

/// Runs `work` while `stream` is captured in global mode; returns the executable graph.
pub fn capture(gpu: &Gpu, stream: StreamHandle, work: impl FnOnce()) -> usize {
    let (mut graph, mut executable) = (0usize, 0usize);
    cu!(gpu, "cuStreamBeginCapture_v2"(stream.0 => u64, 0 => i32));
    work();
    cu!(gpu, "cuStreamEndCapture"(stream.0 => u64, &raw mut graph => *mut usize));
    cu!(gpu, "cuGraphInstantiateWithFlags"(&raw mut executable => *mut usize, graph => usize, 0 => u64));
    executable
}

pub fn launch_graph(gpu: &Gpu, graph: usize, stream: StreamHandle) {
    cu!(gpu, "cuGraphLaunch"(graph => usize, stream.0 => u64));
}

/// How a ticket ended, as text, so that a test compares it whole.
pub fn ending_of(ticket: &Arc<dyn Ticket>) -> String {
    assert!(ticket.wait(LONG), "the launch ends within {LONG:?}");
    match ticket.ending().expect("it has ended") {
        Ending::Finished => "finished".into(),
        Ending::Stopped => "stopped".into(),
        Ending::Reported { code, detail } => format!("fault {code} {detail:?}"),
        Ending::Failed(error) => error.message,
    }
}

/// The same launch by the driver alone: what a C program would do.
pub fn raw_launch<'a>(gpu: &'a Gpu, plan: &'a LaunchPlan, stream: StreamHandle) -> impl FnMut() + 'a {
    type Launch = unsafe extern "C" fn(
        usize,
        u32,
        u32,
        u32,
        u32,
        u32,
        u32,
        u32,
        u64,
        *const *const c_void,
        *const *const c_void,
    ) -> i32;
    let (mut module, mut function) = (0usize, 0usize);
    let text = CString::new(KERNELS).expect("no zero byte");
    let name = CString::new(plan.label.as_str()).expect("no zero byte");
    cu!(gpu, "cuModuleLoadData"(&raw mut module => *mut usize, text.as_ptr() => *const c_char));
    cu!(gpu, "cuModuleGetFunction"(&raw mut function => *mut usize, module => usize, name.as_ptr() => *const c_char));
    // SAFETY: the signature is the one in `cuda.h`.
    let launch: Symbol<'a, Launch> = unsafe { gpu.library().get(b"cuLaunchKernel\0") }.expect("cuLaunchKernel");
    let pointers: Vec<*const c_void> = plan
        .layout
        .iter()
        .map(|(at, _)| plan.params[*at..].as_ptr().cast())
        .collect();
    let ([gx, gy, gz], [bx, by, bz]) = (plan.grid, plan.block);
    move || {
        let parameters = pointers.as_ptr();
        // SAFETY: one pointer per parameter, into the plan.
        let code = unsafe {
            launch(
                function,
                gx,
                gy,
                gz,
                bx,
                by,
                bz,
                0,
                stream.0,
                parameters,
                std::ptr::null(),
            )
        };
        assert_eq!(code, 0, "cuLaunchKernel returned {code}");
    }
}
