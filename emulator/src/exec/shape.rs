//! What the 32 addresses of an access look like: nearly always a line or a point, which need one check instead of 32.
//! Written with intrinsics, as the compiler takes these loops apart into scalars.

/// Relative to the first address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Lane `l` is `l` times the size further on.
    Line,
    /// All are equal.
    Point,
    Other,
}

/// For 64-bit addresses; `wide` as [`super::lanes::wide`] gives it.
#[inline(always)]
pub(crate) fn shape64(base: &[u64; 32], size: u64, wide: bool) -> Shape {
    #[cfg(target_arch = "x86_64")]
    if wide {
        // SAFETY: `wide` says that the CPU has what the function is compiled for.
        return unsafe { shape64_v3(base, size) };
    }
    let _ = wide;
    let first = base[0];
    let line = (0..32u64).all(|l| base[l as usize] == first.wrapping_add(l.wrapping_mul(size)));
    pick(line, base.iter().all(|a| *a == first))
}

/// For 32-bit addresses.
#[inline(always)]
pub(crate) fn shape32(base: &[u32; 32], size: u32, wide: bool) -> Shape {
    #[cfg(target_arch = "x86_64")]
    if wide {
        // SAFETY: as above.
        return unsafe { shape32_v3(base, size) };
    }
    let _ = wide;
    let first = base[0];
    let line = (0..32u32).all(|l| base[l as usize] == first.wrapping_add(l.wrapping_mul(size)));
    pick(line, base.iter().all(|a| *a == first))
}

#[inline(always)]
fn pick(line: bool, point: bool) -> Shape {
    match (line, point) {
        (true, _) => Shape::Line,
        (false, true) => Shape::Point,
        _ => Shape::Other,
    }
}

macro_rules! shape_v3 {
    ($name:ident, $t:ty, $columns:literal, $signed:ty, $splat:ident, $add:ident) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2")]
        #[inline]
        unsafe fn $name(base: &[$t; 32], size: $t) -> Shape {
            use std::arch::x86_64::*;
            let load = |from: &[$t]| {
                debug_assert_eq!(from.len(), $columns);
                // SAFETY: a row has 32 bytes; the load needs no alignment.
                unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
            };
            let offsets: [$t; $columns] = std::array::from_fn(|k| size.wrapping_mul(k as $t));
            let first = $splat(base[0] as $signed);
            let step = $splat(size.wrapping_mul($columns) as $signed);
            let mut expected = $add(first, load(&offsets));
            let (mut line, mut point) = (_mm256_setzero_si256(), _mm256_setzero_si256());
            for row in base.chunks_exact($columns) {
                let row = load(row);
                line = _mm256_or_si256(line, _mm256_xor_si256(row, expected));
                point = _mm256_or_si256(point, _mm256_xor_si256(row, first));
                expected = $add(expected, step);
            }
            pick(
                _mm256_testz_si256(line, line) != 0,
                _mm256_testz_si256(point, point) != 0,
            )
        }
    };
}
shape_v3!(shape64_v3, u64, 4, i64, _mm256_set1_epi64x, _mm256_add_epi64);
shape_v3!(shape32_v3, u32, 8, i32, _mm256_set1_epi32, _mm256_add_epi32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_the_same_for_every_cpu() {
        let line: [u64; 32] = std::array::from_fn(|l| (u64::MAX - 63).wrapping_add(4 * l as u64));
        let mut cases = vec![
            (line, 4, Shape::Line),
            (line, 8, Shape::Other),
            ([7; 32], 4, Shape::Point),
        ];
        for lane in 0..32 {
            let (mut bent, mut spread) = (line, [7; 32]);
            bent[lane] ^= 1 << 40;
            spread[lane] = 9;
            cases.extend([(bent, 4, Shape::Other), (spread, 4, Shape::Other)]);
        }
        for wide in [false, super::super::lanes::wide()] {
            for (base, size, expected) in &cases {
                assert_eq!(shape64(base, *size, wide), *expected, "{base:x?}, wide {wide}");
                // The upper half tells the bent lines apart that the lower half cannot.
                let folded = base.map(|a| (a >> 32 ^ a) as u32);
                let straight = std::array::from_fn::<u32, 32, _>(|l| folded[0].wrapping_add(l as u32 * *size as u32));
                let expected = match folded {
                    f if f == straight => Shape::Line,
                    f if f == [f[0]; 32] => Shape::Point,
                    _ => Shape::Other,
                };
                assert_eq!(
                    shape32(&folded, *size as u32, wide),
                    expected,
                    "{folded:x?}, wide {wide}"
                );
            }
        }
    }
}
