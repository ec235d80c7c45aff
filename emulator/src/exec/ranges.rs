//! Registered global memory: which host bytes a kernel may touch. Global addresses are host addresses.

use crate::launch::Access;

/// One registered range.
#[derive(Clone, Debug)]
pub(crate) struct HostRange {
    pub start: u64,
    pub end: u64,
    pub writable: bool,
    /// The host may write while the kernel runs.
    pub host_writes: bool,
    pub name: String,
}

/// All of a launch, by start address. Ranges may overlap: the same array can be two arguments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges {
    list: Vec<HostRange>,
}

/// Why no range allows an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Outside,
    ReadOnly(usize),
}

impl Ranges {
    pub(crate) fn new(mut list: Vec<HostRange>) -> Self {
        list.sort_by_key(|r| r.start);
        Self { list }
    }

    pub(crate) fn get(&self, index: usize) -> &HostRange {
        &self.list[index]
    }

    /// Whether range `hint` holds `[low, high)`.
    #[inline(always)]
    pub(crate) fn holds(&self, hint: u32, low: u64, high: u64, write: bool) -> bool {
        match self.list.get(hint as usize) {
            Some(r) => low >= r.start && high <= r.end && (r.writable || !write),
            None => false,
        }
    }

    /// A range that holds `[low, high)`.
    pub(crate) fn find(&self, low: u64, high: u64, write: bool) -> Result<u32, Refusal> {
        let mut refusal = Refusal::Outside;
        for (index, range) in self.list.iter().enumerate() {
            if low >= range.start && high <= range.end {
                if range.writable || !write {
                    return Ok(index as u32);
                }
                refusal = Refusal::ReadOnly(index);
            }
        }
        Err(refusal)
    }

    /// Whether the host may change what is at an address.
    pub(crate) fn host_writes(&self, address: u64) -> bool {
        self.list
            .iter()
            .any(|r| r.host_writes && address >= r.start && address < r.end)
    }

    /// The range nearest to an address.
    pub(crate) fn nearest(&self, address: u64) -> Option<&HostRange> {
        let distance = |r: &&HostRange| {
            if address < r.start {
                r.start - address
            } else {
                address.saturating_add(1).saturating_sub(r.end)
            }
        };
        self.list.iter().min_by_key(distance)
    }
}

impl From<&crate::launch::Range> for HostRange {
    fn from(range: &crate::launch::Range) -> Self {
        HostRange {
            start: range.address,
            end: range.address.saturating_add(range.bytes),
            writable: range.access != Access::Read,
            host_writes: range.access == Access::HostWrites,
            name: range.name.clone(),
        }
    }
}
