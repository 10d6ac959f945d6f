//! Quantized filters in the order in which the products read them.

use crate::Error;
use crate::aligned::Aligned;
use crate::direct::canonical_order;
use crate::isa::Isa;
use crate::quantized::kernel::{CHANNELS_IN_WORD, Kernel, LANES, VECTORS};
use crate::quantized::packing::Packing;
use crate::quantized::rounding::Rounding;
use crate::quantized::{Quantization, QuantizedWeights};
use crate::recipe::{Recipe, Reduction};

/// Vectors of filters that are computed together.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Group of the convolution.
    pub group: usize,
    /// First output channel.
    pub first_output: usize,
    /// Output channels, at most a vector's.
    pub outputs: usize,
    /// Where its weights start.
    pub weights: usize,
    /// Where its biases and scales start.
    pub numbers: usize,
}

/// All filters of a layer. A block has one vector of filters for each slot of its groups.
#[derive(Clone, Debug)]
pub struct Filters {
    /// Blocks of filters.
    pub blocks: Vec<Block>,
    /// Words of four channels: block, panel of vectors, tap, word, vector, filter.
    pub weights: Aligned<[i8; CHANNELS_IN_WORD]>,
    /// What sums start from: the bias without what the zero point of the input adds.
    pub bias: Vec<i32>,
    /// From sums to steps of the output.
    pub scales: Vec<f32>,
    /// Zero point of the output, unsigned.
    pub zero_point: u8,
    /// What the channels of a packed pixel are.
    pub packing: Packing,
    /// Bytes that each weight is the sum of: one, unless a zero point takes it out of range. The
    /// products of a tap are computed that many times.
    pub summands: usize,
    /// Slots of a group.
    pub window: usize,
    /// Whether the smallest slot is kept instead of the largest.
    pub smallest: bool,
    /// Output channels.
    pub outputs: usize,
    /// Groups of the convolution.
    pub groups: usize,
    /// The function that reads this order.
    pub kernel: Kernel,
    /// The function that rounds sums.
    pub rounding: Rounding,
}

impl Filters {
    /// Packs the filters.
    pub fn pack(
        recipe: &Recipe,
        weights: &QuantizedWeights<'_>,
        input: Quantization,
        output: Quantization,
        isa: Isa,
    ) -> Result<Self, Error> {
        let wide = weights.shape[0];
        let order = canonical_order(recipe, wide).ok_or_else(|| {
            Error::new("quantized maps are pooled within groups of the convolution, each map once")
        })?;
        let columns = weights.shape.last().copied().unwrap_or(1);
        let mut filters = Self {
            blocks: Vec::new(),
            weights: Vec::new().into(),
            bias: Vec::new(),
            scales: Vec::new(),
            zero_point: output.unsigned_zero_point(),
            packing: Packing::new(weights.shape[1], columns),
            summands: summands(weights.filters),
            window: recipe.window,
            smallest: recipe.reduction == Reduction::Min,
            outputs: wide / recipe.window,
            groups: recipe.group,
            kernel: Kernel::new(isa),
            rounding: Rounding::new(isa),
        };
        let in_group = filters.outputs / recipe.group;
        let mut packed = Vec::new();
        for group in 0..recipe.group {
            for first in (0..in_group).step_by(LANES) {
                let block = Block {
                    group,
                    first_output: group * in_group + first,
                    outputs: LANES.min(in_group - first),
                    weights: packed.len(),
                    numbers: filters.bias.len(),
                };
                filters.add(&block, &order, weights, (input, output), &mut packed);
                filters.blocks.push(block);
            }
        }
        filters.weights = packed.into();
        Ok(filters)
    }

    fn add(
        &mut self,
        block: &Block,
        order: &[usize],
        weights: &QuantizedWeights<'_>,
        (input, output): (Quantization, Quantization),
        packed: &mut Vec<[i8; CHANNELS_IN_WORD]>,
    ) {
        let size: usize = weights.shape[1..].iter().product();
        let of_channel = size / weights.shape[1];
        let taps = of_channel / self.packing.columns();
        let words = self.packing.words();
        let filter_at = |slot: usize, lane: usize| {
            let group = block.first_output + lane;
            (lane < block.outputs).then(|| order[group * self.window + slot])
        };
        for first in (0..self.window).step_by(VECTORS) {
            let panel = first..(first + VECTORS).min(self.window);
            for position in 0..taps * self.summands * words {
                let (tap, rest) =
                    (position / (self.summands * words), position % (self.summands * words));
                let (summand, word) = (rest / words, rest % words);
                for slot in panel.clone() {
                    packed.extend((0..LANES).map(|lane| {
                        let filter = filter_at(slot, lane).map(|f| &weights.filters[f * size..]);
                        self.word(filter, of_channel, tap, word, summand)
                    }));
                }
            }
        }
        for slot in 0..self.window {
            for lane in 0..LANES {
                let filter = filter_at(slot, lane);
                let sum: i32 =
                    filter.map_or(0, |f| weights.filters[f * size..][..size].iter().sum());
                let bias = filter.and_then(|f| weights.bias.map(|bias| bias[f])).unwrap_or(0);
                self.bias.push(bias - sum * i32::from(input.unsigned_zero_point()));
                let scale = filter.map_or(0.0, |f| weights.scales[f % weights.scales.len()]);
                self.scales.push(input.scale * scale / output.scale);
            }
        }
    }

    /// Returns a summand of four weights of a filter; zeros if there is no filter.
    fn word(
        &self,
        filter: Option<&[i32]>,
        of_channel: usize,
        tap: usize,
        word: usize,
        summand: usize,
    ) -> [i8; CHANNELS_IN_WORD] {
        std::array::from_fn(|index| {
            let place = self.packing.unpacked(word * CHANNELS_IN_WORD + index);
            let (Some(filter), Some((channel, column))) = (filter, place) else {
                return 0;
            };
            let at = channel * of_channel + tap * self.packing.columns() + column;
            summand_of(filter[at], summand, self.summands)
        })
    }
}

/// Largest weight of either sign that is a byte.
const LARGEST: u32 = 127;

/// Returns how many bytes each weight has to be the sum of.
fn summands(weights: &[i32]) -> usize {
    if weights.iter().all(|&weight| i8::try_from(weight).is_ok()) {
        return 1;
    }
    let largest = weights.iter().map(|weight| weight.unsigned_abs()).max().unwrap_or(0);
    largest.div_ceil(LARGEST) as usize
}

/// Returns one of the bytes that a weight is the sum of.
fn summand_of(weight: i32, summand: usize, summands: usize) -> i8 {
    if summands == 1 {
        return i8::try_from(weight).expect("one byte holds every weight");
    }
    let taken = LARGEST * u32::try_from(summand).expect("there are few summands");
    let rest = weight.unsigned_abs().saturating_sub(taken).min(LARGEST);
    let byte = i8::try_from(rest).expect("at most 127");
    if weight < 0 { -byte } else { byte }
}

#[cfg(test)]
mod tests {
    use super::{summand_of, summands};

    #[test]
    fn summands_add_up_to_the_weight() {
        for largest in [0, 127, 128, 255, 1000] {
            let weights: Vec<i32> = (-largest..=largest).collect();
            let count = summands(&weights);
            for weight in weights {
                let sum: i32 = (0..count).map(|i| i32::from(summand_of(weight, i, count))).sum();
                assert_eq!(sum, weight);
            }
        }
    }
}
