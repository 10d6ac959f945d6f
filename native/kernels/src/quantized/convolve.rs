//! Runs the quantized convolution: stripes of rows as jobs.

use crate::Error;
use crate::geometry::{Sizes, Window3};
use crate::quantized::filters::{Block, Filters};
use crate::quantized::kernel::{
    CHANNELS_IN_WORD, LANES, PIXELS, Products, VECTORS, pixels_in_call,
};
use crate::quantized::rounding::{self, Pixel};
use crate::quantized::{Quantization, maxpool};
use crate::runtime::{Runtime, run_jobs};

/// Bytes of a packed stripe that leave room for weights in a second-level cache.
const STRIPE_BYTES: usize = 256 * 1024;
/// Jobs for each worker, so that none waits long for the last.
const JOBS_PER_WORKER: usize = 3;

type Word = [u8; CHANNELS_IN_WORD];

/// A layer and one input of it.
pub struct Call<'a> {
    /// The packed filters.
    pub filters: &'a Filters,
    /// Window of the convolution.
    pub window: Window3,
    /// Window of the max-pooling.
    pub spatial: Option<Window3>,
    /// The input: sample, channel, pixel.
    pub input: &'a [u8],
    /// Samples.
    pub batch: usize,
    /// Input channels of all groups.
    pub channels: usize,
    /// Pixels of the input.
    pub sizes: Sizes,
    /// Pixels behind the convolution.
    pub convolved: Sizes,
    /// Pixels of the output.
    pub pooled: Sizes,
    /// How the input is stored.
    pub input_bytes: Quantization,
    /// What makes unsigned bytes those of the output.
    pub output_flip: u8,
    /// What each unsigned byte becomes.
    pub table: &'a [u8],
    /// Whether the table changes anything.
    pub looks_up: bool,
}

/// The output, which many threads write, each its own rows.
struct Output(*mut u8);

// SAFETY: jobs differ in sample or rows.
unsafe impl Sync for Output {}

impl Output {
    /// Returns a part.
    ///
    /// # Safety
    /// The part lies in the output, and nobody else uses it.
    #[expect(clippy::mut_from_ref, reason = "that is the purpose")]
    unsafe fn part(&self, start: usize, count: usize) -> &mut [u8] {
        // SAFETY: as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), count) }
    }
}

/// Rows that one job computes.
struct Stripe {
    sample: usize,
    /// Rows of the output.
    output: (usize, usize),
    /// Rows of the convolution.
    convolved: (usize, usize),
}

/// Computes the layer's output.
///
/// # Errors
/// What the runtime reports.
pub fn run(call: &Call<'_>, runtime: &dyn Runtime, output: &mut [u8]) -> Result<(), Error> {
    if output.is_empty() {
        return Ok(());
    }
    let rows = call.rows_in_stripe(runtime.workers());
    let per_sample = call.pooled[0].div_ceil(rows);
    let bytes = call.packed_bytes(rows) + call.staged_bytes(rows) + call.convolved[2];
    let output = Output(output.as_mut_ptr());
    run_jobs(runtime, call.batch * per_sample, bytes.div_ceil(4), &|job, memory| {
        let start = job % per_sample * rows;
        let end = (start + rows).min(call.pooled[0]);
        let convolved = call.spatial.map_or((start, end), |window| {
            let (first, last) = window.reads(0, start, end, call.convolved[0]);
            (first, last.max(first))
        });
        let stripe = Stripe { sample: job / per_sample, output: (start, end), convolved };
        // SAFETY: floats are bytes, four each.
        let memory = unsafe {
            std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast::<u8>(), memory.len() * 4)
        };
        call.run_stripe(&stripe, rows, memory, &output);
    })
}

