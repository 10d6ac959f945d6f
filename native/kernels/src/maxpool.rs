//! Spatial max-pooling of a stripe of one channel: rows first, then columns.

use crate::epilogue::{Stripe, Tail};
use crate::geometry::Window3;

/// What padding counts as, in ONNX Runtime along the last axis alone; also what a window without a
/// pixel gives.
const LOWEST: f32 = f32::MIN;

/// Pools rows `stripe.first..stripe.last` of the convolution into the stripe's output rows.
pub fn run(
    window: &Window3,
    tail: &Tail<'_>,
    stripe: &Stripe,
    rows: &[f32],
    scratch: &mut [f32],
    destination: &mut [f32],
) {
    let width = tail.convolved[2];
    let mut outputs = destination.chunks_exact_mut(tail.output[2]);
    for depth in stripe.start..stripe.end {
        for height in 0..tail.output[1] {
            let out = outputs.next().expect("the destination has all rows");
            let mut used = false;
            for z in window.taps(0, depth, tail.convolved[0]) {
                for y in window.taps(1, height, tail.convolved[1]) {
                    let start = ((z - stripe.first) * tail.convolved[1] + y) * width;
                    let row = &rows[start..start + width];
                    if used {
                        // SAFETY: kernels are only made for instruction sets of this processor.
                        unsafe { (tail.kernels.maximum)(&mut scratch[..width], row) };
                    } else {
                        scratch[..width].copy_from_slice(row);
                    }
                    used = true;
                }
            }
            if used {
                pool_columns(window, tail, &scratch[..width], out);
            } else {
                out.fill(LOWEST);
            }
        }
    }
}

fn pool_columns(window: &Window3, tail: &Tail<'_>, row: &[f32], out: &mut [f32]) {
    let plain = window.kernel[2] == 2 && window.dilations[2] == 1 && window.before[2] == 0;
    if plain && window.strides[2] == 2 && out.len() * 2 <= row.len() {
        // SAFETY: kernels are only made for instruction sets that the processor has.
        unsafe { (tail.kernels.pairs)(out, row) };
        return;
    }
    for (position, value) in out.iter_mut().enumerate() {
        let covered = window.taps(2, position, row.len()).map(|column| row[column]);
        let (mut largest, mut count) = (None, 0);
        for next in covered {
            largest = Some(largest.filter(|&all| all > next).unwrap_or(next));
            count += 1;
        }
        let largest = largest.unwrap_or(LOWEST);
        *value = if count < window.kernel[2] { at_least_padding(largest) } else { largest };
    }
}

/// The larger of a value and padding; what is no number stays.
fn at_least_padding(value: f32) -> f32 {
    if value < LOWEST { LOWEST } else { value }
}

/// Raises each value of a row to another row's.
#[inline(always)]
pub fn maximum(row: &mut [f32], other: &[f32]) {
    for (value, &other) in row.iter_mut().zip(other) {
        *value = if *value > other { *value } else { other };
    }
}

/// Writes the larger value of each pair.
#[inline(always)]
pub fn pairs(out: &mut [f32], row: &[f32]) {
    for (value, pair) in out.iter_mut().zip(row.chunks_exact(2)) {
        *value = if pair[0] > pair[1] { pair[0] } else { pair[1] };
    }
}
