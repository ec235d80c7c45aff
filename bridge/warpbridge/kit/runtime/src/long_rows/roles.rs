//! The four roles of a thread block: see the top of `long_rows.rs`. What they do with a piece is in `piece.rs`.

use super::piece::{Afar, Piece, elements, found_in, map_piece};
use super::{FOUND, Job, Mergeable, STAGE, TILE};
use crate::desk::AT_ONCE;
use crate::mbarrier::Barrier;
use crate::ring::{ANY_STAGES, Loader};
use crate::row::Summary;
use crate::row_kernel::{Found, RowKernel};
use crate::turns::Turns;
use crate::{Control, lanes, shared, warp};

/// Fills the ring.
pub(super) async fn load<K: RowKernel>(mut ring: Loader<ANY_STAGES, STAGE>, job: Job<K>, control: Control) {
    let landed = Landed(job.kept.landed());
    let count = if job.kept.are_there() { job.count } else { 0 };
    // SAFETY: the arrays are as long as a row.
    unsafe { job.kept.copy(job.x.row_bytes, job.first, count) };
    for row in job.rows.watched(control) {
        for _ in 0..=job.again {
            for piece in 0..job.count {
                let stage = ring.reserve().await;
                // SAFETY: a part of the row, which fits a stage.
                unsafe { ring.fill(stage, &job.x.part(row, job.first + piece)) };
            }
        }
    }
    drop(landed);
}

/// Looks at pieces.
pub(super) async fn look<K: RowKernel>(mut ring: Turns<STAGE>, job: Job<K>, rank: u32, step: u32)
where
    K::Summary: Mergeable,
{
    let mut walk = job.walk(rank);
    ring.skip(rank);
    while walk.row < job.rows_end() {
        let place = ring.next();
        let stage = ring.turn(place).await;
        if walk.pass == 0 {
            let number = job.first + walk.piece;
            let span = job.x.span(number, 1);
            let piece = Piece(stage.wrapping_sub(number * TILE).wrapping_add(job.x.skew(walk.row)));
            // SAFETY: the piece has landed.
            let found = unsafe { found_in::<K>(piece, span) };
            if warp::lane() == 0 {
                job.desk.note(job.note(walk.row, number), found);
            }
        }
        ring.give_back(place);
        ring.skip(step);
        walk = job.behind(walk, step);
    }
}

/// Waits for the notes of each row, and leaves what they say together beside this block's pieces of it.
pub(super) async fn judge<K: RowKernel>(mut ring: Turns<STAGE>, job: Job<K>, control: Control)
where
    K::Summary: Mergeable,
{
    let report = control.report();
    report.begin_role(job.rows_of_block());
    let mut done = 0;
    for row in job.rows {
        let mut found = [0, 0];
        for pass in 0..=job.again {
            if pass == job.again {
                let mut summary = K::Summary::EMPTY;
                let mut number = 0;
                while number < job.x.stages {
                    let (first, left) = (job.note(row, number), job.x.stages - number);
                    let mut notes = job.desk.notes(first, left, job.plan.patience).await;
                    while !notes.are_complete() {
                        help(&job, row, number, left.min(AT_ONCE * warp::LANES));
                        notes = job.desk.notes(first, left, job.plan.patience).await;
                    }
                    for i in 0..AT_ONCE {
                        let piece = number + i * warp::LANES + warp::lane();
                        if piece < job.x.stages {
                            let (agreed, sum) = notes.get(i);
                            summary = summary.merge(K::Summary::of(elements::<K>(job.x.span(piece, 1)), agreed, sum));
                        }
                    }
                    number += AT_ONCE * warp::LANES;
                }
                let mut agreed = 0.0;
                if K::Summary::AGREES {
                    agreed = K::Summary::agree(summary.opinion(job.per_column()), warp::LANES);
                }
                found = [agreed.to_bits(), lanes::sum(summary.summand(agreed)).to_bits()];
            }
            for _ in 0..job.count {
                let place = ring.next();
                let stage = ring.turn(place).await;
                if warp::lane() == 0 {
                    // SAFETY: behind the tile, where no copy goes; the arrival releases it.
                    unsafe { shared::store_v2(stage + FOUND, found) };
                }
                ring.barrier(job.judged, place).arrive();
                ring.skip(1);
            }
        }
        done += 1;
        if warp::lane() == 0 {
            report.set_progress(done);
        }
    }
}

/// Looks at those of some pieces that nobody has looked at: their block waits for a place on the device, which may be this one's.
/// Its note, should it come all the same, says the same. If so, it may even have mapped the piece, to where it was: then the note is there.
#[inline(always)]
fn help<K: RowKernel>(job: &Job<K>, row: u32, first: u32, count: u32)
where
    K::Summary: Mergeable,
{
    for number in first..first + count {
        let note = job.note(row, number);
        if !job.desk.is_noted(note) {
            let piece = Afar(job.x.address(row));
            // SAFETY: a piece of the row.
            let found = unsafe { found_in::<K>(piece, job.x.span(number, 1)) };
            if warp::lane() == 0 {
                job.desk.note_first(note, found);
            }
        }
    }
}

/// Maps pieces.
pub(super) async fn map<K: RowKernel>(mut ring: Turns<STAGE>, job: Job<K>, rank: u32, step: u32) {
    job.kept.landed().wait(0, ()).await;
    let mut walk = job.walk(rank);
    ring.skip(rank);
    while walk.row < job.rows_end() {
        let place = ring.next();
        let stage = ring.turn(place).await;
        ring.also(job.judged, place).await;
        if walk.pass == job.again {
            // SAFETY: left before the arrival that was waited for.
            let [agreed, sum] = unsafe { shared::load_v2(stage + FOUND) };
            let found = Found {
                agreed: f32::from_bits(agreed),
                sum: f32::from_bits(sum),
                per_column: job.per_column(),
            };
            let number = job.first + walk.piece;
            let result = job.kernel.result(walk.row, found, number == 0 && warp::lane() == 0);
            let piece = Piece(stage.wrapping_sub(number * TILE).wrapping_add(job.x.skew(walk.row)));
            let to = job.y + job.x.offset(walk.row);
            let span = job.x.span(number, 1);
            let f = move |x| K::map(result, x);
            if job.kept.are_there() {
                let columns = job.kept.piece(job.first, walk.piece);
                // SAFETY: the piece has landed, and so have the columns; y has as many elements.
                unsafe { map_piece::<K::Element, _>(piece, to, columns, span, f) };
            } else {
                // SAFETY: as above; the arrays are as long as a row.
                unsafe { map_piece::<K::Element, _>(piece, to, job.affine, span, f) };
            }
        }
        ring.give_back(place);
        ring.skip(step);
        walk = job.behind(walk, step);
    }
}

/// Copies that land in the shared memory of a block that has left would be undefined: the loader waits for them, also when it is cancelled.
struct Landed(Barrier);

impl Drop for Landed {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.wait_uncancelled(0);
    }
}
