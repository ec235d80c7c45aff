//! Between the panels of one `wgmma` and its four warps: operands out of shared memory and registers, results into
//! registers. When that happens is decided in the parent.

use super::{Flight, Part, Source, Wgmma};
use crate::exec::cluster::Warp;
use crate::exec::inst::IN_POOL;
use crate::exec::lanes::{wide, Lane};
use crate::exec::matrix::descriptor::Descriptor;
use crate::exec::matrix::element::Element;
use crate::exec::matrix::panels::{Pair, Panels, Tile};
use crate::exec::matrix::product::{encode, narrow};
use crate::exec::matrix::sparse;
use crate::exec::memory::Shared;
use crate::exec::program::Program;
use crate::num::half::f16_to_f32;

/// Puts the operands of all warps into `panels`.
pub(super) fn read_operands(memory: Shared, warps: &[Warp], flight: &Flight, program: &Program, panels: &mut Panels) {
    #[cfg(target_arch = "x86_64")]
    if wide() {
        // SAFETY: `wide` says that the CPU has what the function is compiled for.
        return unsafe { read_v3(memory, warps, flight, program, panels) };
    }
    read_any(memory, warps, flight, program, panels);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
fn read_v3(memory: Shared, warps: &[Warp], flight: &Flight, program: &Program, panels: &mut Panels) {
    read_any(memory, warps, flight, program, panels);
}

#[inline(always)]
fn read_any(memory: Shared, warps: &[Warp], flight: &Flight, program: &Program, panels: &mut Panels) {
    let op = &program.wgmmas[flight.op as usize];
    let tile = |bits: u64, element, transposed, negated| Tile {
        memory,
        descriptor: Descriptor::decode(bits),
        transposed,
        element,
        negated,
    };
    panels.begin(op.n, op.k);
    panels.load_b(&tile(flight.operands.1, op.b, op.transposed.1, op.negated.1), op.n);
    let parts = flight.parts.iter().zip(warps);
    // A warp that has left without a wait has no registers any more, and nobody looks at its rows.
    let files: Vec<Option<File>> = parts
        .map(|(part, warp)| part.and_then(|part| File::of(warp, part, program)))
        .collect();
    let places = op.sparsity.map(|sparsity| {
        let metadata = |file: &Option<File>| file.as_ref().map_or([0; 32], |f| f.read(sparsity.metadata));
        let columns = |file| sparse::columns(op.a, op.k, sparsity.selector, &metadata(file));
        files.iter().map(columns).collect::<Vec<_>>()
    });
    let step = |row: u32, k: u32| match &places {
        None => k,
        Some(places) => u32::from(places[row as usize / 16][row as usize % 16][k as usize]),
    };
    match &op.source {
        Source::Shared(_) => {
            let a = tile(flight.operands.0, op.a, op.transposed.0, op.negated.0);
            panels.load_a(&a, op.stored(), step);
        }
        Source::Registers(slots) => {
            for (rank, file) in files.iter().enumerate() {
                if let Some(file) = file {
                    let a: [[u32; 32]; 4] = std::array::from_fn(|n| file.read(slots[n]));
                    panels.take_a(rank, &a, op.a, op.negated.0, step);
                }
            }
        }
    }
}

/// Writes the rows of one warp to its registers.
pub(super) fn write_results(warp: &Warp, flight: &Flight, rank: usize, program: &Program) {
    #[cfg(target_arch = "x86_64")]
    if wide() {
        // SAFETY: `wide` says that the CPU has what the function is compiled for.
        return unsafe { write_v3(warp, flight, rank, program) };
    }
    write_any(warp, flight, rank, program, false);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
fn write_v3(warp: &Warp, flight: &Flight, rank: usize, program: &Program) {
    write_any(warp, flight, rank, program, true);
}

#[inline(always)]
fn write_any(warp: &Warp, flight: &Flight, rank: usize, program: &Program, wide: bool) {
    let op = &program.wgmmas[flight.op as usize];
    let (Some(part), Some(panels)) = (flight.parts[rank], &flight.panels) else {
        return;
    };
    let Some(file) = File::of(warp, part, program) else {
        return;
    };
    for columns in 0..op.n as usize / 8 {
        for half in 0..2 {
            accumulate(panels, op, &file, part.accumulate, (columns, rank * 2 + half), wide);
        }
    }
}

/// The registers of D for eight columns and eight rows: `at` counts both.
#[inline(always)]
fn accumulate(panels: &Panels, op: &Wgmma, file: &File, adds: bool, at: (usize, usize), wide: bool) {
    let (columns, rows) = at;
    let half = rows % 2;
    let mut sums: Pair = [[0.0; 32]; 2];
    if op.d == Element::F16 {
        let slot = op.d_slots[columns * 2 + half];
        if adds {
            let old: [u32; 32] = file.read(slot);
            sums = [
                old.map(|v| f16_to_f32(v as u16)),
                old.map(|v| f16_to_f32((v >> 16) as u16)),
            ];
        }
        panels.multiply(columns, rows, wide, &mut sums);
        let new = std::array::from_fn(|l| encode(sums[0][l], op.d) | encode(sums[1][l], op.d) << 16);
        return file.write(slot, &new);
    }
    let slots = &op.d_slots[columns * 4 + half * 2..][..2];
    if op.d == Element::S32 {
        panels.multiply(columns, rows, wide, &mut sums);
        for (slot, sums) in slots.iter().zip(&sums) {
            let old: [i32; 32] = if adds { file.read(*slot) } else { [0; 32] };
            let sum = |l: usize| narrow(i64::from(old[l]) + sums[l] as i64, op.saturate);
            file.write(*slot, &std::array::from_fn::<u32, 32, _>(sum));
        }
        return;
    }
    if adds {
        sums = [file.read(slots[0]), file.read(slots[1])];
    }
    panels.multiply(columns, rows, wide, &mut sums);
    for (slot, sums) in slots.iter().zip(&sums) {
        file.write(*slot, &sums.map(|v| encode(v, op.d)));
    }
}

/// A warp's registers, seen from outside of it.
struct File {
    registers: *mut u8,
    pool: *mut u8,
}

impl File {
    /// None once the warp has left.
    fn of(warp: &Warp, part: Part, program: &Program) -> Option<Self> {
        (!warp.splits.is_empty()).then(|| File {
            registers: warp.regs.start().wrapping_add(part.frame as usize),
            pool: program.pool.start(),
        })
    }

    fn slot(&self, operand: u32) -> *mut u8 {
        let base = if operand & IN_POOL != 0 {
            self.pool
        } else {
            self.registers
        };
        base.wrapping_add((operand & !IN_POOL) as usize)
    }

    #[inline(always)]
    fn read<T: Lane>(&self, operand: u32) -> [T; 32] {
        // SAFETY: as in `Ctx::lanes`: `decode/` made the operand for 32 lanes of this width, and the frame was inside the
        // register file when the instruction was issued; register files never shrink while their warp lives.
        unsafe { self.slot(operand).cast::<[T; 32]>().read() }
    }

    #[inline(always)]
    fn write<T: Lane>(&self, operand: u32, values: &[T; 32]) {
        // SAFETY: as in `read`; destinations are never in the pool, and no warp runs now.
        unsafe { self.slot(operand).cast::<[T; 32]>().write(*values) };
    }
}
