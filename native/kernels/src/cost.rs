//! Chooses the algorithm of a layer, by what each costs.

use crate::geometry::{Sizes, Window3};
use crate::isa::Kernels;
use crate::narrow::valid_steps;
use crate::recipe::{Recipe, Reduction};
use crate::winograd::TileSize;

/// Weights beyond this are read from main memory in every run.
const CACHED_BYTES: usize = 16 << 20;
/// Weights beyond this are read from the last-level cache.
const NEAR_BYTES: usize = 512 << 10;
/// Bytes that arrive from main memory, and from the last-level cache, in one cycle.
const BYTES_PER_CYCLE: f64 = 8.0;
const CACHED_BYTES_PER_CYCLE: f64 = 20.0;
/// Part of the peak that each kernel reaches.
const EFFICIENCY: f64 = 0.85;
/// Multiply-adds of vectors in one cycle.
const PER_CYCLE: f64 = 2.0;
/// Cycles for a number that is brought into another order alone.
const PER_MOVED: f64 = 1.5;

/// Maps with a longer side are convolved directly, whatever else might be faster.
const LARGEST_SIDE: usize = 1 << 14;
/// The most positions for which the sums of a few vectors of filters stay near.
const LARGEST_NARROW: usize = 1024;

/// How a layer is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Vectors of pixels (`direct`).
    Direct,
    /// Vectors of filters (`narrow`).
    Narrow,
    /// Fast convolution with tiles of a size (`winograd`).
    Winograd(TileSize),
}

/// What a layer's size is, as far as time depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Input channels of a group.
    pub channels: usize,
    /// Wide channels.
    pub wide: usize,
    /// Pixels of the input.
    pub sizes: Sizes,
    /// Positions of the convolution.
    pub convolved: Sizes,
}

impl Extent {
    fn positions(&self) -> usize {
        self.convolved.iter().product()
    }
}

/// Returns the fastest algorithm for a layer whose groups need not be gathered.
pub fn choose(recipe: &Recipe, extent: Extent, kernels: &Kernels) -> Algorithm {
    let [depth, height, width] = extent.convolved;
    if depth.max(height).max(width) > LARGEST_SIDE {
        return Algorithm::Direct;
    }
    let mut costs = vec![(Algorithm::Direct, direct(recipe, extent, kernels))];
    if recipe.group == 1 && depth * height * width <= LARGEST_NARROW {
        costs.push((Algorithm::Narrow, narrow(recipe, extent, kernels)));
    }
    if has_fast_algorithm(recipe) {
        let tiles: [TileSize; 2] = [4, 2];
        costs.extend(
            tiles.map(|tile| (Algorithm::Winograd(tile), fast(recipe, extent, kernels, tile))),
        );
    }
    let fastest = costs.into_iter().min_by(|a, b| a.1.total_cmp(&b.1));
    fastest.map_or(Algorithm::Direct, |(algorithm, _)| algorithm)
}

fn has_fast_algorithm(recipe: &Recipe) -> bool {
    let window = &recipe.convolution;
    recipe.winograd
        && window.kernel_shape == [3, 3]
        && window.strides == [1, 1]
        && window.dilations == [1, 1]
        && recipe.group == 1
        && !matches!(recipe.reduction, Reduction::Ordinal(_))
}

/// Cycles until weights have arrived.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn arriving(weights: usize) -> f64 {
    let bytes = weights * size_of::<f32>();
    match bytes {
        0..=NEAR_BYTES => 0.0,
        _ if bytes <= CACHED_BYTES => bytes as f64 / CACHED_BYTES_PER_CYCLE,
        _ => bytes as f64 / BYTES_PER_CYCLE,
    }
}

/// Cycles of products of vectors.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn multiplying(vectors: usize) -> f64 {
    vectors as f64 / PER_CYCLE / EFFICIENCY
}

fn direct(recipe: &Recipe, extent: Extent, kernels: &Kernels) -> f64 {
    let taps = recipe.convolution.kernel_shape.iter().product::<usize>();
    let window = Window3::new(&recipe.convolution);
    // Positions between the rows are computed, too.
    let [depth, height, width] = extent.convolved;
    let reach =
        |axis: usize| (window.kernel[axis] - 1) * window.dilations[axis] / window.strides[axis];
    let rows = (depth - 1) * (height + reach(1)) + height;
    let positions = (rows - 1) * (width + reach(2)) + width;
    let vectors = positions.div_ceil(kernels.lanes);
    multiplying(vectors * extent.channels * taps * extent.wide)
        + arriving(extent.channels * taps * extent.wide)
}

/// Vectors of slots.
fn slot_vectors(recipe: &Recipe, extent: Extent, kernels: &Kernels) -> usize {
    (extent.wide / recipe.window).div_ceil(kernels.lanes) * recipe.window
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn narrow(recipe: &Recipe, extent: Extent, kernels: &Kernels) -> f64 {
    let taps = recipe.convolution.kernel_shape.iter().product::<usize>();
    let vectors = slot_vectors(recipe, extent, kernels);
    let steps = valid_steps(&Window3::new(&recipe.convolution), extent.sizes, extent.convolved);
    let pixels = extent.sizes.iter().product::<usize>();
    let moved = pixels * extent.channels + extent.positions() * extent.wide / recipe.window;
    // Sums are read and written once for each tap.
    multiplying(steps * vectors * (extent.channels + 4))
        + arriving(extent.channels * taps * vectors * kernels.lanes)
        + moved as f64 * PER_MOVED
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn fast(recipe: &Recipe, extent: Extent, kernels: &Kernels, tile: TileSize) -> f64 {
    let [height, _, width] = extent.convolved;
    let elements = (tile + 2).pow(2);
    let tiles = height.div_ceil(tile) * width.div_ceil(tile);
    let vectors = slot_vectors(recipe, extent, kernels);
    let inputs = tiles * extent.channels.div_ceil(kernels.lanes) * elements * 7;
    let outputs = tiles * vectors * elements * 4;
    multiplying(tiles * elements * extent.channels * vectors)
        + arriving(elements * extent.channels * vectors * kernels.lanes)
        + (inputs + outputs) as f64
}
