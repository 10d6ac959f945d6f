//! The transform back to pixels, with cross-channel pooling.

#![expect(clippy::needless_range_loop, reason = "indices of small arrays, which are unrolled")]

use crate::activation::Elementwise;
use crate::isa::Kernels;
use crate::pool::{L2, Max, Mean, Min, Pool, Sum};
use crate::recipe::Reduction;
use crate::simd::Simd;
use crate::winograd::transforms::{Line, Transform};

/// The most lanes of a vector.
const MOST_LANES: usize = 16;

/// The pixels of a tile in memory.
#[repr(align(64))]
struct Values([f32; 4 * 4 * MOST_LANES]);

/// A run of tiles in one row of tiles, for one vector of groups.
pub struct OutputRun<'a> {
    /// How slots are reduced.
    pub reduction: &'a Reduction,
    /// Slots of a group.
    pub window: usize,
    /// What is applied to each slot; a unit is a vector of slots.
    pub before: &'a Elementwise,
    /// Unit of the first slot.
    pub unit: usize,
    /// Functions of the instruction set.
    pub kernels: &'static Kernels,
    /// Products of the first tile's first element and the first slot.
    pub products: *const f32,
    /// Distance of elements in `products`; slots are a vector apart.
    pub element_stride: usize,
    /// Distance of tiles in `products`.
    pub tile_stride: usize,
    /// Tiles.
    pub tiles: usize,
    /// Outputs of a tile along one axis.
    pub tile: usize,
    /// Room for pixels before they are transposed, of [`scratch_size`] values.
    pub scratch: *mut f32,
    /// First pixel of the first group.
    pub out: *mut f32,
    /// Distance of groups in `out`.
    pub plane: usize,
    /// Distance of rows in `out`.
    pub row: usize,
    /// Groups, rows and columns that there are.
    pub valid: (usize, usize, usize),
}

/// Returns the size of the room for pixels.
pub fn scratch_size(lanes: usize) -> usize {
    4 * lanes.max(4) * lanes + lanes * lanes
}

/// Transforms a run of tiles; tells whether all values in front of `before` are finite.
///
/// # Safety
/// The processor has the instruction set, and the pointers are valid as described.
#[inline(always)]
pub unsafe fn transform<S: Simd>(run: &OutputRun<'_>) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        if run.tile == 2 { by_reduction::<S, 2, 4>(run) } else { by_reduction::<S, 4, 6>(run) }
    }
}

#[inline(always)]
unsafe fn by_reduction<S: Simd, const M: usize, const E: usize>(run: &OutputRun<'_>) -> bool
where
    Transform<M>: Line<S, M, E>,
{
    // SAFETY: as the caller promises.
    unsafe {
        match run.reduction {
            Reduction::Max => tiles::<S, Max, M, E>(run),
            Reduction::Min => tiles::<S, Min, M, E>(run),
            Reduction::Mean => tiles::<S, Mean, M, E>(run),
            Reduction::L2 => tiles::<S, L2, M, E>(run),
            Reduction::Sum | Reduction::Ordinal(_) => tiles::<S, Sum, M, E>(run),
        }
    }
}

#[inline(always)]
unsafe fn tiles<S: Simd, P: Pool<S>, const M: usize, const E: usize>(run: &OutputRun<'_>) -> bool
where
    Transform<M>: Line<S, M, E>,
{
    let in_chunk = (S::LANES / M).max(1);
    // SAFETY: as the caller promises.
    unsafe {
        // Zero as long as all values are finite, then no number.
        let mut check = S::splat(0.0);
        for first in (0..run.tiles).step_by(in_chunk) {
            let count = in_chunk.min(run.tiles - first);
            for tile in 0..count {
                let products = run.products.add((first + tile) * run.tile_stride);
                let mut reduced = pixels::<S, M, E>(run, products, run.unit, &mut check);
                for row in 0..M {
                    for column in 0..M {
                        reduced[row][column] = P::prepare(reduced[row][column]);
                    }
                }
                for slot in 1..run.window {
                    let products = products.add(slot * S::LANES);
                    let other = pixels::<S, M, E>(run, products, run.unit + slot, &mut check);
                    for row in 0..M {
                        for column in 0..M {
                            let value = P::prepare(other[row][column]);
                            reduced[row][column] = P::combine(value, reduced[row][column]);
                        }
                    }
                }
                for row in 0..M {
                    for column in 0..M {
                        let at = (row * S::LANES.max(M) + tile * M + column) * S::LANES;
                        let value = P::finish(reduced[row][column], run.window);
                        S::store(run.scratch.add(at), value);
                    }
                }
            }
            store::<S, M>(run, first * M, count * M);
        }
        let mut lanes = [0.0; MOST_LANES];
        S::store(lanes.as_mut_ptr(), check);
        !lanes.into_iter().any(f32::is_nan)
    }
}

/// Returns the pixels of one slot of one tile, behind `before`.
#[inline(always)]
unsafe fn pixels<S: Simd, const M: usize, const E: usize>(
    run: &OutputRun<'_>,
    products: *const f32,
    unit: usize,
    check: &mut S::V,
) -> [[S::V; M]; M]
where
    Transform<M>: Line<S, M, E>,
{
    // SAFETY: the products hold every element of the slot.
    unsafe {
        let mut half = [[S::splat(0.0); E]; M];
        for column in 0..E {
            let mut line = [S::splat(0.0); E];
            for row in 0..E {
                line[row] = S::load(products.add((row * E + column) * run.element_stride));
            }
            let line = Transform::<M>::output(line);
            for row in 0..M {
                half[row][column] = line[row];
            }
        }
        let mut pixels = [[S::splat(0.0); M]; M];
        for row in 0..M {
            pixels[row] = Transform::<M>::output(half[row]);
        }
        for value in pixels.as_flattened() {
            *check = S::multiply_add(*value, S::splat(0.0), *check);
        }
        match run.before {
            Elementwise::Identity => {}
            Elementwise::Simple(activation) => {
                for value in pixels.as_flattened_mut() {
                    *value = activation.of_vector::<S>(*value);
                }
            }
            Elementwise::General(bound) => {
                let mut values = Values([0.0; 4 * 4 * MOST_LANES]);
                let values = &mut values.0[..M * M * S::LANES];
                for (index, value) in pixels.as_flattened().iter().enumerate() {
                    S::store(values[index * S::LANES..].as_mut_ptr(), *value);
                }
                (run.kernels.program)(bound, unit, values);
                for (index, value) in pixels.as_flattened_mut().iter_mut().enumerate() {
                    *value = S::load(values[index * S::LANES..].as_ptr());
                }
            }
        }
        pixels
    }
}

/// Transposes pixels to rows of the groups and stores those that there are.
#[inline(always)]
unsafe fn store<S: Simd, const M: usize>(run: &OutputRun<'_>, first: usize, count: usize) {
    let (groups, rows, columns) = run.valid;
    let count = count.min(columns.saturating_sub(first));
    // SAFETY: only valid groups, rows and columns are written.
    unsafe {
        let edge = run.scratch.add(M * S::LANES.max(M) * S::LANES);
        for row in 0..M.min(rows) {
            let out = run.out.add(row * run.row + first);
            let line = run.scratch.add(row * S::LANES.max(M) * S::LANES);
            if count == S::LANES && groups == S::LANES {
                S::transpose(line, S::LANES, out, run.plane);
                continue;
            }
            S::transpose(line, S::LANES, edge, S::LANES);
            for group in 0..groups {
                let from = edge.add(group * S::LANES);
                std::ptr::copy_nonoverlapping(from, out.add(group * run.plane), count);
            }
        }
    }
}
