//! The layer's library, as a program opens it: the file that the loader loads, and its C functions.

use std::ffi::{c_char, c_int, c_void, CStr};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, OnceLock};

use libloading::Library;

pub const NAME: &CStr = c"VK_LAYER_WARPBRIDGE_share";

/// `wb_layer_facts`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    pub device_id: u64,
    pub device: u64,
    pub bytes: u64,
    pub allocation_bytes: u64,
    pub uuid: [u8; 16],
}

type Handle = *mut c_void;

pub struct Layer {
    library: Library,
}

/// A buffer made in a bracket.
pub struct Made(Handle);

// SAFETY: the header says that every function is safe from any thread.
unsafe impl Send for Made {}
// SAFETY: as above.
unsafe impl Sync for Made {}

/// Calls a function of the library.
macro_rules! call {
    ($name:literal ( $($value:expr => $type:ty),* ) -> $result:ty) => {{
        type Function = unsafe extern "C" fn($($type),*) -> $result;
        // SAFETY: the type is the header's.
        let function = unsafe { layer().library.get::<Function>($name) }.expect("in the header, so in the library");
        // SAFETY: the header's contract; pointers are to locals.
        unsafe { function($($value),*) }
    }};
}

/// Opens the library once and tells the loader where it is.
pub fn layer() -> &'static Layer {
    static LAYER: OnceLock<Layer> = OnceLock::new();
    LAYER.get_or_init(|| {
        let library = library_path();
        let folder = std::env::temp_dir().join(format!("warpbridge-layer-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the manifest");
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/VkLayer_warpbridge_share.json");
        let shipped = std::fs::read_to_string(shipped).expect("the manifest");
        let name = library.to_str().expect("a path that is text");
        let manifest = shipped.replace("./libwarpbridge_vulkan_layer.so", name);
        assert!(manifest.contains(name), "the manifest names its library");
        std::fs::write(folder.join("VkLayer_warpbridge_share.json"), manifest).expect("the manifest is written");
        write_stubborn(&folder);
        std::env::set_var("VK_ADD_LAYER_PATH", &folder);
        // SAFETY: our own library.
        let library = unsafe { Library::new(&library) }.expect("cargo has built the library");
        Layer { library }
    })
}

/// Manifests of the layers of `tests/stubborn.rs`.
fn write_stubborn(folder: &Path) {
    let library = built("examples").join("libstubborn.so");
    assert!(
        library.exists(),
        "{} is not there, expected cargo to build it",
        library.display()
    );
    for what in ["hiding", "refusing"] {
        let manifest = format!(
            r#"{{"file_format_version": "1.2.0", "layer": {{"name": "VK_LAYER_WARPBRIDGE_tests_{what}", "type": "GLOBAL",
            "library_path": "{}", "api_version": "1.3.0", "implementation_version": "1", "description": "for tests",
            "functions": {{"vkNegotiateLoaderLayerInterfaceVersion": "negotiate_{what}"}}}}}}"#,
            library.display()
        );
        std::fs::write(folder.join(format!("VkLayer_{what}.json")), manifest).expect("the manifest is written");
    }
}

/// A folder of cargo's.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let deps = test.parent().expect("the folder of tests");
    deps.parent().expect("the profile's folder").join(name)
}

fn library_path() -> PathBuf {
    let found = built("deps").join("libwarpbridge_vulkan_layer.so");
    assert!(
        found.exists(),
        "{} is not there, expected cargo to build it",
        found.display()
    );
    found
}

fn checked(status: c_int) -> Result<(), String> {
    if status == 0 {
        return Ok(());
    }
    let text = call!(b"wb_layer_error"() -> *const c_char);
    // SAFETY: the header says that it is a string of this thread's.
    Err(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

pub fn instances() -> u32 {
    call!(b"wb_layer_instances"() -> u32)
}

pub fn begin_export(bytes: u64) -> Result<(), String> {
    checked(call!(b"wb_layer_begin_export"(bytes => u64) -> c_int))
}

/// Pages of host memory that say when they are freed.
pub struct Pages {
    pub address: *mut u8,
    layout: std::alloc::Layout,
}

// SAFETY: plain memory.
unsafe impl Send for Pages {}
// SAFETY: as above; tests do not write it at once from several threads.
unsafe impl Sync for Pages {}

impl Pages {
    pub fn new(bytes: usize) -> Arc<Self> {
        let layout = std::alloc::Layout::from_size_align(bytes.next_multiple_of(4096), 4096).expect("a small size");
        // SAFETY: the size is not zero.
        let address = unsafe { std::alloc::alloc_zeroed(layout) };
        assert!(!address.is_null());
        Arc::new(Self { address, layout })
    }
    pub fn bytes(&self) -> usize {
        self.layout.size()
    }
    /// What is there now.
    pub fn read(&self) -> Vec<u8> {
        // SAFETY: it is that large; the device is done with it when a test reads.
        unsafe { std::slice::from_raw_parts(self.address, self.bytes()) }.to_vec()
    }
    pub fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() <= self.bytes());
        // SAFETY: as above.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.address, bytes.len()) };
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { std::alloc::dealloc(self.address, self.layout) };
    }
}

