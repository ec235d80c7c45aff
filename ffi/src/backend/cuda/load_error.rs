//! What a user reads when the driver refuses PTX: the versions on both sides, and all that its compiler said.
//!
//! Text only, so that every sentence is tested without a GPU.

use super::result::Failure;
use super::sys;
use super::versions::{greatest_ptx, version_text};
use crate::error::{Error, Kind};

/// PTX text, and what it says about itself.
#[derive(Clone, Copy, Debug)]
pub struct PtxSource<'a> {
    /// The whole text.
    pub text: &'a str,
    /// For error messages: a path, or `<string>`.
    pub origin: &'a str,
    /// `.version`.
    pub version: (u32, u32),
    /// `.target`, its first word.
    pub target: &'a str,
}

/// The other side: who was to compile it.
pub(super) struct Compiler<'a> {
    pub(super) device: &'a str,
    pub(super) arch: &'a str,
    pub(super) driver_version: i32,
}

/// The driver did not load `source`.
pub(super) fn refused(source: &PtxSource<'_>, compiler: &Compiler<'_>, failure: &Failure, log: &str) -> Error {
    let found = format!("{}.{}", source.version.0, source.version.1);
    let driver = version_text(compiler.driver_version);
    let greatest = current_version(log).unwrap_or_else(|| {
        let (major, minor) = greatest_ptx(compiler.driver_version);
        format!("{major}.{minor}")
    });
    let Compiler { device, arch, .. } = compiler;
    let (origin, target) = (source.origin, source.target);
    let head = if failure.code == sys::ERROR_UNSUPPORTED_PTX_VERSION || log.contains("Unsupported .version") {
        format!(
            "{origin}: PTX .version {found}, expected at most {greatest}, the greatest that the driver (CUDA {driver}) \
             accepts on {device} ({arch}); update the driver, or build the PTX for {greatest} or lower: {failure}"
        )
    } else if failure.code == sys::ERROR_OUT_OF_MEMORY {
        format!(
            "{origin}: the driver has no memory to load the PTX on {device} ({arch}): {failure}; expected free memory there; \
             free arrays, also those that libraries keep for reuse"
        )
    } else if failure.code == sys::ERROR_NO_BINARY_FOR_GPU {
        format!(
            "{origin}: PTX .target {target}, expected one that {device} ({arch}) runs: {arch} or lower, or exactly its \
             own with a suffix; found .version {found}, the driver (CUDA {driver}) accepts up to {greatest}: {failure}"
        )
    } else {
        format!(
            "{origin}: the driver's compiler refused the PTX on {device} ({arch}): {failure}; found .version {found} \
             .target {target}, expected at most .version {greatest} (driver CUDA {driver}) and a target that {arch} runs"
        )
    };
    let mut message = head;
    if !log.is_empty() {
        message.push('\n');
        message.push_str(log);
    }
    let mut error = Error::new(Kind::Load, message)
        .with("origin", origin)
        .with("log", log)
        .with("ptx_version", found)
        .with("ptx_target", target)
        .with("driver_version", driver)
        .with("greatest_ptx_version", greatest)
        .with("device", *device)
        .with("arch", *arch)
        .with("cuda_error", failure.name.as_str());
    if let Some(line) = first_line_number(log) {
        error = error.with("line", line);
    }
    error
}

/// The entry is not in the module.
pub(super) fn no_entry(origin: &str, name: &str) -> Error {
    let text = format!("{origin}: no entry {name} in the loaded PTX, expected a .visible .entry of that name");
    Error::new(Kind::Load, text).with("origin", origin).with("entry", name)
}

/// ptxas says `Unsupported .version 99.0; current version is '9.0'`: better than our table.
fn current_version(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("current version is '")?;
    let (version, _) = rest.split_once('\'')?;
    Some(version.to_owned())
}

/// ptxas says `ptxas application ptx input, line 9; error   : ...`.
fn first_line_number(log: &str) -> Option<u32> {
    let (_, rest) = log.split_once(", line ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: PtxSource<'static> = PtxSource {
        text: "",
        origin: "a.ptx",
        version: (9, 1),
        target: "sm_90",
    };
    const COMPILER: Compiler<'static> = Compiler {
        device: "cuda:0",
        arch: "sm_80",
        driver_version: 12080,
    };

    fn failure(code: i32, name: &str, text: &str) -> Failure {
        Failure {
            call: "cuModuleLoadDataEx",
            code,
            name: name.into(),
            text: text.into(),
        }
    }

    #[test]
    fn test_unsupported_version_says_both_versions() {
        let unsupported = failure(
            222,
            "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
            "the provided PTX was compiled with an unsupported toolchain.",
        );
        let error = refused(&SOURCE, &COMPILER, &unsupported, "");
        assert_eq!(
            error.message,
            "a.ptx: PTX .version 9.1, expected at most 8.7, the greatest that the driver (CUDA 12.8) accepts on cuda:0 \
             (sm_80); update the driver, or build the PTX for 8.7 or lower: CUDA_ERROR_UNSUPPORTED_PTX_VERSION (the \
             provided PTX was compiled with an unsupported toolchain.)"
        );
        assert_eq!(error.kind, Kind::Load);
        assert_eq!(error.fields["ptx_version"], "9.1");
        assert_eq!(error.fields["greatest_ptx_version"], "8.7");
    }

    #[test]
    fn test_unsupported_version_prefers_what_the_compiler_says_of_itself() {
        let log = "ptxas application ptx input, line 1; fatal   : Unsupported .version 9.1; current version is '8.8'";
        let error = refused(&SOURCE, &COMPILER, &failure(218, "CUDA_ERROR_INVALID_PTX", "x"), log);
        assert!(error
            .message
            .starts_with("a.ptx: PTX .version 9.1, expected at most 8.8, "));
        assert!(error.message.ends_with(log));
    }

    #[test]
    fn test_refused_ptx_carries_the_whole_log_and_its_line() {
        let log = "ptxas application ptx input, line 9; error   : Unknown symbol 'r9'\nptxas fatal   : aborted";
        let invalid = failure(218, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed");
        let error = refused(&SOURCE, &COMPILER, &invalid, log);
        assert_eq!(
            error.message,
            "a.ptx: the driver's compiler refused the PTX on cuda:0 (sm_80): CUDA_ERROR_INVALID_PTX (a PTX JIT \
             compilation failed); found .version 9.1 .target sm_90, expected at most .version 8.7 (driver CUDA 12.8) and \
             a target that sm_80 runs\nptxas application ptx input, line 9; error   : Unknown symbol 'r9'\nptxas fatal   \
             : aborted"
        );
        assert_eq!(error.fields["line"], 9);
        assert_eq!(error.fields["log"], log);
    }

    #[test]
    fn test_wrong_target_names_the_device_architecture() {
        let none = failure(
            209,
            "CUDA_ERROR_NO_BINARY_FOR_GPU",
            "no kernel image is available for execution on the device",
        );
        assert_eq!(
            refused(&SOURCE, &COMPILER, &none, "").message,
            "a.ptx: PTX .target sm_90, expected one that cuda:0 (sm_80) runs: sm_80 or lower, or exactly its own with a \
             suffix; found .version 9.1, the driver (CUDA 12.8) accepts up to 8.7: CUDA_ERROR_NO_BINARY_FOR_GPU (no \
             kernel image is available for execution on the device)"
        );
    }

    #[test]
    fn test_missing_entry_is_named() {
        assert_eq!(
            no_entry("a.ptx", "foo").message,
            "a.ptx: no entry foo in the loaded PTX, expected a .visible .entry of that name"
        );
    }
}
