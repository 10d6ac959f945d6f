//! Spatial max-pooling of bytes.

use crate::geometry::{Sizes, Window3};

/// Pools positions `start..end` of the first axis; `rows` starts at row `first` of the map.
pub fn run(
    window: &Window3,
    convolved: Sizes,
    pooled: Sizes,
    (start, end): (usize, usize),
    first: usize,
    rows: &[u8],
    row: &mut [u8],
    destination: &mut [u8],
) {
    let width = convolved[2];
    let mut outputs = destination.chunks_exact_mut(pooled[2]);
    for depth in start..end {
        for height in 0..pooled[1] {
            let out = outputs.next().expect("the destination has all rows");
            row.fill(0);
            for z in window.taps(0, depth, convolved[0]) {
                for y in window.taps(1, height, convolved[1]) {
                    let at = ((z - first) * convolved[1] + y) * width;
                    for (value, &other) in row.iter_mut().zip(&rows[at..at + width]) {
                        *value = (*value).max(other);
                    }
                }
            }
            for (position, value) in out.iter_mut().enumerate() {
                let covered = window.taps(2, position, width).map(|column| row[column]);
                *value = covered.max().unwrap_or(0);
            }
        }
    }
}
