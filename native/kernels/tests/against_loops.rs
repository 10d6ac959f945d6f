//! Layers compute what plain loops compute, with every instruction set that the processor has.

mod common;

use common::{Random, Threads};
use condense_kernels::{
    Isa, Layer, Outcome, Program, Recipe, Reduction, Runtime, Serial, Weights, Window,
};

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
    /// Activation between convolution and reduction.
    before: Before,
}

/// Programs in front of the reduction.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    Nothing,
    Leaky,
    /// Twice the magnitude plus what a channel has of its own.
    Shifted,
}

impl Before {
    fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Leaky => "LeakyRelu x alpha=0.25",
            Self::Shifted => "Abs x\nMul %0 2.0\nAdd %1 $0",
        }
    }

    fn of(self, x: f32, own: f32) -> f32 {
        match self {
            Self::Nothing => x,
            Self::Leaky => x.max(0.25 * x),
            Self::Shifted => 2.0 * x.abs() + own,
        }
    }
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
            before: Program::parse(self.before.text()).expect("a program"),
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
    let own = values(&mut random, wide);
    let side = sizes.positions();
    let mut expected = Vec::with_capacity(sizes.outputs * side * side);
    for group in 0..sizes.outputs {
        for pixel in 0..side * side {
            let mut slots: Vec<f32> = (group * sizes.window..(group + 1) * sizes.window)
                .map(|filter| {
                    let taps = &filters[filter * filter_size..(filter + 1) * filter_size];
                    let sum = sizes.sum(&input, taps, pixel / side, pixel % side);
                    sizes.before.of(bias[filter] + sum, own[filter])
                })
                .collect();
            let pooled = reduce(reduction, &mut slots);
            expected.push(if pooled < 0.0 { 0.1 * pooled } else { pooled });
        }
    }
    let largest = expected.iter().fold(0.0_f32, |all, value| all.max(value.abs()));
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let shape = [wide, sizes.channels, sizes.kernel, sizes.kernel];
        let operands = if sizes.before == Before::Shifted { vec![own.clone()] } else { vec![] };
        let weights = Weights { filters: &filters, shape: &shape, bias: Some(&bias), operands };
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

const BEFORE: [Before; 3] = [Before::Nothing, Before::Leaky, Before::Shifted];

fn reductions(window: usize) -> Vec<Reduction> {
    let ranks = [0.5, 0.3, -0.2, 0.1, 0.4, -0.6, 0.7, 0.2, 0.9];
    vec![
        Reduction::Max,
        Reduction::Min,
        Reduction::Mean,
        Reduction::Sum,
        Reduction::L2,
        Reduction::Ordinal(ranks[..window].to_vec()),
    ]
}

#[test]
fn direct_convolution() {
    for (kernel, stride, pad, side) in [(1, 1, 0, 5), (3, 1, 1, 9), (5, 2, 2, 11), (7, 3, 0, 8)] {
        for window in 1..=9 {
            let before = BEFORE[window % 3];
            for reduction in &reductions(window) {
                let sizes =
                    Sizes { channels: 3, outputs: 5, window, side, kernel, stride, pad, before };
                check(sizes, reduction, false);
            }
        }
    }
}

#[test]
fn fast_convolution() {
    for (channels, outputs, side) in [(16, 16, 12), (20, 17, 13), (40, 33, 7), (8, 48, 30)] {
        for reduction in [Reduction::Max, Reduction::Min, Reduction::Mean, Reduction::L2] {
            for (window, before) in [1, 2, 3, 5].into_iter().zip(BEFORE.into_iter().cycle()) {
                let (kernel, stride, pad) = (3, 1, 1);
                let sizes = Sizes { channels, outputs, window, side, kernel, stride, pad, before };
                check(sizes, &reduction, true);
            }
        }
    }
}

#[test]
fn small_maps() {
    for (kernel, stride, pad, side) in [(3, 1, 1, 3), (1, 1, 0, 2), (5, 2, 3, 4), (3, 2, 1, 1)] {
        for window in [1, 2, 3, 4, 6, 9] {
            let before = BEFORE[window % 3];
            for reduction in &reductions(window) {
                let (channels, outputs) = (48, 37);
                let sizes = Sizes { channels, outputs, window, side, kernel, stride, pad, before };
                check(sizes, reduction, true);
            }
        }
    }
}

#[test]
fn the_fast_convolution_says_what_it_cannot_compute() {
    let sizes = Sizes {
        channels: 16,
        outputs: 16,
        window: 2,
        side: 30,
        kernel: 3,
        stride: 1,
        pad: 1,
        before: Before::Nothing,
    };
    let mut random = Random(3);
    let filters = values(&mut random, 32 * 16 * 9);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 3e38] {
            let weights =
                Weights { filters: &filters, shape: &[32, 16, 3, 3], bias: None, operands: vec![] };
            let recipe = sizes.recipe(Reduction::Max, true);
            let layer = Layer::new(recipe, weights, Some(&[30, 30]), isa).expect("they fit");
            let mut input = vec![0.5; 16 * 900];
            input[5 * 900 + 431] = bad;
            let mut output = vec![0.0; 16 * 900];
            let outcome = layer.run(&Serial, &input, &[1, 16, 30, 30], &mut output);
            assert_eq!(outcome.expect("the input fits"), Outcome::NotFinite, "{isa:?}, {bad}");
        }
    }
}
