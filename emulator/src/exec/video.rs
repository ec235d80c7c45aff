//! Video instructions (ISA 9.7.14, 9.7.15). The scalar ones: parts of 32-bit operands, an exact operation, saturation, then a second
//! operation or a merge with the third operand. One handler for all, as the ISA's pseudo code is; nothing hot uses them.

use super::ctx::Ctx;
use super::inst::{Flow, Inst};

/// The first operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    Add,
    Sub,
    AbsDiff,
    Min,
    Max,
    ShiftLeft,
    ShiftRight,
    Mad,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// Of the SIMD instructions only.
    Average,
}

/// What follows: nothing, an operation with the third operand, or a merge of the selected part into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Second {
    None,
    Add,
    Min,
    Max,
    Merge,
}

/// A part of a 32-bit operand, as `.b0` to `.b3`, `.h0`, `.h1` name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub shift: u32,
    pub bits: u32,
}

impl Part {
    pub(crate) const WHOLE: Self = Self { shift: 0, bits: 32 };

    /// The part of a name like `%r1.b2`, and the register's name.
    pub(crate) fn of(name: &str) -> (&str, Self) {
        let parts = [
            (".b0", 0, 8),
            (".b1", 8, 8),
            (".b2", 16, 8),
            (".b3", 24, 8),
            (".h0", 0, 16),
            (".h1", 16, 16),
        ];
        let found = parts
            .iter()
            .find_map(|(suffix, shift, bits)| name.strip_suffix(suffix).map(|base| (base, *shift, *bits)));
        match found {
            Some((base, shift, bits)) => (base, Self { shift, bits }),
            None => (name, Self::WHOLE),
        }
    }

    fn mask(self) -> u32 {
        u32::MAX >> (32 - self.bits)
    }

    fn read(self, value: u32, signed: bool) -> i128 {
        let field = value >> self.shift & self.mask();
        let above = 32 - self.bits;
        if signed {
            i128::from((field << above) as i32 >> above)
        } else {
            i128::from(field)
        }
    }

    /// The low bits of a value in place of this part. An H200 takes the upper half of the value for `.h1`.
    fn merge(self, value: u32, into: u32) -> u32 {
        let mask = self.mask() << self.shift;
        let in_place = self.bits == 16 && self.shift == 16;
        (if in_place { value } else { value << self.shift }) & mask | into & !mask
    }
}

/// One instruction; made by `decode/build/video`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Video {
    pub first: First,
    pub second: Second,
    /// Signedness of d, a and b.
    pub signed: [bool; 3],
    /// Parts of d, a and b.
    pub parts: [Part; 3],
    pub saturate: bool,
    /// Shifts: the distance is taken modulo 32.
    pub wrap: bool,
    /// `vmad`: 0, 7 or 15.
    pub scale: u32,
    /// `vmad.po`: one more.
    pub plus_one: bool,
}

fn clamp(value: i128, bits: u32, signed: bool) -> i128 {
    if signed {
        value.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    } else {
        value.clamp(0, (1 << bits) - 1)
    }
}

/// The first operation's result has 34 bits (ISA 9.7.15); only a left shift can lose some.
fn shifted_left(value: i128, distance: i128) -> i128 {
    value << distance << (128 - 34) >> (128 - 34)
}

impl Video {
    /// The result for one lane.
    pub(crate) fn apply(&self, a: u32, b: u32, c: u32) -> u32 {
        if self.first == First::Mad {
            return self.multiply(a, b, c);
        }
        let [_, a_signed, b_signed] = self.signed;
        let (x, y) = (self.parts[1].read(a, a_signed), self.parts[2].read(b, b_signed));
        let value = self.operation(x, y);
        let value = if self.saturate { self.saturated(value) } else { value };
        match self.second {
            Second::None => value as u32,
            Second::Add => (value as u32).wrapping_add(c),
            Second::Min => self.ordered(value, c).0,
            Second::Max => self.ordered(value, c).1,
            Second::Merge => self.parts[0].merge(value as u32, c),
        }
    }

    /// The same operation on each byte or half of the operands; `.add` sums the results and c.
    fn apply_lanes(&self, a: u32, b: u32, c: u32) -> u32 {
        let [d_signed, a_signed, b_signed] = self.signed;
        let bits = self.parts[0].bits;
        let (mut packed, mut sum) = (0, c);
        for shift in (0..32).step_by(bits as usize) {
            let part = Part { shift, bits };
            let value = self.operation(part.read(a, a_signed), part.read(b, b_signed));
            let value = if self.saturate {
                clamp(value, bits, d_signed)
            } else {
                value
            };
            packed |= (value as u32 & part.mask()) << shift;
            sum = sum.wrapping_add(value as u32);
        }
        if self.second == Second::Add {
            sum
        } else {
            packed
        }
    }

    /// Saturation of a sum or difference into a whole u32 clamps at zero only on an H200, and drops what is above 32 bits.
    fn saturated(&self, value: i128) -> i128 {
        let sum = matches!(self.first, First::Add | First::Sub | First::AbsDiff);
        match (self.parts[0], self.signed[0]) {
            (Part::WHOLE, false) if sum => value.max(0),
            (part, signed) => clamp(value, part.bits, signed),
        }
    }

