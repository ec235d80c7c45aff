//! Bit-level integer operations as the ISA's pseudo code gives them (9.7.1, 9.7.8).

/// `prmt` in its default mode: each selector picks a byte of {b, a}, or its sign.
#[inline(always)]
pub(crate) fn prmt(a: u32, b: u32, c: u32) -> u32 {
    let source = u64::from(a) | u64::from(b) << 32;
    let mut out = 0;
    for k in 0..4 {
        let selector = c >> (4 * k) & 15;
        let byte = (source >> (8 * (selector & 7))) as u32 & 0xff;
        let byte = if selector & 8 != 0 { (byte >> 7) * 0xff } else { byte };
        out |= byte << (8 * k);
    }
    out
}

/// The selectors of `prmt`'s named modes, by the two low bits of c.
pub(crate) fn prmt_mode(mode: &str, c: u32) -> u32 {
    let table: [u32; 4] = match mode {
        "f4e" => [0x3210, 0x4321, 0x5432, 0x6543],
        "b4e" => [0x5670, 0x6701, 0x7012, 0x0123],
        "rc8" => [0x0000, 0x1111, 0x2222, 0x3333],
        "ecl" => [0x3210, 0x3211, 0x3222, 0x3333],
        "ecr" => [0x0000, 0x1110, 0x2210, 0x3210],
        _ => [0x1010, 0x3232, 0x1010, 0x3232],
    };
    table[(c & 3) as usize]
}

/// `lop3` by its truth table.
#[inline(always)]
pub(crate) fn lop3(a: u32, b: u32, c: u32, table: u32) -> u32 {
    let mut out = 0;
    for row in 0..8 {
        let pick = 0u32.wrapping_sub(table >> row & 1);
        let x = if row & 4 != 0 { a } else { !a };
        let y = if row & 2 != 0 { b } else { !b };
        let z = if row & 1 != 0 { c } else { !c };
        out |= pick & x & y & z;
    }
    out
}

/// Position and length of a bit field. The 32-bit instructions look at 8 bits of them, the sequences for 64 bits at all.
#[inline(always)]
fn field<const BITS: u32>(start: u32, length: u32) -> (u32, u32) {
    if BITS == 32 {
        (start & 0xff, length & 0xff)
    } else {
        (start.min(0xff), length.min(0xff))
    }
}

/// `bfe`: `length` bits from `start` on, the sign bit repeated above when `SIGNED`.
#[inline(always)]
pub(crate) fn bfe<const BITS: u32, const SIGNED: bool>(a: u64, start: u32, length: u32) -> u64 {
    let (start, length) = field::<BITS>(start, length);
    let most = BITS - 1;
    let last = (start + length).wrapping_sub(1).min(most);
    let sign = SIGNED && length != 0 && a >> last & 1 != 0;
    let field = if start > most { 0 } else { a >> start };
    let width = length.min(BITS);
    let keep = if start > most { 0 } else { width.min(BITS - start) };
    let mask = if keep >= 64 { u64::MAX } else { (1 << keep) - 1 };
    if sign {
        (field & mask) | !mask
    } else {
        field & mask
    }
}

/// `bfi`: the low `length` bits of a into b from `start` on.
#[inline(always)]
pub(crate) fn bfi<const BITS: u32>(a: u64, b: u64, start: u32, length: u32) -> u64 {
    let (start, length) = (start & 0xff, length & 0xff);
    if start >= BITS || length == 0 {
        return b;
    }
    let keep = length.min(BITS - start);
    let mask = if keep >= 64 {
        u64::MAX
    } else {
        ((1 << keep) - 1) << start
    };
    (a << start & mask) | (b & !mask)
}

/// `bfind`: position of the highest bit that is not the sign; `SHIFT` gives the distance from the top instead.
#[inline(always)]
pub(crate) fn bfind<const BITS: u32, const SHIFT: bool>(a: u64) -> u32 {
    if a == 0 {
        return u32::MAX;
    }
    let top = 63 - a.leading_zeros();
    if SHIFT {
        BITS - 1 - top
    } else {
        top
    }
}

/// `fns`: the n-th set bit of a mask from a base, downwards for negative n.
pub(crate) fn fns(mask: u32, base: u32, offset: i32) -> u32 {
    if offset == 0 {
        return if base < 32 && mask >> base & 1 != 0 {
            base
        } else {
            u32::MAX
        };
    }
    let mut left = offset.unsigned_abs();
    let mut at = i64::from(base);
    while (0..32).contains(&at) {
        if mask >> at & 1 != 0 {
            left -= 1;
            if left == 0 {
                return at as u32;
            }
        }
        at += i64::from(offset.signum());
    }
    u32::MAX
}

/// `dp4a`: four byte products and a sum.
#[inline(always)]
pub(crate) fn dp4a<const A_SIGNED: bool, const B_SIGNED: bool>(a: u32, b: u32, c: u32) -> u32 {
    let byte = |x: u32, k: u32, signed: bool| {
        let value = (x >> (8 * k)) as u8;
        if signed {
            i32::from(value as i8)
        } else {
            i32::from(value)
        }
    };
    (0..4).fold(c, |sum, k| {
        sum.wrapping_add((byte(a, k, A_SIGNED) * byte(b, k, B_SIGNED)) as u32)
    })
}

/// `dp2a`: two 16-bit values of a with the low (or `HIGH`) two bytes of b.
#[inline(always)]
pub(crate) fn dp2a<const A_SIGNED: bool, const B_SIGNED: bool, const HIGH: bool>(a: u32, b: u32, c: u32) -> u32 {
    (0..2).fold(c, |sum, k| {
        let x = (a >> (16 * k)) as u16;
        let x = if A_SIGNED { i32::from(x as i16) } else { i32::from(x) };
        let y = (b >> (8 * k + if HIGH { 16 } else { 0 })) as u8;
        let y = if B_SIGNED { i32::from(y as i8) } else { i32::from(y) };
        sum.wrapping_add((x * y) as u32)
    })
}
