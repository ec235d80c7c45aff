//! A checked call, kept for the next call like it: same types, dtypes, shapes, layout, device, scalars and options.
//!
//! Every check of `bind/` depends on nothing but these, on alignment, on whether an array may be written, and on how the
//! arrays overlap; all of that is compared here. Numbers on which nothing else depends may be others: they are checked again
//! (`backend/changes.rs`). So a call that fits needs no further check, and its launch is the kept one with these changes.
//! A call that does not fit goes the long way and may be learned in turn.

use std::sync::atomic::AtomicUsize;
use std::sync::Arc;

use super::api::Raw;
use super::arrays::{Exchange, Expected};
use super::object::{Object, Python};
use super::slots::{learn_array, Found, Slot, MOST_RANGES};
use crate::backend::changes::Changes;
use crate::backend::{ArrayRange, LaunchPlan};
use crate::bound::Bound;

/// What a call returns.
enum Returned {
    /// The array that one of the plan's ranges is.
    Array(usize),
    /// A tuple of them.
    Arrays(Vec<usize>),
    /// This object.
    Object(Object),
}

/// An output that the array library makes.
struct Made {
    range: usize,
    expected: Expected,
    make: Object,
}

/// See the module.
pub(super) struct Learned {
    pub(super) bound: Arc<Bound>,
    /// Number of the learned call that came after this one, when it was called last: a guess.
    pub(super) next: AtomicUsize,
    positional: usize,
    /// Names of the arguments by keyword, as the interpreter passes them; `None` for none.
    names: Option<Object>,
    slots: Vec<Slot>,
    returned: Returned,
    made: Vec<Made>,
    /// How the ranges overlap; `None`: the arrays are part of the bound call, and stay.
    overlaps: Option<Vec<Overlap>>,
    /// The plan's numbers, if an argument stands for one; else 0.
    scalars: usize,
    /// Says the library's current stream.
    current: Option<Object>,
    exchange: Option<(Exchange, (i32, i32))>,
    /// For the CPU device: how it runs, and who keeps the arrays of a stream-ordered launch.
    pub(super) settings: Option<Object>,
    pub(super) hold: Option<Object>,
    owners: Option<Object>,
}

/// A call that fits.
pub(super) struct Fit<'a> {
    found: &'a Found,
    /// How many addresses and numbers of these there are.
    addresses: usize,
    scalars: usize,
    pub(super) stream: u64,
}

