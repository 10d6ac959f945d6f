//! The product of one tap: some pixels × channels by channels × filters, added to sums.

#![expect(clippy::needless_range_loop, reason = "indices of small arrays, which are unrolled")]

use crate::simd::Simd;

/// The most pixels of a call, whatever the instruction set.
pub const MOST_PIXELS: usize = 7;
/// How far ahead weights are fetched, in numbers.
const AHEAD: usize = 2048;

/// A few pixels times a few vectors of filters.
pub struct PixelProduct {
    /// The channels of each pixel.
    pub inputs: [*const f32; MOST_PIXELS],
    /// Channels to sum over.
    pub channels: usize,
    /// Weights: channel, filter.
    pub weights: *const f32,
    /// Pixels.
    pub pixels: usize,
    /// Vectors of filters.
    pub vectors: usize,
    /// The sums of each pixel's first vector.
    pub sums: [*mut f32; MOST_PIXELS],
    /// Distance of vectors in the sums.
    pub sums_stride: usize,
}

/// Adds the product to the sums, at most `T` pixels by `N` vectors.
///
/// # Safety
/// The processor has the instruction set, and the pointers are valid as described.
#[inline(always)]
pub unsafe fn multiply<S: Simd, const T: usize, const N: usize>(product: &PixelProduct) {
    // SAFETY: as the caller promises.
    unsafe {
        match product.vectors {
            1 => by_pixels::<S, T, 1>(product),
            2 => by_pixels::<S, T, 2>(product),
            3 if N > 3 => by_pixels::<S, T, 3>(product),
            _ => by_pixels::<S, T, N>(product),
        }
    }
}

#[inline(always)]
unsafe fn by_pixels<S: Simd, const T: usize, const N: usize>(product: &PixelProduct) {
    // SAFETY: as the caller promises.
    unsafe {
        match product.pixels {
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
unsafe fn accumulate<S: Simd, const T: usize, const N: usize>(product: &PixelProduct) {
    // SAFETY: the pointers are valid for all pixels, channels and filters.
    unsafe {
        let mut sums = [[S::splat(0.0); N]; T];
        for pixel in 0..T {
            for vector in 0..N {
                sums[pixel][vector] =
                    S::load(product.sums[pixel].add(vector * product.sums_stride));
            }
        }
        let mut weights = product.weights;
        for channel in 0..product.channels {
            let mut filters = [S::splat(0.0); N];
            for (vector, value) in filters.iter_mut().enumerate() {
                *value = S::load(weights.add(vector * S::LANES));
                S::prefetch(weights.wrapping_add(AHEAD + vector * S::LANES));
            }
            for pixel in 0..T {
                let input = S::splat(*product.inputs[pixel].add(channel));
                for vector in 0..N {
                    sums[pixel][vector] =
                        S::multiply_add(input, filters[vector], sums[pixel][vector]);
                }
            }
            weights = weights.add(N * S::LANES);
        }
        for pixel in 0..T {
            for vector in 0..N {
                S::store(
                    product.sums[pixel].add(vector * product.sums_stride),
                    sums[pixel][vector],
                );
            }
        }
    }
}
