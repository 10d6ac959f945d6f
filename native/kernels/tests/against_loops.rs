//! Layers compute what plain loops compute, with every instruction set that the processor has.

mod common;

use common::{Random, Threads};
use condense_kernels::{Isa, Layer, Outcome, Program, Recipe, Reduction, Runtime, Serial, Weights, Window};

/// Returns numbers from -1 to 1.
fn values(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| f32::from(random.bits()) / 32768.0 - 1.0).collect()
}

/// Sizes of a layer with square filters and maps.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    channels: usize,
    outputs: usize,
    window: usize,
    side: usize,
    kernel: usize,
    stride: usize,
    pad: usize,
}

impl Sizes {
    fn positions(self) -> usize {
        (self.side + 2 * self.pad - self.kernel) / self.stride + 1
    }

    fn recipe(self, reduction: Reduction, winograd: bool) -> Recipe {
        Recipe {
            convolution: Window {
                kernel_shape: vec![self.kernel; 2],
                strides: vec![self.stride; 2],
                pads: vec![self.pad; 4],
                dilations: vec![1; 2],
                ceil_mode: false,
            },
            group: 1,
            reduction,
            window: self.window,
            members: Vec::new(),
            before: Program::default(),
            after: Program::parse("LeakyRelu x alpha=0.1").expect("a program"),
            spatial: None,
            winograd,
        }
    }

    /// The sum of one filter at one position.
    fn sum(self, input: &[f32], filter: &[f32], row: usize, column: usize) -> f32 {
        let mut sum = 0.0;
        for channel in 0..self.channels {
            for tap in 0..self.kernel * self.kernel {
                let y = (row * self.stride + tap / self.kernel).checked_sub(self.pad);
                let x = (column * self.stride + tap % self.kernel).checked_sub(self.pad);
                if let (Some(y), Some(x)) = (y, x)
                    && y < self.side
                    && x < self.side
                {
                    let weight = filter[channel * self.kernel * self.kernel + tap];
                    sum += input[(channel * self.side + y) * self.side + x] * weight;
                }
            }
        }
        sum
    }
}

fn reduce(reduction: &Reduction, slots: &mut [f32]) -> f32 {
    slots.sort_by(|a, b| b.total_cmp(a));
    let sum: f32 = slots.iter().sum();
    #[expect(clippy::cast_precision_loss, reason = "windows are small")]
    let count = slots.len() as f32;
    match reduction {
        Reduction::Max => slots[0],
        Reduction::Min => slots[slots.len() - 1],
        Reduction::Sum => sum,
        Reduction::Mean => sum / count,
        Reduction::L2 => slots.iter().map(|slot| slot * slot).sum::<f32>().sqrt(),
        Reduction::Ordinal(weights) => slots.iter().zip(weights).map(|(a, b)| a * b).sum(),
    }
}

fn check(sizes: Sizes, reduction: &Reduction, winograd: bool) {
    let mut random = Random(7);
    let wide = sizes.outputs * sizes.window;
    let filter_size = sizes.channels * sizes.kernel * sizes.kernel;
    let input = values(&mut random, sizes.channels * sizes.side * sizes.side);
    let (filters, bias) = (values(&mut random, wide * filter_size), values(&mut random, wide));
    let side = sizes.positions();
    let mut expected = Vec::with_capacity(sizes.outputs * side * side);
    for group in 0..sizes.outputs {
        for pixel in 0..side * side {
            let mut slots: Vec<f32> = (group * sizes.window..(group + 1) * sizes.window)
                .map(|filter| {
                    let taps = &filters[filter * filter_size..(filter + 1) * filter_size];
                    bias[filter] + sizes.sum(&input, taps, pixel / side, pixel % side)
                })
                .collect();
            let pooled = reduce(reduction, &mut slots);
            expected.push(if pooled < 0.0 { 0.1 * pooled } else { pooled });
        }
    }
    let largest = expected.iter().fold(0.0_f32, |all, value| all.max(value.abs()));
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let shape = [wide, sizes.channels, sizes.kernel, sizes.kernel];
        let weights =
            Weights { filters: &filters, shape: &shape, bias: Some(&bias), operands: vec![] };
        let pixels = [sizes.side; 2];
        let recipe = sizes.recipe(reduction.clone(), winograd);
        let layer = Layer::new(recipe, weights, Some(&pixels), isa).expect("the tensors fit");
        let input_shape = [1, sizes.channels, sizes.side, sizes.side];
        for runtime in [&Serial as &dyn Runtime, &Threads] {
            let mut output = vec![f32::NAN; expected.len()];
            let outcome = layer.run(runtime, &input, &input_shape, &mut output);
            assert_eq!(outcome.expect("the input fits"), Outcome::Done);
            for (value, wanted) in output.iter().zip(&expected) {
                let error = (value - wanted).abs();
                assert!(error <= 1e-4 * largest, "{isa:?}, {sizes:?}, {reduction:?}: {error}");
            }
        }
    }
}

#[test]
fn direct_convolution() {
    let reductions = [
        Reduction::Max,
        Reduction::Min,
        Reduction::Mean,
        Reduction::Sum,
        Reduction::L2,
        Reduction::Ordinal(vec![0.5, 0.3, -0.2, 0.1]),
    ];
    for (kernel, stride, pad, side) in [(1, 1, 0, 5), (3, 1, 1, 9), (5, 2, 2, 11), (7, 3, 0, 8)] {
        for reduction in &reductions {
            let window = if matches!(reduction, Reduction::Ordinal(_)) { 4 } else { 2 };
            let sizes = Sizes { channels: 3, outputs: 5, window, side, kernel, stride, pad };
            check(sizes, reduction, false);
        }
    }
}

#[test]
fn fast_convolution() {
    for (channels, outputs, side) in [(16, 16, 12), (20, 17, 13), (40, 33, 7), (8, 48, 30)] {
        for reduction in [Reduction::Max, Reduction::Min, Reduction::Mean, Reduction::L2] {
            for window in [1, 2, 3, 5] {
                let sizes = Sizes { channels, outputs, window, side, kernel: 3, stride: 1, pad: 1 };
                check(sizes, &reduction, true);
            }
        }
    }
}
