//! The CPU device: the [`Backend`] on top of `emulator`. It adds what the emulator has no idea of: streams, tickets, the
//! control block. `stream.rs` orders and runs launches, `ticket.rs` tracks one, `fault.rs` turns reports into errors.

mod fault;
mod memory;
mod stream;
mod ticket;

use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{
    faults_at_once, load_error, Backend, DeviceInfo, Function, Image, LaunchMode, LaunchPlan, Loaded, StreamHandle,
    Ticket,
};
use crate::error::{Error, Kind, Result};
use crate::process::PerProcess;
use stream::{Job, Stream};
use ticket::Tracked;

/// The default queue: handles 0, 1 and 2 all mean it.
const DEFAULT: u64 = 1;

/// The device's one instance.
#[must_use]
pub fn device() -> Arc<dyn Backend> {
    Arc::new(Cpu {
        info: info(),
        streams: PerProcess::new(),
        next_handle: AtomicU64::new(0x1000),
    })
}

type Streams = HashMap<u64, Arc<Stream>>;

struct Cpu {
    info: DeviceInfo,
    streams: PerProcess<Mutex<Streams>>,
    next_handle: AtomicU64,
}

/// A module needs nothing but its parsed form.
struct CpuModule(Arc<Image>);

struct CpuFunction {
    image: Arc<Image>,
    entry: String,
}

impl Loaded for CpuModule {
    fn function(&self, entry: &str, _shared_bytes: u32) -> Result<Arc<dyn Function>> {
        if let Some(lacking) = self.0.module.unsupported_in(entry) {
            return Err(lacks(entry, &self.0.origin, lacking));
        }
        Ok(Arc::new(CpuFunction {
            image: Arc::clone(&self.0),
            entry: entry.to_owned(),
        }))
    }
}

