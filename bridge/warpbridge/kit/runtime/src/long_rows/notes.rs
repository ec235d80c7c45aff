//! What the notes of a row say together. They are those of its pieces; or, where these are many, of its blocks, each of which says what
//! the notes of the block's pieces say together. Whoever brings notes together does it here, in the same order, and so comes to the same bits.

use super::piece::{Afar, elements, found_in, ranged_in};
use super::{Job, Mergeable};
use crate::desk::{AT_ONCE, Four};
use crate::output::Output;
use crate::row::Summary;
use crate::row_kernel::RowKernel;
use crate::{anew, divide, lanes, warp};

/// The notes that a warp reads at a time.
pub(super) const GROUP: u32 = AT_ONCE * warp::LANES;

/// Neighbouring parts of a row, and their notes.
#[derive(Clone, Copy)]
struct Parts {
    /// Number of the first note.
    first: u64,
    /// How many.
    count: u32,
    /// Number of the first piece.
    from: u32,
    /// Pieces in each.
    each: u32,
}

impl<K: Copy, O: Copy> Job<K, O> {
    /// See [`anew`]: what can be worked out for each row would else take the registers of all roles.
    #[inline(always)]
    pub(super) fn anew(&self) -> Self {
        let mut job = *self;
        (job.x.row_bytes, job.x.stages) = (anew(job.x.row_bytes), anew(job.x.stages));
        (job.plan.each, job.plan.crowd) = (anew(job.plan.each), anew(job.plan.crowd));
        job.member = anew(job.member);
        (job.all_rows, job.columns) = (anew(job.all_rows), anew(job.columns));
        job
    }

    /// Whether blocks bring the notes of their pieces together.
    #[inline(always)]
    pub(super) fn is_by_block(&self) -> bool {
        self.x.stages > self.plan.crowd
    }

    /// How many blocks share a row.
    #[inline(always)]
    fn blocks(&self) -> u32 {
        divide(self.x.stages + self.plan.each - 1, self.plan.each).0
    }

    /// Number of a piece's note.
    #[inline(always)]
    pub(super) fn piece_note(&self, row: u32, number: u32) -> u64 {
        u64::from(row) * u64::from(self.x.stages) + u64::from(number)
    }

    /// Number of the note of a block's pieces.
    #[inline(always)]
    pub(super) fn block_note(&self, row: u32, member: u32) -> u64 {
        self.piece_note(self.all_rows, 0) + u64::from(row) * u64::from(self.blocks()) + u64::from(member)
    }

    /// A block's pieces of a row.
    #[inline(always)]
    fn parts_of(&self, row: u32, member: u32) -> Parts {
        let from = member * self.plan.each;
        Parts {
            first: self.piece_note(row, from),
            count: (self.x.stages - from).min(self.plan.each),
            from,
            each: 1,
        }
    }

    /// The parts of a row that say together what all of it holds; or what this block's pieces hold.
    #[inline(always)]
    fn parts_for(&self, row: u32, of_block: bool) -> Parts {
        if of_block {
            return self.parts_of(row, self.member);
        }
        let (first, count, each) = if self.is_by_block() {
            (self.block_note(row, 0), self.blocks(), self.plan.each)
        } else {
            (self.piece_note(row, 0), self.x.stages, 1)
        };
        Parts {
            first,
            count,
            from: 0,
            each,
        }
    }
}

impl<K: RowKernel<Summary: Mergeable>, O: Output<K::Element>> Job<K, O> {
    /// Whether results are scaled by the largest of their row.
    #[inline(always)]
    pub(super) fn wants_ranges(&self) -> bool {
        K::Summary::RANGES && self.output.wants_range()
    }

    /// 1 over the length of a row, or of this block's part of it.
    #[inline(always)]
    fn per_number(&self, of_block: bool) -> f32 {
        if of_block {
            self.per_number_of(self.member)
        } else {
            self.per_column()
        }
    }

    #[inline(always)]
    fn per_number_of(&self, member: u32) -> f32 {
        1.0 / elements::<K>(self.x.span(member * self.plan.each, self.plan.each))
    }

    /// The notes from number `group` on of a row, or of this block's pieces: number of the first, and how many are left.
    #[inline(always)]
    pub(super) fn group(&self, row: u32, of_block: bool, group: u32) -> (u64, u32) {
        let parts = self.anew().parts_for(row, of_block);
        (parts.first + u64::from(group), parts.count - group)
    }