impl Call<'_> {
    /// Rows, columns of the packed stripe for a number of rows of the convolution.
    fn packed_sizes(&self, rows: usize) -> Sizes {
        let mut sizes = [rows, self.convolved[1], self.convolved[2]];
        for (axis, size) in sizes.iter_mut().enumerate() {
            let reach = self.window.dilations[axis] * (self.window.kernel[axis] - 1) + 1;
            *size = (*size).max(1).saturating_sub(1) * self.window.strides[axis] + reach;
        }
        sizes
    }

    fn convolved_rows(&self, rows: usize) -> usize {
        self.spatial.map_or(rows, |window| {
            let reach = window.dilations[0] * (window.kernel[0] - 1) + 1;
            ((rows - 1) * window.strides[0] + reach).min(self.convolved[0])
        })
    }

    fn packed_bytes(&self, rows: usize) -> usize {
        let sizes = self.packed_sizes(self.convolved_rows(rows));
        sizes.iter().product::<usize>() * self.filters.words * CHANNELS_IN_WORD
    }

    fn staged_bytes(&self, rows: usize) -> usize {
        LANES * self.convolved_rows(rows) * self.convolved[1] * self.convolved[2]
    }

    fn rows_in_stripe(&self, workers: usize) -> usize {
        let rows = self.pooled[0];
        let fair = (rows * self.batch).div_ceil(JOBS_PER_WORKER * workers).max(2);
        let mut count = if workers == 1 { rows } else { fair.min(rows) };
        while count > 2 && self.packed_bytes(count) > STRIPE_BYTES {
            count = count.div_ceil(2);
        }
        count
    }

    fn run_stripe(&self, stripe: &Stripe, rows: usize, memory: &mut [u8], output: &Output) {
        let (packed, rest) = memory.split_at_mut(self.packed_bytes(rows));
        let (staged, row) = rest.split_at_mut(self.staged_bytes(rows));
        let row = &mut row[..self.convolved[2]];
        let (packed, _) = packed.as_chunks_mut::<CHANNELS_IN_WORD>();
        let mut group = usize::MAX;
        for block in &self.filters.blocks {
            if block.group != group && stripe.convolved.0 < stripe.convolved.1 {
                group = block.group;
                self.pack(stripe, group, packed);
            }
            self.convolve(block, stripe, packed, staged);
            self.store(block, stripe, staged, row, output);
        }
    }

    /// Brings the stripe's inputs of a group into the order pixel, channel.
    fn pack(&self, stripe: &Stripe, group: usize, packed: &mut [Word]) {
        let in_group = self.channels / self.filters.groups;
        let [depth, height, width] = self.packed_sizes(stripe.convolved.1 - stripe.convolved.0);
        let padding = self.input_bytes.unsigned_zero_point();
        let flip = self.input_bytes.flip();
        let words = self.filters.words;
        packed[..depth * height * width * words].fill([padding; CHANNELS_IN_WORD]);
        let plane = self.sizes.iter().product::<usize>();
        for word in 0..words {
            let first = group * in_group + word * CHANNELS_IN_WORD;
            let channels = CHANNELS_IN_WORD.min(in_group - word * CHANNELS_IN_WORD);
            let maps = &self.input[(stripe.sample * self.channels + first) * plane..];
            for z in 0..depth {
                let from_z = self.inside(0, stripe.convolved.0 * self.window.strides[0] + z);
                for y in 0..height {
                    let (Some(from_z), Some(from_y)) = (from_z, self.inside(1, y)) else {
                        continue;
                    };
                    let left = self.window.before[2].min(width);
                    let count = self.sizes[2].min(width - left);
                    if count == 0 {
                        continue; // nothing but padding
                    }
                    let start = (from_z * self.sizes[1] + from_y) * self.sizes[2];
                    let row = |channel: usize| {
                        // Behind the last channel the weights are zero, so that any row will do.
                        &maps[channel.min(channels - 1) * plane + start..][..count]
                    };
                    let rows: [&[u8]; CHANNELS_IN_WORD] = [row(0), row(1), row(2), row(3)];
                    let to = ((z * height + y) * width + left) * words + word;
                    for (x, pixel) in packed[to..].iter_mut().step_by(words).take(count).enumerate()
                    {
                        *pixel = [rows[0][x], rows[1][x], rows[2][x], rows[3][x]].map(|v| v ^ flip);
                    }
                }
            }
        }
    }

    fn inside(&self, axis: usize, padded: usize) -> Option<usize> {
        padded.checked_sub(self.window.before[axis]).filter(|&at| at < self.sizes[axis])
    }

    /// Computes a block's rows of the convolution, pooled and rounded, in the order channel, pixel.
    fn convolve(&self, block: &Block, stripe: &Stripe, packed: &[Word], staged: &mut [u8]) {
        let rows = stripe.convolved.1 - stripe.convolved.0;
        let [_, height, width] = self.packed_sizes(rows);
        let [_, lines, columns] = self.convolved;
        let words = self.filters.words;
        let taps = self.taps(height, width);
        let calls = columns.div_ceil(pixels_in_call(VECTORS.min(self.filters.window)));
        let mut pooled = [[0.0; LANES]; PIXELS];
        let mut bytes: Vec<Pixel> = vec![[0; LANES]; columns];
        for line in 0..rows * lines {
            let (z, y) =
                (line / lines * self.window.strides[0], line % lines * self.window.strides[1]);
            let mut column = 0;
            for call in 0..calls {
                let pixels = columns / calls + usize::from(call < columns % calls);
                let x = column * self.window.strides[2];
                let source = ((z * height + y) * width + x) * words;
                for first in (0..self.filters.window).step_by(VECTORS) {
                    let vectors = VECTORS.min(self.filters.window - first);
                    let weights = block.weights + first * taps.len() * words * LANES;
                    let numbers = block.numbers + first * LANES;
                    let products = Products {
                        source: packed[source..].as_ptr(),
                        pixel_stride: self.window.strides[2] * words,
                        taps: &taps,
                        words,
                        weights: self.filters.weights[weights..].as_ptr(),
                        bias: self.filters.bias[numbers..].as_ptr(),
                        scales: self.filters.scales[numbers..].as_ptr(),
                        pixels,
                        vectors,
                        smallest: self.filters.smallest,
                        resume: first > 0,
                        out: pooled.as_mut_ptr(),
                    };
                    // SAFETY: the packed stripe holds every tap of every pixel, and the block has
                    // weights, biases and scales for each vector.
                    unsafe { self.filters.kernel.multiply(&products) };
                }
                let rounded = &mut bytes[column..column + pixels];
                self.filters.rounding.round(&pooled[..pixels], self.filters.zero_point, rounded);
                column += pixels;
            }
            if self.looks_up {
                bytes.iter_mut().flatten().for_each(|byte| *byte = self.table[usize::from(*byte)]);
            }
            rounding::transpose(&bytes, rows * lines * columns, &mut staged[line * columns..]);
        }
    }

    fn taps(&self, height: usize, width: usize) -> Vec<usize> {
        let [depth, rows, columns] = self.window.kernel;
        let [depth_step, row_step, column_step] = self.window.dilations;
        let mut taps = Vec::with_capacity(depth * rows * columns);
        for z in 0..depth {
            for y in 0..rows {
                for x in 0..columns {
                    let row = (z * depth_step * height + y * row_step) * width;
                    taps.push((row + x * column_step) * self.filters.words);
                }
            }
        }
        taps
    }

    /// Pools a block's rows if that is asked for, and writes them to the output.
    fn store(
        &self,
        block: &Block,
        stripe: &Stripe,
        staged: &[u8],
        row: &mut [u8],
        output: &Output,
    ) {
        let (start, end) = stripe.output;
        let line = self.pooled[1] * self.pooled[2];
        let plane =
            (stripe.convolved.1 - stripe.convolved.0) * self.convolved[1] * self.convolved[2];
        for lane in 0..block.outputs {
            let map = stripe.sample * self.filters.outputs + block.first_output + lane;
            let at = (map * self.pooled[0] + start) * line;
            // SAFETY: jobs differ in sample or rows.
            let destination = unsafe { output.part(at, (end - start) * line) };
            let rows = &staged[lane * plane..(lane + 1) * plane];
            if let Some(window) = &self.spatial {
                let rows = maxpool::Rows {
                    window,
                    sizes: self.convolved,
                    pooled: self.pooled,
                    values: rows,
                    first: stripe.convolved.0,
                };
                maxpool::run(&rows, stripe.output, row, destination);
            } else {
                destination.copy_from_slice(rows);
            }
            if self.output_flip != 0 {
                for byte in destination {
                    *byte ^= self.output_flip;
                }
            }
        }
    }
}
