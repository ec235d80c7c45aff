//! A tuple or list among the arguments of a learned call: several outputs, the arguments of an entry, extents, a few numbers.
//!
//! Each item has a slot of its own. A list may be changed by others as soon as the GIL is released, so the arrays in it are
//! kept by the call; those in a tuple too, since who made the tuple for one call may drop it in a callback.

use super::api::Raw;
use super::object::{Object, Python};
use super::slots::{Found, Slot};
use crate::backend::LaunchPlan;

/// What a tuple or list must be to fit a checked call.
pub(super) struct Sequence {
    is_list: bool,
    slots: Vec<Slot>,
}

impl Sequence {
    /// Reads a tuple of slots, one per item.
    pub(super) fn learn(py: Python, recipes: Raw, argument: Raw, plan: &LaunchPlan) -> Option<Self> {
        let is_list = py.is_exactly(argument, py.api.list_type);
        if length(py, argument, is_list)? != py.len(recipes) {
            return None;
        }
        let slot = |index| {
            let value = item(py, argument, is_list, index)?;
            Slot::learn(py, py.item(recipes, index)?, value.raw(), plan)
        };
        let slots = (0..py.len(recipes)).map(slot).collect::<Option<_>>()?;
        Some(Self { is_list, slots })
    }

    /// Whether an argument fits; what it contributes goes to `found`.
    pub(super) fn fits(&self, py: Python, argument: Raw, plan: &LaunchPlan, found: &mut Found) -> Option<()> {
        if length(py, argument, self.is_list)? != self.slots.len() {
            return None;
        }
        for (index, slot) in self.slots.iter().enumerate() {
            let value = item(py, argument, self.is_list, index)?;
            slot.fits(py, value.raw(), plan, found)?;
            if let Slot::Array(range, _) = slot {
                found.kept.push((*range, value));
            }
        }
        Some(())
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }
}

/// Number of items, if it is of this very type.
fn length(py: Python, argument: Raw, is_list: bool) -> Option<usize> {
    if is_list {
        return py
            .is_exactly(argument, py.api.list_type)
            .then(|| py.list_len(argument))?;
    }
    py.is_exactly(argument, py.api.tuple_type).then(|| py.len(argument))
}

fn item(py: Python, argument: Raw, is_list: bool, index: usize) -> Option<Object> {
    match is_list {
        true => py.list_item(argument, index),
        false => py.item(argument, index).map(|item| py.borrow(item)),
    }
}
