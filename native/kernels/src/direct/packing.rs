//! The padded copy of a stripe of the input that the direct convolution reads.
//!
//! A stride is taken apart into phases: pixel p of phase f is pixel p · stride + f of the padded
//! input. Within a phase each tap then lies at a fixed distance from the pixel that it serves, so
//! that vectors run over the ends of rows, and no map is too narrow for them.

use crate::geometry::{Sizes, Window3};

/// Shape of the copy.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Positions along each axis of one phase.
    extent: Sizes,
    /// Phases that any tap reads, as offsets along the axes.
    phases: Vec<Sizes>,
    /// Distance of each tap from the pixel that it serves.
    pub taps: Vec<usize>,
    /// Output positions, and extents, of the stripe.
    output: Sizes,
}

/// A run of pixels of a block that lies in one row of the output.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Where it starts in the block.
    pub from: usize,
    /// Where it starts in the stripe of the output.
    pub to: usize,
    /// Pixels.
    pub count: usize,
}

impl Layout {
    /// Lays out a stripe that serves `output` positions.
    pub fn new(window: &Window3, output: Sizes) -> Self {
        let positions = |axis: usize| {
            (0..window.kernel[axis]).map(move |tap| {
                let distance = tap * window.dilations[axis];
                (distance % window.strides[axis], distance / window.strides[axis])
            })
        };
        let mut extent = output;
        for (axis, size) in extent.iter_mut().enumerate() {
            *size += positions(axis).map(|(_, step)| step).max().unwrap_or(0);
        }
        let plane = extent.iter().product::<usize>();
        let mut phases: Vec<Sizes> = Vec::new();
        let mut taps = Vec::new();
        for (depth_phase, depth) in positions(0) {
            for (row_phase, row) in positions(1) {
                for (column_phase, column) in positions(2) {
                    let phase = [depth_phase, row_phase, column_phase];
                    let index = phases.iter().position(|known| *known == phase);
                    let index = index.unwrap_or_else(|| {
                        phases.push(phase);
                        phases.len() - 1
                    });
                    taps.push(index * plane + (depth * extent[1] + row) * extent[2] + column);
                }
            }
        }
        Self { extent, phases, taps, output }
    }

    /// Returns the size of the copy of one channel.
    pub fn channel(&self) -> usize {
        self.extent.iter().product::<usize>() * self.phases.len()
    }

    /// Returns the number of positions from the first pixel to the last, with those between rows.
    pub fn positions(&self) -> usize {
        let [depth, rows, columns] = self.output;
        ((depth - 1) * self.extent[1] + rows - 1) * self.extent[2] + columns
    }

    /// Returns the largest distance of a tap.
    pub fn reach(&self) -> usize {
        self.taps.iter().copied().max().unwrap_or(0)
    }

    /// Copies one channel, zeros in place of padding; `first` is the stripe's first position.
    pub fn pack(
        &self,
        window: &Window3,
        first: usize,
        input: &[f32],
        sizes: Sizes,
        copy: &mut [f32],
    ) {
        let mut rows = copy.chunks_exact_mut(self.extent[2]);
        for phase in &self.phases {
            for depth in 0..self.extent[0] {
                for height in 0..self.extent[1] {
                    let row = rows.next().expect("the copy has all rows");
                    let source = |axis: usize, position: usize| {
                        let padded = position * window.strides[axis] + phase[axis];
                        padded.checked_sub(window.before[axis]).filter(|&at| at < sizes[axis])
                    };
                    match (source(0, first + depth), source(1, height)) {
                        (Some(z), Some(y)) => {
                            let start = (z * sizes[1] + y) * sizes[2];
                            let line = &input[start..start + sizes[2]];
                            copy_row(line, window.strides[2], phase[2], window.before[2], row);
                        }
                        _ => row.fill(0.0),
                    }
                }
            }
        }
    }

    /// Returns the runs of a block of positions that are pixels of the output.
    pub fn segments(&self, start: usize, count: usize) -> Vec<Segment> {
        let [depth, rows, columns] = self.output;
        let pitch = self.extent[2];
        let mut segments = Vec::new();
        for row in start / pitch..(start + count).div_ceil(pitch) {
            let (z, y) = (row / self.extent[1], row % self.extent[1]);
            let begin = start.max(row * pitch);
            let end = (start + count).min(row * pitch + columns);
            if z < depth && y < rows && begin < end {
                let to = (z * rows + y) * columns + begin - row * pitch;
                segments.push(Segment { from: begin - start, to, count: end - begin });
            }
        }
        segments
    }
}

/// Copies the pixels of one phase of a row.
fn copy_row(line: &[f32], stride: usize, phase: usize, before: usize, row: &mut [f32]) {
    // Positions whose pixel, position · stride + phase - before, lies in the line.
    let first = before.saturating_sub(phase).div_ceil(stride).min(row.len());
    let last = (line.len() + before).saturating_sub(phase).div_ceil(stride).clamp(first, row.len());
    row[..first].fill(0.0);
    row[last..].fill(0.0);
    if first == last {
        return;
    }
    let start = first * stride + phase - before;
    if stride == 1 {
        row[first..last].copy_from_slice(&line[start..start + last - first]);
    } else {
        let pixels = line[start..].iter().step_by(stride);
        row[first..last].iter_mut().zip(pixels).for_each(|(to, from)| *to = *from);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "copied values are equal")]

    use super::copy_row;

    #[test]
    fn rows_are_padded_on_both_sides() {
        let mut row = [9.0; 6];
        copy_row(&[1.0, 2.0, 3.0], 1, 0, 1, &mut row);
        assert_eq!(row, [0.0, 1.0, 2.0, 3.0, 0.0, 0.0]);
    }

    #[test]
    fn phases_of_a_stride() {
        let line = [1.0, 2.0, 3.0, 4.0, 5.0];
        let mut row = [9.0; 4];
        copy_row(&line, 2, 0, 1, &mut row);
        assert_eq!(row, [0.0, 2.0, 4.0, 0.0]);
        copy_row(&line, 2, 1, 1, &mut row);
        assert_eq!(row, [1.0, 3.0, 5.0, 0.0]);
    }
}
