//! Special registers (ISA 10), read into a register of 2, 4 or 8 bytes.

use super::ctx::Ctx;
use super::inst::{Flow, Inst};

/// Which register, in `Inst::imm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Special {
    TidX,
    TidY,
    TidZ,
    NtidX,
    NtidY,
    NtidZ,
    CtaidX,
    CtaidY,
    CtaidZ,
    NctaidX,
    NctaidY,
    NctaidZ,
    Lane,
    Warp,
    Nwarp,
    MaskEq,
    MaskLt,
    MaskLe,
    MaskGt,
    MaskGe,
    Zero,
    One,
    Clock,
    ClockHigh,
    Timer,
    TimerHigh,
    ClusterIdX,
    ClusterIdY,
    ClusterIdZ,
    NclusterIdX,
    NclusterIdY,
    NclusterIdZ,
    ClusterCtaX,
    ClusterCtaY,
    ClusterCtaZ,
    ClusterNctaX,
    ClusterNctaY,
    ClusterNctaZ,
    ClusterRank,
    ClusterSize,
    ExplicitCluster,
    DynamicShared,
    TotalShared,
    /// `%envreg2` and `%envreg1`: where CUDA's cooperative groups find their barrier of the whole grid.
    Workspace,
    WorkspaceHigh,
}

use Special as S;

/// Every register by name.
pub(crate) const SPECIALS: &[(&str, Special)] = &[
    ("%tid.x", S::TidX),
    ("%tid", S::TidX),
    ("%tid.y", S::TidY),
    ("%tid.z", S::TidZ),
    ("%tid.w", S::Zero),
    ("%ntid.x", S::NtidX),
    ("%ntid", S::NtidX),
    ("%ntid.y", S::NtidY),
    ("%ntid.z", S::NtidZ),
    ("%ntid.w", S::Zero),
    ("%ctaid.x", S::CtaidX),
    ("%ctaid", S::CtaidX),
    ("%ctaid.y", S::CtaidY),
    ("%ctaid.z", S::CtaidZ),
    ("%ctaid.w", S::Zero),
    ("%nctaid.x", S::NctaidX),
    ("%nctaid", S::NctaidX),
    ("%nctaid.y", S::NctaidY),
    ("%nctaid.z", S::NctaidZ),
    ("%nctaid.w", S::Zero),
    ("%laneid", S::Lane),
    ("%warpid", S::Warp),
    ("%nwarpid", S::Nwarp),
    ("%smid", S::Zero),
    ("%nsmid", S::One),
    ("%gridid", S::One),
    ("%lanemask_eq", S::MaskEq),
    ("%lanemask_lt", S::MaskLt),
    ("%lanemask_le", S::MaskLe),
    ("%lanemask_gt", S::MaskGt),
    ("%lanemask_ge", S::MaskGe),
    ("%clock", S::Clock),
    ("%clock_hi", S::ClockHigh),
    ("%clock64", S::Clock),
    ("%globaltimer", S::Timer),
    ("%globaltimer_lo", S::Timer),
    ("%globaltimer_hi", S::TimerHigh),
    ("%clusterid.x", S::ClusterIdX),
    ("%clusterid.y", S::ClusterIdY),
    ("%clusterid.z", S::ClusterIdZ),
    ("%nclusterid.x", S::NclusterIdX),
    ("%nclusterid.y", S::NclusterIdY),
    ("%nclusterid.z", S::NclusterIdZ),
    ("%cluster_ctaid.x", S::ClusterCtaX),
    ("%cluster_ctaid.y", S::ClusterCtaY),
    ("%cluster_ctaid.z", S::ClusterCtaZ),
    ("%cluster_nctaid.x", S::ClusterNctaX),
    ("%cluster_nctaid.y", S::ClusterNctaY),
    ("%cluster_nctaid.z", S::ClusterNctaZ),
    ("%cluster_ctarank", S::ClusterRank),
    ("%cluster_nctarank", S::ClusterSize),
    ("%envreg0", S::Zero),
    ("%envreg1", S::WorkspaceHigh),
    ("%envreg2", S::Workspace),
    ("%envreg3", S::Zero),
    ("%envreg4", S::Zero),
    ("%envreg5", S::Zero),
    ("%envreg6", S::Zero),
    ("%envreg7", S::Zero),
    ("%envreg8", S::Zero),
    ("%envreg9", S::Zero),
    ("%envreg10", S::Zero),
    ("%envreg11", S::Zero),
    ("%envreg12", S::Zero),
    ("%envreg13", S::Zero),
    ("%envreg14", S::Zero),
    ("%envreg15", S::Zero),
    ("%envreg16", S::Zero),
    ("%envreg17", S::Zero),
    ("%envreg18", S::Zero),
    ("%envreg19", S::Zero),
    ("%envreg20", S::Zero),
    ("%envreg21", S::Zero),
    ("%envreg22", S::Zero),
    ("%envreg23", S::Zero),
    ("%envreg24", S::Zero),
    ("%envreg25", S::Zero),
    ("%envreg26", S::Zero),
    ("%envreg27", S::Zero),
    ("%envreg28", S::Zero),
    ("%envreg29", S::Zero),
    ("%envreg30", S::Zero),
    ("%envreg31", S::Zero),
    ("%is_explicit_cluster", S::ExplicitCluster),
    ("%dynamic_smem_size", S::DynamicShared),
    ("%total_smem_size", S::TotalShared),
    ("%aggr_smem_size", S::TotalShared),
    ("%reserved_smem_offset_begin", S::Zero),
    ("%reserved_smem_offset_end", S::Zero),
    ("%reserved_smem_offset_cap", S::Zero),
    ("%reserved_smem_offset_0", S::Zero),
    ("%reserved_smem_offset_1", S::Zero),
];

