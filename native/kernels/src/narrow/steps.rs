//! Which pixels of the input each tap reads, for which output positions.

use crate::geometry::{Sizes, Window3};

/// One product of a tap: an output position and the pixel of the input that it reads.
pub type Step = (usize, usize);

/// Returns the steps of each tap; taps in the padding have none.
pub fn steps(window: &Window3, sizes: Sizes, output: Sizes) -> Vec<Vec<Step>> {
    let mut taps = Vec::with_capacity(window.kernel.iter().product());
    for depth in 0..window.kernel[0] {
        for row in 0..window.kernel[1] {
            for column in 0..window.kernel[2] {
                taps.push(steps_of(window, [depth, row, column], sizes, output));
            }
        }
    }
    taps
}

fn steps_of(window: &Window3, tap: Sizes, sizes: Sizes, output: Sizes) -> Vec<Step> {
    let source = |axis: usize, position: usize| {
        let padded = position * window.strides[axis] + tap[axis] * window.dilations[axis];
        padded.checked_sub(window.before[axis]).filter(|&at| at < sizes[axis])
    };
    let mut steps = Vec::with_capacity(output.iter().product());
    for z in 0..output[0] {
        let Some(from_z) = source(0, z) else { continue };
        for y in 0..output[1] {
            let Some(from_y) = source(1, y) else { continue };
            for x in 0..output[2] {
                if let Some(from_x) = source(2, x) {
                    let position = (z * output[1] + y) * output[2] + x;
                    steps.push((position, (from_z * sizes[1] + from_y) * sizes[2] + from_x));
                }
            }
        }
    }
    steps
}

/// Returns the number of steps of all taps.
pub fn valid_steps(window: &Window3, sizes: Sizes, output: Sizes) -> usize {
    let along = |axis: usize| {
        let taps = (0..window.kernel[axis]).map(|tap| tap * window.dilations[axis]);
        let positions = taps.map(|tap| {
            let padded = (0..output[axis]).map(move |at| at * window.strides[axis] + tap);
            padded
                .filter(|&at| {
                    at.checked_sub(window.before[axis]).is_some_and(|at| at < sizes[axis])
                })
                .count()
        });
        positions.sum::<usize>()
    };
    along(0) * along(1) * along(2)
}
