//! The matrix product of one element: tiles × channels by channels × filters.

use crate::simd::Simd;

/// Values in a cache line.
pub const LINE: usize = 16;

/// A few tiles times a few vectors of filters.
pub struct Product {
    /// Transformed inputs: one row of channels for each tile.
    pub inputs: *const f32,
    /// Distance of the rows.
    pub input_stride: usize,
    /// Channels to sum over.
    pub channels: usize,
    /// Weights: channel, filter.
    pub weights: *const f32,
    /// What each filter's sum starts from.
    pub initial: *const f32,
    /// Tiles.
    pub tiles: usize,
    /// Vectors of filters.
    pub vectors: usize,
    /// Results: one row of filters for each tile.
    pub out: *mut f32,
    /// Distance of the rows.
    pub out_stride: usize,
    /// Two streams of weights that will be read soon, one cache line of each for each channel.
    pub ahead: [*const f32; 2],
}

/// Computes the product, at most `T` tiles by `N` vectors.
///
/// # Safety
/// The processor has the instruction set, and the pointers are valid as described.
#[inline(always)]
pub unsafe fn multiply<S: Simd, const T: usize, const N: usize>(product: &Product) {
    // SAFETY: as the caller promises.
    unsafe {
        match product.vectors {
            1 => by_tiles::<S, T, 1>(product),
            2 => by_tiles::<S, T, 2>(product),
            3 if N > 3 => by_tiles::<S, T, 3>(product),
            _ => by_tiles::<S, T, N>(product),
        }
    }
}

#[inline(always)]
unsafe fn by_tiles<S: Simd, const T: usize, const N: usize>(product: &Product) {
    // SAFETY: as the caller promises.
    unsafe {
        match product.tiles {
            1 => accumulate::<S, 1, N>(product),
            2 => accumulate::<S, 2, N>(product),
            3 if T > 3 => accumulate::<S, 3, N>(product),
            4 if T > 4 => accumulate::<S, 4, N>(product),
            5 if T > 5 => accumulate::<S, 5, N>(product),
            6 if T > 6 => accumulate::<S, 6, N>(product),
            _ => accumulate::<S, T, N>(product),
        }
    }
}

#[inline(always)]
unsafe fn accumulate<S: Simd, const T: usize, const N: usize>(product: &Product) {
    // SAFETY: the pointers are valid for all tiles, channels and filters.
    unsafe {
        let mut sums = [[S::splat(0.0); N]; T];
        for vector in 0..N {
            let initial = S::load(product.initial.add(vector * S::LANES));
            for row in &mut sums {
                row[vector] = initial;
            }
        }
        let mut weights = product.weights;
        let mut inputs = product.inputs;
        let mut ahead = product.ahead;
        for _ in 0..product.channels {
            let mut filters = [S::splat(0.0); N];
            for (vector, value) in filters.iter_mut().enumerate() {
                *value = S::load(weights.add(vector * S::LANES));
            }
            for (tile, row) in sums.iter_mut().enumerate() {
                let input = S::splat(*inputs.add(tile * product.input_stride));
                for vector in 0..N {
                    row[vector] = S::multiply_add(input, filters[vector], row[vector]);
                }
            }
            for line in &mut ahead {
                S::prefetch(*line);
                *line = line.wrapping_add(LINE);
            }
            weights = weights.add(N * S::LANES);
            inputs = inputs.add(1);
        }
        for (tile, row) in sums.iter().enumerate() {
            for (vector, &value) in row.iter().enumerate() {
                S::store(product.out.add(tile * product.out_stride + vector * S::LANES), value);
            }
        }
    }
}
