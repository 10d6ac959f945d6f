//! Spatial max-pooling of bytes.

use crate::geometry::{Sizes, Window3};

/// A part of a map and how it is pooled.
pub struct Rows<'a> {
    /// Window of the max-pooling.
    pub window: &'a Window3,
    /// Sizes of the map.
    pub sizes: Sizes,
    /// Sizes of the pooled map.
    pub pooled: Sizes,
    /// The rows that are there.
    pub values: &'a [u8],
    /// The first of them.
    pub first: usize,
}

/// Pools positions `start..end` of the first axis.
pub fn run(rows: &Rows<'_>, (start, end): (usize, usize), row: &mut [u8], destination: &mut [u8]) {
    let (window, sizes) = (rows.window, rows.sizes);
    let width = sizes[2];
    let mut outputs = destination.chunks_exact_mut(rows.pooled[2]);
    for depth in start..end {
        for height in 0..rows.pooled[1] {
            let out = outputs.next().expect("the destination has all rows");
            row.fill(0);
            for z in window.taps(0, depth, sizes[0]) {
                for y in window.taps(1, height, sizes[1]) {
                    let at = ((z - rows.first) * sizes[1] + y) * width;
                    for (value, &other) in row.iter_mut().zip(&rows.values[at..at + width]) {
                        *value = (*value).max(other);
                    }
                }
            }
            pool_columns(window, row, out);
        }
    }
}

fn pool_columns(window: &Window3, row: &[u8], out: &mut [u8]) {
    let plain = window.kernel[2] == 2 && window.dilations[2] == 1 && window.before[2] == 0;
    if plain && window.strides[2] == 2 && out.len() * 2 <= row.len() {
        for (value, pair) in out.iter_mut().zip(row.chunks_exact(2)) {
            *value = pair[0].max(pair[1]);
        }
        return;
    }
    for (position, value) in out.iter_mut().enumerate() {
        let covered = window.taps(2, position, row.len()).map(|column| row[column]);
        *value = covered.max().unwrap_or(0);
    }
}
