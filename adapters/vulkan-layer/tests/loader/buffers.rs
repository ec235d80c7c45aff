//! Bytes: what a shared buffer and its other side see, and that ordinary buffers stay as they are.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use ash::vk;

use crate::app::{App, Options, ABOVE, BELOW, USAGE, VALIDATION};
use crate::layer::{self, Pages};

/// lavapipe puts a header in front of exported memory.
const LAVAPIPE_HEADER: u64 = 4096;

fn round_trip_through_pages(app: &App, bytes: usize) {
    let pages = Pages::new(bytes);
    layer::begin_import(bytes as u64, &pages).expect("closed");
    let shared = app.buffer(bytes as u64);
    let made = layer::end().expect("made");
    assert_eq!(made.facts().bytes, bytes as u64);
    assert!(
        shared.needs.size <= shared.needs.alignment,
        "the application needs next to nothing"
    );
    let word = 0x0403_0201u32;
    app.fill(&shared, word);
    app.wait_idle();
    let whole = bytes / 4 * 4;
    let expected: Vec<u8> = word.to_ne_bytes().into_iter().cycle().take(whole).collect();
    assert_eq!(pages.read()[..whole], expected);
    let written: Vec<u8> = (0..bytes).map(|index| (index * 7 + index / 256) as u8).collect();
    pages.write(&written);
    let ordinary = app.buffer(bytes as u64);
    app.copy(&shared, &ordinary, bytes as u64);
    app.wait_idle();
    assert_eq!(app.read(&ordinary, bytes), written);
    app.destroy(shared);
    app.destroy(ordinary);
    drop(made);
    assert_eq!(Arc::strong_count(&pages), 1, "the layer has let go");
}

#[test]
fn test_imported_buffer_and_host_see_the_same_bytes() {
    let app = App::new(BELOW);
    for bytes in [4, 5, 4095, 4096, 4097, 1 << 20, (16 << 20) + 12] {
        round_trip_through_pages(&app, bytes);
    }
    app.finish();
}

#[test]
fn test_imported_buffer_satisfies_validation_above_the_layer() {
    let app = App::new(ABOVE);
    round_trip_through_pages(&app, 1 << 16);
    app.finish();
}

#[test]
fn test_exported_buffer_and_its_descriptor_see_the_same_bytes() {
    let app = App::new(BELOW);
    let bytes = 100_000u64;
    layer::begin_export(bytes).expect("closed");
    let shared = app.buffer(bytes);
    let made = layer::end().expect("made");
    assert!(made.facts().allocation_bytes >= bytes);
    app.fill(&shared, 0x5a5a_5a5a);
    app.wait_idle();
    let file = made.fd().expect("exported");
    let mut found = vec![0; bytes as usize];
    file.read_exact_at(&mut found, LAVAPIPE_HEADER).expect("a memory file");
    assert_eq!(found, vec![0x5a; bytes as usize]);
    app.destroy(shared);
    file.read_exact_at(&mut found, LAVAPIPE_HEADER)
        .expect("the descriptor outlives the buffer");
    app.finish();
}

#[test]
fn test_memory_stays_until_the_buffer_is_destroyed() {
    let app = App::new(BELOW);
    let pages = Pages::new(4096);
    layer::begin_import(64, &pages).expect("closed");
    let shared = app.buffer(64);
    drop(layer::end().expect("made"));
    assert_eq!(Arc::strong_count(&pages), 2, "the buffer has a share");
    app.fill(&shared, 1);
    app.wait_idle();
    app.destroy(shared);
    assert_eq!(Arc::strong_count(&pages), 1);
    app.finish();
}

#[test]
fn test_second_form_of_the_calls_is_intercepted_too() {
    let app = App::new(ABOVE);
    let pages = Pages::new(1 << 16);
    layer::begin_import(1 << 16, &pages).expect("closed");
    let info = vk::BufferCreateInfo::default().size(1 << 16).usage(USAGE);
    // SAFETY: the device is live, here and below.
    let shared = unsafe { app.device.create_buffer(&info, None) }.expect("a buffer");
    let made = layer::end().expect("made");
    let ask = vk::BufferMemoryRequirementsInfo2::default().buffer(shared);
    let mut dedicated = vk::MemoryDedicatedRequirements::default();
    let mut needs = vk::MemoryRequirements2::default().push_next(&mut dedicated);
    // SAFETY: as above.
    unsafe { app.device.get_buffer_memory_requirements2(&ask, &mut needs) };
    let needs = needs.memory_requirements;
    assert!(needs.size <= needs.alignment);
    assert_eq!(dedicated.prefers_dedicated_allocation, vk::FALSE);
    let memory = app.memory(needs);
    let binds = [vk::BindBufferMemoryInfo::default().buffer(shared).memory(memory)];
    // SAFETY: as above.
    unsafe { app.device.bind_buffer_memory2(&binds) }.expect("bound");
    let shared = crate::app::Buffer {
        handle: shared,
        memory,
        needs,
    };
    app.fill(&shared, u32::MAX);
    app.wait_idle();
    assert_eq!(pages.read(), vec![0xff; 1 << 16]);
    app.destroy(shared);
    drop(made);
    app.finish();
}

#[test]
fn test_ordinary_buffers_are_as_without_the_layer() {
    const WITHOUT: Options = Options {
        layers: &[VALIDATION],
        ..BELOW
    };
    let (with, without) = (App::new(BELOW), App::new(WITHOUT));
    for bytes in [1, 4, 1000, 1 << 20] {
        let (a, b) = (with.buffer(bytes), without.buffer(bytes));
        let facts = |needs: vk::MemoryRequirements| (needs.size, needs.alignment, needs.memory_type_bits);
        assert_eq!(facts(a.needs), facts(b.needs));
        with.destroy(a);
        without.destroy(b);
    }
    with.finish();
    without.finish();
}

#[test]
fn test_bracket_leaves_the_buffers_of_other_threads_alone() {
    let app = App::new(BELOW);
    let pages = Pages::new(4096);
    layer::begin_import(1000, &pages).expect("closed");
    let other = std::thread::scope(|scope| scope.spawn(|| app.buffer(1000)).join()).expect("no panic");
    assert!(other.needs.size >= 1000);
    let shared = app.buffer(1000);
    let made = layer::end().expect("the bracket was still open");
    let second = app.buffer(1000);
    assert!(second.needs.size >= 1000, "one buffer only");
    for buffer in [other, shared, second] {
        app.destroy(buffer);
    }
    drop(made);
    app.finish();
}
