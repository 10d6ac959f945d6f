//! The innermost loops: a tile of filters × pixels stays in registers over all taps.

#![expect(clippy::needless_range_loop, reason = "indices of small arrays, which are unrolled")]

use crate::pool::{Max, Min, Pool, Sum};
use crate::simd::Simd;

/// What happens to neighbouring filters of a tile before they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Nothing.
    None,
    /// The largest of each 2 or 4 is kept.
    Max(usize),
    /// The smallest of each 2 or 4 is kept.
    Min(usize),
    /// Each 2 or 4 are added.
    Sum(usize),
}

impl Fold {
    /// Returns how many filters become one.
    pub fn window(self) -> usize {
        match self {
            Self::None => 1,
            Self::Max(window) | Self::Min(window) | Self::Sum(window) => window,
        }
    }
}

/// One tile: a few filters at a run of pixels.
pub struct Tile<'a> {
    /// First pixel of the first channel; valid for a tile of pixels at each tap of each channel.
    pub source: *const f32,
    /// Distance of channels.
    pub channel_stride: usize,
    /// Channels to sum over.
    pub channels: usize,
    /// Distance of each tap from the pixel.
    pub taps: &'a [usize],
    /// Weights: channel, tap, filter.
    pub weights: *const f32,
    /// One value for each filter.
    pub bias: *const f32,
    /// Filters in this tile: a power of two, at most the kernel's number.
    pub filters: usize,
    /// What becomes of neighbouring filters.
    pub fold: Fold,
    /// Where the tile goes, one row of pixels for each filter that is left.
    pub out: *mut f32,
    /// Distance of rows in `out`.
    pub out_stride: usize,
}

/// Computes a tile of at most `F` filters at `P` vectors of pixels.
///
/// # Safety
/// The processor has the instruction set, and the tile's pointers are valid as described.
#[inline(always)]
pub unsafe fn convolve<S: Simd, const F: usize, const P: usize>(tile: &Tile<'_>) {
    // SAFETY: as the caller promises.
    unsafe {
        match tile.filters {
            1 => accumulate::<S, 1, P>(tile),
            2 => accumulate::<S, 2, P>(tile),
            4 => accumulate::<S, 4, P>(tile),
            _ => accumulate::<S, F, P>(tile),
        }
    }
}

#[inline(always)]
unsafe fn accumulate<S: Simd, const F: usize, const P: usize>(tile: &Tile<'_>) {
    // SAFETY: the tile's pointers are valid for all channels, taps, filters and pixels.
    unsafe {
        let mut sums = [[S::splat(0.0); P]; F];
        for (filter, row) in sums.iter_mut().enumerate() {
            *row = [S::splat(*tile.bias.add(filter)); P];
        }
        let mut weights = tile.weights;
        let mut channel = tile.source;
        for _ in 0..tile.channels {
            for &tap in tile.taps {
                let mut pixels = [S::splat(0.0); P];
                for (vector, value) in pixels.iter_mut().enumerate() {
                    *value = S::load(channel.add(tap + vector * S::LANES));
                }
                for (filter, row) in sums.iter_mut().enumerate() {
                    let weight = S::splat(*weights.add(filter));
                    for vector in 0..P {
                        row[vector] = S::multiply_add(weight, pixels[vector], row[vector]);
                    }
                }
                weights = weights.add(F);
            }
            channel = channel.add(tile.channel_stride);
        }
        store::<S, F, P>(tile, &sums);
    }
}

#[inline(always)]
unsafe fn store<S: Simd, const F: usize, const P: usize>(tile: &Tile<'_>, sums: &[[S::V; P]; F]) {
    // SAFETY: `out` is valid for every row that is left.
    unsafe {
        match tile.fold {
            Fold::None => {
                for (filter, row) in sums.iter().enumerate() {
                    for (vector, &value) in row.iter().enumerate() {
                        S::store(tile.out.add(filter * tile.out_stride + vector * S::LANES), value);
                    }
                }
            }
            Fold::Max(2) => fold::<S, Max, F, P, 2>(tile, sums),
            Fold::Max(_) => fold::<S, Max, F, P, 4>(tile, sums),
            Fold::Min(2) => fold::<S, Min, F, P, 2>(tile, sums),
            Fold::Min(_) => fold::<S, Min, F, P, 4>(tile, sums),
            Fold::Sum(2) => fold::<S, Sum, F, P, 2>(tile, sums),
            Fold::Sum(_) => fold::<S, Sum, F, P, 4>(tile, sums),
        }
    }
}

#[inline(always)]
unsafe fn fold<S: Simd, R: Pool<S>, const F: usize, const P: usize, const W: usize>(
    tile: &Tile<'_>,
    sums: &[[S::V; P]; F],
) {
    for group in 0..F / W {
        for vector in 0..P {
            // SAFETY: `out` is valid for every group.
            unsafe {
                let mut value = sums[group * W][vector];
                for member in 1..W {
                    value = R::combine(value, sums[group * W + member][vector]);
                }
                S::store(tile.out.add(group * tile.out_stride + vector * S::LANES), value);
            }
        }
    }
}
