//! Turns a driver's refusal into the error that a user reads: which launch, on which stream, what to do.
//!
//! Pure text and classification: no driver call here, so every sentence is tested without a GPU. Some codes mean that the
//! context is lost (CUDA programming guide, "Error Checking"): the driver then answers every call with the same code, so what
//! was in flight when it was first seen is kept (`state.rs`) and named.

use std::fmt;

use super::result::Failure;
use super::sys::{self, Code};
use crate::backend::changes::NewScalars;
use crate::backend::{LaunchPlan, StreamHandle};
use crate::error::{Error, Kind};

/// Whether the driver can do nothing more in this process after `code`.
pub(super) fn loses_context(code: Code) -> bool {
    matches!(code, 214 | 220 | 226 | 700 | 702 | 710 | 714..=719 | 721)
}

/// The class of a fault that ended a kernel.
fn fault_kind(code: Code) -> Kind {
    match code {
        sys::ERROR_ILLEGAL_ADDRESS | sys::ERROR_MISALIGNED_ADDRESS | sys::ERROR_INVALID_ADDRESS_SPACE => Kind::Memory,
        702 | 710 | 714..=719 | 721 => Kind::KernelFault,
        _ => Kind::Device,
    }
}

/// Ends the text of an error that lost the context.
const LOST: &str = "the CUDA context is lost, expected a new process: no CUDA call works in this one any more";

pub(super) fn stream_text(stream: StreamHandle) -> String {
    match stream.0 {
        0 | 1 => "the legacy default stream".into(),
        2 => "the per-thread default stream".into(),
        handle => format!("stream {handle:#x}"),
    }
}

/// One launch, for texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LaunchName {
    pub(super) label: String,
    pub(super) arguments: String,
    pub(super) stream: StreamHandle,
}

impl LaunchName {
    pub(super) fn of(plan: &LaunchPlan, scalars: &NewScalars, stream: StreamHandle) -> Self {
        Self {
            label: plan.label.clone(),
            arguments: plan.arguments_with(scalars),
            stream,
        }
    }
}

/// In a list of several.
impl fmt::Display for LaunchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}) on {}", self.label, self.arguments, stream_text(self.stream))
    }
}

/// Who else may have lost the context.
#[derive(Clone, Debug, Default)]
pub(super) struct Suspects {
    /// Tracked launches that had not ended.
    pub(super) in_flight: Vec<String>,
    /// The last stream-ordered launches, whether they have ended or not.
    pub(super) queued: Vec<String>,
}

impl Suspects {
    /// Ends with what to do about the doubt; `None` without suspects.
    fn text(&self, in_flight: &str, queued: &str) -> Option<String> {
        let list = |title: &str, of: &[String]| (!of.is_empty()).then(|| format!("{title}: {}", of.join(", ")));
        let lists: Vec<_> = [list(in_flight, &self.in_flight), list(queued, &self.queued)]
            .into_iter()
            .flatten()
            .collect();
        let doubt = if self.queued.is_empty() {
            ""
        } else {
            "; WARPBRIDGE_SYNC=1 tells which"
        };
        (!lists.is_empty()).then(|| lists.join("; ") + doubt)
    }

    fn add_to(&self, error: Error) -> Error {
        let error = error.with("also_in_flight", self.in_flight.clone());
        error
            .with("stream_ordered", self.queued.clone())
            .with("context_lost", true)
    }
}

/// The fields that every error of the driver has.
fn with_code(error: Error, device: &str, failure: &Failure) -> Error {
    error
        .with("device", device)
        .with("cuda_error", failure.name.as_str())
        .with("cuda_code", failure.code)
        .with("cuda_call", failure.call)
        .with("device_usable", !loses_context(failure.code))
}

/// A launch ended because the GPU stopped. `others` may be to blame too.
pub(super) fn kernel_fault(device: &str, failure: &Failure, launch: &LaunchName, others: &Suspects) -> Error {
    let company = others.text(
        "also in flight, so one of them may be to blame",
        "stream-ordered launches before it, so one of them may be to blame",
    );
    let text = format!(
        "{}: {failure} on {device}, {}; arguments: {}; {}; {LOST}. The same launch on the CPU device names the faulty \
         instruction",
        launch.label,
        stream_text(launch.stream),
        launch.arguments,
        company.unwrap_or_else(|| "no other tracked launch was in flight".into()),
    );
    let error = with_code(Error::new(fault_kind(failure.code), text), device, failure)
        .with("kernel", launch.label.as_str())
        .with("arguments", launch.arguments.as_str())
        .with("stream", launch.stream.0);
    others.add_to(error)
}

