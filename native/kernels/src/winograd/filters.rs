//! Transformed filters in the order in which the products read them.

use crate::aligned::Aligned;
use crate::recipe::Recipe;
use crate::winograd::transforms::{self, TAPS, TileSize};

/// Vectors of filters that are transformed back together, so that a panel of the product is full.
const VECTORS_IN_BLOCK: usize = 4;

/// Vectors that one call of the product computes.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// First vector in the block.
    pub first: usize,
    /// Vectors.
    pub vectors: usize,
    /// Where its weights start, behind those of the element.
    pub offset: usize,
}

/// All slots of a few vectors of groups.
#[derive(Clone, Debug)]
pub struct Block {
    /// First vector of groups.
    pub first: usize,
    /// Vectors of groups; each has `window` vectors of filters.
    pub groups: usize,
    /// Calls of the product.
    pub panels: Vec<Panel>,
    /// Where its weights start.
    pub weights: usize,
    /// Where its biases start, one for each filter.
    pub bias: usize,
}

/// All filters of a layer, for one size of tiles.
#[derive(Clone, Debug)]
pub struct Filters {
    /// Outputs of a tile along one axis.
    pub tile: TileSize,
    /// Input channels.
    pub channels: usize,
    /// Weights: block, element, panel, channel, filter.
    pub weights: Aligned<f32>,
    /// Biases: block, filter.
    pub bias: Vec<f32>,
    /// Blocks of filters.
    pub blocks: Vec<Block>,
}

impl Filters {
    /// Packs the filters, transformed for tiles of 2×2 or 4×4 outputs, or as they are for a tile of
    /// one; `order` names the filter of each slot.
    pub fn pack(
        recipe: &Recipe,
        order: &[usize],
        weights: &[f32],
        bias: &[f32],
        tile: TileSize,
        lanes: usize,
        largest_panel: usize,
    ) -> Self {
        let taps = recipe.convolution.kernel_shape.iter().product::<usize>();
        let channels = weights.len() / taps / bias.len();
        let elements = if tile == 1 { taps } else { elements_of(tile) };
        let vectors = (order.len() / recipe.window).div_ceil(lanes);
        let in_block = (VECTORS_IN_BLOCK / recipe.window).max(1);
        let (mut packed, mut biases, mut blocks) = (Vec::new(), Vec::new(), Vec::new());
        let filter_at =
            |vector: usize, lane: usize| filter_at(order, recipe.window, lanes, vector, lane);
        for first in (0..vectors).step_by(in_block) {
            let groups = in_block.min(vectors - first);
            let count = groups * recipe.window;
            let panels = panels(count, largest_panel, channels * lanes);
            let start = packed.len();
            packed.resize(start + elements * count * channels * lanes, 0.0);
            let block = &mut packed[start..];
            for panel in &panels {
                for vector in 0..panel.vectors {
                    for lane in 0..lanes {
                        let slot = first * recipe.window + panel.first + vector;
                        let Some(filter) = filter_at(slot, lane) else { continue };
                        for channel in 0..channels {
                            let at = (filter * channels + channel) * taps;
                            let taps = &weights[at..at + taps];
                            let column = (channel * panel.vectors + vector) * lanes + lane;
                            let elements = if tile == 1 {
                                taps.to_vec()
                            } else {
                                transforms::filter(tile, taps)
                            };
                            for (element, value) in elements.into_iter().enumerate() {
                                let row = element * count * channels * lanes + panel.offset;
                                block[row + column] = value;
                            }
                        }
                    }
                }
            }
            let bias_start = biases.len();
            for vector in first * recipe.window..(first + groups) * recipe.window {
                let values =
                    (0..lanes).map(|lane| filter_at(vector, lane).map_or(0.0, |f| bias[f]));
                biases.extend(values);
            }
            blocks.push(Block { first, groups, panels, weights: start, bias: bias_start });
        }
        Self { tile, channels, weights: packed.into(), bias: biases, blocks }
    }

    /// Returns the number of elements of a transformed tile of more than one output.
    pub fn elements(&self) -> usize {
        elements_of(self.tile)
    }
}

fn elements_of(tile: TileSize) -> usize {
    (tile + TAPS - 1).pow(2)
}

/// Returns the filter of a lane of a vector of slots; none where there are no more groups.
pub fn filter_at(
    order: &[usize],
    window: usize,
    lanes: usize,
    vector: usize,
    lane: usize,
) -> Option<usize> {
    let group = vector / window * lanes + lane;
    order.get(group * window + vector % window).copied()
}

/// Cuts vectors into panels of nearly equal size.
fn panels(vectors: usize, largest: usize, vector_size: usize) -> Vec<Panel> {
    let count = vectors.div_ceil(largest);
    let mut panels = Vec::with_capacity(count);
    let mut first = 0;
    for index in 0..count {
        let size = vectors / count + usize::from(index < vectors % count);
        panels.push(Panel { first, vectors: size, offset: first * vector_size });
        first += size;
    }
    panels
}
