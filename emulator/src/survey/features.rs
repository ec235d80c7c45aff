//! Instructions that not every GPU has: what they are called here, and the least architecture (PTX ISA, "Target ISA Notes").

use crate::ptx::tree::Instruction;

/// A group of instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// As people call it.
    pub name: &'static str,
    /// Least architecture; a suffix `a` means that architecture only.
    pub arch: &'static str,
    /// The first line that uses it.
    pub line: u32,
}

/// Opcode, modifiers that must be there, name, architecture. The first row that matches wins.
const TABLE: &[(&str, &[&str], &str, &str)] = &[
    (
        "cp",
        &["async", "bulk", "tensor"],
        "tensor copies (cp.async.bulk.tensor)",
        "sm_90",
    ),
    ("cp", &["async", "bulk"], "bulk copies (cp.async.bulk)", "sm_90"),
    (
        "cp",
        &["reduce", "async", "bulk"],
        "bulk reductions (cp.reduce.async.bulk)",
        "sm_90",
    ),
    ("cp", &["async"], "asynchronous copies (cp.async)", "sm_80"),
    ("mbarrier", &["try_wait"], "mbarriers with try_wait", "sm_90"),
    ("mbarrier", &["expect_tx"], "transaction mbarriers (expect_tx)", "sm_90"),
    ("mbarrier", &[], "mbarriers", "sm_80"),
    ("wgmma", &[], "warpgroup matrix products (wgmma)", "sm_90a"),
    ("setmaxnreg", &[], "register reallocation (setmaxnreg)", "sm_90a"),
    ("barrier", &["cluster"], "clusters (barrier.cluster)", "sm_90"),
    ("mapa", &[], "clusters (mapa)", "sm_90"),
    ("elect", &[], "elect.sync", "sm_90"),
    ("griddepcontrol", &[], "dependent launch (griddepcontrol)", "sm_90"),
    ("tensormap", &[], "tensor map edits (tensormap.replace)", "sm_90a"),
    ("stmatrix", &[], "stmatrix", "sm_90"),
    ("ldmatrix", &[], "ldmatrix", "sm_75"),
    ("mma", &["sp"], "sparse matrix products (mma.sp)", "sm_80"),
    (
        "mma",
        &["sp::ordered_metadata"],
        "sparse matrix products (mma.sp)",
        "sm_80",
    ),
    ("mma", &[], "matrix products (mma.sync)", "sm_70"),
    ("wmma", &[], "matrix products (wmma)", "sm_70"),
    ("redux", &[], "redux.sync", "sm_80"),
];

/// What an instruction asks for beyond the common.
pub(super) fn of(instruction: &Instruction<'_>) -> Option<Feature> {
    let row = TABLE.iter().find(|(opcode, needed, ..)| {
        *opcode == instruction.opcode && needed.iter().all(|m| instruction.modifiers.contains(m))
    });
    row.map(|(_, _, name, arch)| Feature {
        name,
        arch,
        line: instruction.pos.line,
    })
}
