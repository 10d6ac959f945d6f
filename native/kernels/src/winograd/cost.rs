//! Chooses between direct and fast convolution.

use crate::isa::Kernels;
use crate::recipe::{Recipe, Reduction};
use crate::winograd::transforms::TileSize;

/// Transformed weights beyond this are read from main memory in every run.
const CACHED_BYTES: usize = 16 << 20;
/// Bytes that arrive from main memory in one cycle.
const BYTES_PER_CYCLE: f64 = 8.0;
/// Part of the peak that each kernel reaches.
const DIRECT_EFFICIENCY: f64 = 0.85;
const PRODUCT_EFFICIENCY: f64 = 0.85;
/// Multiply-adds of vectors in one cycle.
const PER_CYCLE: f64 = 2.0;

/// What a layer's size is, as far as time depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Input channels.
    pub channels: usize,
    /// Wide channels.
    pub wide: usize,
    /// Height of the convolution's output.
    pub height: usize,
    /// Width of the convolution's output.
    pub width: usize,
}

/// Returns the size of tiles that is fastest; none where the direct convolution is.
pub fn choose(recipe: &Recipe, extent: Extent, kernels: &Kernels) -> Option<TileSize> {
    let times = [4, 2].map(|tile| (tile, fast(recipe, extent, kernels, tile)));
    let (tile, cycles) = times.into_iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    (is_possible(recipe) && cycles < direct(extent, kernels)).then_some(tile)
}

fn is_possible(recipe: &Recipe) -> bool {
    let window = &recipe.convolution;
    recipe.winograd
        && window.kernel_shape == [3, 3]
        && window.strides == [1, 1]
        && window.dilations == [1, 1]
        && recipe.group == 1
        && !matches!(recipe.reduction, Reduction::Ordinal(_))
}

/// Cycles of the direct convolution, about.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn direct(extent: Extent, kernels: &Kernels) -> f64 {
    let positions = extent.height * (extent.width + 2);
    let vectors = positions.next_multiple_of(kernels.tile_pixels) / kernels.lanes;
    (vectors * extent.channels * 9 * extent.wide) as f64 / PER_CYCLE / DIRECT_EFFICIENCY
}

/// Cycles of the fast convolution, about.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn fast(recipe: &Recipe, extent: Extent, kernels: &Kernels, tile: TileSize) -> f64 {
    let elements = (tile + 2).pow(2);
    let tiles = extent.height.div_ceil(tile) * extent.width.div_ceil(tile);
    let groups = extent.wide / recipe.window;
    let vectors = groups.div_ceil(kernels.lanes) * recipe.window;
    let product = (tiles * elements * extent.channels * vectors) as f64;
    let product = product / PER_CYCLE / PRODUCT_EFFICIENCY;
    let inputs = tiles * extent.channels.div_ceil(kernels.lanes) * elements * 7;
    let outputs = tiles * vectors * elements * 4;
    let bytes = elements * extent.channels * vectors * kernels.lanes * size_of::<f32>();
    let streamed = if bytes > CACHED_BYTES { bytes as f64 / BYTES_PER_CYCLE } else { 0.0 };
    product + (inputs + outputs) as f64 + streamed
}
