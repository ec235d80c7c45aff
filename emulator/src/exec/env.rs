//! What all clusters of a launch share and nobody changes: the program, the geometry, the registered ranges.

use std::time::Instant;

use super::heap::Heap;
use super::judge::global::Global;
use super::program::Program;
use super::ranges::Ranges;
use crate::fault::{Fault, Location};
use crate::launch::Launch;
use crate::trace::TraceSink;

/// See the module.
pub(crate) struct Env<'a> {
    pub program: &'a Program,
    pub launch: &'a Launch<'a>,
    /// The entry, as a function of the program.
    pub function: u32,
    pub entry: &'a str,
    pub ranges: Ranges,
    /// Threads per CTA.
    pub threads: u32,
    /// Registers per thread at launch, where `setmaxnreg` has a pool.
    pub registers: Option<u32>,
    /// Shared bytes per CTA, static and dynamic.
    pub shared_bytes: u32,
    pub dynamic_shared: u32,
    pub started: Instant,
    /// See [`super::lanes::wide`].
    pub wide: bool,
    /// Where races in global memory are looked for.
    pub global: Option<Global>,
    /// Where the program calls `malloc`.
    pub heap: Option<Heap>,
    /// Address of the grid's workspace, 0 where the program does not ask for it.
    pub workspace: u64,
    /// Who wants to see what happens.
    pub trace: Option<&'a TraceSink>,
}

impl Env<'_> {
    /// Clusters in the grid.
    pub(crate) fn clusters(&self) -> u64 {
        (0..3)
            .map(|axis| u64::from(self.launch.grid[axis] / self.launch.cluster[axis]))
            .product()
    }

    /// Clusters per axis.
    pub(crate) fn cluster_grid(&self) -> [u32; 3] {
        std::array::from_fn(|axis| self.launch.grid[axis] / self.launch.cluster[axis])
    }

    /// Position of a rank inside its cluster.
    pub(crate) fn rank_index(&self, rank: u32) -> [u32; 3] {
        let size = self.launch.cluster;
        [rank % size[0], rank / size[0] % size[1], rank / size[0] / size[1]]
    }

    /// `%ctaid` of one CTA of cluster `number`.
    pub(crate) fn cta_index(&self, number: u64, rank: u32) -> [u32; 3] {
        let clusters = self.cluster_grid().map(u64::from);
        let inside = self.rank_index(rank);
        let outside = [
            number % clusters[0],
            number / clusters[0] % clusters[1],
            number / clusters[0] / clusters[1],
        ];
        std::array::from_fn(|axis| outside[axis] as u32 * self.launch.cluster[axis] + inside[axis])
    }

    /// The role that a warp plays, where the launch names roles.
    pub(crate) fn role(&self, warp: u32) -> Option<String> {
        let mut first = 0u32;
        for role in self.launch.roles {
            if warp >= first && warp - first < role.warps {
                return Some(role.name.clone());
            }
            first = first.saturating_add(role.warps);
        }
        None
    }

    /// A place in the PTX, for reports.
    pub(crate) fn location(&self, cta: [u32; 3], warp: u32, lane: Option<u32>, pc: u32) -> Location {
        let place = self.program.place(pc);
        Location {
            entry: self.entry.to_owned(),
            cta,
            warp,
            lane,
            role: self.role(warp),
            line: place.line,
            instruction: self.program.instruction_text(pc),
            source: self.program.source(place),
        }
    }

    /// A fault at a warp as a whole.
    pub(crate) fn trap(&self, cta: [u32; 3], warp: u32, pc: u32, text: String) -> Fault {
        Fault::Trap(Box::new(self.location(cta, warp, None, pc)), text)
    }
}
