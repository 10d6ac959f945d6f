//! Sizes of maps: every map is treated as three-dimensional.

use crate::recipe::Window;

/// The three spatial axes; missing ones have size 1.
pub type Sizes = [usize; 3];

/// A window on three axes.
///
/// A two-dimensional map (height, width) becomes (height, 1, width): the first axis is the one
/// that stripes are cut from, the last is the contiguous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window3 {
    /// Taps along each axis.
    pub kernel: Sizes,
    /// Step along each axis.
    pub strides: Sizes,
    /// Elements of padding before each axis.
    pub before: Sizes,
    /// Distance of taps along each axis.
    pub dilations: Sizes,
}

/// Puts up to three values at their axes, `filler` elsewhere.
pub fn on_three_axes(values: &[usize], filler: usize) -> Sizes {
    match *values {
        [width] => [filler, filler, width],
        [height, width] => [height, filler, width],
        [depth, height, width] => [depth, height, width],
        _ => [filler; 3],
    }
}

impl Window3 {
    /// Reads a window of a recipe, which has been checked.
    pub fn new(window: &Window) -> Self {
        let rank = window.kernel_shape.len();
        Self {
            kernel: on_three_axes(&window.kernel_shape, 1),
            strides: on_three_axes(&window.strides, 1),
            before: on_three_axes(&window.pads[..rank], 0),
            dilations: on_three_axes(&window.dilations, 1),
        }
    }

    /// Returns the part of the input axis that a range of positions reads, padding left out.
    pub fn reads(&self, axis: usize, start: usize, end: usize, size: usize) -> (usize, usize) {
        let reach = self.dilations[axis] * (self.kernel[axis] - 1) + 1;
        let first = (start * self.strides[axis]).saturating_sub(self.before[axis]);
        let last = ((end - 1) * self.strides[axis] + reach).saturating_sub(self.before[axis]);
        (first.min(size), last.min(size))
    }

    /// Returns the elements along an axis that a position covers, padding left out.
    pub fn taps(
        &self,
        axis: usize,
        position: usize,
        size: usize,
    ) -> impl Iterator<Item = usize> + use<> {
        let start = position * self.strides[axis];
        let (before, step) = (self.before[axis], self.dilations[axis]);
        (0..self.kernel[axis])
            .filter_map(move |tap| (start + tap * step).checked_sub(before))
            .filter(move |&at| at < size)
    }
}
