//! Runs the convolution of small maps: blocks of filters, as jobs.

use crate::Error;
use crate::activation::Elementwise;
use crate::epilogue::{Output, Stripe, Tail, apply};
use crate::geometry::{Sizes, Window3};
use crate::narrow::product::{MOST_PIXELS, PixelProduct};
use crate::narrow::steps::{Step, steps};
use crate::recipe::Recipe;
use crate::reduce::Pooling;
use crate::runtime::{Runtime, run_jobs};
use crate::winograd::{Block, Filters};

/// A layer and one input of it.
pub struct Call<'a> {
    /// What is computed.
    pub recipe: &'a Recipe,
    /// The filters, one element for each tap.
    pub filters: &'a Filters,
    /// Program between convolution and reduction; a unit is a vector of slots.
    pub before: &'a Elementwise,
    /// Window of the convolution.
    pub window: Window3,
    /// The input: sample, channel, pixel.
    pub input: &'a [f32],
    /// Samples.
    pub batch: usize,
    /// Pixels of the input.
    pub sizes: Sizes,
    /// What happens behind the reduction.
    pub tail: Tail<'a>,
}

/// Sizes of a worker's pieces of memory.
struct Places {
    sums: usize,
    pooled: usize,
    rows: usize,
    row: usize,
}

/// Computes the layer's output.
///
/// # Errors
/// What the runtime reports.
pub fn run(call: &Call<'_>, runtime: &dyn Runtime, output: &mut [f32]) -> Result<(), Error> {
    if output.is_empty() {
        return Ok(());
    }
    let taps = steps(&call.window, call.sizes, call.tail.convolved);
    let mut transposed = runtime.scratch(call.pixels() * call.filters.channels)?;
    let places = call.places();
    let output = Output::new(output);
    let blocks = &call.filters.blocks;
    for sample in 0..call.batch {
        let inputs = transposed.floats();
        call.transpose(sample, inputs);
        let inputs = &*inputs;
        let total = places.sums + places.pooled + places.rows + places.row;
        run_jobs(runtime, blocks.len(), total, &|job, memory| {
            call.compute(sample, &blocks[job], &taps, inputs, &places, memory, &output);
        })?;
    }
    Ok(())
}

