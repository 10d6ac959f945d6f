//! The transform of input tiles, for a vector of channels.

#![expect(clippy::needless_range_loop, reason = "indices of small arrays, which are unrolled")]

use crate::simd::Simd;
use crate::winograd::transforms::{Line, Transform};

/// Tiles that are transposed together; their inputs stay in the first-level cache.
pub const TILES_IN_RUN: usize = 16;

/// A run of tiles in one row of tiles.
pub struct InputRun {
    /// First channel of the sample; valid for all rows and columns of all channels.
    pub source: *const f32,
    /// Distance of channels.
    pub plane: usize,
    /// Channels that there are, at most a vector's.
    pub channels: usize,
    /// Height and width of the input.
    pub size: (usize, usize),
    /// Position of the first tile's first input, which may lie in the padding.
    pub origin: (isize, isize),
    /// Tiles, at most [`TILES_IN_RUN`].
    pub tiles: usize,
    /// Outputs of a tile along one axis.
    pub tile: usize,
    /// Room for transposed inputs, of [`scratch_size`] values.
    pub scratch: *mut f32,
    /// First element of the first tile; valid for a vector at each element of each tile.
    pub out: *mut f32,
    /// Distance of elements.
    pub element_stride: usize,
    /// Distance of tiles.
    pub tile_stride: usize,
}

/// Returns the size of the room for transposed inputs.
pub fn scratch_size(lanes: usize) -> usize {
    let columns = (TILES_IN_RUN * 4 + 2).next_multiple_of(lanes);
    6 * columns * lanes + lanes * lanes
}

/// Transforms a run of tiles.
///
/// # Safety
/// The processor has the instruction set, and the pointers are valid as described.
#[inline(always)]
pub unsafe fn transform<S: Simd>(run: &InputRun) {
    // SAFETY: as the caller promises.
    unsafe {
        let columns = (run.tiles * run.tile + 2).next_multiple_of(S::LANES);
        transpose::<S>(run, columns);
        if run.tile == 2 {
            transform_tiles::<S, 2, 4>(run, columns);
        } else {
            transform_tiles::<S, 4, 6>(run, columns);
        }
    }
}

/// Brings the inputs of a run into the order row, column, channel.
#[inline(always)]
unsafe fn transpose<S: Simd>(run: &InputRun, columns: usize) {
    let (height, width) = run.size;
    // SAFETY: only pixels inside of the map are read, and the room has all rows and columns.
    unsafe {
        let edge = run.scratch.add((run.tile + 2) * columns * S::LANES);
        for row in 0..run.tile + 2 {
            let out = run.scratch.add(row * columns * S::LANES);
            let Some(y) = run
                .origin
                .0
                .checked_add_unsigned(row)
                .filter(|&y| usize::try_from(y).is_ok_and(|y| y < height))
            else {
                for column in 0..columns {
                    S::store(out.add(column * S::LANES), S::splat(0.0));
                }
                continue;
            };
            let line = run.source.add(y.unsigned_abs() * width);
            for column in (0..columns).step_by(S::LANES) {
                let x = run.origin.1 + column.cast_signed();
                let inside = x >= 0 && x.unsigned_abs() + S::LANES <= width;
                let block = out.add(column * S::LANES);
                if inside && run.channels == S::LANES {
                    S::transpose(line.add(x.unsigned_abs()), run.plane, block, S::LANES);
                    continue;
                }
                let first = x.min(0).unsigned_abs().min(S::LANES);
                let last = width.saturating_add_signed(-x).clamp(first, S::LANES);
                for lane in 0..S::LANES {
                    let room = edge.add(lane * S::LANES);
                    S::store(room, S::splat(0.0));
                    if lane < run.channels && first < last {
                        let start = (x + first.cast_signed()).unsigned_abs();
                        let from = line.add(lane * run.plane + start);
                        std::ptr::copy_nonoverlapping(from, room.add(first), last - first);
                    }
                }
                S::transpose(edge, S::LANES, block, S::LANES);
            }
        }
    }
}

#[inline(always)]
unsafe fn transform_tiles<S: Simd, const M: usize, const E: usize>(run: &InputRun, columns: usize)
where
    Transform<M>: Line<S, M, E>,
{
    for tile in 0..run.tiles {
        // SAFETY: the room has all inputs of the tile, and `out` all its elements.
        unsafe {
            let source = run.scratch.add(tile * M * S::LANES);
            let mut half = [[S::splat(0.0); E]; E];
            for column in 0..E {
                let mut line = [S::splat(0.0); E];
                for row in 0..E {
                    line[row] = S::load(source.add((row * columns + column) * S::LANES));
                }
                let line = Transform::<M>::input(line);
                for row in 0..E {
                    half[row][column] = line[row];
                }
            }
            let out = run.out.add(tile * run.tile_stride);
            for row in 0..E {
                let line = Transform::<M>::input(half[row]);
                for column in 0..E {
                    S::store(out.add((row * E + column) * run.element_stride), line[column]);
                }
            }
        }
    }
}