/// Work that no ticket stands for (stream-ordered launches, other libraries) stopped the GPU.
pub(super) fn stream_fault(device: &str, failure: &Failure, stream: StreamHandle, suspects: &Suspects) -> Error {
    let company = suspects.text(
        "in flight, so one of them may be to blame",
        "stream-ordered launches queued last, so one of them may be to blame",
    );
    let nobody = || "no tracked launch was in flight, so another library's kernel is to blame".to_owned();
    let text = format!(
        "{}: {failure} on {device}; {}; {LOST}",
        stream_text(stream),
        company.unwrap_or_else(nobody)
    );
    let error = with_code(Error::new(fault_kind(failure.code), text), device, failure).with("stream", stream.0);
    suspects.add_to(error)
}

/// A call on a device whose context was lost before.
pub(super) fn lost(device: &str, doing: &str, failure: &Failure, suspects: &Suspects) -> Error {
    let company = suspects.text("in flight", "stream-ordered launches queued last");
    let text = format!(
        "{doing}: the CUDA context of {device} is lost since {failure}; {}; expected a new process: no CUDA call works in \
         this one any more",
        company.unwrap_or_else(|| "no tracked launch was in flight".into())
    );
    suspects.add_to(with_code(Error::new(Kind::Device, text), device, failure))
}

/// The process was forked after the driver was initialised.
pub(super) fn forked(device: &str, parent: u32, child: u32) -> Error {
    Error::new(
        Kind::Device,
        format!(
            "{device}: CUDA was initialised in process {parent}, and this is process {child}, forked from it; expected \
             CUDA to be used only where it was initialised: start the child by spawn, in Python \
             multiprocessing.set_start_method(\"spawn\")"
        ),
    )
    .with("device", device)
}

/// A refused launch: the geometry is the usual reason, so it is named with the limit that the driver gives.
pub(super) fn refused_launch(
    device: &str,
    failure: &Failure,
    launch: &LaunchName,
    geometry: &str,
    threads_allowed: Option<u32>,
) -> Error {
    let limit = threads_allowed.map_or(String::new(), |threads| {
        format!(" (this entry: at most {threads} threads per block)")
    });
    let expected = if failure.code == sys::ERROR_OUT_OF_MEMORY {
        format!(
            "free memory on {device} for the launch itself; free arrays, also those that libraries keep for reuse \
             (cupy.get_default_memory_pool().free_all_blocks(), torch.cuda.empty_cache())"
        )
    } else {
        format!("a geometry that {device} offers{limit} and a stream of {device}")
    };
    let text = format!(
        "{}: the driver refused the launch on {device}, {}: {failure}; found {geometry}, expected {expected}; arguments: {}",
        launch.label,
        stream_text(launch.stream),
        launch.arguments
    );
    with_code(Error::new(Kind::Launch, text), device, failure)
        .with("kernel", launch.label.as_str())
        .with("arguments", launch.arguments.as_str())
        .with("stream", launch.stream.0)
}

