//! Runs the direct convolution: stripes of rows × chunks of filters, as jobs.

use crate::Error;
use crate::activation::Elementwise;
use crate::direct::filters::{Chunk, Filters};
use crate::direct::kernel::{Finish, Tile};
use crate::direct::packing::Layout;
use crate::epilogue::{Output, Stripe, Tail, apply_rows};
use crate::geometry::{Sizes, Window3};
use crate::recipe::{Recipe, Reduction};
use crate::reduce::Pooling;
use crate::runtime::{JOBS_PER_WORKER, Runtime, fair_jobs, run_jobs};

/// Size of the packed stripe that leaves room for weights in a second-level cache.
const STRIPE_FLOATS: usize = 96 * 1024;
/// Tiles of pixels that are pooled and stored together.
const TILES_IN_BLOCK: usize = 4;
/// Rows of a stripe that are worth the rows around it, which neighbours pack as well.
const FEWEST_ROWS: usize = 4;

/// A layer and one input of it.
pub struct Call<'a> {
    /// What is computed.
    pub recipe: &'a Recipe,
    /// The packed filters.
    pub filters: &'a Filters,
    /// Program between convolution and reduction.
    pub before: &'a Elementwise,
    /// Window of the convolution.
    pub window: Window3,
    /// The input: sample, channel, pixel.
    pub input: &'a [f32],
    /// Samples.
    pub batch: usize,
    /// Input channels of all groups.
    pub channels: usize,
    /// Pixels of the input.
    pub sizes: Sizes,
    /// What happens behind the reduction.
    pub tail: Tail<'a>,
}

/// Computes the layer's output.
///
/// # Errors
/// What the runtime reports.
pub fn run(call: &Call<'_>, runtime: &dyn Runtime, output: &mut [f32]) -> Result<(), Error> {
    if output.is_empty() {
        return Ok(());
    }
    let chunks = call.filters.chunks.len();
    let stripes = call.tail.stripes(call.batch, call.stripes_of_sample(runtime.workers()), 1);
    let wanted = JOBS_PER_WORKER * runtime.workers();
    let parts = if runtime.workers() == 1 { 1 } else { wanted.div_ceil(stripes.len()).min(chunks) };
    let chunks_in_part = chunks.div_ceil(parts);
    let parts = chunks.div_ceil(chunks_in_part);
    let rows = stripes.iter().map(|stripe| stripe.last.saturating_sub(stripe.first)).max();
    let scratch = call.scratch(rows.unwrap_or(0));
    let output = Output::new(output);
    run_jobs(runtime, stripes.len() * parts, scratch.total, &|job, memory| {
        let first = job % parts * chunks_in_part;
        let range = first..(first + chunks_in_part).min(chunks);
        call.run_stripe(
            &stripes[job / parts],
            &call.filters.chunks[range],
            memory,
            &scratch,
            &output,
        );
    })
}

/// Where things lie in a worker's memory.
struct ScratchLayout {
    /// Pixels of a block.
    block: usize,
    wide: usize,
    pooled: usize,
    staged: usize,
    row: usize,
    total: usize,
}

/// Positions that are computed, pooled and stored together.
#[derive(Clone, Copy)]
pub struct Part {
    /// The first.
    pub start: usize,
    /// How many.
    pub count: usize,
    /// Distance of their rows in memory.
    pub stride: usize,
}

