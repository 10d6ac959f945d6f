//! Input bytes in the order in which the products read them: pixel, word of four channels.

use crate::geometry::{Sizes, Window3};
use crate::quantized::kernel::CHANNELS_IN_WORD;
use crate::quantized::transpose::{Row, SIDE, transposed};

/// Four channels of a pixel.
pub type Word = [u8; CHANNELS_IN_WORD];

/// What the channels of a packed pixel are.
///
/// Where there are few channels, most of a word would be empty. Then the columns of the filter
/// become channels, too: a packed pixel holds what one row of the filter reads there.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    /// Channels of a group of the convolution.
    channels: usize,
    /// Columns of the filter that are channels of a packed pixel; 1 if they stay columns.
    columns: usize,
}

impl Packing {
    /// Chooses what takes fewer words for a filter.
    pub fn new(channels: usize, filter_columns: usize) -> Self {
        let apart = filter_columns * channels.div_ceil(CHANNELS_IN_WORD);
        let together = (filter_columns * channels).div_ceil(CHANNELS_IN_WORD);
        Self { channels, columns: if together < apart { filter_columns } else { 1 } }
    }

    /// Words of a packed pixel.
    pub fn words(self) -> usize {
        (self.channels * self.columns).div_ceil(CHANNELS_IN_WORD)
    }

    /// Columns of the filter that are channels of a packed pixel; 1 if they stay columns.
    pub fn columns(self) -> usize {
        self.columns
    }

    /// Returns the channel and the column, among those that became channels, that a channel of a
    /// packed pixel holds; none behind the last.
    pub fn unpacked(self, channel: usize) -> Option<(usize, usize)> {
        let of = channel / self.columns;
        (of < self.channels).then_some((of, channel % self.columns))
    }

    /// Returns the window that reads packed pixels.
    pub fn window(self, window: Window3) -> Window3 {
        if self.columns == 1 {
            return window;
        }
        let [depth, rows, _] = window.kernel;
        Window3 {
            kernel: [depth, rows, 1],
            strides: [window.strides[0], window.strides[1], 1],
            before: [window.before[0], window.before[1], 0],
            dilations: [window.dilations[0], window.dilations[1], 1],
        }
    }

    /// Bytes of scratch memory for a packed row.
    pub fn line_bytes(width: usize) -> usize {
        SIDE * width.next_multiple_of(SIDE)
    }
}

/// Rows of the input that are packed.
pub struct Rows<'a> {
    /// What the channels of a packed pixel are.
    pub packing: Packing,
    /// Window of the convolution.
    pub window: Window3,
    /// The input's maps of the group.
    pub maps: &'a [u8],
    /// Pixels of the input.
    pub sizes: Sizes,
    /// The first row, in the padded input.
    pub first: usize,
    /// What padding holds, as unsigned byte.
    pub padding: u8,
    /// What makes bytes unsigned.
    pub flip: u8,
}

impl Rows<'_> {
    /// Packs `[depth, height, width]` pixels. `lines` has [`Packing::line_bytes`].
    pub fn pack(&self, [depth, height, width]: Sizes, packed: &mut [Word], lines: &mut [u8]) {
        let row_words = width * self.packing.words();
        for z in 0..depth {
            let from_z = self.inside(0, self.first + z);
            for y in 0..height {
                let row = &mut packed[(z * height + y) * row_words..][..row_words];
                if let (Some(from_z), Some(from_y)) = (from_z, self.inside(1, y)) {
                    let start = (from_z * self.sizes[1] + from_y) * self.sizes[2];
                    self.pack_row(start, width, row, lines);
                } else {
                    row.fill([self.padding; CHANNELS_IN_WORD]);
                }
            }
        }
    }

    fn inside(&self, axis: usize, padded: usize) -> Option<usize> {
        padded.checked_sub(self.window.before[axis]).filter(|&at| at < self.sizes[axis])
    }

    /// Packs a row of all channels that starts at `start` in each map.
    fn pack_row(&self, start: usize, width: usize, row: &mut [Word], lines: &mut [u8]) {
        let words = self.packing.words();
        let plane = self.sizes.iter().product::<usize>();
        let pitch = width.next_multiple_of(SIDE);
        for first in (0..words).step_by(SIDE / CHANNELS_IN_WORD) {
            for (lane, line) in lines.chunks_exact_mut(pitch).enumerate() {
                // Behind the last channel the weights are zero, so that any bytes will do.
                let channel = first * CHANNELS_IN_WORD + lane;
                if let Some((channel, column)) = self.packing.unpacked(channel) {
                    let values = &self.maps[channel * plane + start..][..self.sizes[2]];
                    self.fill_line(values, column, &mut line[..width]);
                }
            }
            let count = words - first;
            for (x, pixels) in row.chunks_mut(SIDE * words).enumerate() {
                let square = std::array::from_fn(|lane| square_row(lines, lane * pitch + x * SIDE));
                let columns = transposed(&square);
                for (pixel, column) in pixels.chunks_exact_mut(words).zip(&columns) {
                    let (values, _) = column.as_chunks::<CHANNELS_IN_WORD>();
                    match count {
                        1 => pixel[first] = values[0],
                        2 => pixel[first..].copy_from_slice(&values[..2]),
                        3 => pixel[first..].copy_from_slice(&values[..3]),
                        _ => pixel[first..first + 4].copy_from_slice(values),
                    }
                }
            }
        }
    }

    /// Fills a packed row of one channel from a row of its map.
    fn fill_line(&self, values: &[u8], column: usize, line: &mut [u8]) {
        // Packed pixel x holds column x * step + tap of the padded row.
        let folded = self.packing.columns > 1;
        let step = if folded { self.window.strides[2] } else { 1 };
        let tap = if folded { column * self.window.dilations[2] } else { 0 };
        let before = self.window.before[2];
        let first = before.saturating_sub(tap).div_ceil(step).min(line.len());
        let end = (values.len() + before).saturating_sub(tap).div_ceil(step);
        let end = end.clamp(first, line.len());
        line[..first].fill(self.padding);
        line[end..].fill(self.padding);
        let line = &mut line[first..end];
        if line.is_empty() {
            return;
        }
        let values = &values[first * step + tap - before..];
        if step == 1 {
            line.copy_from_slice(&values[..line.len()]);
        } else {
            for (byte, &value) in line.iter_mut().zip(values.iter().step_by(step)) {
                *byte = value;
            }
        }
        if self.flip != 0 {
            for byte in line {
                *byte ^= self.flip;
            }
        }
    }
}

fn square_row(lines: &[u8], at: usize) -> Row {
    *lines[at..].first_chunk().expect("lines are whole squares")
}
