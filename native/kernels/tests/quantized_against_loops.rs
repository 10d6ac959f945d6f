//! Layers in 8 bits compute what plain loops compute, to the bit, with every instruction set.

mod common;

use common::{Random, Threads};
use condense_kernels::{
    Isa, Program, Quantization, QuantizedLayer, QuantizedWeights, Recipe, Reduction, Runtime,
    Serial, Window,
};

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
    pooled: bool,
    /// Zero point of the filters, which are bytes without a sign.
    filter_zero: i32,
}

const INPUT: Quantization = Quantization { scale: 0.03, zero_point: 117, signed: false };
const OUTPUT: Quantization = Quantization { scale: 0.9, zero_point: 0xFB, signed: true };
const FILTER_SCALE: f32 = 0.01;

fn window(kernel: usize, stride: usize, pad: usize) -> Window {
    Window {
        kernel_shape: vec![kernel; 2],
        strides: vec![stride; 2],
        pads: vec![pad; 4],
        dilations: vec![1; 2],
        ceil_mode: false,
    }
}

impl Sizes {
    fn recipe(self) -> Recipe {
        Recipe {
            convolution: window(self.kernel, self.stride, self.pad),
            group: 1,
            reduction: Reduction::Max,
            window: self.window,
            members: Vec::new(),
            before: Program::default(),
            after: Program::default(),
            spatial: self.pooled.then(|| window(2, 2, 0)),
            winograd: false,
        }
    }

    fn positions(self) -> usize {
        (self.side + 2 * self.pad - self.kernel) / self.stride + 1
    }

    /// The sum of one filter at one position.
    fn sum(self, input: &[u8], filter: &[i32], row: usize, column: usize) -> i32 {
        let mut sum = 0;
        for channel in 0..self.channels {
            for tap in 0..self.kernel * self.kernel {
                let y = (row * self.stride + tap / self.kernel).checked_sub(self.pad);
                let x = (column * self.stride + tap % self.kernel).checked_sub(self.pad);
                if let (Some(y), Some(x)) = (y, x)
                    && y < self.side
                    && x < self.side
                {
                    let value = input[(channel * self.side + y) * self.side + x];
                    let weight = filter[channel * self.kernel * self.kernel + tap];
                    sum += (i32::from(value) - i32::from(INPUT.zero_point)) * weight;
                }
            }
        }
        sum
    }

    /// The bytes of one output map.
    fn map(self, input: &[u8], filters: &[i32], bias: &[i32], table: &[u8]) -> Vec<u8> {
        let side = self.positions();
        let taps = self.channels * self.kernel * self.kernel;
        let bytes = (0..side * side).map(|pixel| {
            let codes = filters.chunks(taps).zip(bias).map(|(filter, bias)| {
                let sum = self.sum(input, filter, pixel / side, pixel % side) + bias;
                #[expect(clippy::cast_precision_loss, reason = "as ONNX Runtime rounds")]
                let steps = sum as f32 * (INPUT.scale * FILTER_SCALE / OUTPUT.scale);
                let code = steps.round_ties_even() + f32::from(OUTPUT.zero_point.cast_signed());
                #[expect(clippy::cast_possible_truncation, reason = "clamped to a byte")]
                let code = code.clamp(-128.0, 127.0) as i8;
                code
            });
            let largest = codes.max().expect("a group has a member");
            table[usize::from(largest.cast_unsigned())].cast_signed()
        });
        let bytes: Vec<i8> = bytes.collect();
        if !self.pooled {
            return bytes.into_iter().map(i8::cast_unsigned).collect();
        }
        let half = side / 2;
        let corner = |index: usize| 2 * (index / half * side + index % half);
        let pooled = (0..half * half).map(|index| {
            let corner = corner(index);
            [corner, corner + 1, corner + side, corner + side + 1].map(|at| bytes[at])
        });
        pooled.map(|all| all.into_iter().max().expect("four").cast_unsigned()).collect()
    }
}

fn check(sizes: Sizes, rising: bool) {
    let mut random = Random(11);
    let wide = sizes.outputs * sizes.window;
    let size = sizes.channels * sizes.kernel * sizes.kernel;
    let mut bytes =
        |count: usize| -> Vec<u8> { (0..count).map(|_| random.bits().to_le_bytes()[1]).collect() };
    let input = bytes(sizes.channels * sizes.side * sizes.side);
    let filters: Vec<i32> =
        bytes(wide * size).into_iter().map(|byte| i32::from(byte) - sizes.filter_zero).collect();
    let bias: Vec<i32> = bytes(wide).into_iter().map(|byte| 20 * i32::from(byte) - 2000).collect();
    let half = |byte: u8| (byte.cast_signed() / 2 + 3).cast_unsigned();
    let table: Vec<u8> =
        (0..=u8::MAX).map(|byte| if rising { half(byte) } else { byte.wrapping_mul(7) }).collect();
    let expected: Vec<u8> = (0..sizes.outputs)
        .flat_map(|group| {
            let rows = group * sizes.window..(group + 1) * sizes.window;
            let part = &filters[rows.start * size..rows.end * size];
            sizes.map(&input, part, &bias[rows], &table)
        })
        .collect();
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let weights = QuantizedWeights {
            filters: &filters,
            shape: &[wide, sizes.channels, sizes.kernel, sizes.kernel],
            scales: &[FILTER_SCALE],
            bias: Some(&bias),
            table: Some(&table),
        };
        let layer = QuantizedLayer::new(sizes.recipe(), &weights, INPUT, OUTPUT, isa)
            .expect("the tensors fit");
        let shape = [1, sizes.channels, sizes.side, sizes.side];
        for runtime in [&Serial as &dyn Runtime, &Threads] {
            let mut output = vec![0; expected.len()];
            layer.run(runtime, &input, &shape, &mut output).expect("the input fits");
            assert_eq!(output, expected, "{isa:?}, {sizes:?}");
        }
    }
}

#[test]
fn layers_of_many_sizes() {
    let shapes = [(1, 1, 0, 5), (3, 1, 1, 9), (5, 2, 2, 11), (7, 3, 0, 8), (3, 1, 1, 33)];
    for (kernel, stride, pad, side) in shapes {
        for (channels, outputs) in [(1, 3), (3, 17), (5, 16), (20, 5)] {
            for (window, filter_zero) in [(1, 128), (2, 128), (3, 0), (5, 255)] {
                let pooled = window % 2 == 0 && side > 8;
                let sizes = Sizes {
                    channels,
                    outputs,
                    window,
                    side,
                    kernel,
                    stride,
                    pad,
                    pooled,
                    filter_zero,
                };
                check(sizes, channels != 3);
            }
        }
    }
}
