//! What is refused, with its whole text, and that the application then has an ordinary buffer.

use ash::vk;

use crate::app::{App, Buffer, Options, BELOW, VALIDATION};
use crate::layer::{self, Pages, NAME};

/// It can be used like any other.
fn is_ordinary(app: &App, buffer: Buffer, bytes: u64) {
    assert!(buffer.needs.size >= bytes);
    app.fill(&buffer, 7);
    app.wait_idle();
    assert_eq!(app.read(&buffer, 4), 7u32.to_ne_bytes());
    app.destroy(buffer);
}

#[test]
fn test_device_used_as_vulkan_1_0_gives_ordinary_buffers() {
    let app = App::new(Options {
        api_version: vk::API_VERSION_1_0,
        timeline: None,
        ..BELOW
    });
    layer::begin_export(64).expect("closed");
    let buffer = app.buffer(64);
    assert_eq!(
        layer::refusal(),
        "the device is used as Vulkan 1.0, expected 1.1 or newer"
    );
    is_ordinary(&app, buffer, 64);
    app.finish();
}

#[test]
fn test_device_without_an_extension_gives_ordinary_buffers_for_it_alone() {
    let app = App::new(Options {
        layers: &[NAME, VALIDATION, c"VK_LAYER_WARPBRIDGE_tests_hiding"],
        ..BELOW
    });
    let pages = Pages::new(4096);
    layer::begin_import(64, &pages).expect("closed");
    let buffer = app.buffer(64);
    assert_eq!(layer::refusal(), "the device has no VK_EXT_external_memory_host");
    is_ordinary(&app, buffer, 64);
    layer::begin_export(64).expect("closed");
    let buffer = app.buffer(64);
    drop(layer::end().expect("it has the other extension"));
    app.destroy(buffer);
    app.finish();
}

#[test]
fn test_device_that_cannot_be_made_with_the_additions_is_made_without() {
    let app = App::new(Options {
        layers: &[NAME, VALIDATION, c"VK_LAYER_WARPBRIDGE_tests_refusing"],
        ..BELOW
    });
    layer::begin_export(64).expect("closed");
    let buffer = app.buffer(64);
    assert_eq!(layer::refusal(), "the device has no VK_KHR_external_memory_fd");
    is_ordinary(&app, buffer, 64);
    app.finish();
}

#[test]
fn test_memory_that_is_too_small_or_not_aligned_is_refused() {
    let app = App::new(BELOW);
    let pages = Pages::new(4096);
    layer::begin_import(8192, &pages).expect("closed");
    let buffer = app.buffer(8192);
    assert_eq!(
        layer::refusal(),
        "the host memory has 4096 bytes, expected at least 8192 for this buffer"
    );
    is_ordinary(&app, buffer, 8192);
    layer::begin_import_at(64, &pages, 64).expect("closed");
    let buffer = app.buffer(64);
    let at = pages.address as usize + 64;
    assert_eq!(
        layer::refusal(),
        format!("the host memory is at {at:#x}, expected a multiple of 4096")
    );
    is_ordinary(&app, buffer, 64);
    assert_eq!(std::sync::Arc::strong_count(&pages), 1);
    app.finish();
}

#[test]
fn test_bracket_without_a_buffer_says_so() {
    let app = App::new(BELOW);
    layer::begin_export(64).expect("closed");
    assert_eq!(
        layer::refusal(),
        "no buffer was made through Vulkan on this thread, expected one: the layer is loaded, so the buffer is another \
         backend's"
    );
    assert_eq!(
        layer::refusal(),
        "no bracket is open on this thread, expected one to be begun first"
    );
    app.finish();
}

#[test]
fn test_application_that_turns_timelines_off_has_none_of_ours() {
    let app = App::new(Options {
        timeline: Some(false),
        ..BELOW
    });
    layer::begin_export(64).expect("closed");
    let buffer = app.buffer(64);
    let made = layer::end().expect("made");
    assert_eq!(
        made.signal().unwrap_err(),
        "the device has no timeline semaphores, or the application has turned them off"
    );
    app.destroy(buffer);
    app.finish();
}

#[test]
fn test_application_that_says_nothing_of_timelines_gets_them() {
    let app = App::new(Options {
        timeline: None,
        ..BELOW
    });
    layer::begin_export(64).expect("closed");
    let buffer = app.buffer(64);
    let made = layer::end().expect("made");
    let value = made.signal().expect("added by the layer");
    assert!(made.wait_host(value, 60_000).expect("waited"));
    app.wait_idle();
    app.destroy(buffer);
    app.finish();
}
