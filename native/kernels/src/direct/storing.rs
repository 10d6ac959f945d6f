//! Where the direct convolution puts pooled rows, and the max-pooling behind.

use crate::direct::convolve::{Call, Part};
use crate::direct::filters::Chunk;
use crate::direct::packing::Layout;
use crate::epilogue::{Output, Stripe};

impl Call<'_> {
    #[expect(clippy::too_many_arguments, reason = "the pieces of a worker's memory")]
    pub(super) fn scatter(
        &self,
        chunk: &Chunk,
        layout: &Layout,
        stripe: &Stripe,
        part: Part,
        block: &[f32],
        staged: &mut [f32],
        output: &Output,
    ) {
        let segments = layout.segments(part.start, part.count);
        let plane = (stripe.last - stripe.first) * self.tail.row();
        for (index, row) in block.chunks_exact(part.stride).enumerate() {
            let rows = if self.tail.spatial.is_some() {
                &mut staged[index * plane..(index + 1) * plane]
            } else {
                // SAFETY: jobs differ in sample, rows or channels.
                unsafe { self.tail.destination(output, stripe, chunk.first_output + index) }
            };
            for segment in &segments {
                let pixels = &row[segment.from..segment.from + segment.count];
                rows[segment.to..segment.to + segment.count].copy_from_slice(pixels);
            }
        }
    }

    pub(super) fn pool(
        &self,
        chunk: &Chunk,
        stripe: &Stripe,
        staged: &[f32],
        row: &mut [f32],
        output: &Output,
    ) {
        let Some(window) = &self.tail.spatial else { return };
        let plane = stripe.last.saturating_sub(stripe.first) * self.tail.row();
        for index in 0..chunk.slots.len() / self.recipe.window {
            let channel = chunk.first_output + index;
            // SAFETY: jobs differ in sample, rows or channels.
            let destination = unsafe { self.tail.destination(output, stripe, channel) };
            let rows = &staged[index * plane..(index + 1) * plane];
            self.tail.pool(window, stripe, channel, rows, row, destination);
        }
    }
}
