//! Times one layer: channels, outputs, window, side, whether Winograd is allowed, runs.

use condense_kernels::*;
use std::time::Instant;
fn main() {
    let a: Vec<usize> = std::env::args().skip(1).map(|v| v.parse().unwrap()).collect();
    let (c, o, k, h) = (a[0], a[1], a[2], a[3]);
    let wino = a.get(4).copied().unwrap_or(1) != 0;
    let w: Vec<f32> =
        (0..o * k * c * 9).map(|i| ((i * 7919 % 1000) as f32 - 500.0) / 1000.0).collect();
    let x: Vec<f32> =
        (0..c * h * h).map(|i| ((i * 104729 % 1000) as f32 - 500.0) / 500.0).collect();
    let recipe = Recipe {
        convolution: Window {
            kernel_shape: vec![3, 3],
            strides: vec![1, 1],
            pads: vec![1; 4],
            dilations: vec![1, 1],
            ceil_mode: false,
        },
        group: 1,
        reduction: Reduction::Max,
        window: k,
        members: vec![],
        before: Program::default(),
        after: Program::default(),
        spatial: None,
        winograd: wino,
    };
    let layer = Layer::new(
        recipe,
        Weights { filters: &w, shape: &[o * k, c, 3, 3], bias: None, operands: vec![] },
        Some(&[h, h]),
        Isa::detect(),
    )
    .unwrap();
    let mut y = vec![0.0; o * h * h];
    let mut best = f64::MAX;
    for _ in 0..a.get(5).copied().unwrap_or(30) {
        let t = Instant::now();
        layer.run(&Serial, &x, &[1, c, h, h], &mut y).unwrap();
        best = best.min(t.elapsed().as_secs_f64());
    }
    println!("{best:.6} s {:.0} GF", 2e-9 * (c * o * k * 9 * h * h) as f64 / best);
}
