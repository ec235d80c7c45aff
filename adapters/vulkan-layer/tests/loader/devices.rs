//! Several instances, several devices, several threads.

use crate::app::{App, BELOW};
use crate::layer::{self, Pages};

/// Makes, fills, checks and destroys shared buffers of its own.
fn work(app: &App, seed: u32, rounds: u32) -> u64 {
    let mut device_id = 0;
    for round in 0..rounds {
        let bytes = 4 * (64 + u64::from(seed * 97 + round * 31) % 5000);
        let pages = Pages::new(bytes as usize);
        layer::begin_import(bytes, &pages).expect("closed");
        let shared = app.buffer(bytes);
        let made = layer::end().expect("made");
        device_id = made.facts().device_id;
        let word = seed << 16 | round;
        app.fill(&shared, word);
        let value = made.signal().expect("signalled");
        assert!(made.wait_host(value, 60_000).expect("waited"));
        let found = pages.read();
        assert!(
            found[..bytes as usize].chunks(4).all(|four| four == word.to_ne_bytes()),
            "{seed} {round}"
        );
        app.wait_idle(); // the command buffer's end, for validation
        app.destroy(shared);
    }
    device_id
}

#[test]
fn test_eight_threads_share_one_device() {
    let app = App::new(BELOW);
    std::thread::scope(|scope| {
        for seed in 0..8 {
            let app = &app;
            scope.spawn(move || work(app, seed, 25));
        }
    });
    app.finish();
}

#[test]
fn test_several_instances_and_devices_at_once() {
    let apps: Vec<App> = (0..3).map(|_| App::new(BELOW)).collect();
    assert!(layer::instances() >= 3);
    let ids: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0u32..)
            .zip(&apps)
            .map(|(seed, app)| scope.spawn(move || work(app, seed, 10)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    for app in apps {
        app.finish();
    }
}

#[test]
fn test_shared_buffer_of_a_destroyed_device_says_so() {
    let app = App::new(BELOW);
    layer::begin_export(64).expect("closed");
    let shared = app.buffer(64);
    let made = layer::end().expect("made");
    app.destroy(shared);
    app.finish();
    let text = made.signal().unwrap_err();
    assert!(
        text.starts_with("the Vulkan device (llvmpipe") && text.ends_with(") was destroyed"),
        "{text}"
    );
    assert!(made.fd().is_ok(), "its memory is still there");
}
