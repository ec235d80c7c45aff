//! `st.async` and `red.async` (ISA 9.7.9.12, 9.7.13.8): registers to the shared memory of a CTA of the cluster, with an
//! mbarrier there that is told. They are queued beside the bulk copies, which own the schedule.

use super::copies::{known_barrier, submit, BulkCopy};
use super::ctx::Ctx;
use super::inst::{Flow, Inst};
use super::mbarrier::Arrival;
use super::memory::{addresses, place, space};
use super::reduce::reduction;

/// `a` and `imm`: the target; `b`: the mbarrier, of 64 bits with `d` 1; `dst`: see [`reduction`]; list `extra`: address
/// flags of the target, the mbarrier's offset, bytes of an element, then the slots of the elements.
pub(crate) unsafe fn store_async(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let list = &x.env.program.lists[i.extra as usize];
    let (flags, offset, size) = (list[0], list[1], list[2]);
    let target = addresses(x, &Inst { extra: flags, ..*i }, mask);
    for lane in (0..32u32).filter(|l| mask >> l & 1 != 0) {
        let l = lane as usize;
        let barrier = if i.d & 1 != 0 {
            x.lanes::<u64>(i.b)[l].wrapping_add(i64::from(offset as i32) as u64)
        } else {
            u64::from(x.lanes::<u32>(i.b)[l].wrapping_add(offset))
        };
        let values = elements(x, &list[3..], size, l);
        if let Err(flow) = issue(x, i.dst, (target[l], barrier), &values, lane) {
            return flow;
        }
    }
    Flow::Next
}

/// The bytes of one lane's registers.
fn elements(x: &Ctx<'_>, slots: &[u32], size: u32, lane: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for slot in slots {
        match size {
            4 => bytes.extend(x.lanes::<u32>(*slot)[lane].to_ne_bytes()),
            _ => bytes.extend(x.lanes::<u64>(*slot)[lane].to_ne_bytes()),
        }
    }
    bytes
}

fn issue(x: &mut Ctx<'_>, operation: u32, at: (u64, u64), values: &[u8], lane: u32) -> Result<(), Flow> {
    let bytes = values.len() as u32;
    let target = place(x, space::SHARED, at.0, bytes, bytes, true, lane)?;
    let signal = known_barrier(x, at.1, lane)?;
    submit(
        x,
        lane,
        BulkCopy {
            number: 0,
            by: Arrival::default(),
            source: 0,
            held: values.to_vec(),
            target,
            bytes: u64::from(bytes),
            combine: reduction(operation),
            signal,
            tensor: None,
        },
    )
}
