//! The steps of the fast convolution on one block of filters.

use crate::epilogue::{Output, Stripe, apply};
use crate::winograd::convolve::{Call, Shared};
use crate::winograd::filters::Block;
use crate::winograd::output::OutputRun;
use crate::winograd::product::{LINE, Product};
use crate::winograd::transforms;

impl Call<'_> {
    /// Multiplies a part of the tiles, (first, count), by one block of filters.
    pub(super) fn multiply(
        &self,
        block: &Block,
        tiles: usize,
        (first, count): (usize, usize),
        inputs: Shared,
        products: &mut [f32],
    ) {
        let lanes = self.lanes();
        let vectors = block.groups * self.recipe.window;
        let channels = self.filters.channels;
        let zeros = vec![0.0; vectors * lanes];
        let bias = &self.filters.bias[block.bias..block.bias + vectors * lanes];
        let calls = count.div_ceil(self.tail.kernels.product_tiles);
        for element in 0..self.filters.elements() {
            let weights = block.weights + element * vectors * channels * lanes;
            let initial =
                if element == transforms::bias_element(self.tile()) { bias } else { &zeros };
            for panel in &block.panels {
                let panel_size = panel.vectors * channels * lanes;
                let mut done = 0;
                for call in 0..calls {
                    let size = count / calls + usize::from(call < count % calls);
                    let tile = element * tiles + first + done;
                    let out = element * product_stride(count, vectors * lanes)
                        + (done * vectors + panel.first) * lanes;
                    let product = Product {
                        // SAFETY: the transformed inputs hold every element of every tile.
                        inputs: unsafe { inputs.pointer().add(tile * self.tile_stride()) },
                        input_stride: self.tile_stride(),
                        channels,
                        weights: self.filters.weights[weights + panel.offset..].as_ptr(),
                        initial: initial[panel.first * lanes..].as_ptr(),
                        tiles: size,
                        vectors: panel.vectors,
                        out: products[out..].as_mut_ptr(),
                        out_stride: vectors * lanes,
                        ahead: ahead(
                            &self.filters.weights[weights + panel.offset..],
                            panel_size,
                            call,
                            calls,
                        ),
                    };
                    // SAFETY: weights and products hold all filters of the panel, and the products
                    // have a row for each tile of the part.
                    unsafe { (self.tail.kernels.multiply)(&product) };
                    done += size;
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the pieces of a worker's memory")]
    pub(super) fn transform_outputs(
        &self,
        block: &Block,
        stripe: &Stripe,
        (first, count): (usize, usize),
        products: &[f32],
        room: &mut [f32],
        staged: &mut [f32],
        output: &Output,
    ) -> bool {
        let mut finite = true;
        let lanes = self.lanes();
        let (rows, width) = (stripe.last - stripe.first, self.tail.convolved[2]);
        let vectors = block.groups * self.recipe.window;
        for vector in 0..block.groups {
            let channel = (block.first + vector) * lanes;
            let (out, plane) = if self.tail.spatial.is_some() {
                let plane = rows * width;
                (staged[vector * lanes * plane..].as_mut_ptr(), plane)
            } else {
                let map = stripe.sample * self.tail.channels + channel;
                let row = map * self.tail.convolved[0] + stripe.first;
                (output.pointer(row * width), self.tail.convolved[0] * width)
            };
            let mut tile = first;
            while tile < first + count {
                let (row, column) = (tile / self.columns(), tile % self.columns());
                let run_tiles = (self.columns() - column).min(first + count - tile);
                let (y, x) = (row * self.tile(), column * self.tile());
                let run = OutputRun {
                    reduction: &self.recipe.reduction,
                    window: self.recipe.window,
                    before: self.before,
                    unit: (block.first + vector) * self.recipe.window,
                    kernels: self.tail.kernels,
                    products: products
                        [((tile - first) * vectors + vector * self.recipe.window) * lanes..]
                        .as_ptr(),
                    element_stride: product_stride(count, vectors * lanes),
                    tile_stride: vectors * lanes,
                    tiles: run_tiles,
                    tile: self.tile(),
                    scratch: room.as_mut_ptr(),
                    // SAFETY: the position lies in the map.
                    out: unsafe { out.add(y * width + x) },
                    plane,
                    row: width,
                    valid: (lanes.min(self.tail.channels - channel), rows - y, width - x),
                };
                // SAFETY: the products hold all elements of the run, and no more pixels are
                // written than the map has.
                finite &= unsafe { (self.tail.kernels.transform_output)(&run) };
                tile += run_tiles;
            }
        }
        finite
    }

    /// Runs what follows the reduction on the channels of one block.
    pub(super) fn finish(
        &self,
        block: &Block,
        stripe: &Stripe,
        staged: &mut [f32],
        row: &mut [f32],
        output: &Output,
    ) {
        let lanes = self.lanes();
        let plane = stripe.last.saturating_sub(stripe.first) * self.tail.row();
        let first = block.first * lanes;
        let last = (first + block.groups * lanes).min(self.tail.channels);
        for channel in first..last {
            // SAFETY: jobs differ in sample, rows or channels.
            let destination = unsafe { self.tail.destination(output, stripe, channel) };
            let Some(window) = &self.tail.spatial else {
                apply(self.tail.after, self.tail.kernels, channel, destination);
                continue;
            };
            let rows = &mut staged[(channel - first) * plane..(channel - first + 1) * plane];
            if !self.tail.postpones() {
                apply(self.tail.after, self.tail.kernels, channel, rows);
            }
            self.tail.pool(window, stripe, channel, rows, row, destination);
        }
    }
}

/// Returns what to fetch during one of the calls on a panel: its share of the next panel, in one
/// stream if there are calls enough, else in two.
fn ahead(weights: &[f32], panel: usize, call: usize, calls: usize) -> [*const f32; 2] {
    let share = panel.div_ceil(calls).next_multiple_of(LINE);
    let first = weights.as_ptr().wrapping_add(panel + call * share);
    let enough = calls >= 4;
    [first, if enough { first } else { first.wrapping_add(share / 2) }]
}

/// Distance of elements in the products of `tiles` tiles; not a power of two, for the cache.
pub fn product_stride(tiles: usize, filters: usize) -> usize {
    tiles * filters + 16
}
