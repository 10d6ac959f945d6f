//! Runs the fast convolution: transform, multiply, transform back, stripe by stripe.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::Error;
use crate::activation::Elementwise;
use crate::epilogue::{Output, Stripe, Tail};
use crate::geometry::{Sizes, Window3};
use crate::recipe::Recipe;
use crate::runtime::{JOBS_PER_WORKER, Runtime, fair_jobs, run_jobs};
use crate::winograd::filters::{Block, Filters};
use crate::winograd::input::{self, InputRun, TILES_IN_RUN};
use crate::winograd::output;
use crate::winograd::steps::product_stride;

/// Tiles of a stripe: enough to use weights often, few enough to stay in the cache.
const TILES_IN_STRIPE: usize = 56;
/// Tiles of a stripe that are worth reading all weights: one call of the product.
const FEWEST_TILES: usize = 7;
/// Tiles whose products are held at once.
const TILES_IN_PART: usize = 56;
/// Weights that a second-level cache holds: each worker may then read all of them.
const NEAR_FLOATS: usize = 128 * 1024;

/// A layer and one input of it.
pub struct Call<'a> {
    /// What is computed.
    pub recipe: &'a Recipe,
    /// The transformed filters.
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

/// Transformed inputs that workers write side by side, each other channels.
#[derive(Clone, Copy)]
pub struct Shared(*mut f32);

// SAFETY: workers write different channels, and read after all have written.
unsafe impl Sync for Shared {}

impl Shared {
    /// Returns the address of the first.
    pub fn pointer(&self) -> *mut f32 {
        self.0
    }
}

/// Computes the layer's output; tells whether all values were finite. What is not, the transforms
/// spread over whole tiles.
///
/// # Errors
/// What the runtime reports.
pub fn run(call: &Call<'_>, runtime: &dyn Runtime, output: &mut [f32]) -> Result<bool, Error> {
    if output.is_empty() {
        return Ok(true);
    }
    let finite = AtomicBool::new(true);
    let workers = runtime.workers();
    let near = call.filters.weights.len() <= NEAR_FLOATS;
    let stripes = call.stripes(if near { workers } else { 1 });
    let output = Output::new(output);
    let places = call.places(&stripes);
    let (blocks, channels) = (call.filters.blocks.as_slice(), call.channel_blocks());
    let enough = if near { workers } else { JOBS_PER_WORKER * workers };
    if stripes.len() >= enough {
        run_jobs(runtime, stripes.len(), places.total(), &|job, memory| {
            let (shared, own) = memory.split_at_mut(places.inputs);
            let shared = Shared(shared.as_mut_ptr());
            call.transform_inputs(&stripes[job], 0..channels, shared, own);
            if !call.compute(&stripes[job], blocks, shared, own, &places, &output) {
                finite.store(false, Ordering::Relaxed);
            }
        })?;
        return Ok(finite.into_inner());
    }
    let mut inputs = runtime.scratch(places.inputs)?;
    let shared = Shared(inputs.floats().as_mut_ptr());
    for stripe in &stripes {
        run_jobs(runtime, channels, places.own(), &|job, own| {
            call.transform_inputs(stripe, job..job + 1, shared, own);
        })?;
        run_jobs(runtime, blocks.len(), places.own(), &|job, own| {
            if !call.compute(stripe, &blocks[job..=job], shared, own, &places, &output) {
                finite.store(false, Ordering::Relaxed);
            }
        })?;
    }
    Ok(finite.into_inner())
}

/// Sizes of a worker's pieces of memory; the transforms' room is used by turns.
struct Places {
    inputs: usize,
    room: usize,
    products: usize,
    staged: usize,
    row: usize,
}

impl Places {
    fn own(&self) -> usize {
        self.room + self.products + self.staged + self.row
    }

    fn total(&self) -> usize {
        self.inputs + self.own()
    }
}

