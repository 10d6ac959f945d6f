//! A quantized layer with its weights packed.

use crate::Error;
use crate::geometry::{Window3, on_three_axes};
use crate::isa::Isa;
use crate::quantized::convolve::{self, Call};
use crate::quantized::filters::Filters;
use crate::quantized::table::{BYTES, Table};
use crate::recipe::{Recipe, Reduction};
use crate::runtime::Runtime;

/// Half of them: what moves signed to unsigned bytes.
const SIGN: u8 = 0x80;

/// How numbers are stored in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// Difference of two neighbouring numbers.
    pub scale: f32,
    /// The byte that means zero, as its bits.
    pub zero_point: u8,
    /// Whether bytes are signed.
    pub signed: bool,
}

impl Quantization {
    /// Returns what to combine bytes with by exclusive or to make them unsigned.
    #[must_use]
    pub fn flip(&self) -> u8 {
        if self.signed { SIGN } else { 0 }
    }

    /// Returns the zero point of the unsigned bytes.
    #[must_use]
    pub fn unsigned_zero_point(&self) -> u8 {
        self.zero_point ^ self.flip()
    }
}

/// The tensors that a quantized layer is made of.
#[derive(Clone, Debug)]
pub struct QuantizedWeights<'a> {
    /// Filters without their zero point: wide channel, channel of the group, kernel.
    pub filters: &'a [i32],
    /// Shape of the filters.
    pub shape: &'a [usize],
    /// Scale of the filters: one for all, or one for each.
    pub scales: &'a [f32],
    /// One value for each wide channel, in units of the products; none means zeros.
    pub bias: Option<&'a [i32]>,
    /// What each byte becomes behind the cross-channel pooling; none means itself. The index is
    /// the byte's bits.
    pub table: Option<&'a [u8]>,
}

/// A quantized layer that is ready to run.
pub struct QuantizedLayer {
    recipe: Recipe,
    shape: Vec<usize>,
    filters: Filters,
    input: Quantization,
    before_pooling: Option<Table>,
    after_pooling: Option<Table>,
}

impl QuantizedLayer {
    /// Checks a recipe against its tensors and packs the filters.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn new(
        recipe: Recipe,
        weights: &QuantizedWeights<'_>,
        input: Quantization,
        output: Quantization,
        isa: Isa,
    ) -> Result<Self, Error> {
        recipe.check(weights.shape)?;
        check(&recipe, weights)?;
        let flip = output.flip();
        let entry =
            |byte: u8| weights.table.map_or(byte, |table| table[usize::from(byte ^ flip)] ^ flip);
        // What never decreases gives the same behind the max-pooling, where there are fewer bytes.
        let rises = (1..=u8::MAX).all(|byte| entry(byte - 1) <= entry(byte));
        let stays = if rises {
            Table::new(isa, |byte| entry(byte) ^ flip)
        } else {
            Table::new(isa, |byte| byte ^ flip)
        };
        Ok(Self {
            filters: Filters::pack(&recipe, weights, input, output, isa)?,
            before_pooling: if rises { None } else { Table::new(isa, entry) },
            after_pooling: stays,
            shape: weights.shape.to_vec(),
            recipe,
            input,
        })
    }

    /// Returns the shape of the output for a shape of the input.
    ///
    /// # Errors
    /// The input does not fit the layer.
    pub fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Error> {
        self.recipe.output_shape(&self.shape, input)
    }

    /// Computes the output; bytes are given as their bits.
    ///
    /// # Errors
    /// The tensors do not fit the layer, or the runtime cannot provide threads or memory.
    pub fn run(
        &self,
        runtime: &dyn Runtime,
        input: &[u8],
        shape: &[usize],
        output: &mut [u8],
    ) -> Result<(), Error> {
        let expected: usize = self.output_shape(shape)?.iter().product();
        if output.len() != expected || input.len() != shape.iter().product::<usize>() {
            return Err(Error::new("X or Y has another size than its shape says"));
        }
        let (convolved, pooled) = self.recipe.pixels(&shape[2..])?;
        let call = Call {
            filters: &self.filters,
            window: Window3::new(&self.recipe.convolution),
            spatial: self.recipe.spatial.as_ref().map(Window3::new),
            input,
            batch: shape[0],
            channels: shape[1],
            sizes: on_three_axes(&shape[2..], 1),
            convolved: on_three_axes(&convolved, 1),
            pooled: on_three_axes(&pooled, 1),
            input_bytes: self.input,
            before_pooling: self.before_pooling.as_ref(),
            after_pooling: self.after_pooling.as_ref(),
        };
        convolve::run(&call, runtime, output)
    }
}

fn check(recipe: &Recipe, weights: &QuantizedWeights<'_>) -> Result<(), Error> {
    let wide = weights.shape[0];
    if !matches!(recipe.reduction, Reduction::Max | Reduction::Min) {
        return Err(Error::new("quantized maps are pooled by max or min"));
    }
    if !recipe.before.is_empty() || !recipe.after.is_empty() {
        return Err(Error::new("quantized maps have a table instead of element-wise programs"));
    }
    if ![1, wide].contains(&weights.scales.len()) {
        let scales = weights.scales.len();
        return Err(Error::new(format!("w_scale has {scales} values for {wide} filters")));
    }
    if weights.bias.is_some_and(|bias| bias.len() != wide) {
        return Err(Error::new(format!("B does not have {wide} values")));
    }
    if weights.table.is_some_and(|table| table.len() != BYTES) {
        return Err(Error::new("table does not have 256 values"));
    }
    Ok(())
}
