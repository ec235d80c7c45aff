//! Checks of grid, block, cluster and shared memory against the device and the PTX entry.

use serde_json::json;

use crate::device::Device;
use crate::error::{Error, Kind, Result};

/// Extents of a launch, before they are checked.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Extents {
    pub grid: [i64; 3],
    pub block: [i64; 3],
    /// `None`: what the entry's `.reqnctapercluster` says, or no cluster.
    pub cluster: Option<[i64; 3]>,
    pub shared_bytes: i64,
}

/// Checked extents.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Checked {
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub cluster: [u32; 3],
    pub shared_bytes: u32,
    /// Whether there is anything to do.
    pub is_empty: bool,
}

const MAX_GRID: [i64; 3] = [i32::MAX as i64, 65_535, 65_535];
const MAX_BLOCK: [i64; 3] = [1024, 1024, 64];

/// Checks extents for an entry on a device. `label` opens the error's text.
pub fn check(label: &str, extents: &Extents, entry: &emulator::Entry, device: &Device) -> Result<Checked> {
    let refuse = |text: String| {
        Error::new(Kind::Launch, format!("{label}: {text}"))
            .with("kernel", label)
            .with("grid", json!(extents.grid))
            .with("block", json!(extents.block))
    };
    let (grid, block) = (extents.grid, extents.block);
    let cluster = match (extents.cluster, entry.required_cluster) {
        (Some(given), _) => given,
        (None, Some(required)) => required.map(i64::from),
        (None, None) => [1; 3],
    };
    if (0..3).any(|i| grid[i] < 0 || grid[i] > MAX_GRID[i]) {
        return Err(refuse(format!("grid is {grid:?}, expected 0 to {MAX_GRID:?}")));
    }
    if (0..3).any(|i| block[i] < 1 || block[i] > MAX_BLOCK[i]) {
        return Err(refuse(format!("block is {block:?}, expected 1 to {MAX_BLOCK:?}")));
    }
    let threads: i64 = block.iter().product();
    if threads > 1024 {
        return Err(refuse(format!(
            "block is {block:?} with {threads} threads, expected at most 1024"
        )));
    }
    check_entry(extents, entry, &refuse)?;
    if (0..3).any(|i| cluster[i] < 1 || cluster[i] > 16 || grid[i] % cluster[i] != 0) {
        return Err(refuse(format!(
            "cluster is {cluster:?}, expected divisors of the grid {grid:?}, at most 16"
        )));
    }
    let (dynamic, fixed) = (extents.shared_bytes, i64::from(entry.static_shared_bytes));
    let most = i64::from(device.backend.info().max_shared_bytes);
    if dynamic < 0 || dynamic.saturating_add(fixed) > most {
        let beside = if fixed == 0 {
            String::new()
        } else {
            format!(" beside {fixed} static bytes")
        };
        let text = format!(
            "shared_bytes is {dynamic}{beside}, expected 0 to {} on {}",
            most - fixed,
            device.name()
        );
        return Err(refuse(text));
    }
    let narrow = |axes: [i64; 3]| axes.map(|axis| axis as u32);
    Ok(Checked {
        grid: narrow(grid),
        block: narrow(block),
        cluster: narrow(cluster),
        shared_bytes: dynamic as u32,
        is_empty: grid.contains(&0),
    })
}

/// What the entry's own directives require.
fn check_entry(extents: &Extents, entry: &emulator::Entry, refuse: &dyn Fn(String) -> Error) -> Result<()> {
    let wide = |axes: [u32; 3]| axes.map(i64::from);
    if let Some(required) = entry.required_block.map(wide).filter(|r| *r != extents.block) {
        let text = format!(
            "block is {:?}, expected {required:?}, the .reqntid of entry {}",
            extents.block, entry.name
        );
        return Err(refuse(text));
    }
    let threads: i64 = extents.block.iter().product();
    if let Some(most) = entry
        .max_block
        .map(wide)
        .filter(|m| m.iter().product::<i64>() < threads)
    {
        let text = format!(
            "block is {:?} with {threads} threads, expected at most {}, the .maxntid of entry {}",
            extents.block,
            most.iter().product::<i64>(),
            entry.name
        );
        return Err(refuse(text));
    }
    match (extents.cluster, entry.required_cluster.map(wide)) {
        (Some(given), Some(required)) if given != required => Err(refuse(format!(
            "cluster is {given:?}, expected {required:?}, the .reqnctapercluster of entry {}; give that, or none",
            entry.name
        ))),
        _ => Ok(()),
    }
}
