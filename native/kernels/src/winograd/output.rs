//! The transform back to pixels, with cross-channel pooling.

use crate::recipe::Reduction;
use crate::simd::Simd;
use crate::winograd::transforms::{Line, Transform};

/// A run of tiles in one row of tiles, for one vector of groups.
pub struct OutputRun<'a> {
    /// How slots are reduced.
    pub reduction: &'a Reduction,
    /// Slots of a group.
    pub window: usize,
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

/// Transforms a run of tiles.
///
/// # Safety
/// The processor has the instruction set, and the pointers are valid as described.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled into callers that enable the instructions")]
pub unsafe fn transform<S: Simd>(run: &OutputRun<'_>) {
    // SAFETY: as the caller promises.
    unsafe {
        if run.tile == 2 {
            by_reduction::<S, 2, 4>(run);
        } else {
            by_reduction::<S, 4, 6>(run);
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled into callers that enable the instructions")]
#[expect(clippy::cast_precision_loss, reason = "windows are small")]
unsafe fn by_reduction<S: Simd, const M: usize, const E: usize>(run: &OutputRun<'_>)
where
    Transform<M>: Line<S, M, E>,
{
    let same = |x| x;
    // SAFETY: as the caller promises.
    unsafe {
        match run.reduction {
            Reduction::Max => tiles::<S, M, E>(run, same, |a, b| S::max(a, b), same),
            Reduction::Min => tiles::<S, M, E>(run, same, |a, b| S::min(a, b), same),
            Reduction::Mean => {
                let scale = S::splat(1.0 / run.window as f32);
                tiles::<S, M, E>(run, same, |a, b| S::add(a, b), |x| S::mul(x, scale));
            }
            Reduction::L2 => {
                tiles::<S, M, E>(run, |x| S::mul(x, x), |a, b| S::add(a, b), |x| S::sqrt(x));
            }
            Reduction::Sum | Reduction::Ordinal(_) => {
                tiles::<S, M, E>(run, same, |a, b| S::add(a, b), same);
            }
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled into callers that enable the instructions")]
unsafe fn tiles<S: Simd, const M: usize, const E: usize>(
    run: &OutputRun<'_>,
    prepare: impl Fn(S::V) -> S::V,
    combine: impl Fn(S::V, S::V) -> S::V,
    finish: impl Fn(S::V) -> S::V,
) where
    Transform<M>: Line<S, M, E>,
{
    let in_chunk = (S::LANES / M).max(1);
    // SAFETY: as the caller promises.
    unsafe {
        for first in (0..run.tiles).step_by(in_chunk) {
            let count = in_chunk.min(run.tiles - first);
            for tile in 0..count {
                let products = run.products.add((first + tile) * run.tile_stride);
                let pixels = pixels::<S, M, E>(run, products);
                let mut reduced = pixels.map(|row| row.map(&prepare));
                for slot in 1..run.window {
                    let other = pixels_of::<S, M, E>(run, products, slot);
                    for (row, line) in reduced.iter_mut().zip(other) {
                        for (value, pixel) in row.iter_mut().zip(line) {
                            *value = combine(*value, prepare(pixel));
                        }
                    }
                }
                for (row, line) in reduced.into_iter().enumerate() {
                    for (column, value) in line.into_iter().enumerate() {
                        let at = (row * S::LANES.max(M) + tile * M + column) * S::LANES;
                        S::store(run.scratch.add(at), finish(value));
                    }
                }
            }
            store::<S, M>(run, first * M, count * M);
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled into callers that enable the instructions")]
unsafe fn pixels<S: Simd, const M: usize, const E: usize>(
    run: &OutputRun<'_>,
    products: *const f32,
) -> [[S::V; M]; M]
where
    Transform<M>: Line<S, M, E>,
{
    // SAFETY: there is at least one slot.
    unsafe { pixels_of::<S, M, E>(run, products, 0) }
}

/// Returns the pixels of one slot of one tile.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled into callers that enable the instructions")]
unsafe fn pixels_of<S: Simd, const M: usize, const E: usize>(
    run: &OutputRun<'_>,
    products: *const f32,
    slot: usize,
) -> [[S::V; M]; M]
where
    Transform<M>: Line<S, M, E>,
{
    // SAFETY: the products hold every element of the slot.
    unsafe {
        let products = products.add(slot * S::LANES);
        let mut half = [[S::splat(0.0); E]; M];
        for column in 0..E {
            let line = std::array::from_fn(|row| {
                S::load(products.add((row * E + column) * run.element_stride))
            });
            let line = Transform::<M>::output(line);
            for row in 0..M {
                half[row][column] = line[row];
            }
        }
        half.map(|line| Transform::<M>::output(line))
    }
}

/// Transposes pixels to rows of the groups and stores those that there are.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled into callers that enable the instructions")]
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