    /// What they say together, all of them being there. Those from number `last` on, a group or less, are `notes`.
    #[inline(always)]
    pub(super) fn said(&self, row: u32, of_block: bool, notes: Four, last: u32) -> (f32, f32) {
        let job = self.anew();
        job.together(job.parts_for(row, of_block), notes, last, job.per_number(of_block))
    }

    /// The same of some parts: what is agreed on, and the sum.
    #[inline(always)]
    fn together(&self, parts: Parts, notes: Four, last: u32, per_number: f32) -> (f32, f32) {
        let mut agreed = 0.0;
        if K::Summary::AGREES {
            let mut opinion = self.opinion(parts, notes, last, per_number);
            let mut group = last;
            while group > 0 {
                group -= GROUP;
                let notes = self.desk.read(parts.first + u64::from(group), GROUP);
                opinion = K::Summary::join(opinion, self.opinion(parts, notes, group, per_number));
            }
            agreed = K::Summary::agree(opinion, warp::LANES);
        }
        let (mut sum, mut group) = (self.sum(parts, notes, last, agreed), last);
        while group > 0 {
            group -= GROUP;
            let notes = self.desk.read(parts.first + u64::from(group), GROUP);
            sum += self.sum(parts, notes, group, agreed);
        }
        (agreed, lanes::sum(sum))
    }

    /// This lane's contribution to what is agreed on, by its notes of the parts from number `group` on.
    #[inline(always)]
    fn opinion(&self, parts: Parts, notes: Four, group: u32, per_number: f32) -> f32 {
        let mut opinion = K::Summary::NEUTRAL;
        for (i, part) in Four::numbers(group) {
            if part < parts.count {
                let share = self.elements_of(parts, part) * per_number;
                opinion = K::Summary::join(opinion, K::Summary::part_opinion(share, notes.get(i).0));
            }
        }
        opinion
    }

    /// This lane's part of the sum, likewise.
    #[inline(always)]
    fn sum(&self, parts: Parts, notes: Four, group: u32, agreed: f32) -> f32 {
        let mut sum = 0.0;
        for (i, part) in Four::numbers(group) {
            if part < parts.count {
                let (own, found) = notes.get(i);
                sum += K::Summary::part_summand(self.elements_of(parts, part), own, found, agreed);
            }
        }
        sum
    }

    #[inline(always)]
    fn elements_of(&self, parts: Parts, part: u32) -> f32 {
        elements::<K>(self.x.span(parts.from + part * parts.each, parts.each))
    }

    /// Looks at those of some parts of a row that have no note: their block waits for a place on the device, which may be this one's.
    /// Its note, should it come all the same, says the same. If so, it may even have mapped a piece, to where it was: then the note is there.
    #[inline(always)]
    pub(super) fn help(&self, row: u32, first: u32, count: u32) {
        let job = self.anew();
        for number in first..first + count {
            let (mut begin, mut pieces) = (number, 1);
            if job.is_by_block() {
                if job.desk.is_noted(job.block_note(row, number)) {
                    continue;
                }
                let parts = job.parts_of(row, number);
                (begin, pieces) = (parts.from, parts.count);
            }
            job.help_with_pieces(row, begin, pieces);
            if job.is_by_block() {
                job.note_block(row, number);
            }
        }
    }

    /// Notes what a block's pieces hold, if all lanes see their notes already; those that lane 0 has just left they may not.
    #[inline(always)]
    fn note_block(&self, row: u32, member: u32) {
        let (parts, mut last) = (self.parts_of(row, member), 0);
        loop {
            let left = parts.count - last;
            let notes = self.desk.read(parts.first + u64::from(last), left);
            if !notes.are_complete() {
                return;
            }
            if left <= GROUP {
                let found = self.together(parts, notes, last, self.per_number_of(member));
                if warp::lane() == 0 {
                    self.desk.note_first(self.block_note(row, member), found);
                }
                return;
            }
            last += GROUP;
        }
    }

    #[inline(always)]
    fn help_with_pieces(&self, row: u32, first: u32, count: u32) {
        for number in first..first + count {
            let job = self.anew();
            if !job.desk.is_noted(job.piece_note(row, number)) {
                let (piece, span) = (Afar(job.x.address(row)), job.x.span(number, 1));
                let found = if job.wants_ranges() {
                    // SAFETY: a piece of the row; the arrays are as long.
                    unsafe { ranged_in::<K, _>(piece, job.affine, span) }
                } else {
                    // SAFETY: as above.
                    unsafe { found_in::<K>(piece, span) }
                };
                if warp::lane() == 0 {
                    let job = job.anew();
                    job.desk.note_first(job.piece_note(row, number), found);
                }
            }
        }
    }
}
