//! What happens behind the convolution: where pooled rows go, and the spatial max-pooling.

use crate::activation::Elementwise;
use crate::geometry::{Sizes, Window3};
use crate::isa::Kernels;
use crate::maxpool;

/// Runs an element-wise program on the values of one unit: a channel, or vectors of channels.
pub fn apply(program: &Elementwise, kernels: &Kernels, unit: usize, values: &mut [f32]) {
    match program {
        Elementwise::Identity => {}
        // SAFETY: kernels are only made for instruction sets that the processor has.
        Elementwise::Simple(activation) => unsafe { (kernels.activate)(*activation, values) },
        // SAFETY: as above, and programs are bound for vectors of these kernels.
        Elementwise::General(bound) => unsafe { (kernels.program)(bound, unit, values) },
    }
}

/// Runs an element-wise program on rows of `pixels` values, one for each named unit.
pub fn apply_rows(
    program: &Elementwise,
    kernels: &Kernels,
    units: impl Iterator<Item = usize>,
    rows: &mut [f32],
    pixels: usize,
) {
    match program {
        Elementwise::General(bound) if !bound.is_uniform() => {
            for (row, unit) in rows.chunks_exact_mut(pixels).zip(units) {
                apply(program, kernels, unit, row);
            }
        }
        simple => apply(simple, kernels, 0, rows),
    }
}

/// The output of a layer, which many threads write, each its own part.
#[derive(Clone, Copy)]
pub struct Output {
    start: *mut f32,
    length: usize,
}

// SAFETY: the parts that threads write do not overlap, because their jobs differ in batch, rows or
// channels.
unsafe impl Sync for Output {}

impl Output {
    /// Wraps the memory; the borrow ends with the run that the wrapper is made for.
    pub fn new(values: &mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), length: values.len() }
    }

    /// Returns the address of a value.
    pub fn pointer(&self, at: usize) -> *mut f32 {
        assert!(at < self.length, "a value beyond the output");
        // SAFETY: within the memory.
        unsafe { self.start.add(at) }
    }

    /// Returns a part.
    ///
    /// # Safety
    /// No other part that is in use overlaps with it.
    #[expect(clippy::mut_from_ref, reason = "that is the purpose")]
    pub unsafe fn part(&self, start: usize, count: usize) -> &mut [f32] {
        assert!(start + count <= self.length, "a part beyond the output");
        // SAFETY: within the memory, and the caller knows that nobody else uses it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), count) }
    }
}

/// Rows of the convolution and of the output that one job computes.
#[derive(Clone, Copy, Debug)]
pub struct Stripe {
    /// Sample of the batch.
    pub sample: usize,
    /// First row of the output.
    pub start: usize,
    /// Row behind the last of the output.
    pub end: usize,
    /// First row of the convolution that is needed.
    pub first: usize,
    /// Row behind the last of the convolution.
    pub last: usize,
}

/// Sizes on both sides of the spatial max-pooling, and how to get from one to the other.
#[derive(Clone)]
pub struct Tail<'a> {
    /// Positions of the convolution.
    pub convolved: Sizes,
    /// Positions of the output.
    pub output: Sizes,
    /// Output channels of the layer.
    pub channels: usize,
    /// Program behind the reduction.
    pub after: &'a Elementwise,
    /// Window of the max-pooling.
    pub spatial: Option<Window3>,
    /// Functions of the instruction set.
    pub kernels: &'static Kernels,
}

impl Tail<'_> {
    /// Cuts the output into `count` stripes of each sample, of one job each, which differ by at most
    /// `unit` rows: that many belong together.
    pub fn stripes(&self, batch: usize, count: usize, unit: usize) -> Vec<Stripe> {
        let rows = self.output[0];
        let units = rows.div_ceil(unit);
        let count = count.clamp(1, units.max(1));
        let cut = |index: usize| (index * units / count * unit).min(rows);
        let stripe = |sample: usize, index: usize| {
            let (start, end) = (cut(index), cut(index + 1));
            let (first, last) = self
                .spatial
                .map_or((start, end), |window| window.reads(0, start, end, self.convolved[0]));
            Stripe { sample, start, end, first, last }
        };
        (0..batch * count).map(|job| stripe(job / count, job % count)).collect()
    }

    /// Returns the size of one row of the convolution.
    pub fn row(&self) -> usize {
        self.convolved[1] * self.convolved[2]
    }

    /// Tells whether `after` runs on pooled rows, where there are fewer values.
    pub fn postpones(&self) -> bool {
        self.spatial.is_some() && self.after.keeps_order()
    }

    /// Returns the numbers that `pool` needs for a row.
    pub fn pool_scratch(&self) -> usize {
        if self.spatial.is_some() { self.convolved[2] } else { 0 }
    }

    /// Returns the part of the output that a stripe of one channel fills.
    ///
    /// # Safety
    /// Nobody else uses this part.
    #[expect(clippy::mut_from_ref, reason = "parts of the output do not overlap")]
    pub unsafe fn destination<'o>(
        &self,
        output: &'o Output,
        stripe: &Stripe,
        channel: usize,
    ) -> &'o mut [f32] {
        let row = self.output[1] * self.output[2];
        let plane = (stripe.sample * self.channels + channel) * self.output[0];
        // SAFETY: as the caller promises.
        unsafe { output.part((plane + stripe.start) * row, (stripe.end - stripe.start) * row) }
    }

    /// Pools the rows of one channel into its part of the output.
    pub fn pool(
        &self,
        window: &Window3,
        stripe: &Stripe,
        channel: usize,
        rows: &[f32],
        scratch: &mut [f32],
        destination: &mut [f32],
    ) {
        maxpool::run(window, self, stripe, rows, scratch, destination);
        if self.postpones() {
            apply(self.after, self.kernels, channel, destination);
        }
    }
}
