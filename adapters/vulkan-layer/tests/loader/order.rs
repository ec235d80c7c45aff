//! Timeline semaphores between what the application submits.

use std::time::Duration;

use crate::app::{App, BELOW};
use crate::layer::{self, Made, Pages};

fn shared(app: &App, bytes: u64) -> (std::sync::Arc<Pages>, crate::app::Buffer, Made) {
    let pages = Pages::new(bytes as usize);
    layer::begin_import(bytes, &pages).expect("closed");
    let buffer = app.buffer(bytes);
    (pages, buffer, layer::end().expect("made"))
}

#[test]
fn test_signal_stands_for_everything_submitted_before() {
    let app = App::new(BELOW);
    let bytes = 8 << 20;
    let (pages, buffer, made) = shared(&app, bytes);
    let mut last = 0;
    for word in [1u32, 2, 3] {
        for _ in 0..4 {
            app.fill(&buffer, 99);
        }
        app.fill(&buffer, word);
        let value = made.signal().expect("signalled");
        assert!(value > last, "values rise");
        last = value;
        assert!(made.wait_host(value, 60_000).expect("waited"));
        let found = pages.read();
        assert!(found
            .chunks(4)
            .take(bytes as usize / 4)
            .all(|four| four == word.to_ne_bytes()));
    }
    app.wait_idle();
    app.destroy(buffer);
    drop(made);
    app.finish();
}

#[test]
fn test_wait_holds_everything_submitted_later() {
    let app = App::new(BELOW);
    let (pages, buffer, made) = shared(&app, 4096);
    app.fill(&buffer, 1);
    let before = made.signal().expect("signalled");
    assert!(made.wait_host(before, 60_000).expect("waited"));
    let value = made.wait_for().expect("queued");
    app.fill(&buffer, 2);
    let after = made.signal().expect("signalled");
    assert!(
        !made.wait_host(after, 100).expect("waited"),
        "held until the value comes"
    );
    assert_eq!(pages.read()[..4], 1u32.to_ne_bytes());
    made.signal_host(value).expect("signalled");
    made.signal_host(value)
        .expect("left alone the second time, which validation would have told");
    assert!(made.wait_host(after, 60_000).expect("waited"));
    assert_eq!(pages.read()[..4], 2u32.to_ne_bytes());
    app.wait_idle();
    app.destroy(buffer);
    drop(made);
    app.finish();
}

#[test]
fn test_own_submissions_take_turns_with_the_applications() {
    let app = App::new(BELOW);
    let (pages, buffer, made) = shared(&app, 4096);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let value = made.signal().expect("signalled");
                    assert!(made.wait_host(value, 60_000).expect("waited"));
                }
            });
        }
        for word in 0..100 {
            app.fill(&buffer, word);
            std::thread::sleep(Duration::from_micros(200));
        }
        app.wait_idle();
    });
    assert_eq!(pages.read()[..4], 99u32.to_ne_bytes());
    app.destroy(buffer);
    drop(made);
    app.finish();
}