/// Every register by its number.
const BY_NUMBER: [Special; S::WorkspaceHigh as usize + 1] = {
    let mut all = [S::Zero; S::WorkspaceHigh as usize + 1];
    let mut row = 0;
    while row < SPECIALS.len() {
        all[SPECIALS[row].1 as usize] = SPECIALS[row].1;
        row += 1;
    }
    all
};

/// Reads register `imm` into `dst` of `extra` bytes.
pub(crate) unsafe fn special(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let which = BY_NUMBER[i.imm as usize];
    match (by_lane(x, which), i.extra) {
        (Some(values), 2) => x.put::<u16>(i.dst, &values.map(|v| v as u16), mask),
        (Some(values), 4) => x.put::<u32>(i.dst, &values, mask),
        (Some(values), _) => x.put::<u64>(i.dst, &values.map(u64::from), mask),
        (None, 2) => x.put::<u16>(i.dst, &[uniform(x, which) as u16; 32], mask),
        (None, 4) => x.put::<u32>(i.dst, &[uniform(x, which) as u32; 32], mask),
        (None, _) => x.put::<u64>(i.dst, &[uniform(x, which); 32], mask),
    }
    Flow::Next
}

/// Registers that differ between the lanes of a warp.
#[inline(always)]
fn by_lane(x: &Ctx<'_>, which: Special) -> Option<[u32; 32]> {
    let lanes = |f: fn(u32) -> u32| Some(std::array::from_fn(|l| f(l as u32)));
    match which {
        S::TidX | S::TidY | S::TidZ => Some(x.warp().tid[which as usize - S::TidX as usize]),
        S::Lane => lanes(|l| l),
        S::MaskEq => lanes(|l| 1 << l),
        S::MaskLt => lanes(|l| (1 << l) - 1),
        S::MaskLe => lanes(|l| (1 << l) | ((1 << l) - 1)),
        S::MaskGt => lanes(|l| !((1 << l) | ((1 << l) - 1))),
        S::MaskGe => lanes(|l| !((1 << l) - 1)),
        _ => None,
    }
}

fn uniform(x: &Ctx<'_>, which: Special) -> u64 {
    let launch = x.env.launch;
    let axis = |first: Special| which as usize - first as usize;
    let (cta, inside) = (x.cta().index, x.env.rank_index(x.cta().rank));
    let nanoseconds = || x.env.started.elapsed().as_nanos() as u64;
    let value = match which {
        S::NtidX | S::NtidY | S::NtidZ => launch.block[axis(S::NtidX)],
        S::CtaidX | S::CtaidY | S::CtaidZ => cta[axis(S::CtaidX)],
        S::NctaidX | S::NctaidY | S::NctaidZ => launch.grid[axis(S::NctaidX)],
        S::Warp => x.warp as u32,
        S::Nwarp => x.cta().warps.len() as u32,
        S::One => 1,
        S::Clock => return x.cluster.instructions,
        S::ClockHigh => (x.cluster.instructions >> 32) as u32,
        S::Timer => return nanoseconds(),
        S::TimerHigh => (nanoseconds() >> 32) as u32,
        S::ClusterIdX | S::ClusterIdY | S::ClusterIdZ => cta[axis(S::ClusterIdX)] / launch.cluster[axis(S::ClusterIdX)],
        S::NclusterIdX | S::NclusterIdY | S::NclusterIdZ => x.env.cluster_grid()[axis(S::NclusterIdX)],
        S::ClusterCtaX | S::ClusterCtaY | S::ClusterCtaZ => inside[axis(S::ClusterCtaX)],
        S::ClusterNctaX | S::ClusterNctaY | S::ClusterNctaZ => launch.cluster[axis(S::ClusterNctaX)],
        S::ClusterRank => x.cta().rank,
        S::ClusterSize => launch.cluster.iter().product(),
        S::ExplicitCluster => u32::from(launch.cluster != [1, 1, 1]),
        S::DynamicShared => x.env.dynamic_shared,
        S::TotalShared => x.env.shared_bytes,
        S::Workspace => x.env.workspace as u32,
        S::WorkspaceHigh => (x.env.workspace >> 32) as u32,
        _ => 0,
    };
    u64::from(value)
}
