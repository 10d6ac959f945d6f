//! What a fused layer computes; everything but the tensors.

use crate::Error;
use crate::program::Program;

/// How a convolution or a spatial pooling walks over the pixels, as in ONNX.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Size along each spatial axis.
    pub kernel_shape: Vec<usize>,
    /// Step along each spatial axis.
    pub strides: Vec<usize>,
    /// All beginnings, then all ends.
    pub pads: Vec<usize>,
    /// Distance of taps along each spatial axis.
    pub dilations: Vec<usize>,
    /// Keep a last, incomplete position (pooling alone).
    pub ceil_mode: bool,
}

impl Window {
    /// Returns the number of positions along an axis of the given size (ONNX Conv and `MaxPool`);
    /// none if the window does not fit, or sizes are beyond all memory.
    #[must_use]
    pub fn positions(&self, axis: usize, size: usize) -> Option<usize> {
        let rank = self.kernel_shape.len();
        let (before, after) = (*self.pads.get(axis)?, *self.pads.get(axis + rank)?);
        let stride = *self.strides.get(axis)?;
        let reach =
            self.dilations.get(axis)?.checked_mul(self.kernel_shape[axis].checked_sub(1)?)?;
        let filled = size.checked_add(before)?;
        let free = filled.checked_add(after)?.checked_sub(reach.checked_add(1)?)?;
        let rounded = if self.ceil_mode { free.checked_add(stride - 1)? } else { free };
        let count = rounded.checked_div(stride)? + 1;
        // A position that would start in the padding behind the map is dropped.
        let starts_behind = self.ceil_mode && (count - 1) * stride >= filled;
        Some(count - usize::from(starts_behind))
    }

    /// Returns the number of positions along each axis.
    ///
    /// # Errors
    /// The window does not fit into the map.
    pub fn output(&self, sizes: &[usize]) -> Result<Vec<usize>, Error> {
        let positions = sizes.iter().enumerate().map(|(axis, &size)| self.positions(axis, size));
        positions.collect::<Option<_>>().ok_or_else(|| {
            Error::new(format!(
                "a window of {:?} does not fit into a map of {sizes:?} with pads {:?}",
                self.kernel_shape, self.pads
            ))
        })
    }

    fn check(&self, what: &str) -> Result<(), Error> {
        let rank = self.kernel_shape.len();
        let lengths = [self.strides.len(), self.pads.len() / 2, self.dilations.len()];
        if !(1..=3).contains(&rank) || lengths != [rank; 3] || self.pads.len() % 2 == 1 {
            return Err(Error::new(format!(
                "{what}: one to three spatial axes, and as many strides, dilations and pads"
            )));
        }
        let steps = [&self.kernel_shape, &self.strides, &self.dilations];
        if steps.into_iter().flatten().any(|&size| size == 0) {
            return Err(Error::new(format!(
                "{what}: kernel, strides and dilations must be positive"
            )));
        }
        Ok(())
    }
}

/// How the channels of a group become one.
#[derive(Clone, Debug, PartialEq)]
pub enum Reduction {
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// The arithmetic mean.
    Mean,
    /// The sum.
    Sum,
    /// The square root of the sum of squares.
    L2,
    /// Sorted from the largest down, then a weighted sum with one weight for each rank.
    Ordinal(Vec<f32>),
}

impl Reduction {
    /// Reads a reduction by its name.
    ///
    /// # Errors
    /// There is no such reduction.
    pub fn parse(name: &str, rank_weights: &[f32]) -> Result<Self, Error> {
        match name {
            "max" => Ok(Self::Max),
            "min" => Ok(Self::Min),
            "mean" => Ok(Self::Mean),
            "sum" => Ok(Self::Sum),
            "l2" => Ok(Self::L2),
            "ordinal" => Ok(Self::Ordinal(rank_weights.to_vec())),
            _ => Err(Error::new(format!("reduction {name:?} is not known"))),
        }
    }
}