impl Function for CpuFunction {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Cpu {
    fn streams(&self) -> MutexGuard<'_, Streams> {
        let streams = self
            .streams
            .get(|parents| Mutex::new(parents.map_or_else(HashMap::new, afresh)));
        streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn stream(&self, handle: StreamHandle) -> Result<Arc<Stream>> {
        let mut streams = self.streams();
        let handle = if handle.0 <= 2 { DEFAULT } else { handle.0 };
        if handle == DEFAULT {
            return Ok(Arc::clone(
                streams.entry(DEFAULT).or_insert_with(|| Stream::start("default")),
            ));
        }
        streams
            .get(&handle)
            .map(Arc::clone)
            .ok_or_else(|| unknown_stream(handle))
    }
}

/// The streams of the process that this one was forked from, idle: their threads and what was queued stayed there. None
/// where another thread was changing them at the fork; handles of its streams are then unknown here.
fn afresh(parents: &Mutex<Streams>) -> Streams {
    let Ok(parents) = parents.try_lock() else {
        return HashMap::new();
    };
    let idle = |handle: &u64| (*handle, Stream::start(&handle.to_string()));
    parents.keys().map(idle).collect()
}

/// For PTX that was loaded because another device may know more.
fn lacks(entry: &str, origin: &str, lacking: &emulator::LoadError) -> Error {
    let mut error = load_error(origin, lacking);
    error.message = format!(
        "{entry}: the CPU device cannot run it: {}; pass arrays of a GPU, or avoid that instruction",
        error.message
    );
    error.with("kernel", entry)
}

fn unknown_stream(handle: u64) -> Error {
    let text = format!("stream {handle:#x} is not one of the CPU device's, expected 0, 1, 2 or a stream made by it");
    Error::new(Kind::Device, text).with("stream", handle)
}

impl Backend for Cpu {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }
    fn load(&self, image: &Arc<Image>) -> Result<Arc<dyn Loaded>> {
        Ok(Arc::new(CpuModule(Arc::clone(image))))
    }
    fn launch(&self, plan: &Arc<LaunchPlan>, mode: &LaunchMode) -> Result<Option<Arc<dyn Ticket>>> {
        let stream = self.stream(mode.stream)?;
        if !mode.tracked {
            stream.push(Job::Untracked(Arc::clone(plan), mode.stream, mode.cpu))?;
            if faults_at_once() {
                stream.wait(Duration::MAX)?;
            }
            return Ok(None);
        }
        let tracked = Arc::new(Tracked::new(Arc::clone(plan), mode));
        stream.push(Job::Tracked(Arc::clone(&tracked)))?;
        Ok(Some(tracked))
    }
    fn trace(
        &self,
        plan: &Arc<LaunchPlan>,
        mode: &LaunchMode,
        sink: Arc<emulator::TraceSink>,
    ) -> Result<Arc<dyn Ticket>> {
        let tracked = Arc::new(Tracked::new(Arc::clone(plan), mode).with_record(sink));
        self.stream(mode.stream)?.push(Job::Tracked(Arc::clone(&tracked)))?;
        Ok(tracked)
    }
    fn stream_new(&self) -> Result<StreamHandle> {
        let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
        let stream = Stream::start(&handle.to_string());
        self.streams().insert(handle, stream);
        Ok(StreamHandle(handle))
    }
    fn stream_free(&self, stream: StreamHandle) -> Result<()> {
        let removed = self.streams().remove(&stream.0);
        match removed.filter(|_| stream.0 != DEFAULT) {
            Some(stream) => stream.push(Job::End),
            None => Err(unknown_stream(stream.0)),
        }
    }
    fn stream_wait(&self, stream: StreamHandle, limit: Duration) -> Result<bool> {
        self.stream(stream)?.wait(limit)
    }
    fn stream_position(&self, stream: StreamHandle) -> Result<Option<(u64, u64)>> {
        Ok(Some(self.stream(stream)?.position()))
    }
    fn stream_order(&self, earlier: StreamHandle, later: StreamHandle) -> Result<()> {
        let (earlier, later) = (self.stream(earlier)?, self.stream(later)?);
        if Arc::ptr_eq(&earlier, &later) {
            return Ok(());
        }
        later.push(Job::WaitFor(earlier.tail()))
    }
    fn memory_new(&self, bytes: u64, pinned: bool) -> Result<u64> {
        memory::allocate(bytes, pinned)
    }
    fn memory_free(&self, address: u64, bytes: u64, _pinned: bool) -> Result<()> {
        memory::free(address, bytes);
        Ok(())
    }
    fn memory_copy(&self, to: u64, from: u64, bytes: u64, stream: StreamHandle) -> Result<()> {
        self.stream(stream)?.wait(Duration::MAX)?;
        memory::copy(to, from, bytes);
        Ok(())
    }
    fn tensor_map(&self, map: &emulator::TensorMap, _l2_promotion: u32) -> Result<[u8; 128]> {
        Ok(map.encode())
    }
    fn owns(&self, _address: u64) -> Option<bool> {
        None
    }
}

fn info() -> DeviceInfo {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let multiprocessors = multiprocessors_asked_for();
    DeviceInfo {
        kind: "cpu",
        ordinal: 0,
        name: line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "CPU".into()),
        arch: "sm_90".into(),
        memory_bytes: line_of("/proc/meminfo", "MemTotal")
            .and_then(|text| text.strip_suffix(" kB")?.trim().parse::<u64>().ok())
            .map_or(0, |kib| kib * 1024),
        sm_count: multiprocessors.unwrap_or(u32::try_from(cores).unwrap_or(1)),
        counts_as_gpu: multiprocessors.is_some(),
        // What a Hopper thread block may have.
        max_shared_bytes: 227 * 1024,
        driver: String::new(),
        ptx_version: (9, 1),
        uuid: String::new(),
    }
}

/// Of the GPU for which manifests are to cut the work. What is no such number, Python refuses (`settings.py`).
fn multiprocessors_asked_for() -> Option<u32> {
    let text = std::env::var("WARPBRIDGE_MULTIPROCESSORS").ok()?;
    text.trim().parse().ok().filter(|number| (1..=1024).contains(number))
}

/// The value of a `key : value` line.
fn line_of(path: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
