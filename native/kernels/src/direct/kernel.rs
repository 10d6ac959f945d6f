//! The innermost loops: a tile of filters × pixels stays in registers over all taps.

#![expect(clippy::needless_range_loop, reason = "indices of small arrays, which are unrolled")]

use crate::activation::{Activation, Elementwise};
use crate::epilogue::apply_rows;
use crate::isa::Kernels;
use crate::pool::{L2, Max, Mean, Min, Pool, Sum};
use crate::recipe::Reduction;
use crate::reduce::Pooling;
use crate::simd::Simd;

/// The most filters of a tile.
pub const MOST_FILTERS: usize = 8;
/// The most values of a tile: filters × vectors × lanes.
const MOST_VALUES: usize = MOST_FILTERS * 3 * 16;
/// The rows of a tile, as slots in their order.
const ROWS: [usize; MOST_FILTERS] = [0, 1, 2, 3, 4, 5, 6, 7];

/// What happens to the filters of a tile before they are stored.
#[derive(Clone, Copy)]
pub enum Finish<'a> {
    /// Nothing.
    Store,
    /// Groups of `window` neighbours meet in registers, behind an activation if there is one.
    Fold {
        /// How they become one.
        reduction: &'a Reduction,
        /// Filters of a group; the tile holds whole groups.
        window: usize,
        /// What is applied to each.
        activation: Option<Activation>,
    },
    /// As above, through the first-level cache: for any program and reduction.
    Pool {
        /// How they become one.
        reduction: &'a Reduction,
        /// Filters of a group; the tile holds whole groups.
        window: usize,
        /// What is applied to each.
        before: &'a Elementwise,
        /// Unit of each filter, for the program.
        units: &'a [usize],
        /// Functions of the instruction set.
        kernels: &'static Kernels,
    },
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
    /// Filters in this tile, at most the kernel's number.
    pub filters: usize,
    /// Vectors of pixels in this tile, at most the kernel's number.
    pub vectors: usize,
    /// What becomes of them.
    pub finish: Finish<'a>,
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
            1 => by_vectors::<S, 1, P>(tile),
            2 => by_vectors::<S, 2, P>(tile),
            3 => by_vectors::<S, 3, P>(tile),
            4 if F > 4 => by_vectors::<S, 4, P>(tile),
            5 if F > 5 => by_vectors::<S, 5, P>(tile),
            6 if F > 6 => by_vectors::<S, 6, P>(tile),
            7 if F > 7 => by_vectors::<S, 7, P>(tile),
            _ => by_vectors::<S, F, P>(tile),
        }
    }
}

#[inline(always)]
unsafe fn by_vectors<S: Simd, const F: usize, const P: usize>(tile: &Tile<'_>) {
    // SAFETY: as the caller promises.
    unsafe {
        match tile.vectors {
            1 => accumulate::<S, F, 1>(tile),
            2 if P > 2 => accumulate::<S, F, 2>(tile),
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
        match tile.finish {
            Finish::Store => store::<S, F, P>(&sums, tile.out, tile.out_stride),
            Finish::Fold { reduction, window, activation } => {
                if let Some(activation) = activation {
                    for value in sums.as_flattened_mut() {
                        *value = activation.of_vector::<S>(*value);
                    }
                }
                by_reduction::<S, F, P>(tile, &sums, reduction, window);
            }
            Finish::Pool { .. } => pool_in_cache::<S, F, P>(tile, &sums),
        }
    }
}

#[inline(always)]
unsafe fn store<S: Simd, const F: usize, const P: usize>(
    sums: &[[S::V; P]; F],
    out: *mut f32,
    stride: usize,
) {
    for (filter, row) in sums.iter().enumerate() {
        for (vector, &value) in row.iter().enumerate() {
            // SAFETY: `out` is valid for every filter.
            unsafe { S::store(out.add(filter * stride + vector * S::LANES), value) };
        }
    }
}

#[inline(always)]
unsafe fn by_reduction<S: Simd, const F: usize, const P: usize>(
    tile: &Tile<'_>,
    sums: &[[S::V; P]; F],
    reduction: &Reduction,
    window: usize,
) {
    // SAFETY: `out` is valid for every group.
    unsafe {
        match reduction {
            Reduction::Max => by_window::<S, Max, F, P>(tile, sums, window),
            Reduction::Min => by_window::<S, Min, F, P>(tile, sums, window),
            Reduction::Mean => by_window::<S, Mean, F, P>(tile, sums, window),
            Reduction::L2 => by_window::<S, L2, F, P>(tile, sums, window),
            Reduction::Sum | Reduction::Ordinal(_) => {
                by_window::<S, Sum, F, P>(tile, sums, window);
            }
        }
    }
}

/// Conditions are known when compiling: what does not divide `F` leaves no code.
#[inline(always)]
unsafe fn by_window<S: Simd, R: Pool<S>, const F: usize, const P: usize>(
    tile: &Tile<'_>,
    sums: &[[S::V; P]; F],
    window: usize,
) {
    // SAFETY: `out` is valid for every group.
    unsafe {
        match window {
            1 => fold::<S, R, F, P, 1>(tile, sums),
            2 if F.is_multiple_of(2) => fold::<S, R, F, P, 2>(tile, sums),
            3 if F.is_multiple_of(3) => fold::<S, R, F, P, 3>(tile, sums),
            4 if F.is_multiple_of(4) => fold::<S, R, F, P, 4>(tile, sums),
            _ => fold::<S, R, F, P, F>(tile, sums),
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
                let mut value = R::prepare(sums[group * W][vector]);
                for member in 1..W {
                    value = R::combine(R::prepare(sums[group * W + member][vector]), value);
                }
                let place = tile.out.add(group * tile.out_stride + vector * S::LANES);
                S::store(place, R::finish(value, W));
            }
        }
    }
}

/// A tile in memory.
#[repr(align(64))]
struct Values([f32; MOST_VALUES]);

#[inline(always)]
unsafe fn pool_in_cache<S: Simd, const F: usize, const P: usize>(
    tile: &Tile<'_>,
    sums: &[[S::V; P]; F],
) {
    let Finish::Pool { reduction, window, before, units, kernels } = tile.finish else { return };
    let mut values = Values([0.0; MOST_VALUES]);
    let pixels = P * S::LANES;
    // SAFETY: the memory has room for the largest tile, and `out` for every group.
    unsafe {
        store::<S, F, P>(sums, values.0.as_mut_ptr(), pixels);
        apply_rows(before, kernels, units.iter().copied(), &mut values.0[..F * pixels], pixels);
        let pooling = Pooling {
            reduction,
            window,
            slots: &ROWS[..F],
            wide: values.0.as_ptr(),
            out: tile.out,
            pixels,
            out_stride: tile.out_stride,
        };
        (kernels.pool_channels)(&pooling);
    }
}