impl Call<'_> {
    fn pixels(&self) -> usize {
        self.sizes.iter().product()
    }

    fn positions(&self) -> usize {
        self.tail.convolved.iter().product()
    }

    fn places(&self) -> Places {
        let groups = self.filters.blocks.iter().map(|block| block.groups).max().unwrap_or(0);
        let values = groups * self.positions() * self.tail.kernels.lanes;
        Places {
            sums: values * self.recipe.window,
            pooled: values,
            rows: values.next_multiple_of(16),
            row: self.tail.pool_scratch(),
        }
    }

    /// Brings a sample into the order pixel, channel.
    fn transpose(&self, sample: usize, inputs: &mut [f32]) {
        let (channels, pixels) = (self.filters.channels, self.pixels());
        let maps = &self.input[sample * channels * pixels..(sample + 1) * channels * pixels];
        for (channel, map) in maps.chunks_exact(pixels).enumerate() {
            for (pixel, value) in map.iter().enumerate() {
                inputs[pixel * channels + channel] = *value;
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the pieces of a worker's memory")]
    fn compute(
        &self,
        sample: usize,
        block: &Block,
        taps: &[Vec<Step>],
        inputs: &[f32],
        places: &Places,
        memory: &mut [f32],
        output: &Output,
    ) {
        let (sums, rest) = memory.split_at_mut(places.sums);
        let (pooled, rest) = rest.split_at_mut(places.pooled);
        let (rows, row) = rest.split_at_mut(places.rows);
        let (lanes, window) = (self.tail.kernels.lanes, self.recipe.window);
        let values = self.positions() * lanes;
        self.accumulate(block, taps, inputs, sums);
        let sums = &mut sums[..block.groups * window * values];
        for (slot, sums) in sums.chunks_exact_mut(values).enumerate() {
            apply(self.before, self.tail.kernels, block.first * window + slot, sums);
        }
        let slots: Vec<usize> = (0..block.groups * window).collect();
        let pooling = Pooling {
            reduction: &self.recipe.reduction,
            window,
            slots: &slots,
            wide: sums.as_ptr(),
            out: pooled.as_mut_ptr(),
            pixels: values,
            out_stride: values,
        };
        // SAFETY: both memories have a row for each slot and each vector of groups.
        unsafe { (self.tail.kernels.pool_channels)(&pooling) };
        self.finish(sample, block, pooled, rows, row, output);
    }

    /// Computes the sums of all taps: vector of slots, position, lane.
    fn accumulate(&self, block: &Block, taps: &[Vec<Step>], inputs: &[f32], sums: &mut [f32]) {
        let kernels = self.tail.kernels;
        let (lanes, channels) = (kernels.lanes, self.filters.channels);
        let values = self.positions() * lanes;
        let vectors = block.groups * self.recipe.window;
        let bias = self.filters.bias[block.bias..].chunks_exact(lanes);
        for (sums, bias) in sums.chunks_exact_mut(values).take(vectors).zip(bias) {
            sums.chunks_exact_mut(lanes).for_each(|pixel| pixel.copy_from_slice(bias));
        }
        for (tap, steps) in taps.iter().enumerate() {
            let weights = block.weights + tap * vectors * channels * lanes;
            let calls = steps.len().div_ceil(kernels.product_tiles);
            for panel in &block.panels {
                let weights = self.filters.weights[weights + panel.offset..].as_ptr();
                let mut rest = steps.as_slice();
                for call in 0..calls {
                    let size = steps.len() / calls + usize::from(call < steps.len() % calls);
                    let (some, others) = rest.split_at(size);
                    rest = others;
                    let mut product = PixelProduct {
                        inputs: [inputs.as_ptr(); MOST_PIXELS],
                        channels,
                        weights,
                        pixels: size,
                        vectors: panel.vectors,
                        sums: [sums.as_mut_ptr(); MOST_PIXELS],
                        sums_stride: values,
                    };
                    for (index, &(position, pixel)) in some.iter().enumerate() {
                        product.inputs[index] = inputs[pixel * channels..].as_ptr();
                        product.sums[index] =
                            sums[panel.first * values + position * lanes..].as_mut_ptr();
                    }
                    // SAFETY: inputs have all channels of each pixel, weights all filters of the
                    // panel, and sums a vector for each of its filters at each position.
                    unsafe { (kernels.multiply_pixels)(&product) };
                }
            }
        }
    }

    /// Brings pooled values into the order of the output, and runs what follows.
    fn finish(
        &self,
        sample: usize,
        block: &Block,
        pooled: &[f32],
        rows: &mut [f32],
        row: &mut [f32],
        output: &Output,
    ) {
        let lanes = self.tail.kernels.lanes;
        let (first, positions) = (block.first * lanes, self.positions());
        let last = (first + block.groups * lanes).min(self.tail.channels);
        let stripe = Stripe {
            sample,
            start: 0,
            end: self.tail.output[0],
            first: 0,
            last: self.tail.convolved[0],
        };
        for channel in first..last {
            let (vector, lane) = ((channel - first) / lanes, (channel - first) % lanes);
            let values = &pooled[vector * positions * lanes..(vector + 1) * positions * lanes];
            // SAFETY: jobs differ in sample or channels.
            let destination = unsafe { self.tail.destination(output, &stripe, channel) };
            let Some(window) = &self.tail.spatial else {
                take_lane(values, lanes, lane, destination);
                apply(self.tail.after, self.tail.kernels, channel, destination);
                continue;
            };
            let map = &mut rows[..positions];
            take_lane(values, lanes, lane, map);
            if !self.tail.postpones() {
                apply(self.tail.after, self.tail.kernels, channel, map);
            }
            self.tail.pool(window, &stripe, channel, map, row, destination);
        }
    }
}

/// Copies one lane of each vector.
fn take_lane(vectors: &[f32], lanes: usize, lane: usize, values: &mut [f32]) {
    for (value, vector) in values.iter_mut().zip(vectors.chunks_exact(lanes)) {
        *value = vector[lane];
    }
}
