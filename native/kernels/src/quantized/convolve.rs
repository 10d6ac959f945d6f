//! Runs the quantized convolution: stripes of rows as jobs.

use crate::Error;
use crate::geometry::{Sizes, Window3};
use crate::quantized::filters::{Block, Filters};
use crate::quantized::kernel::{
    CHANNELS_IN_WORD, LANES, PIXELS, Products, VECTORS, pixels_in_call,
};
use crate::quantized::packing::{self, Packing, Word};
use crate::quantized::table::Table;
use crate::quantized::transpose::{Row, to_columns};
use crate::quantized::{Quantization, maxpool};
use crate::runtime::{JOBS_PER_WORKER, Runtime, run_jobs};

/// Bytes of a packed stripe that leave room for weights in a second-level cache.
const STRIPE_BYTES: usize = 256 * 1024;

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
    /// What each unsigned byte becomes before the max-pooling, if it changes.
    pub before_pooling: Option<&'a Table>,
    /// What each unsigned byte becomes behind the max-pooling, if it changes.
    pub after_pooling: Option<&'a Table>,
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
    let bytes =
        call.packed_bytes(rows) + call.line_bytes() + call.staged_bytes(rows) + call.convolved[2];
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
        let window = self.packed_window();
        let mut sizes = [rows, self.convolved[1], self.convolved[2]];
        for (axis, size) in sizes.iter_mut().enumerate() {
            let reach = window.dilations[axis] * (window.kernel[axis] - 1) + 1;
            *size = (*size).max(1).saturating_sub(1) * window.strides[axis] + reach;
        }
        sizes
    }

    /// The window that reads the packed stripe.
    fn packed_window(&self) -> Window3 {
        self.filters.packing.window(self.window)
    }

    fn convolved_rows(&self, rows: usize) -> usize {
        self.spatial.map_or(rows, |window| {
            let reach = window.dilations[0] * (window.kernel[0] - 1) + 1;
            ((rows - 1) * window.strides[0] + reach).min(self.convolved[0])
        })
    }

    fn packed_bytes(&self, rows: usize) -> usize {
        let sizes = self.packed_sizes(self.convolved_rows(rows));
        sizes.iter().product::<usize>() * self.filters.packing.words() * CHANNELS_IN_WORD
    }

    fn line_bytes(&self) -> usize {
        Packing::line_bytes(self.packed_sizes(1)[2])
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
        match rows.div_ceil(count) {
            1 => rows,
            stripes => rows.div_ceil(stripes.next_multiple_of(workers)),
        }
    }

    fn run_stripe(&self, stripe: &Stripe, rows: usize, memory: &mut [u8], output: &Output) {
        let (packed, rest) = memory.split_at_mut(self.packed_bytes(rows));
        let (lines, rest) = rest.split_at_mut(self.line_bytes());
        let (staged, row) = rest.split_at_mut(self.staged_bytes(rows));
        let row = &mut row[..self.convolved[2]];
        let (packed, _) = packed.as_chunks_mut::<CHANNELS_IN_WORD>();
        let mut group = usize::MAX;
        for block in &self.filters.blocks {
            if block.group != group && stripe.convolved.0 < stripe.convolved.1 {
                group = block.group;
                self.pack(stripe, group, packed, lines);
            }
            self.convolve(block, stripe, packed, staged);
            self.store(block, stripe, staged, row, output);
        }
    }

    fn pack(&self, stripe: &Stripe, group: usize, packed: &mut [Word], lines: &mut [u8]) {
        let channels = self.channels / self.filters.groups;
        let first = stripe.sample * self.channels + group * channels;
        let plane = self.sizes.iter().product::<usize>();
        let (start, end) = stripe.convolved;
        let rows = packing::Rows {
            packing: self.filters.packing,
            window: self.window,
            maps: &self.input[first * plane..][..channels * plane],
            sizes: self.sizes,
            first: start * self.window.strides[0],
            padding: self.input_bytes.unsigned_zero_point(),
            flip: self.input_bytes.flip(),
        };
        rows.pack(self.packed_sizes(end - start), packed, lines);
    }

    /// Computes a block's rows of the convolution, pooled and rounded, in the order channel, pixel.
    fn convolve(&self, block: &Block, stripe: &Stripe, packed: &[Word], staged: &mut [u8]) {
        let rows = stripe.convolved.1 - stripe.convolved.0;
        let [_, height, width] = self.packed_sizes(rows);
        let [_, lines, columns] = self.convolved;
        let (window, words) = (self.packed_window(), self.filters.packing.words());
        let taps = self.taps(height, width);
        let calls = columns.div_ceil(pixels_in_call(VECTORS.min(self.filters.window)));
        let mut pooled = [[0.0; LANES]; PIXELS];
        let mut bytes: Vec<Row> = vec![[0; LANES]; columns];
        for line in 0..rows * lines {
            let (z, y) = (line / lines * window.strides[0], line % lines * window.strides[1]);
            let mut column = 0;
            for call in 0..calls {
                let pixels = columns / calls + usize::from(call < columns % calls);
                let x = column * window.strides[2];
                let source = ((z * height + y) * width + x) * words;
                for first in (0..self.filters.window).step_by(VECTORS) {
                    let vectors = VECTORS.min(self.filters.window - first);
                    let weights = block.weights + first * taps.len() * words * LANES;
                    let numbers = block.numbers + first * LANES;
                    let products = Products {
                        source: packed[source..].as_ptr(),
                        pixel_stride: window.strides[2] * words,
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
            to_columns(&bytes, rows * lines * columns, &mut staged[line * columns..]);
        }
    }

    /// Returns the distance of each tap from its pixel, in words of a packed stripe.
    fn taps(&self, height: usize, width: usize) -> Vec<usize> {
        let window = self.packed_window();
        let [depth, rows, columns] = window.kernel;
        let [depth_step, row_step, column_step] = window.dilations;
        let mut taps = Vec::with_capacity(depth * rows * columns * self.filters.summands);
        for z in 0..depth {
            for y in 0..rows {
                for x in 0..columns {
                    let row = (z * depth_step * height + y * row_step) * width;
                    let tap = (row + x * column_step) * self.filters.packing.words();
                    taps.extend(std::iter::repeat_n(tap, self.filters.summands));
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
        staged: &mut [u8],
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
            let rows = &mut staged[lane * plane..(lane + 1) * plane];
            if let Some(table) = self.before_pooling {
                table.apply(rows);
            }
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
            if let Some(table) = self.after_pooling {
                table.apply(destination);
            }
        }
    }
}