impl Call<'_> {
    pub(super) fn tile(&self) -> usize {
        self.filters.tile
    }

    pub(super) fn lanes(&self) -> usize {
        self.tail.kernels.lanes
    }

    fn channel_blocks(&self) -> usize {
        self.filters.channels.div_ceil(self.lanes())
    }

    /// Values from one tile's channels to the next one's; not a power of two, for the cache.
    pub(super) fn tile_stride(&self) -> usize {
        self.channel_blocks() * self.lanes() + 16
    }

    pub(super) fn columns(&self) -> usize {
        self.tail.convolved[2].div_ceil(self.tile())
    }

    fn rows_of(&self, stripe: &Stripe) -> usize {
        stripe.last.saturating_sub(stripe.first).div_ceil(self.tile())
    }

    /// Returns stripes of whole rows of tiles, for a number of workers that do not share them.
    fn stripes(&self, workers: usize) -> Vec<Stripe> {
        let step = self.tail.spatial.map_or(1, |window| window.strides[0]);
        let unit = (self.tile() / step).max(1);
        let rows = self.tail.output[0].div_ceil(unit);
        let least = (rows * self.batch).div_ceil(TILES_IN_STRIPE.div_ceil(self.columns()));
        let most = rows * self.columns() * self.batch / FEWEST_TILES;
        let count = fair_jobs(workers, least, most).div_ceil(self.batch);
        self.tail.stripes(self.batch, count, unit)
    }

    fn places(&self, stripes: &[Stripe]) -> Places {
        let rows = stripes.iter().map(|stripe| stripe.last.saturating_sub(stripe.first)).max();
        let tiles = stripes.iter().map(|stripe| self.rows_of(stripe)).max().unwrap_or(0);
        let tiles = tiles * self.columns();
        let groups = self.filters.blocks.iter().map(|block| block.groups).max().unwrap_or(0);
        let vectors = groups * self.recipe.window;
        let lanes = self.lanes();
        let part = tiles.min(TILES_IN_PART);
        let stage = groups * lanes * rows.unwrap_or(0) * self.tail.row();
        let staged = if self.tail.spatial.is_some() { stage } else { 0 };
        Places {
            inputs: self.filters.elements() * tiles * self.tile_stride(),
            room: input::scratch_size(lanes).max(output::scratch_size(lanes)),
            products: self.filters.elements() * product_stride(part, vectors * lanes),
            staged: staged.next_multiple_of(16),
            row: self.tail.pool_scratch(),
        }
    }

    fn transform_inputs(
        &self,
        stripe: &Stripe,
        channel_blocks: std::ops::Range<usize>,
        inputs: Shared,
        room: &mut [f32],
    ) {
        let lanes = self.lanes();
        let (height, width) = (self.sizes[0], self.sizes[2]);
        let tiles = self.rows_of(stripe) * self.columns();
        for block in channel_blocks {
            let first = stripe.sample * self.filters.channels + block * lanes;
            let source = self.input[first * height * width..].as_ptr();
            for row in 0..self.rows_of(stripe) {
                for column in (0..self.columns()).step_by(TILES_IN_RUN) {
                    let y = (stripe.first + row * self.tile()).cast_signed();
                    let x = (column * self.tile()).cast_signed();
                    let at = (row * self.columns() + column) * self.tile_stride() + block * lanes;
                    let run = InputRun {
                        source,
                        plane: height * width,
                        channels: lanes.min(self.filters.channels - block * lanes),
                        size: (height, width),
                        origin: (
                            y - self.window.before[0].cast_signed(),
                            x - self.window.before[2].cast_signed(),
                        ),
                        tiles: TILES_IN_RUN.min(self.columns() - column),
                        tile: self.tile(),
                        scratch: room.as_mut_ptr(),
                        // SAFETY: the memory has room for all elements, tiles and channels.
                        out: unsafe { inputs.pointer().add(at) },
                        element_stride: tiles * self.tile_stride(),
                        tile_stride: self.tile_stride(),
                    };
                    // SAFETY: the input holds the block's channels, `room` has the size that is
                    // asked for, and the strides stay within the transformed inputs.
                    unsafe { (self.tail.kernels.transform_input)(&run) };
                }
            }
        }
    }

    fn compute(
        &self,
        stripe: &Stripe,
        blocks: &[Block],
        inputs: Shared,
        own: &mut [f32],
        places: &Places,
        output: &Output,
    ) -> bool {
        let mut finite = true;
        let (room, rest) = own.split_at_mut(places.room);
        let (products, rest) = rest.split_at_mut(places.products);
        let (staged, row) = rest.split_at_mut(places.staged);
        let tiles = self.rows_of(stripe) * self.columns();
        for block in blocks {
            for first in (0..tiles).step_by(TILES_IN_PART) {
                let part = (first, TILES_IN_PART.min(tiles - first));
                self.multiply(block, tiles, part, inputs, products);
                finite &=
                    self.transform_outputs(block, stripe, part, products, room, staged, output);
            }
            self.finish(block, stripe, staged, row, output);
        }
        finite
    }
}
