//! The transforms F(2, 3) with the points 0, 1, -1, ∞ and F(4, 3) with 0, 1, -1, 2, -2, ∞.

use crate::simd::Simd;

/// Outputs of a tile along one axis: 2 or 4.
pub type TileSize = usize;

/// Filter taps along one axis.
pub const TAPS: usize = 3;

/// The element whose inverse transform is constant over the tile (the point 1 along both axes):
/// a bias added there is added to every output.
pub fn bias_element(tile: TileSize) -> usize {
    tile + TAPS
}

const FILTER_2: [[f64; 3]; 4] =
    [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];
const FILTER_4: [[f64; 3]; 6] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// Transforms a 3×3 filter to (m + 2)² elements, row by row.
pub fn filter(tile: TileSize, taps: &[f32]) -> Vec<f32> {
    let matrix: &[[f64; 3]] = if tile == 2 { &FILTER_2 } else { &FILTER_4 };
    let mut elements = Vec::with_capacity(matrix.len() * matrix.len());
    for rows in matrix {
        for columns in matrix {
            let products = (0..TAPS * TAPS)
                .map(|tap| rows[tap / TAPS] * columns[tap % TAPS] * f64::from(taps[tap]));
            #[expect(clippy::cast_possible_truncation, reason = "rounded once, here")]
            elements.push(products.sum::<f64>() as f32);
        }
    }
    elements
}

/// Transforms along one axis, for a tile of `M` outputs.
#[derive(Clone, Copy)]
pub struct Transform<const M: usize>;

/// The transforms of a line of `E` elements to and from.
///
/// # Safety of all methods
/// The processor has the instruction set.
pub trait Line<S: Simd, const M: usize, const E: usize> {
    /// Transforms a line of inputs.
    unsafe fn input(line: [S::V; E]) -> [S::V; E];
    /// Transforms a line of elements back to outputs.
    unsafe fn output(line: [S::V; E]) -> [S::V; M];
}

impl<S: Simd> Line<S, 2, 4> for Transform<2> {
    #[inline(always)]
    unsafe fn input([a, b, c, d]: [S::V; 4]) -> [S::V; 4] {
        // SAFETY: the caller has the instruction set.
        unsafe { [S::sub(a, c), S::add(b, c), S::sub(c, b), S::sub(b, d)] }
    }

    #[inline(always)]
    unsafe fn output([a, b, c, d]: [S::V; 4]) -> [S::V; 2] {
        // SAFETY: the caller has the instruction set.
        unsafe { [S::add(a, S::add(b, c)), S::sub(S::sub(b, c), d)] }
    }
}

#[expect(clippy::many_single_char_names, reason = "six values in a row")]
impl<S: Simd> Line<S, 4, 6> for Transform<4> {
    #[inline(always)]
    unsafe fn input([a, b, c, d, e, f]: [S::V; 6]) -> [S::V; 6] {
        // SAFETY: the caller has the instruction set.
        unsafe {
            let (two, four, minus_four) = (S::splat(2.0), S::splat(4.0), S::splat(-4.0));
            let minus_five = S::splat(-5.0);
            let even = S::multiply_add(c, minus_four, e);
            let odd = S::multiply_add(b, minus_four, d);
            let even_2 = S::sub(e, c);
            let odd_2 = S::mul(S::sub(d, b), two);
            [
                S::multiply_add(a, four, S::multiply_add(c, minus_five, e)),
                S::add(even, odd),
                S::sub(even, odd),
                S::add(even_2, odd_2),
                S::sub(even_2, odd_2),
                S::multiply_add(b, four, S::multiply_add(d, minus_five, f)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn output([a, b, c, d, e, f]: [S::V; 6]) -> [S::V; 4] {
        // SAFETY: the caller has the instruction set.
        unsafe {
            let (sum, difference) = (S::add(b, c), S::sub(b, c));
            let (sum_2, difference_2) = (S::add(d, e), S::sub(d, e));
            [
                S::add(a, S::add(sum, sum_2)),
                S::multiply_add(difference_2, S::splat(2.0), difference),
                S::multiply_add(sum_2, S::splat(4.0), sum),
                S::add(S::multiply_add(difference_2, S::splat(8.0), difference), f),
            ]
        }
    }
}
