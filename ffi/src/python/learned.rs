//! A checked call, kept for the next call like it: same types, dtypes, shapes, layout, device, scalars and options.
//!
//! Every check of `bind/` depends on nothing but these, on alignment, on whether an array may be written, and on how the
//! arrays overlap; all of that is compared here. So a call that fits needs no further check, and its launch is the kept one
//! with other addresses. A call that does not fit goes the long way and may be learned in turn.

use std::sync::Arc;

use super::api::Raw;
use super::arrays::{Exchange, Expected};
use super::object::{Object, Python};
use super::slots::{learn_array, Found, Slot, MOST_RANGES};
use crate::backend::{ArrayRange, LaunchPlan};
use crate::bound::Bound;

/// What a call returns.
enum Returned {
    /// One of its arguments.
    Argument(usize),
    /// The outputs that are made.
    Made,
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
    positional: usize,
    /// Names of the arguments by keyword, as the interpreter passes them; `None` for none.
    names: Option<Object>,
    slots: Vec<Slot>,
    returned: Returned,
    made: Vec<Made>,
    /// How the ranges overlap; `None`: the arrays are part of the bound call, and stay.
    overlaps: Option<Vec<Overlap>>,
    /// Says the library's current stream.
    current: Option<Object>,
    exchange: Option<(Exchange, (i32, i32))>,
    /// For the CPU device: how it runs, and who keeps the arrays of a stream-ordered launch.
    pub(super) settings: Option<Object>,
    pub(super) hold: Option<Object>,
    owners: Option<Object>,
}

/// A call that fits.
pub(super) struct Fit {
    pub(super) addresses: Option<[u64; MOST_RANGES]>,
    pub(super) stream: u64,
    pub(super) timeout_s: f64,
    made: Vec<Object>,
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
    /// Reads a recipe: (native bound call, slots, returned, made, current stream, settings, hold, owners). `None` where a
    /// call like this cannot be repeated fast.
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
        let range = |index: usize| plan.ranges.get(index).map(|range| (range.writable, range.align));
        let recipes = item(1)?;
        let slots = arguments.iter().enumerate();
        let slots: Vec<_> = slots
            .map(|(index, argument)| Slot::learn(py, py.item(recipes, index)?, *argument, range))
            .collect::<Option<_>>()?;
        let (returned, made) = (item(2)?, item(3)?);
        let made: Vec<_> = (0..py.len(made))
            .map(|index| Made::learn(py, py.item(made, index)?, range))
            .collect::<Option<_>>()?;
        let is_fixed = made.is_empty() && !slots.iter().any(|slot| matches!(slot, Slot::Array(..)));
        let addresses: Vec<_> = plan.ranges.iter().map(|range| range.address).collect();
        let overlaps = if is_fixed {
            None
        } else {
            Some(overlaps(&plan.ranges, &addresses))
        };
        if !is_fixed && !covers(plan, &slots, &made) || overlaps.iter().flatten().any(|o| *o == Overlap::Part) {
            return None;
        }
        let first = slots.iter().find_map(|slot| match slot {
            Slot::Array(_, expected) => Some(expected),
            _ => None,
        });
        let exchange = first.and_then(|expected| expected.exchange());
        Some(Self {
            positional,
            names: (!names.is_null()).then(|| py.borrow(names)),
            returned: match (py.is_exactly(returned, py.api.int_type), made.is_empty()) {
                (true, _) => Returned::Argument(usize::try_from(py.i64(returned)?).ok()?),
                (false, false) => Returned::Made,
                (false, true) => Returned::Object(py.borrow(returned)),
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
        })
    }

    /// Whether a call fits; outputs that are to be made are made.
    pub(super) fn fits(&self, py: Python, arguments: &[Raw], positional: usize, names: Raw) -> Option<Fit> {
        let same_names = match &self.names {
            None => names.is_null(),
            Some(expected) => !names.is_null() && py.equal(expected.raw(), names),
        };
        if positional != self.positional || arguments.len() != self.slots.len() || !same_names {
            return None;
        }
        let mut found = Found::default();
        for (slot, argument) in self.slots.iter().zip(arguments) {
            slot.fits(py, *argument, &mut found)?;
        }
        let mut made = Vec::new();
        for output in &self.made {
            let stream = found.stream.map_or_else(|| Some(py.none()), |handle| py.int(handle))?;
            let array = py.answered(py.call(&output.make, std::iter::once(stream)))?;
            *found.addresses.get_mut(output.range)? = output.expected.read(py, array.raw())?;
            made.push(array);
        }
        let addresses = match (&self.overlaps, self.bound.plan.as_deref()) {
            (Some(expected), Some(plan)) => {
                let addresses = found.addresses.get(..plan.ranges.len())?;
                same_overlaps(expected, &plan.ranges, addresses).then_some(Some(found.addresses))?
            }
            _ => None,
        };
        let stream = match found.stream {
            Some(stream) => stream,
            None => self.current_stream(py)?,
        };
        Some(Fit {
            addresses,
            stream,
            timeout_s: found.timeout_s,
            made,
        })
    }

    fn current_stream(&self, py: Python) -> Option<u64> {
        if let Some((exchange, device)) = self.exchange {
            return exchange.current_stream(device);
        }
        match &self.current {
            Some(current) => py.u64(py.ask(current)?.raw()),
            None => Some(0),
        }
    }

    /// What the call returns.
    pub(super) fn returned(&self, py: Python, arguments: &[Raw], mut fit: Fit) -> Option<Object> {
        match &self.returned {
            Returned::Argument(index) => arguments.get(*index).map(|argument| py.borrow(*argument)),
            Returned::Object(object) => Some(py.borrow(object.raw())),
            Returned::Made if fit.made.len() == 1 => fit.made.pop(),
            Returned::Made => py.tuple(fit.made.into_iter()),
        }
    }

    /// What must live until the launch has ended.
    pub(super) fn owners(&self, py: Python, arguments: &[Raw], fit: &Fit) -> Option<Object> {
        if let Some(owners) = &self.owners {
            return Some(py.borrow(owners.raw()));
        }
        let made = fit.made.iter().map(Object::raw);
        let all: Vec<_> = arguments.iter().copied().chain(made).map(|o| py.borrow(o)).collect();
        py.tuple(all.into_iter())
    }
}

impl Made {
    /// Reads (array's recipe, the array made by the checked call, maker).
    fn learn(py: Python, recipe: Raw, range: impl Fn(usize) -> Option<(bool, u64)>) -> Option<Self> {
        let (range, expected) = learn_array(py, py.item(recipe, 0)?, py.item(recipe, 1)?, range)?;
        Some(Self {
            range,
            expected,
            make: py.borrow(py.item(recipe, 2)?),
        })
    }
}

/// Whether every range has one array, and its address stands in the parameters.
fn covers(plan: &LaunchPlan, slots: &[Slot], made: &[Made]) -> bool {
    let given = slots.iter().filter_map(|slot| match slot {
        Slot::Array(index, _) => Some(*index),
        _ => None,
    });
    let mut indices: Vec<_> = given.chain(made.iter().map(|output| output.range)).collect();
    indices.sort_unstable();
    plan.ranges.len() <= MOST_RANGES
        && plan
            .ranges
            .iter()
            .all(|range| range.param.is_some() && range.bytes != 0)
        && indices.into_iter().eq(0..plan.ranges.len())
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
