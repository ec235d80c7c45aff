//! What is queued and asked about: launches, events, streams.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::super::sys::{self, Api, Event, FunctionHandle, LaunchConfig, Stream};
use super::{check, code, Checked};

impl Api {
    /// Queues a kernel. Each element of `parameters` points at a value of the size that the entry declares for it.
    ///
    /// # Safety
    /// `parameters` has one readable pointer per parameter of `function`, and `config.attributes` is null or points at
    /// `config.attribute_count` attributes.
    pub(in super::super) unsafe fn launch(
        &self,
        function: FunctionHandle,
        config: &LaunchConfig,
        parameters: *const *const c_void,
    ) -> Checked<()> {
        let (grid, block) = (config.grid, config.block);
        if config.attribute_count == 0 {
            return check!(
                self,
                "cuLaunchKernel",
                launch_kernel(
                    function,
                    grid[0],
                    grid[1],
                    grid[2],
                    block[0],
                    block[1],
                    block[2],
                    config.shared_bytes,
                    config.stream,
                    parameters,
                    ptr::null()
                )
            );
        }
        check!(
            self,
            "cuLaunchKernelEx",
            launch_kernel_ex(config, function, parameters, ptr::null())
        )
    }

    pub(in super::super) fn new_event(&self) -> Checked<Event> {
        let mut event = Event::default();
        check!(
            self,
            "cuEventCreate",
            event_create(&raw mut event, sys::EVENT_DISABLE_TIMING)
        )?;
        Ok(event)
    }

    pub(in super::super) fn record(&self, event: Event, stream: Stream) -> Checked<()> {
        check!(self, "cuEventRecord", event_record(event, stream))
    }

    /// Whether the work in front of `event` is done.
    pub(in super::super) fn event_done(&self, event: Event) -> Checked<bool> {
        self.ready("cuEventQuery", code!(self, event_query(event)))
    }

    /// Makes the stream write a word to mapped memory behind the work queued so far; false where it cannot.
    pub(in super::super) fn write_value(&self, stream: Stream, address: u64, value: u32) -> bool {
        let Some(write) = self.stream_write_value else {
            return false;
        };
        // SAFETY: see the contract of the parent module; `address` is a slot's flag, which is never freed.
        unsafe { write(stream, address, value, 0) == sys::SUCCESS }
    }

    pub(in super::super) fn new_stream(&self) -> Checked<Stream> {
        let mut stream = Stream::default();
        check!(
            self,
            "cuStreamCreate",
            stream_create(&raw mut stream, sys::STREAM_NON_BLOCKING)
        )?;
        Ok(stream)
    }

    /// The same, ahead of all others where the device knows priorities; numbers beyond its range are taken for the limit.
    pub(in super::super) fn new_urgent_stream(&self) -> Checked<Stream> {
        let Some(create) = self.stream_create_with_priority else {
            return self.new_stream();
        };
        let mut stream = Stream::default();
        // SAFETY: see the contract of the parent module.
        let code = unsafe { create(&raw mut stream, sys::STREAM_NON_BLOCKING, c_int::MIN) };
        self.check("cuStreamCreateWithPriority", code)?;
        Ok(stream)
    }

    pub(in super::super) fn destroy_stream(&self, stream: Stream) -> Checked<()> {
        check!(self, "cuStreamDestroy", stream_destroy(stream))
    }

    /// Whether all work queued on `stream` is done.
    pub(in super::super) fn stream_done(&self, stream: Stream) -> Checked<bool> {
        self.ready("cuStreamQuery", code!(self, stream_query(stream)))
    }

    pub(in super::super) fn stream_wait_event(&self, stream: Stream, event: Event) -> Checked<()> {
        check!(self, "cuStreamWaitEvent", stream_wait_event(stream, event, 0))
    }

    pub(in super::super) fn is_capturing(&self, stream: Stream) -> Checked<bool> {
        let mut status = sys::CAPTURE_STATUS_NONE;
        check!(
            self,
            "cuStreamIsCapturing",
            stream_is_capturing(stream, &raw mut status)
        )?;
        Ok(status != sys::CAPTURE_STATUS_NONE)
    }
}