/// Anything else.
pub(super) fn other(device: &str, doing: &str, failure: &Failure) -> Error {
    let text = format!("{doing}: {} on {device} returned {failure}", failure.call);
    with_code(Error::new(Kind::Device, text), device, failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn illegal_address() -> Failure {
        Failure {
            call: "cuEventQuery",
            code: 700,
            name: "CUDA_ERROR_ILLEGAL_ADDRESS".into(),
            text: "an illegal memory access was encountered".into(),
        }
    }

    fn scale() -> LaunchName {
        LaunchName {
            label: "scale".into(),
            arguments: "x=float32[8]".into(),
            stream: StreamHandle(0x7f20),
        }
    }

    #[test]
    fn test_kernel_fault_names_kernel_stream_arguments_and_the_lost_context() {
        let error = kernel_fault("cuda:0", &illegal_address(), &scale(), &Suspects::default());
        assert_eq!(
            error.message,
            "scale: CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered) on cuda:0, stream 0x7f20; \
             arguments: x=float32[8]; no other tracked launch was in flight; the CUDA context is lost, expected a new \
             process: no CUDA call works in this one any more. The same launch on the CPU device names the faulty \
             instruction"
        );
        assert_eq!(error.kind, Kind::Memory);
        assert_eq!(error.fields["stream"], 0x7f20);
        assert_eq!(error.fields["context_lost"], true);
        assert_eq!(error.fields["cuda_code"], 700);
        assert_eq!(error.fields["device_usable"], false);
    }

    #[test]
    fn test_kernel_fault_names_the_other_launches_in_flight() {
        let error = kernel_fault(
            "cuda:0",
            &illegal_address(),
            &scale(),
            &Suspects {
                in_flight: vec!["a(x) on stream 0x1f".into(), "b(y) on stream 0x2f".into()],
                queued: vec!["c(z) on stream 0x3f".into()],
            },
        );
        assert!(error.message.contains(
            "; also in flight, so one of them may be to blame: a(x) on stream 0x1f, b(y) on stream 0x2f; stream-ordered \
             launches before it, so one of them may be to blame: c(z) on stream 0x3f; WARPBRIDGE_SYNC=1 tells which; the \
             CUDA context"
        ));
    }

    #[test]
    fn test_stream_fault_names_the_stream_ordered_launches() {
        let suspects = Suspects {
            in_flight: Vec::new(),
            queued: vec!["c(z) on stream 0x3f".into()],
        };
        let error = stream_fault("cuda:0", &illegal_address(), StreamHandle(0x3f), &suspects);
        assert_eq!(
            error.message,
            "stream 0x3f: CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered) on cuda:0; stream-ordered \
             launches queued last, so one of them may be to blame: c(z) on stream 0x3f; WARPBRIDGE_SYNC=1 tells which; the \
             CUDA context is lost, expected a new process: no CUDA call works in this one any more"
        );
        let later = lost("cuda:0", "making a stream", &illegal_address(), &suspects);
        assert_eq!(
            later.message,
            "making a stream: the CUDA context of cuda:0 is lost since CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access \
             was encountered); stream-ordered launches queued last: c(z) on stream 0x3f; WARPBRIDGE_SYNC=1 tells which; \
             expected a new process: no CUDA call works in this one any more"
        );
    }

    #[test]
    fn test_fault_kinds_follow_the_code() {
        let kinds = [700, 716, 717, 715, 719, 214].map(fault_kind);
        use Kind::{Device, KernelFault, Memory};
        assert_eq!(kinds, [Memory, Memory, Memory, KernelFault, KernelFault, Device]);
        assert!(!loses_context(701), "a launch that asks for too much harms nothing");
        assert!(!loses_context(1));
    }

    #[test]
    fn test_forked_names_both_processes_and_the_remedy() {
        assert_eq!(
            forked("cuda:0", 10, 11).message,
            "cuda:0: CUDA was initialised in process 10, and this is process 11, forked from it; expected CUDA to be \
             used only where it was initialised: start the child by spawn, in Python \
             multiprocessing.set_start_method(\"spawn\")"
        );
    }

    #[test]
    fn test_refused_launch_names_geometry_and_limit() {
        let failure = Failure {
            call: "cuLaunchKernel",
            code: 701,
            name: "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES".into(),
            text: "too many resources requested for launch".into(),
        };
        let error = refused_launch("cuda:0", &failure, &scale(), "grid [1, 1, 1]", Some(512));
        assert_eq!(
            error.message,
            "scale: the driver refused the launch on cuda:0, stream 0x7f20: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (too many \
             resources requested for launch); found grid [1, 1, 1], expected a geometry that cuda:0 offers (this entry: \
             at most 512 threads per block) and a stream of cuda:0; arguments: x=float32[8]"
        );
        assert_eq!(error.kind, Kind::Launch);
    }

    #[test]
    fn test_stream_text_names_the_special_streams() {
        let texts = [0, 1, 2, 255].map(|handle| stream_text(StreamHandle(handle)));
        assert_eq!(
            texts,
            [
                "the legacy default stream",
                "the legacy default stream",
                "the per-thread default stream",
                "stream 0xff"
            ]
        );
    }
}