impl Fit<'_> {
    pub(super) fn timeout_s(&self) -> f64 {
        self.found.timeout_s
    }

    /// What the launch has in place of the plan's own; `None` for nothing.
    pub(super) fn changes(&self) -> Option<Changes<'_>> {
        let (addresses, scalars) = (&self.found.addresses, &self.found.scalars);
        let is_changed = self.addresses != 0 || self.scalars != 0;
        is_changed.then_some(Changes {
            addresses: addresses.get(..self.addresses)?,
            scalars: scalars.get(..self.scalars)?,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Overlap {
    /// No byte in common, or nobody writes.
    None,
    /// The same array.
    Same,
    /// Something else.
    Part,
}

impl Learned {
    /// Reads a recipe: (native bound call, slots, returned, made, current stream, settings, hold, owners, ranges returned).
    /// `None` where a call like this cannot be repeated fast.
    pub(super) fn read(
        py: Python,
        recipe: Raw,
        bound: Arc<Bound>,
        arguments: &[Raw],
        positional: usize,
        names: Raw,
    ) -> Option<Self> {
        let plan = bound.plan.as_deref()?;
        let item = |index| py.item(recipe, index);
        let optional = |index| Some(item(index).filter(|o| !py.is_none(*o))).map(|o| o.map(|o| py.borrow(o)));
        let recipes = item(1)?;
        let slots = arguments.iter().enumerate();
        let slots: Vec<_> = slots
            .map(|(index, argument)| Slot::learn(py, py.item(recipes, index)?, *argument, plan))
            .collect::<Option<_>>()?;
        let made = item(3)?;
        let made: Vec<_> = (0..py.len(made))
            .map(|index| Made::learn(py, py.item(made, index)?, plan))
            .collect::<Option<_>>()?;
        let is_fixed = made.is_empty() && ranges_of(&slots).next().is_none();
        let addresses: Vec<_> = plan.ranges.iter().map(|range| range.address).collect();
        let overlaps = if is_fixed {
            None
        } else {
            Some(overlaps(&plan.ranges, &addresses))
        };
        if !is_fixed && !covers(plan, &slots, &made) || overlaps.iter().flatten().any(|o| *o == Overlap::Part) {
            return None;
        }
        let exchange = slots.iter().find_map(Slot::first_array).and_then(Expected::exchange);
        Some(Self {
            positional,
            names: (!names.is_null()).then(|| py.borrow(names)),
            returned: Returned::read(py, item(2)?, item(8)?)?,
            scalars: if slots.iter().any(Slot::has_number) {
                plan.scalars.len()
            } else {
                0
            },
            slots,
            made,
            overlaps,
            current: optional(4)?,
            exchange,
            settings: optional(5)?,
            hold: optional(6)?,
            owners: optional(7)?,
            bound,
            next: AtomicUsize::new(0),
        })
    }

    /// Whether a call fits; outputs that are to be made are made. `None` comes with an exception where Python code failed, or
    /// a signal's handler raised one.
    ///
    /// What the arguments contribute goes to `found`, which is new: so large a thing is not handed from function to function.
    pub(super) fn fits<'a>(
        &self,
        py: Python,
        (arguments, positional, names): (&[Raw], usize, Raw),
        found: &'a mut Found,
    ) -> Option<Fit<'a>> {
        let same_names = match &self.names {
            None => names.is_null(),
            Some(expected) => !names.is_null() && py.equal(expected.raw(), names),
        };
        if positional != self.positional || arguments.len() != self.slots.len() || !same_names {
            return None;
        }
        let plan = self.bound.plan.as_deref()?;
        for (slot, argument) in self.slots.iter().zip(arguments) {
            slot.fits(py, *argument, plan, found)?;
        }
        for output in &self.made {
            let stream = found.stream.map_or_else(|| Some(py.none()), |handle| py.int(handle))?;
            let array = py.call(&output.make, std::iter::once(stream))?;
            *found.addresses.get_mut(output.range)? = output.expected.read(py, array.raw())?;
            found.kept.push((output.range, array));
        }
        let count = match &self.overlaps {
            Some(expected) => {
                let addresses = found.addresses.get(..plan.ranges.len())?;
                same_overlaps(expected, &plan.ranges, addresses).then_some(addresses.len())?
            }
            None => 0,
        };
        let stream = match found.stream {
            Some(stream) => stream,
            None => self.current_stream(py)?,
        };
        Some(Fit {
            addresses: count,
            scalars: self.scalars,
            found,
            stream,
        })
    }

    fn current_stream(&self, py: Python) -> Option<u64> {
        if let Some((exchange, device)) = self.exchange {
            return exchange.current_stream(py, device);
        }
        match &self.current {
            Some(current) => py.u64(py.ask(current)?.raw()),
            None => Some(0),
        }
    }

    /// What the call returns.
    pub(super) fn returned(&self, py: Python, arguments: &[Raw], fit: &Fit<'_>) -> Option<Object> {
        match &self.returned {
            Returned::Array(range) => self.array(py, *range, arguments, fit),
            Returned::Arrays(ranges) => {
                let arrays = ranges.iter().map(|range| self.array(py, *range, arguments, fit));
                py.tuple(arrays.collect::<Option<Vec<_>>>()?.into_iter())
            }
            Returned::Object(object) => Some(py.borrow(object.raw())),
        }
    }

    /// The array that a range of the plan was in this call.
    fn array(&self, py: Python, range: usize, arguments: &[Raw], fit: &Fit<'_>) -> Option<Object> {
        let is_it = |slot: &Slot| matches!(slot, Slot::Array(index, _) if *index == range);
        let argument = self.slots.iter().position(is_it).and_then(|index| arguments.get(index));
        let held = || fit.found.kept.iter().find(|(index, _)| *index == range);
        argument
            .copied()
            .or_else(|| held().map(|(_, object)| object.raw()))
            .map(|raw| py.borrow(raw))
    }

    /// What must live until the launch has ended.
    pub(super) fn owners(&self, py: Python, arguments: &[Raw], fit: &Fit<'_>) -> Option<Object> {
        if let Some(owners) = &self.owners {
            return Some(py.borrow(owners.raw()));
        }
        let held = fit.found.kept.iter().map(|(_, object)| object.raw());
        let all: Vec<_> = arguments.iter().copied().chain(held).map(|o| py.borrow(o)).collect();
        py.tuple(all.into_iter())
    }
}

