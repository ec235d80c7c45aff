//! The frame of a row kernel: one warp loads, the others form teams, and each team has a row at a time.
//!
//! A row that fits the ring stays there while its team goes over it as often as it likes. Longer rows go by, more than once
//! where that is asked for, and all warps are one team.

use core::future::Future;

use super::matrix::{Matrix, load};
use super::{Control, Reader, Ring, Stripe, Team, block, divide, run, shared, warp};

/// What follows from the shape of the matrix, the same in all threads but for the team.
#[derive(Clone, Copy)]
pub struct Plan<const STAGES: u32, const BYTES: u32, const TILE: u32, const WARPS: u32> {
    /// The rows.
    pub matrix: Matrix<TILE>,
    /// Units of this block.
    pub units: Stripe,
    team: Team<WARPS>,
    ring: Ring<STAGES, BYTES>,
    passes: u32,
    is_long: bool,
    control: Control,
}

impl<const STAGES: u32, const BYTES: u32, const TILE: u32, const WARPS: u32> Plan<STAGES, BYTES, TILE, WARPS> {
    /// Sets up teams and ring for `rows` rows of `row_bytes` at `address`; rows longer than the ring come `passes_if_long`
    /// times. Every thread of the block calls it.
    #[inline(always)]
    pub fn init(address: u64, rows: u32, row_bytes: u32, passes_if_long: u32, control: Control) -> Self {
        let stages = row_bytes.div_ceil(TILE);
        let base = shared::base() + Ring::<STAGES, BYTES>::SHARED_BYTES;
        let team = Team::init(base, divide(STAGES, stages).0);
        let matrix = Matrix::new(address, rows, row_bytes, divide(rows, block::count() * team.teams).0);
        let units = Stripe::of(matrix.units());
        let passes = if stages > STAGES { passes_if_long } else { 1 };
        let ring = Ring::init(team.size, units.remaining() * stages * passes, control);
        Self {
            matrix,
            units,
            team,
            ring,
            passes,
            is_long: stages > STAGES,
            control,
        }
    }

    /// Runs the roles: the loader, and in the other warps the one of the two that fits the rows.
    #[inline(always)]
    pub fn run<A: Future<Output = ()>, B: Future<Output = ()>>(
        self,
        resident: impl FnOnce(Reader<STAGES, BYTES>, Team<WARPS>) -> A,
        streamed: impl FnOnce(Reader<STAGES, BYTES>, Team<WARPS>) -> B,
    ) {
        let (ring, team, control) = (self.ring, self.team, self.control);
        if warp::index() == 0 {
            run(
                load(ring.loader(), self.matrix, self.passes, self.units, control),
                control,
            );
        } else if team.is_idle() {
            // No row is left for this warp.
        } else if self.is_long {
            run(streamed(ring.reader(), team), control);
        } else {
            run(resident(ring.reader(), team), control);
        }
    }
}
