//! A fused layer with its weights packed.

use crate::activation::Elementwise;
use crate::direct::{self, Filters};
use crate::elementwise::Bound;
use crate::epilogue::Tail;
use crate::geometry::{Window3, on_three_axes};
use crate::isa::Kernels;
use crate::recipe::Recipe;
use crate::runtime::Runtime;
use crate::{Error, Isa};

/// The tensors that a layer is made of.
#[derive(Clone, Debug)]
pub struct Weights<'a> {
    /// Filters: wide channel, channel of the group, kernel.
    pub filters: &'a [f32],
    /// Shape of the filters.
    pub shape: &'a [usize],
    /// One value for each wide channel; none means zeros.
    pub bias: Option<&'a [f32]>,
    /// Operands of `before`, then those of `after`.
    pub operands: Vec<Vec<f32>>,
}

/// A fused layer that is ready to run.
pub struct Layer {
    recipe: Recipe,
    shape: Vec<usize>,
    filters: Filters,
    before: Elementwise,
    after: Elementwise,
    kernels: &'static Kernels,
}

impl Layer {
    /// Checks a recipe against its tensors and packs the filters.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn new(recipe: Recipe, weights: Weights<'_>, isa: Isa) -> Result<Self, Error> {
        recipe.check(weights.shape)?;
        let wide = weights.shape[0];
        if let Some(bias) = weights.bias
            && bias.len() != wide
        {
            return Err(Error::new(format!("B has {} values for {wide} filters", bias.len())));
        }
        let mut before = weights.operands;
        let split = recipe.before.operand_count();
        if split > before.len() {
            return Err(Error::new(format!("{} operands, `before` reads {split}", before.len())));
        }
        let after = before.split_off(split);
        let zeros = vec![0.0; wide];
        let kernels = isa.kernels();
        let source = direct::Source {
            weights: weights.filters,
            bias: weights.bias.unwrap_or(&zeros),
            filter_size: weights.shape[1..].iter().product(),
        };
        Ok(Self {
            filters: Filters::pack(&recipe, source, kernels),
            before: Elementwise::new(Bound::new(recipe.before.clone(), before, wide)?),
            after: Elementwise::new(Bound::new(
                recipe.after.clone(),
                after,
                recipe.output_channels(wide),
            )?),
            shape: weights.shape.to_vec(),
            recipe,
            kernels,
        })
    }

    /// Returns the shape of the output for a shape of the input.
    ///
    /// # Errors
    /// The input does not fit the layer.
    pub fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Error> {
        let rank = self.recipe.convolution.kernel_shape.len();
        if input.len() != rank + 2 {
            return Err(Error::new(format!(
                "X has {} dimensions, the kernel asks for {}",
                input.len(),
                rank + 2
            )));
        }
        let channels = self.shape[1] * self.recipe.group;
        if input[1] != channels {
            return Err(Error::new(format!(
                "X has {} channels, W reads {channels}",
                input[1]
            )));
        }
        let (_, pixels) = self.pixels(&input[2..])?;
        let outputs = self.recipe.output_channels(self.shape[0]);
        Ok([vec![input[0], outputs], pixels].concat())
    }

    /// Returns the pixels behind the convolution and those of the output.
    fn pixels(&self, sizes: &[usize]) -> Result<(Vec<usize>, Vec<usize>), Error> {
        let convolved = self.recipe.convolution.output(sizes)?;
        let output = match &self.recipe.spatial {
            Some(window) => window.output(&convolved)?,
            None => convolved.clone(),
        };
        Ok((convolved, output))
    }

    /// Computes the output.
    ///
    /// # Errors
    /// The tensors do not fit the layer, or the runtime cannot provide threads or memory.
    pub fn run(
        &self,
        runtime: &dyn Runtime,
        input: &[f32],
        shape: &[usize],
        output: &mut [f32],
    ) -> Result<(), Error> {
        let expected: usize = self.output_shape(shape)?.iter().product();
        if output.len() != expected || input.len() != shape.iter().product::<usize>() {
            return Err(Error::new("X or Y has another size than its shape says"));
        }
        let window = Window3::new(&self.recipe.convolution);
        let (convolved, pooled) = self.pixels(&shape[2..])?;
        let call = direct::Call {
            recipe: &self.recipe,
            filters: &self.filters,
            before: &self.before,
            window,
            input,
            batch: shape[0],
            channels: shape[1],
            sizes: on_three_axes(&shape[2..], 1),
            tail: Tail {
                convolved: on_three_axes(&convolved, 1),
                output: on_three_axes(&pooled, 1),
                channels: self.recipe.output_channels(self.shape[0]),
                after: &self.after,
                spatial: self.recipe.spatial.as_ref().map(Window3::new),
                kernels: self.kernels,
            },
        };
        direct::run(&call, runtime, output)
    }
}