impl Call<'_> {
    fn stripes_of_sample(&self, workers: usize) -> usize {
        let rows = self.tail.output[0];
        let per_row = self.channels * self.sizes[1] * self.sizes[2] * rows_read(self) / rows.max(1);
        let fitting = (STRIPE_FLOATS / per_row.max(1)).max(FEWEST_ROWS);
        let least = (rows * self.batch).div_ceil(fitting);
        fair_jobs(workers, least, rows * self.batch / FEWEST_ROWS).div_ceil(self.batch)
    }

    /// Pixels of a block, of which there are that many positions.
    fn block_pixels(&self, positions: usize) -> usize {
        let most = TILES_IN_BLOCK * self.tail.kernels.tile_pixels;
        most.min(positions.next_multiple_of(self.tail.kernels.lanes))
    }

    fn scratch(&self, rows: usize) -> ScratchLayout {
        let [_, height, width] = self.tail.convolved;
        let layout = Layout::new(&self.window, [rows.max(1), height, width]);
        let most =
            |count: fn(&Chunk) -> usize| self.filters.chunks.iter().map(count).max().unwrap_or(0);
        let outputs = |chunk: &Chunk| chunk.slots.len();
        let pooled_rows = most(outputs) / self.recipe.window;
        let block = self.block_pixels(layout.positions());
        let wide = aligned(self.channels * layout.channel() + layout.reach() + block);
        let pooled = wide + aligned(most(|chunk| chunk.rows) * block);
        let staged = pooled + aligned(pooled_rows * block);
        let stage =
            if self.tail.spatial.is_some() { pooled_rows * rows * self.tail.row() } else { 0 };
        let row = staged + aligned(stage);
        ScratchLayout { block, wide, pooled, staged, row, total: row + self.tail.pool_scratch() }
    }

    fn run_stripe(
        &self,
        stripe: &Stripe,
        chunks: &[Chunk],
        memory: &mut [f32],
        places: &ScratchLayout,
        output: &Output,
    ) {
        let (packed, rest) = memory.split_at_mut(places.wide);
        let (wide, rest) = rest.split_at_mut(places.pooled - places.wide);
        let (pooled, rest) = rest.split_at_mut(places.staged - places.pooled);
        let (staged, row) = rest.split_at_mut(places.row - places.staged);
        let rows = stripe.last.saturating_sub(stripe.first);
        let [_, height, width] = self.tail.convolved;
        let layout = Layout::new(&self.window, [rows.max(1), height, width]);
        if rows > 0 {
            self.pack(&layout, stripe, chunks, packed);
        }
        let mut channels = chunks[0].blocks[0].bias;
        for chunk in chunks {
            let names = &self.filters.channels[channels..channels + chunk.rows];
            channels += chunk.rows;
            let positions = if rows > 0 { layout.positions() } else { 0 };
            for start in (0..positions).step_by(places.block) {
                let part = Part {
                    start,
                    count: places.block.min(positions - start),
                    stride: places.block,
                };
                self.convolve(chunk, &layout, part, packed, wide);
                let block = self.reduce(chunk, names, part, wide, pooled);
                self.scatter(chunk, &layout, stripe, part, block, staged, output);
            }
            self.pool(chunk, stripe, staged, row, output);
        }
    }

    fn pack(&self, layout: &Layout, stripe: &Stripe, chunks: &[Chunk], packed: &mut [f32]) {
        let in_group = self.channels / self.recipe.group;
        let groups = || chunks.iter().flat_map(|chunk| &chunk.blocks).map(|block| block.group);
        let first = groups().min().unwrap_or(0) * in_group;
        let last = (groups().max().unwrap_or(0) + 1) * in_group;
        let plane = self.sizes.iter().product::<usize>();
        for channel in first..last {
            let start = (stripe.sample * self.channels + channel) * plane;
            let copy = &mut packed[channel * layout.channel()..(channel + 1) * layout.channel()];
            layout.pack(
                &self.window,
                stripe.first,
                &self.input[start..start + plane],
                self.sizes,
                copy,
            );
        }
    }

    fn convolve(
        &self,
        chunk: &Chunk,
        layout: &Layout,
        Part { start, count, stride }: Part,
        packed: &[f32],
        wide: &mut [f32],
    ) {
        let in_group = self.channels / self.recipe.group;
        let kernels = self.tail.kernels;
        let window = if self.filters.in_tiles { self.recipe.window } else { 1 };
        let most = kernels.tile_pixels / kernels.lanes;
        for block in &chunk.blocks {
            for pixel in (0..count).step_by(kernels.tile_pixels) {
                let source = block.group * in_group * layout.channel() + start + pixel;
                let out = block.row / window * stride + pixel;
                let tile = Tile {
                    source: packed[source..].as_ptr(),
                    channel_stride: layout.channel(),
                    channels: in_group,
                    taps: &layout.taps,
                    weights: self.filters.weights[block.weights..].as_ptr(),
                    bias: self.filters.bias[block.bias..].as_ptr(),
                    filters: block.filters,
                    vectors: (count - pixel).div_ceil(kernels.lanes).min(most),
                    finish: self.finish(&self.filters.channels[block.bias..]),
                    out: wide[out..].as_mut_ptr(),
                    out_stride: stride,
                };
                // SAFETY: the packed stripe holds every tap of every pixel of the tile (behind the
                // last channel there is room for one more block), the weights of a block lie
                // together, and `wide` has a row for each filter.
                unsafe { (kernels.convolve)(&tile) };
            }
        }
    }

    /// Returns what becomes of a tile whose filters are the named units.
    fn finish<'f>(&'f self, units: &'f [usize]) -> Finish<'f> {
        let (reduction, window) = (&self.recipe.reduction, self.recipe.window);
        let sorts = matches!(reduction, Reduction::Ordinal(_));
        match self.before {
            _ if !self.filters.in_tiles => Finish::Store,
            Elementwise::Identity if !sorts => Finish::Fold { reduction, window, activation: None },
            Elementwise::Simple(simple) if !sorts => {
                Finish::Fold { reduction, window, activation: Some(*simple) }
            }
            before => Finish::Pool { reduction, window, before, units, kernels: self.tail.kernels },
        }
    }

    /// Runs `before`, pools the channels, and runs `after`; returns the rows that are left.
    fn reduce<'s>(
        &self,
        chunk: &Chunk,
        names: &[usize],
        part: Part,
        wide: &'s mut [f32],
        pooled: &'s mut [f32],
    ) -> &'s mut [f32] {
        let pixels = part.stride;
        let outputs = chunk.slots.len() / self.recipe.window;
        let block = if self.filters.in_tiles {
            wide
        } else {
            let rows = &mut wide[..names.len() * pixels];
            apply_rows(self.before, self.tail.kernels, names.iter().copied(), rows, pixels);
            let pooling = Pooling {
                reduction: &self.recipe.reduction,
                window: self.recipe.window,
                slots: &chunk.slots,
                wide: wide.as_ptr(),
                out: pooled.as_mut_ptr(),
                pixels,
                out_stride: pixels,
            };
            // SAFETY: both memories have a row for each slot and each output, of whole vectors.
            unsafe { (self.tail.kernels.pool_channels)(&pooling) };
            pooled
        };
        let block = &mut block[..outputs * pixels];
        if !self.tail.postpones() {
            let channels = chunk.first_output..chunk.first_output + outputs;
            apply_rows(self.tail.after, self.tail.kernels, channels, block, pixels);
        }
        block
    }
}

/// Rows of the input that all stripes together read, roughly.
fn rows_read(call: &Call<'_>) -> usize {
    call.sizes[0].max(call.tail.convolved[0])
}

/// Rounds up to whole cache lines.
fn aligned(floats: usize) -> usize {
    floats.next_multiple_of(16)
}