unsafe extern "C" fn release(user: *mut c_void) {
    // SAFETY: `begin_import` made it with `Arc::into_raw`, and it comes back once.
    drop(unsafe { Arc::from_raw(user.cast::<Pages>()) });
}

type Release = unsafe extern "C" fn(*mut c_void);

/// The layer gets a share of the pages.
pub fn begin_import(bytes: u64, pages: &Arc<Pages>) -> Result<(), String> {
    begin_import_at(bytes, pages, 0)
}

/// The same, from an offset.
pub fn begin_import_at(bytes: u64, pages: &Arc<Pages>, offset: usize) -> Result<(), String> {
    let user = Arc::into_raw(Arc::clone(pages)).cast_mut().cast::<c_void>();
    let address = pages.address.wrapping_add(offset).cast::<c_void>();
    let room = (pages.bytes() - offset) as u64;
    checked(call!(b"wb_layer_begin_import"(
        bytes => u64, address => *mut c_void, room => u64, release => Release, user => *mut c_void
    ) -> c_int))
}

pub fn end() -> Result<Made, String> {
    let mut out = ptr::null_mut();
    checked(call!(b"wb_layer_end"(&raw mut out => *mut Handle) -> c_int))?;
    Ok(Made(out))
}

/// The text of a refusal.
pub fn refusal() -> String {
    end().map(|made| made.facts()).expect_err("a refusal")
}

type Signal = unsafe extern "C" fn(*mut c_void, u64) -> c_int;

unsafe extern "C" fn note(user: *mut c_void, value: u64) -> c_int {
    // SAFETY: `wait_for` gave a local of its own.
    unsafe { *user.cast::<u64>() = value };
    0
}

impl Made {
    pub fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        call!(b"wb_layer_buffer_facts"(self.0 => Handle, &raw mut facts => *mut Facts) -> ());
        facts
    }
    pub fn fd(&self) -> Result<std::fs::File, String> {
        let mut fd = -1;
        checked(call!(b"wb_layer_buffer_fd"(self.0 => Handle, &raw mut fd => *mut c_int) -> c_int))?;
        // SAFETY: the header says that it is ours.
        Ok(unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) })
    }
    pub fn signal(&self) -> Result<u64, String> {
        let mut value = 0;
        checked(call!(b"wb_layer_signal"(self.0 => Handle, &raw mut value => *mut u64) -> c_int))?;
        Ok(value)
    }
    pub fn wait_host(&self, value: u64, limit_ms: u64) -> Result<bool, String> {
        let mut reached = 0;
        checked(call!(b"wb_layer_wait_host"(
            self.0 => Handle, value => u64, limit_ms * 1_000_000 => u64, &raw mut reached => *mut c_int
        ) -> c_int))?;
        Ok(reached != 0)
    }
    /// Later submissions wait for the value that is returned.
    pub fn wait_for(&self) -> Result<u64, String> {
        let mut value = 0u64;
        let user = (&raw mut value).cast::<c_void>();
        checked(call!(b"wb_layer_wait_for"(self.0 => Handle, note => Signal, user => *mut c_void) -> c_int))?;
        Ok(value)
    }
    pub fn signal_host(&self, value: u64) -> Result<(), String> {
        checked(call!(b"wb_layer_signal_host"(self.0 => Handle, value => u64) -> c_int))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        call!(b"wb_layer_buffer_free"(self.0 => Handle) -> ());
    }
}

#[test]
fn test_every_function_of_the_header_is_exported() {
    let header = include_str!("../../include/warpbridge_layer.h");
    let words = header.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
    let declared: std::collections::BTreeSet<&str> = words
        .filter(|word| word.starts_with("wb_layer_") && !["wb_layer_buffer", "wb_layer_facts"].contains(word))
        .collect();
    assert_eq!(declared.len(), 12, "{declared:?}");
    for name in declared {
        // SAFETY: only looked up.
        let found = unsafe { layer().library.get::<*const c_void>(name.as_bytes()) };
        assert!(found.is_ok(), "{name}");
    }
}
