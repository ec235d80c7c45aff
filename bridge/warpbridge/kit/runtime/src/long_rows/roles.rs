//! The four roles of a thread block: see the top of `long_rows.rs`. What they do with a piece is in `piece.rs`.

use super::notes::GROUP;
use super::piece::{Piece, found_in, map_piece, ranged_in};
use super::{FOUND, JUDGES, Job, Mergeable, STAGE, TILE};
use crate::mbarrier::Barrier;
use crate::output::Output;
use crate::ring::{ANY_STAGES, Loader};
use crate::row_kernel::{Found, RowKernel};
use crate::tile::Affine;
use crate::turns::Turns;
use crate::{Control, anew, shared, warp};

/// Fills the ring.
pub(super) async fn load<K: RowKernel, O: Copy>(mut ring: Loader<ANY_STAGES, STAGE>, job: Job<K, O>, control: Control) {
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
pub(super) async fn look<K, O>(mut ring: Turns<STAGE>, job: Job<K, O>, rank: u32, step: u32)
where
    K: RowKernel<Summary: Mergeable>,
    O: Output<K::Element>,
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
            let found = if !job.wants_ranges() {
                // SAFETY: the piece has landed.
                unsafe { found_in::<K>(piece, span) }
            } else if job.kept.are_there() {
                let columns = job.kept.piece(job.first, walk.piece);
                // SAFETY: as above, and so have the columns.
                unsafe { ranged_in::<K, _>(piece, columns, span) }
            } else {
                // SAFETY: as above; the arrays are as long as a row.
                unsafe { ranged_in::<K, _>(piece, job.affine, span) }
            };
            if warp::lane() == 0 {
                job.desk.note(job.piece_note(walk.row, number), found);
            }
        }
        ring.give_back(place);
        ring.skip(step);
        walk = job.behind(walk, step);
    }
}

/// Waits for the notes of each row, and leaves what they say together beside this block's pieces of it. Of two judges each has a row in
/// turn, where the ring has room for a row of each.
pub(super) async fn judge<K, O>(mut ring: Turns<STAGE>, job: Job<K, O>, which: u32, control: Control)
where
    K: RowKernel<Summary: Mergeable>,
    O: Output<K::Element>,
{
    let is_alone =
        job.is_by_block() || job.again > 0 || job.plan.judges < JUDGES || ring.is_short_of(JUDGES * job.count);
    if is_alone && which > 0 {
        return;
    }
    let report = control.report();
    if which == 0 {
        report.begin_role(job.rows_of_block());
    }
    let mut row = job.rows.first().saturating_add(which.saturating_mul(job.rows.step()));
    ring.skip(which * job.count);
    while row < job.rows_end() {
        // The first time, nothing is known yet.
        let mut found = (0.0, 0.0);
        for pass in 0..=job.again {
            if pass == job.again {
                let mut group = 0;
                let notes = loop {
                    let (first, left) = job.group(row, false, group);
                    let notes = job.desk.notes(first, left, job.plan.patience).await;
                    if !notes.are_complete() {
                        job.help(row, group, left.min(GROUP));
                    } else if left <= GROUP {
                        break notes;
                    } else {
                        group += GROUP;
                    }
                };
                found = job.said(row, false, notes, group);
            }
            for _ in 0..job.count {
                let place = ring.next();
                let stage = ring.turn(place).await;
                if warp::lane() == 0 {
                    // SAFETY: behind the tile, where no copy goes; the arrival releases it.
                    unsafe { shared::store_v2(stage + FOUND, [found.0.to_bits(), found.1.to_bits()]) };
                }
                ring.barrier(job.judged, place).arrive();
                ring.skip(1);
            }
        }
        let others = if is_alone { 0 } else { JUDGES - 1 };
        if which == 0 && warp::lane() == 0 {
            report.set_progress(job.rows_up_to(row, others));
        }
        ring.skip(others * anew(job.count));
        row = row.saturating_add((1 + others).saturating_mul(anew(job.rows.step())));
    }
}

/// The second judge where rows have many pieces: brings the notes of this block's own together, and notes that.
pub(super) async fn clerk<K, O>(job: Job<K, O>)
where
    K: RowKernel<Summary: Mergeable>,
    O: Output<K::Element>,
{
    for row in job.rows {
        let mut group = 0;
        let notes = loop {
            let (first, left) = job.group(row, true, group);
            let notes = job.desk.notes(first, left, job.plan.patience).await;
            if notes.are_complete() {
                if left <= GROUP {
                    break notes;
                }
                group += GROUP;
            }
        };
        let found = job.said(row, true, notes, group);
        if warp::lane() == 0 {
            let job = job.anew();
            job.desk.note(job.block_note(row, job.member), found);
        }
    }
}

/// Maps pieces.
pub(super) async fn map<K, O>(mut ring: Turns<STAGE>, job: Job<K, O>, rank: u32, step: u32)
where
    K: RowKernel,
    O: Output<K::Element>,
{
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
            let speaks = number == 0 && warp::lane() == 0;
            let mut result = job.kernel.result(walk.row, found, speaks);
            let mut output = job.output.at(job.x.offset(walk.row));
            if O::RANGES {
                output = output.ranged(walk.row, K::map(result, found.agreed), speaks);
                result = K::scaled(result, output.factor());
            }
            let piece = Piece(stage.wrapping_sub(number * TILE).wrapping_add(job.x.skew(walk.row)));
            let span = job.x.span(number, 1);
            let f = move |x, weight, bias| {
                if O::RANGES {
                    K::map(result, x) * weight
                } else {
                    Affine::apply(K::map(result, x), weight, bias)
                }
            };
            if job.kept.are_there() {
                let columns = job.kept.piece(job.first, walk.piece);
                // SAFETY: the piece has landed, and so have the columns; the arrays of `output` take a row.
                unsafe { map_piece::<K::Element, _>(piece, output, columns, span, f) };
            } else {
                // SAFETY: as above; the arrays are as long as a row.
                unsafe { map_piece::<K::Element, _>(piece, output, job.affine, span, f) };
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
