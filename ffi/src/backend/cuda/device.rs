//! A CUDA device as a [`Backend`]: constant facts, and delegation to the file that does each job.

use std::sync::Arc;
use std::time::Duration;

use super::floor;
use super::launch::{self, Named};
use super::library::{self, Driver};
use super::load_error::PtxSource;
use super::memory;
use super::module::CudaModule;
use super::result::{Checked, Failure};
use super::state::DeviceState;
use super::stream;
use super::sys;
use super::tensor_map;
use super::versions::{greatest_ptx, version_text};
use crate::backend::changes::{Changes, NewScalars};
use crate::backend::{Backend, DeviceInfo, External, Image, LaunchMode, LaunchPlan, Loaded, StreamHandle, Ticket};
use crate::error::{Error, Kind, Result};
use crate::process::Lazy;

/// A device of the CUDA driver. Opened on first use, never closed.
pub struct CudaDevice {
    info: DeviceInfo,
    state: Arc<DeviceState>,
}

/// All CUDA devices, asked for once per process; empty without a driver.
pub fn all() -> Result<&'static [Arc<CudaDevice>]> {
    static DEVICES: Lazy<Result<Vec<Arc<CudaDevice>>>> = Lazy::new();
    let devices = DEVICES.get_or_init(|| {
        let Some(driver) = &library::search().driver else {
            return Ok(Vec::new());
        };
        enumerate(driver).map_err(|failure| cannot_enumerate(&failure))
    });
    devices.as_deref().map_err(Clone::clone)
}

fn enumerate(driver: &'static Driver) -> Checked<Vec<Arc<CudaDevice>>> {
    let count = driver.api.device_count()?;
    (0..count)
        .map(|ordinal| CudaDevice::new(driver, ordinal).map(Arc::new))
        .collect()
}

fn cannot_enumerate(failure: &Failure) -> Error {
    let text = format!(
        "listing the CUDA devices: {} returned {failure}, expected the driver to describe every device",
        failure.call
    );
    Error::new(Kind::Device, text).with("cuda_error", failure.name.as_str())
}

impl CudaDevice {
    fn new(driver: &'static Driver, ordinal: i32) -> Checked<Self> {
        let api = &driver.api;
        let number = api.device(ordinal)?;
        let major = api.device_attribute(number, sys::DEVICE_CAPABILITY_MAJOR)?;
        let minor = api.device_attribute(number, sys::DEVICE_CAPABILITY_MINOR)?;
        let opt_in = api.device_attribute(number, sys::DEVICE_MAX_SHARED_PER_BLOCK_OPTIN)?;
        let plain = api.device_attribute(number, sys::DEVICE_MAX_SHARED_PER_BLOCK)?;
        let uuid = api.device_uuid(number)?;
        let info = DeviceInfo {
            kind: "cuda",
            ordinal: u32::try_from(ordinal).unwrap_or(0),
            name: api.device_name(number)?,
            arch: format!("sm_{major}{minor}"),
            memory_bytes: api.device_memory(number)?,
            sm_count: api.device_attribute(number, sys::DEVICE_MULTIPROCESSORS)?,
            counts_as_gpu: true,
            max_shared_bytes: opt_in.max(plain),
            driver: version_text(driver.version),
            ptx_version: greatest_ptx(driver.version),
            uuid: uuid.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        let name = format!("cuda:{ordinal}");
        let state = DeviceState::new(driver, number, name, info.arch.clone());
        Ok(Self {
            info,
            state: Arc::new(state),
        })
    }

    fn launch_params(
        &self,
        plan: &Arc<LaunchPlan>,
        params: &[u8],
        scalars: &NewScalars,
        mode: &LaunchMode,
    ) -> Result<Option<Arc<dyn Ticket>>> {
        let launch = Named {
            plan,
            scalars,
            stream: mode.stream,
        };
        if mode.tracked {
            let ticket = launch::tracked(&self.state, &launch, params)?;
            return Ok(Some(ticket));
        }
        launch::untracked(&self.state, &launch, params)?;
        Ok(None)
    }

    pub(super) fn state(&self) -> &DeviceState {
        &self.state
    }

    /// Loads PTX that the front end has not parsed, for callers who trust the driver's compiler with it.
    pub fn load_ptx(&self, source: &PtxSource<'_>) -> Result<Arc<dyn Loaded>> {
        let module = CudaModule::load(&self.state, source, self.info.max_shared_bytes)?;
        Ok(Arc::new(module))
    }
}

impl Backend for CudaDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn load(&self, image: &Arc<Image>) -> Result<Arc<dyn Loaded>> {
        self.load_ptx(&PtxSource {
            text: &image.text,
            origin: &image.origin,
            version: image.module.version(),
            target: image.module.target(),
        })
    }

    fn launch(&self, plan: &Arc<LaunchPlan>, mode: &LaunchMode) -> Result<Option<Arc<dyn Ticket>>> {
        self.launch_params(plan, &plan.params, &[], mode)
    }

    fn launch_with(
        &self,
        plan: &Arc<LaunchPlan>,
        changes: &Changes<'_>,
        mode: &LaunchMode,
    ) -> Result<Option<Arc<dyn Ticket>>> {
        launch::with_changes(plan, changes, |params| {
            self.launch_params(plan, params, changes.scalars, mode)
        })
    }

    fn floor(&self, plan: &Arc<LaunchPlan>, stream: StreamHandle, launches: u32, blocking: bool) -> Result<Duration> {
        floor::measure(&self.state, plan, stream, launches, blocking)
    }

    fn stream_new(&self) -> Result<StreamHandle> {
        stream::create(&self.state)
    }

    fn stream_free(&self, stream: StreamHandle) -> Result<()> {
        stream::free(&self.state, stream)
    }

    fn stream_wait(&self, stream: StreamHandle, limit: Duration) -> Result<bool> {
        stream::wait(&self.state, stream, limit)
    }

    fn stream_order(&self, earlier: StreamHandle, later: StreamHandle) -> Result<()> {
        stream::order(&self.state, earlier, later)
    }

    fn is_capturing(&self, stream: StreamHandle) -> Result<bool> {
        stream::is_capturing(&self.state, stream)
    }

    fn memory_new(&self, bytes: u64, pinned: bool) -> Result<u64> {
        memory::allocate(&self.state, bytes, pinned)
    }

    fn memory_free(&self, address: u64, _bytes: u64, pinned: bool) -> Result<()> {
        memory::free(&self.state, address, pinned)
    }

    fn memory_copy(&self, to: u64, from: u64, bytes: u64, stream: StreamHandle) -> Result<()> {
        memory::copy(&self.state, to, from, bytes, stream)
    }

    fn tensor_map(&self, map: &emulator::TensorMap, l2_promotion: u32) -> Result<[u8; 128]> {
        tensor_map::encode(&self.state, map, l2_promotion)
    }

    fn external(&self) -> Option<&dyn External> {
        Some(self)
    }

    /// Host memory, also pinned, is nobody's: `None`.
    fn owns(&self, address: u64) -> Option<bool> {
        let _current = self.state.enter("asking for an address").ok()?;
        let ask = |attribute| self.state.api().pointer_attribute(address, attribute).ok().flatten();
        if ask(sys::POINTER_MEMORY_TYPE)? != sys::MEMORY_TYPE_DEVICE {
            return None;
        }
        Some(ask(sys::POINTER_DEVICE_ORDINAL)? == self.info.ordinal)
    }
}
