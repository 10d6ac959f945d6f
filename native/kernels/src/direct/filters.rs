//! Filters in the order in which the direct convolution reads them.

use crate::isa::Kernels;
use crate::recipe::Recipe;

/// Filters that share their input stay together up to this many, so that their weights stay in
/// the second-level cache.
const FILTERS_IN_CHUNK: usize = 64;

/// A run of filters that one tile computes.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Number of filters.
    pub filters: usize,
    /// Row of the first in the scratch memory.
    pub row: usize,
    /// Where their biases start.
    pub bias: usize,
    /// Where their weights start.
    pub weights: usize,
    /// Group of the convolution that they belong to.
    pub group: usize,
}

/// Filters that are computed together, and the output channels that are pooled from them.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The filters.
    pub blocks: Vec<Block>,
    /// Rows that the blocks write.
    pub rows: usize,
    /// First output channel.
    pub first_output: usize,
    /// Row of each slot.
    pub slots: Vec<usize>,
}

/// All filters of a layer.
#[derive(Clone, Debug)]
pub struct Filters {
    /// Weights, block by block: channel, tap, filter.
    pub weights: Vec<f32>,
    /// Biases, block by block.
    pub bias: Vec<f32>,
    /// Filters that are computed together.
    pub chunks: Vec<Chunk>,
    /// Whether every tile holds whole groups, which meet in it.
    pub in_tiles: bool,
    /// Original number of each row, chunk after chunk; what `before` is told as channel.
    pub channels: Vec<usize>,
}

/// Weights as they come: filter, channel of the group, tap.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The values.
    pub weights: &'a [f32],
    /// One value for each filter.
    pub bias: &'a [f32],
    /// Channels of a group times taps.
    pub filter_size: usize,
}

impl Filters {
    /// Packs the filters.
    pub fn pack(recipe: &Recipe, source: Source<'_>, kernels: &Kernels) -> Self {
        let wide = source.bias.len();
        let in_group = wide / recipe.group;
        let order = canonical_order(recipe, wide);
        let mut filters = Self {
            weights: Vec::with_capacity(source.weights.len()),
            bias: Vec::with_capacity(wide),
            chunks: Vec::new(),
            in_tiles: order.is_some() && recipe.window <= kernels.tile_filters,
            channels: Vec::new(),
        };
        let unit = if filters.in_tiles { recipe.window } else { 1 };
        if let Some(order) = order {
            let pooled = (FILTERS_IN_CHUNK / recipe.window).max(1);
            let groups_of_filters = in_group / recipe.window;
            for (index, part) in order.chunks(in_group).enumerate() {
                for (step, members) in part.chunks(pooled * recipe.window).enumerate() {
                    let first_output = index * groups_of_filters + step * pooled;
                    let slots = (0..members.len()).collect();
                    let mut chunk = Chunk { blocks: vec![], rows: 0, first_output, slots };
                    filters.add(&mut chunk, members, in_group, source, unit, kernels.tile_filters);
                    filters.chunks.push(chunk);
                }
            }
        } else {
            let slots = match recipe.members.as_slice() {
                [] => (0..wide).collect(),
                members => members.to_vec(),
            };
            let mut chunk = Chunk { blocks: vec![], rows: 0, first_output: 0, slots };
            let all: Vec<usize> = (0..wide).collect();
            for members in all.chunks(in_group) {
                filters.add(&mut chunk, members, in_group, source, 1, kernels.tile_filters);
            }
            filters.chunks.push(chunk);
        }
        filters
    }

    /// Adds blocks of nearly equal size, each a multiple of `unit` filters, to a chunk.
    fn add(
        &mut self,
        chunk: &mut Chunk,
        members: &[usize],
        in_group: usize,
        source: Source<'_>,
        unit: usize,
        largest: usize,
    ) {
        let units = members.len() / unit;
        let blocks = units.div_ceil(largest / unit);
        let mut rest = members;
        for index in 0..blocks {
            let count = unit * (units / blocks + usize::from(index < units % blocks));
            let (block, others) = rest.split_at(count);
            chunk.blocks.push(Block {
                filters: count,
                row: chunk.rows,
                bias: self.bias.len(),
                weights: self.weights.len(),
                group: block[0] / in_group,
            });
            for position in 0..source.filter_size {
                let column =
                    block.iter().map(|f| source.weights[f * source.filter_size + position]);
                self.weights.extend(column);
            }
            self.bias.extend(block.iter().map(|&filter| source.bias[filter]));
            self.channels.extend(block);
            chunk.rows += count;
            rest = others;
        }
    }
}

/// Returns the filters in order of their slots, if each has one slot and pooled groups do not
/// straddle groups of the convolution.
pub fn canonical_order(recipe: &Recipe, wide: usize) -> Option<Vec<usize>> {
    let in_group = wide / recipe.group;
    let order: Vec<usize> = match recipe.members.as_slice() {
        [] => (0..wide).collect(),
        members => members.to_vec(),
    };
    let mut seen = vec![false; wide];
    let each_once = order.len() == wide
        && order.iter().all(|&member| !std::mem::replace(&mut seen[member], true));
    let stays_in_group =
        order.iter().enumerate().all(|(slot, &member)| slot / in_group == member / in_group);
    (each_once && stays_in_group && in_group.is_multiple_of(recipe.window)).then_some(order)
}