/// The recipe of a fused layer: convolution, `before`, reduction, `after`, spatial max-pooling.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Window of the convolution.
    pub convolution: Window,
    /// Groups of the convolution, as in ONNX.
    pub group: usize,
    /// How the channels of a group become one.
    pub reduction: Reduction,
    /// Wide channels that are reduced to one.
    pub window: usize,
    /// Wide channel of each slot, `window` slots for each output channel; empty where the channels
    /// of a group are consecutive.
    pub members: Vec<usize>,
    /// Element-wise program between convolution and reduction.
    pub before: Program,
    /// Element-wise program behind the reduction.
    pub after: Program,
    /// Window of the max-pooling behind, if there is one.
    pub spatial: Option<Window>,
    /// Whether Winograd's fast convolution may be used.
    pub winograd: bool,
}

impl Recipe {
    /// Checks the recipe against the shape of its filters.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn check(&self, filters: &[usize]) -> Result<(), Error> {
        self.check_windows()?;
        if filters.len() < 3 || filters[2..] != self.convolution.kernel_shape[..] {
            return Err(Error::new(format!(
                "W has shape {filters:?}, but kernel_shape is {:?}",
                self.convolution.kernel_shape
            )));
        }
        if self.group == 0 || !filters[0].is_multiple_of(self.group) {
            return Err(Error::new(format!(
                "W has {} filters, which {} groups do not divide",
                filters[0], self.group
            )));
        }
        self.check_slots(filters[0])
    }

    /// Checks that each window has as many numbers as it has axes.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn check_windows(&self) -> Result<(), Error> {
        self.convolution.check("convolution")?;
        let Some(spatial) = &self.spatial else { return Ok(()) };
        spatial.check("max-pooling")?;
        if spatial.kernel_shape.len() == self.convolution.kernel_shape.len() {
            return Ok(());
        }
        Err(Error::new("max-pooling and convolution differ in rank"))
    }

    fn check_slots(&self, wide: usize) -> Result<(), Error> {
        let slots = if self.members.is_empty() { wide } else { self.members.len() };
        if self.window == 0 || !slots.is_multiple_of(self.window) {
            return Err(Error::new(format!(
                "{slots} wide channels cannot be pooled by {}",
                self.window
            )));
        }
        if let Some(member) = self.members.iter().find(|&&member| member >= wide) {
            return Err(Error::new(format!("members name channel {member} of {wide}")));
        }
        match &self.reduction {
            Reduction::Ordinal(weights) if weights.len() != self.window => Err(Error::new(
                format!("{} rank_weights for a window of {}", weights.len(), self.window),
            )),
            _ => Ok(()),
        }
    }

    /// Returns the recipe with the direct convolution, whose filters are packed faster.
    #[must_use]
    pub fn without_winograd(&self) -> Self {
        Self { winograd: false, ..self.clone() }
    }

    /// Returns the number of output channels for a number of wide channels.
    #[must_use]
    pub fn output_channels(&self, wide: usize) -> usize {
        let slots = if self.members.is_empty() { wide } else { self.members.len() };
        slots / self.window
    }

    /// Returns the shape of the output for the shapes of filters and input.
    ///
    /// # Errors
    /// The input does not fit the filters.
    pub fn output_shape(&self, filters: &[usize], input: &[usize]) -> Result<Vec<usize>, Error> {
        let rank = self.convolution.kernel_shape.len();
        if input.len() != rank + 2 {
            return Err(Error::new(format!(
                "X has {} dimensions, the kernel asks for {}",
                input.len(),
                rank + 2
            )));
        }
        let channels = filters[1] * self.group;
        if input[1] != channels {
            return Err(Error::new(format!("X has {} channels, W reads {channels}", input[1])));
        }
        let (_, pixels) = self.pixels(&input[2..])?;
        let outputs = self.output_channels(filters[0]);
        let shape = [vec![input[0], outputs], pixels].concat();
        let bytes = shape.iter().try_fold(size_of::<f32>(), |all, &size| all.checked_mul(size));
        match bytes {
            Some(bytes) if isize::try_from(bytes).is_ok() => Ok(shape),
            _ => Err(Error::new(format!("an output of {shape:?} is beyond all memory"))),
        }
    }

    /// Returns the pixels behind the convolution and those of the output.
    ///
    /// # Errors
    /// A window does not fit.
    pub fn pixels(&self, sizes: &[usize]) -> Result<(Vec<usize>, Vec<usize>), Error> {
        let convolved = self.convolution.output(sizes)?;
        let output = match &self.spatial {
            Some(window) => window.output(&convolved)?,
            None => convolved.clone(),
        };
        Ok((convolved, output))
    }
}