    fn operation(&self, x: i128, y: i128) -> i128 {
        let distance = if self.wrap { y & 31 } else { y.min(32) };
        match self.first {
            First::Add => x + y,
            First::Sub => x - y,
            First::AbsDiff => (x - y).abs(),
            First::Min => x.min(y),
            First::Max => x.max(y),
            First::ShiftLeft => shifted_left(x, distance),
            First::ShiftRight => x >> distance,
            First::Equal => i128::from(x == y),
            First::NotEqual => i128::from(x != y),
            First::Less => i128::from(x < y),
            First::LessEqual => i128::from(x <= y),
            First::Greater => i128::from(x > y),
            First::GreaterEqual | First::Mad => i128::from(x >= y),
            // Halves are rounded away from zero.
            First::Average => (x + y + i128::from(x + y >= 0)) >> 1,
        }
    }

    /// The smaller and the larger of the first result and the third operand, as an H200 compares them: extrema with all
    /// their bits, sums and differences with 32; of two saturated u32 with the upper bit set, the sum counts as larger.
    fn ordered(&self, value: i128, c: u32) -> (u32, u32) {
        let signed = self.signed[0];
        let third = if signed { i128::from(c as i32) } else { i128::from(c) };
        let low = value as u32;
        let value = match (self.first, signed) {
            (First::Min | First::Max, _) => value,
            (_, true) => i128::from(low as i32),
            (_, false) if self.saturate && low & c & 1 << 31 != 0 => 1 << 32,
            (_, false) => i128::from(low),
        };
        if value < third {
            (low, c)
        } else {
            (c, low)
        }
    }

    /// `vmad`: an H200 takes whole operands as signed; a scaled unsigned result is shifted as 64 unsigned bits.
    fn multiply(&self, a: u32, b: u32, c: u32) -> u32 {
        let read = |k: usize, value| self.parts[k].read(value, self.signed[k] || self.parts[k] == Part::WHOLE);
        let (x, y) = (read(1, a), read(2, b));
        let signed = self.signed[1] || self.signed[2];
        let sum = x * y + i128::from(c as i32) + i128::from(self.plus_one);
        let value = match (signed, self.scale) {
            (false, 1..) => i128::from(sum as u64 >> self.scale),
            _ => sum >> self.scale,
        };
        (if self.saturate { clamp(value, 32, signed) } else { value }) as u32
    }
}

/// d = video(a, b, c); `extra`: index of the instruction in the program's list, as `Video::pack` wrote it.
pub(crate) unsafe fn video(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let video = Video::unpack(&x.env.program.lists[i.extra as usize]);
    let (a, b, c) = (x.lanes::<u32>(i.a), x.lanes::<u32>(i.b), x.lanes::<u32>(i.c));
    let out = std::array::from_fn(|l| video.apply(a[l], b[l], c[l]));
    x.put::<u32>(i.dst, &out, mask);
    Flow::Next
}

/// The same for the SIMD instructions, whose parts all have the width of a lane.
pub(crate) unsafe fn simd(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let video = Video::unpack(&x.env.program.lists[i.extra as usize]);
    let (a, b, c) = (x.lanes::<u32>(i.a), x.lanes::<u32>(i.b), x.lanes::<u32>(i.c));
    let out = std::array::from_fn(|l| video.apply_lanes(a[l], b[l], c[l]));
    x.put::<u32>(i.dst, &out, mask);
    Flow::Next
}

const FIRSTS: [First; 15] = [
    First::Add,
    First::Sub,
    First::AbsDiff,
    First::Min,
    First::Max,
    First::ShiftLeft,
    First::ShiftRight,
    First::Mad,
    First::Equal,
    First::NotEqual,
    First::Less,
    First::LessEqual,
    First::Greater,
    First::GreaterEqual,
    First::Average,
];
const SECONDS: [Second; 5] = [Second::None, Second::Add, Second::Min, Second::Max, Second::Merge];

impl Video {
    /// As a list of the program.
    pub(crate) fn pack(&self) -> Vec<u32> {
        let mut list = vec![
            self.first as u32,
            self.second as u32,
            u32::from(self.saturate),
            u32::from(self.wrap),
            self.scale,
            u32::from(self.plus_one),
        ];
        for k in 0..3 {
            list.extend([u32::from(self.signed[k]), self.parts[k].shift, self.parts[k].bits]);
        }
        list
    }

    fn unpack(list: &[u32]) -> Self {
        let part = |k: usize| Part {
            shift: list[7 + 3 * k],
            bits: list[8 + 3 * k],
        };
        Self {
            first: FIRSTS[list[0] as usize],
            second: SECONDS[list[1] as usize],
            saturate: list[2] != 0,
            wrap: list[3] != 0,
            scale: list[4],
            plus_one: list[5] != 0,
            signed: [0, 1, 2].map(|k| list[6 + 3 * k] != 0),
            parts: [0, 1, 2].map(part),
        }
    }
}
