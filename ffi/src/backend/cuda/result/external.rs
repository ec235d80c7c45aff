//! Memory and semaphores that another API exported. The functions are in every driver that this crate supports but may be
//! missing in a stand-in, so a driver without them is an answer of its own: [`missing`].

use std::ffi::c_int;

use super::super::sys::{
    self, Api, ExternalBufferDesc, ExternalMemory, ExternalMemoryDesc, ExternalSemaphore, ExternalSemaphoreDesc,
    ExternalSemaphoreParams, Stream,
};
use super::{Checked, Failure};

/// One checked call of a function that older drivers lack.
macro_rules! newer {
    ($api:expr, $call:literal, $function:ident ( $($argument:expr),* )) => {
        match $api.$function {
            // SAFETY: see the contract of the parent module.
            Some(function) => $api.check($call, unsafe { function($($argument),*) }),
            None => Err(missing($call)),
        }
    };
}

fn missing(call: &'static str) -> Failure {
    Failure {
        call,
        code: sys::ERROR_NOT_FOUND,
        name: "CUDA_ERROR_NOT_FOUND".into(),
        text: "the driver is older than this function".into(),
    }
}

impl Api {
    /// The driver takes `fd` over when it succeeds, and only then.
    pub(in super::super) fn import_memory(&self, fd: c_int, bytes: u64) -> Checked<ExternalMemory> {
        let desc = ExternalMemoryDesc {
            kind: sys::EXTERNAL_MEMORY_OPAQUE_FD,
            padding: 0,
            fd,
            rest_of_handle: [0; 3],
            bytes,
            flags: sys::EXTERNAL_MEMORY_DEDICATED,
            reserved: [0; 16],
        };
        let mut memory = ExternalMemory::default();
        newer!(
            self,
            "cuImportExternalMemory",
            import_memory(&raw mut memory, &raw const desc)
        )?;
        Ok(memory)
    }

    /// The address of all of it, to be freed by [`Api::free`].
    pub(in super::super) fn map_external_memory(&self, memory: ExternalMemory, bytes: u64) -> Checked<u64> {
        let desc = ExternalBufferDesc {
            offset: 0,
            bytes,
            flags: 0,
            reserved: [0; 16],
        };
        let mut address = 0;
        newer!(
            self,
            "cuExternalMemoryGetMappedBuffer",
            map_external_memory(&raw mut address, memory, &raw const desc)
        )?;
        Ok(address)
    }

    /// After what was mapped of it is freed.
    pub(in super::super) fn destroy_external_memory(&self, memory: ExternalMemory) -> Checked<()> {
        newer!(self, "cuDestroyExternalMemory", destroy_external_memory(memory))
    }

    /// A timeline semaphore. The driver takes `fd` over when it succeeds, and only then.
    pub(in super::super) fn import_semaphore(&self, fd: c_int) -> Checked<ExternalSemaphore> {
        let desc = ExternalSemaphoreDesc {
            kind: sys::EXTERNAL_SEMAPHORE_TIMELINE_FD,
            padding: 0,
            fd,
            rest_of_handle: [0; 3],
            flags: 0,
            reserved: [0; 16],
        };
        let mut semaphore = ExternalSemaphore::default();
        newer!(
            self,
            "cuImportExternalSemaphore",
            import_semaphore(&raw mut semaphore, &raw const desc)
        )?;
        Ok(semaphore)
    }

    pub(in super::super) fn destroy_external_semaphore(&self, semaphore: ExternalSemaphore) -> Checked<()> {
        newer!(
            self,
            "cuDestroyExternalSemaphore",
            destroy_external_semaphore(semaphore)
        )
    }

    /// Queues a signal of a value.
    pub(in super::super) fn signal(&self, semaphore: ExternalSemaphore, value: u64, stream: Stream) -> Checked<()> {
        let params = ExternalSemaphoreParams { value, rest: [0; 17] };
        newer!(
            self,
            "cuSignalExternalSemaphoresAsync",
            signal_semaphores(&raw const semaphore, &raw const params, 1, stream)
        )
    }

    /// Queues a wait for a value.
    pub(in super::super) fn wait_for_semaphore(
        &self,
        semaphore: ExternalSemaphore,
        value: u64,
        stream: Stream,
    ) -> Checked<()> {
        let params = ExternalSemaphoreParams { value, rest: [0; 17] };
        newer!(
            self,
            "cuWaitExternalSemaphoresAsync",
            wait_semaphores(&raw const semaphore, &raw const params, 1, stream)
        )
    }
}
