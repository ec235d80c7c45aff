//! One lane's access outside of `ld` and `st`: copies, mbarriers, matrices, tensor maps. The rules are those of `memory`.

use super::ctx::Ctx;
use super::inst::Flow;
use super::judge::watch;
use super::memory::{host, report, report_aligned, space_of, Refused};
use super::ranges::Refusal;
use crate::fault::{MemoryFaultKind, Space};

/// The host address of `bytes` at an address that must be a multiple of `align`.
pub(crate) fn place(
    x: &mut Ctx<'_>,
    code: u32,
    address: u64,
    bytes: u32,
    align: u32,
    write: bool,
    lane: u32,
) -> Result<usize, Flow> {
    let misaligned = address & u64::from(align - 1) != 0;
    match host(x, code, address, bytes, write, lane) {
        Ok(place) if !misaligned => {
            watch::placed(x, code, address, bytes, write, lane)?;
            Ok(place)
        }
        Ok(_) => {
            let refused = Refused {
                space: space_of(code, address),
                kind: MemoryFaultKind::Misaligned,
                range: None,
            };
            Err(report_aligned(x, refused, address, (bytes, align), write, lane))
        }
        Err(refused) => Err(report(x, refused, address, bytes, write, lane)),
    }
}

/// Checks that one array of global memory holds `bytes` from an address on; a length beyond 32 bits is reported as the largest.
pub(crate) fn extent(x: &mut Ctx<'_>, address: u128, bytes: u128, write: bool, lane: u32) -> Result<(), Flow> {
    let found = match (u64::try_from(address), u64::try_from(address + bytes)) {
        (Ok(address), Ok(end)) => x.env.ranges.find(address, end, write),
        _ => Err(Refusal::Outside),
    };
    let (kind, range) = match found {
        Ok(_) => return Ok(()),
        Err(Refusal::Outside) => (MemoryFaultKind::OutOfBounds, None),
        Err(Refusal::ReadOnly(range)) => (MemoryFaultKind::ReadOnly, Some(range)),
    };
    let refused = Refused {
        space: Space::Global,
        kind,
        range,
    };
    let size = u32::try_from(bytes).unwrap_or(u32::MAX);
    let address = u64::try_from(address).unwrap_or(u64::MAX);
    Err(report(x, refused, address, size, write, lane))
}
