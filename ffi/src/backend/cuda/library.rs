//! Finds the driver's library at run time and initialises it once per process.
//!
//! warpbridge links against nothing of CUDA: without a driver everything still works, on the CPU device. The search is made
//! on first use and its outcome kept, also when it failed: [`DriverStatus`] says what was tried. Devices stand in `device.rs`.

use std::ffi::OsString;

use libloading::Library;

use super::sys::Api;
use super::versions::version_text;
use crate::process::{self, Lazy};

/// Names the library to load instead of searching.
pub(super) const OVERRIDE: &str = "WARPBRIDGE_LIBCUDA";

/// The usual names, then the places that WSL and GPU containers mount the driver at without telling the loader.
const CANDIDATES: [&str; 4] = [
    "libcuda.so.1",
    "libcuda.so",
    "/usr/lib/wsl/lib/libcuda.so.1",
    "/usr/local/nvidia/lib64/libcuda.so.1",
];

/// What `warpbridge info` says about the driver.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DriverStatus {
    /// Whether a driver library was loaded.
    pub found: bool,
    /// The name it was loaded by; empty when none was.
    pub library: String,
    /// CUDA version of the driver (`13.0`), empty when unknown.
    pub version: String,
    /// Why no CUDA device can be used; empty when nothing stands in the way.
    pub reason: String,
}

/// The driver, initialised. Lives until the process ends: its own threads must not find it unloaded.
pub(super) struct Driver {
    pub(super) api: Api,
    /// CUDA version as the driver counts: 13000.
    pub(super) version: i32,
    /// The process that called `cuInit`; a child made by `fork` cannot use the driver.
    pub(super) process: u32,
    /// The same as `process.rs` counts: compared at each launch, where asking for the process would be a system call.
    pub(super) generation: u32,
    /// Keeps the function pointers of `api` valid.
    _library: Library,
}

pub(super) struct Search {
    pub(super) status: DriverStatus,
    pub(super) driver: Option<Driver>,
}

/// The outcome of the one search of this process.
pub(super) fn search() -> &'static Search {
    static SEARCH: Lazy<Search> = Lazy::new();
    SEARCH.get_or_init(|| find(std::env::var_os(OVERRIDE)))
}

fn find(named: Option<OsString>) -> Search {
    let candidates: Vec<OsString> = match named {
        Some(path) if !path.is_empty() => vec![path],
        _ => CANDIDATES.iter().map(OsString::from).collect(),
    };
    match open_first(&candidates) {
        Ok((library, name)) => initialise(library, name),
        Err(reason) => Search {
            status: DriverStatus {
                found: false,
                library: String::new(),
                version: String::new(),
                reason,
            },
            driver: None,
        },
    }
}

fn open_first(candidates: &[OsString]) -> Result<(Library, String), String> {
    let mut tried = Vec::new();
    for candidate in candidates {
        // SAFETY: NVIDIA's driver may run its initialisers; a library that the user named is the user's word.
        match unsafe { Library::new(candidate) } {
            Ok(library) => return Ok((library, candidate.to_string_lossy().into_owned())),
            Err(error) => tried.push(format!("{} ({})", candidate.to_string_lossy(), without_name(&error))),
        }
    }
    Err(format!(
        "no CUDA driver library found, tried {}; expected an NVIDIA driver to be installed, or {OVERRIDE} to name its \
         libcuda.so.1",
        tried.join(", ")
    ))
}

/// The loader's message without the file name in front, which the caller has said already.
fn without_name(error: &libloading::Error) -> String {
    let text = match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    };
    match text.split_once(": ") {
        Some((_, rest)) => rest.to_owned(),
        None => text,
    }
}

fn initialise(library: Library, name: String) -> Search {
    let mut status = DriverStatus {
        found: true,
        library: name,
        version: String::new(),
        reason: String::new(),
    };
    // SAFETY: `library` is kept beside the pointers, in `Driver`.
    let api = match unsafe { Api::resolve(&library) } {
        Ok(api) => api,
        Err(symbol) => {
            status.reason = missing_symbol(&status.library, symbol);
            return Search { status, driver: None };
        }
    };
    let version = api.driver_version().unwrap_or(0);
    status.version = version_text(version);
    if let Err(failure) = api.initialise() {
        status.reason = format!(
            "cuInit of {} (CUDA {}): {failure}; expected a working NVIDIA GPU that this process may use",
            status.library, status.version
        );
        return Search { status, driver: None };
    }
    let driver = Driver {
        api,
        version,
        process: std::process::id(),
        generation: process::generation(),
        _library: library,
    };
    Search {
        status,
        driver: Some(driver),
    }
}

fn missing_symbol(library: &str, symbol: &str) -> String {
    format!(
        "{library} has no {symbol}, expected NVIDIA's driver of CUDA 11.8 or newer (520 or newer); update the driver"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absent(name: &str) -> DriverStatus {
        find(Some(OsString::from(name))).status
    }

    #[test]
    fn test_driver_status_names_the_library_that_was_tried() {
        let found = absent("/nonexistent/libcuda.so.1");
        let expected = DriverStatus {
            found: false,
            library: String::new(),
            version: String::new(),
            reason:
                "no CUDA driver library found, tried /nonexistent/libcuda.so.1 (cannot open shared object file: No \
                     such file or directory); expected an NVIDIA driver to be installed, or WARPBRIDGE_LIBCUDA to name \
                     its libcuda.so.1"
                    .into(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn test_driver_search_lists_every_candidate() {
        let candidates = ["/nonexistent/a.so", "/nonexistent/b.so"].map(OsString::from);
        let reason = open_first(&candidates).map(|(_, name)| name).unwrap_err();
        assert_eq!(
            reason,
            "no CUDA driver library found, tried /nonexistent/a.so (cannot open shared object file: No such file or \
             directory), /nonexistent/b.so (cannot open shared object file: No such file or directory); expected an \
             NVIDIA driver to be installed, or WARPBRIDGE_LIBCUDA to name its libcuda.so.1"
        );
    }

    #[test]
    fn test_driver_status_names_a_symbol_that_is_missing() {
        let found = absent("libc.so.6");
        let expected = DriverStatus {
            found: true,
            library: "libc.so.6".into(),
            version: String::new(),
            reason:
                "libc.so.6 has no cuInit, expected NVIDIA's driver of CUDA 11.8 or newer (520 or newer); update the \
                     driver"
                    .into(),
        };
        assert_eq!(found, expected);
    }
}
