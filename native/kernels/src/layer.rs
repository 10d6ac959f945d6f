//! A fused layer with its weights packed.

use crate::activation::Elementwise;
use crate::cost::{self, Algorithm, Extent};
use crate::direct;
use crate::elementwise::Bound;
use crate::epilogue::Tail;
use crate::geometry::{Window3, on_three_axes};
use crate::isa::Kernels;
use crate::narrow;
use crate::recipe::Recipe;
use crate::runtime::{Alone, Runtime};
use crate::winograd;
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

/// Filters in the form of the algorithm that was chosen for them.
enum Packed {
    Direct(direct::Filters),
    Narrow(winograd::Filters),
    Winograd(winograd::Filters),
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The output holds the result.
    Done,
    /// The fast convolution met something infinite, or no number, which it spreads over whole
    /// tiles: a layer of [`Recipe::without_winograd`] has to compute the output.
    NotFinite,
}

/// A fused layer that is ready to run.
pub struct Layer {
    recipe: Recipe,
    shape: Vec<usize>,
    filters: Packed,
    before: Elementwise,
    after: Elementwise,
    kernels: &'static Kernels,
}

impl Layer {
    /// Checks a recipe against its tensors and packs the filters.
    ///
    /// `pixels` are the spatial sizes that most inputs will have, as far as they are known: the
    /// algorithm is chosen for them.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn new(
        recipe: Recipe,
        weights: Weights<'_>,
        pixels: Option<&[usize]>,
        isa: Isa,
    ) -> Result<Self, Error> {
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
        let before = Bound::new(recipe.before.clone(), before, wide, kernels.lanes)?;
        let outputs = recipe.output_channels(wide);
        let after = Bound::new(recipe.after.clone(), after, outputs, kernels.lanes)?;
        let (before, after) = (Elementwise::new(before), Elementwise::new(after));
        let source = direct::Source {
            weights: weights.filters,
            bias: weights.bias.unwrap_or(&zeros),
            filter_size: weights.shape[1..].iter().product(),
        };
        let filters = pack(&recipe, weights.shape, source, pixels, kernels);
        let (lanes, window) = (kernels.lanes, recipe.window);
        let before = match (&filters, direct::canonical_order(&recipe, wide)) {
            (Packed::Winograd(_) | Packed::Narrow(_), Some(order)) => before
                .for_units(outputs.div_ceil(lanes) * window, |vector, lane| {
                    winograd::filter_at(&order, window, lanes, vector, lane)
                }),
            _ => before,
        };
        Ok(Self { filters, before, after, shape: weights.shape.to_vec(), recipe, kernels })
    }

    /// Returns the shape of the output for a shape of the input.
    ///
    /// # Errors
    /// The input does not fit the layer.
    pub fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Error> {
        self.recipe.output_shape(&self.shape, input)
    }

    /// Computes the output.
    ///
    /// The outcome tells whether the output holds it.
    ///
    /// # Errors
    /// The tensors do not fit the layer, or the runtime cannot provide threads or memory.
    pub fn run(
        &self,
        runtime: &dyn Runtime,
        input: &[f32],
        shape: &[usize],
        output: &mut [f32],
    ) -> Result<Outcome, Error> {
        let expected: usize = self.output_shape(shape)?.iter().product();
        if output.len() != expected || input.len() != shape.iter().product::<usize>() {
            return Err(Error::new("X or Y has another size than its shape says"));
        }
        let window = Window3::new(&self.recipe.convolution);
        let (convolved, pooled) = self.recipe.pixels(&shape[2..])?;
        let (recipe, batch) = (&self.recipe, shape[0]);
        let sizes = on_three_axes(&shape[2..], 1);
        let alone = Alone(runtime);
        let small = self.products(batch, &convolved) / self.kernels.lanes < SMALL;
        let runtime = if small { &alone as &dyn Runtime } else { runtime };
        let tail = Tail {
            convolved: on_three_axes(&convolved, 1),
            output: on_three_axes(&pooled, 1),
            channels: recipe.output_channels(self.shape[0]),
            after: &self.after,
            spatial: recipe.spatial.as_ref().map(Window3::new),
            kernels: self.kernels,
        };
        match &self.filters {
            Packed::Direct(filters) => {
                let (before, channels) = (&self.before, shape[1]);
                let call = direct::Call {
                    recipe,
                    filters,
                    before,
                    window,
                    input,
                    batch,
                    channels,
                    sizes,
                    tail,
                };
                direct::run(&call, runtime, output)?;
                Ok(Outcome::Done)
            }
            Packed::Narrow(filters) => {
                let before = &self.before;
                let call =
                    narrow::Call { recipe, filters, before, window, input, batch, sizes, tail };
                narrow::run(&call, runtime, output)?;
                Ok(Outcome::Done)
            }
            Packed::Winograd(filters) => {
                let before = &self.before;
                let call =
                    winograd::Call { recipe, filters, before, window, input, batch, sizes, tail };
                let finite = winograd::run(&call, runtime, output)?;
                Ok(if finite { Outcome::Done } else { Outcome::NotFinite })
            }
        }
    }
}

impl Layer {
    /// Returns how many numbers are multiplied in one run, at most.
    fn products(&self, batch: usize, convolved: &[usize]) -> usize {
        let sizes = convolved.iter().chain(&self.shape);
        sizes.fold(batch, |all, &size| all.saturating_mul(size))
    }
}

/// Products of vectors that take about as long as handing half of them to another thread.
const SMALL: usize = 1 << 14;

/// Spatial size that is assumed where it is not known before the first run.
const USUAL_SIZE: usize = 56;

/// Returns the algorithm for the sizes that most inputs have, and the filters in its order.
fn pack(
    recipe: &Recipe,
    shape: &[usize],
    source: direct::Source<'_>,
    pixels: Option<&[usize]>,
    kernels: &'static Kernels,
) -> Packed {
    let Some(order) = direct::canonical_order(recipe, shape[0]) else {
        return Packed::Direct(direct::Filters::pack(recipe, source, kernels));
    };
    let usual = vec![USUAL_SIZE; recipe.convolution.kernel_shape.len()];
    let known = pixels.and_then(|pixels| Some((pixels, recipe.convolution.output(pixels).ok()?)));
    let (sizes, convolved) = known.unwrap_or((&usual, usual.clone()));
    let extent = Extent {
        channels: shape[1],
        wide: shape[0],
        sizes: on_three_axes(sizes, 1),
        convolved: on_three_axes(&convolved, 1),
    };
    let by_vectors = |tile| {
        let (lanes, panel) = (kernels.lanes, kernels.product_vectors);
        winograd::Filters::pack(recipe, &order, source.weights, source.bias, tile, lanes, panel)
    };
    match cost::choose(recipe, extent, kernels) {
        Algorithm::Direct => Packed::Direct(direct::Filters::pack(recipe, source, kernels)),
        Algorithm::Narrow => Packed::Narrow(by_vectors(1)),
        Algorithm::Winograd(tile) => Packed::Winograd(by_vectors(tile)),
    }
}