impl Returned {
    fn read(py: Python, object: Raw, ranges: Raw) -> Option<Self> {
        let range = |raw| usize::try_from(py.i64(raw)?).ok();
        if py.is_none(ranges) {
            return Some(Self::Object(py.borrow(object)));
        }
        if py.is_exactly(ranges, py.api.int_type) {
            return range(ranges).map(Self::Array);
        }
        let each = (0..py.len(ranges)).map(|index| range(py.item(ranges, index)?));
        each.collect::<Option<_>>().map(Self::Arrays)
    }
}

impl Made {
    /// Reads (array's recipe, the array made by the checked call, maker).
    fn learn(py: Python, recipe: Raw, plan: &LaunchPlan) -> Option<Self> {
        let (range, expected) = learn_array(py, py.item(recipe, 0)?, py.item(recipe, 1)?, plan)?;
        Some(Self {
            range,
            expected,
            make: py.borrow(py.item(recipe, 2)?),
        })
    }
}

/// Whether every range has one array, and its address stands in the parameters.
fn covers(plan: &LaunchPlan, slots: &[Slot], made: &[Made]) -> bool {
    let mut indices: Vec<_> = ranges_of(slots).chain(made.iter().map(|output| output.range)).collect();
    indices.sort_unstable();
    plan.ranges.len() <= MOST_RANGES
        && plan
            .ranges
            .iter()
            .all(|range| range.param.is_some() && range.bytes != 0)
        && indices.into_iter().eq(0..plan.ranges.len())
}

/// The plan's ranges that the arguments stand for.
fn ranges_of(slots: &[Slot]) -> impl Iterator<Item = usize> + '_ {
    slots.iter().flat_map(Slot::ranges)
}

fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |right| (0..right).map(move |left| (left, right)))
}

fn overlap(ranges: &[ArrayRange], addresses: &[u64], left: usize, right: usize) -> Overlap {
    let (a, b) = (addresses[left], addresses[right]);
    let apart = a.saturating_add(ranges[left].bytes) <= b || b.saturating_add(ranges[right].bytes) <= a;
    if apart || !(ranges[left].writable || ranges[right].writable) {
        Overlap::None
    } else if a == b && ranges[left].bytes == ranges[right].bytes {
        Overlap::Same
    } else {
        Overlap::Part
    }
}

fn overlaps(ranges: &[ArrayRange], addresses: &[u64]) -> Vec<Overlap> {
    pairs(ranges.len())
        .map(|(left, right)| overlap(ranges, addresses, left, right))
        .collect()
}

fn same_overlaps(expected: &[Overlap], ranges: &[ArrayRange], addresses: &[u64]) -> bool {
    pairs(ranges.len())
        .zip(expected)
        .all(|((left, right), expected)| overlap(ranges, addresses, left, right) == *expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(bytes: u64, writable: bool) -> ArrayRange {
        ArrayRange {
            address: 0,
            bytes,
            name: String::new(),
            writable,
            align: 1,
            param: Some(0),
            zeroed: false,
        }
    }

    #[test]
    fn test_overlaps_are_none_the_same_array_or_a_part() {
        let ranges = [range(16, false), range(16, false), range(16, true)];
        let at = |addresses: [u64; 3]| overlaps(&ranges, &addresses);
        assert!(at([0x10, 0x18, 0x40]) == [Overlap::None; 3], "two inputs may overlap");
        assert!(at([0x10, 0x30, 0x10]) == [Overlap::None, Overlap::Same, Overlap::None]);
        assert!(at([0x10, 0x30, 0x38]) == [Overlap::None, Overlap::None, Overlap::Part]);
        assert!(same_overlaps(&at([0x10, 0x30, 0x10]), &ranges, &[0x80, 0x90, 0x80]));
        assert!(!same_overlaps(&at([0x10, 0x30, 0x50]), &ranges, &[0x80, 0x90, 0x80]));
    }
}
