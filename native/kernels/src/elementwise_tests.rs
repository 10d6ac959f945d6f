//! Programs against double precision, with every instruction set that the processor has.

use super::Bound;
use crate::Isa;
use crate::program::{Operator, Program};

fn run(isa: Isa, text: &str, operands: Vec<Vec<f32>>, values: &mut [f32]) {
    let kernels = isa.kernels();
    let program = Program::parse(text).expect("the program can be read");
    let bound = Bound::new(program, operands, 2, kernels.lanes).expect("operands fit");
    // SAFETY: the kernels are those of an instruction set that is available.
    unsafe { (kernels.program)(&bound, 1, values) };
}

fn every_isa() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

/// Arguments from `low` to `high`, some of them tiny.
fn arguments(low: f32, high: f32) -> Vec<f32> {
    let steps: u16 = 40_001; // no multiple of a block
    let line = (0..steps).map(|at| low + (high - low) * f32::from(at) / f32::from(steps - 1));
    let tiny = [1e-3, 1e-6, 1e-20, 1e-38].into_iter().flat_map(|x: f32| [x, -x]);
    line.chain(tiny.filter(|x| (low..=high).contains(x))).collect()
}

/// The largest error, in units in the last place of the exact value.
fn error_in_units(isa: Isa, text: &str, exact: fn(f64) -> f64, low: f32, high: f32) -> f64 {
    let given = arguments(low, high);
    let mut values = given.clone();
    run(isa, text, vec![], &mut values);
    let errors = given.iter().zip(&values).map(|(x, value)| {
        let exact = exact(f64::from(*x));
        let unit = exact.abs().max(f64::from(f32::MIN_POSITIVE)) * f64::from(f32::EPSILON) / 2.0;
        (f64::from(*value) - exact).abs() / unit
    });
    errors.fold(0.0, f64::max)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Abramowitz and Stegun 7.1.5 near zero, and the continued fraction 7.1.14 elsewhere.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    let result = if a < 2.5 {
        let (mut term, mut sum) = (a, a);
        for n in 1..60 {
            term *= -a * a / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else {
        let fraction = (1..=60).rev().fold(a, |sum, n| a + f64::from(n) / 2.0 / sum);
        1.0 - (-a * a).exp() / fraction * std::f64::consts::FRAC_2_SQRT_PI / 2.0
    };
    result.copysign(x)
}

type Exact = fn(f64) -> f64;

#[test]
fn functions_are_within_their_errors() {
    let table: [(&str, Exact, f32, f32, f64); 11] = [
        ("Exp x", f64::exp, -87.0, 88.5, 3.0),
        ("Elu x", |x| if x < 0.0 { x.exp_m1() } else { x }, -20.0, 3.0, 4.0),
        ("Log x", f64::ln, 1e-3, 50.0, 4.0),
        ("Log x", f64::ln, 1.0, 3e38, 4.0),
        ("Tanh x", f64::tanh, -12.0, 12.0, 6.0),
        ("Erf x", erf, -5.0, 5.0, 6.0),
        ("Sigmoid x", sigmoid, -87.0, 20.0, 6.0),
        ("Swish x", |x| x * sigmoid(x), -87.0, 20.0, 8.0),
        ("Softplus x", softplus, -80.0, 100.0, 6.0),
        ("Mish x", |x| x * softplus(x).tanh(), -80.0, 30.0, 10.0),
        (
            "Celu x alpha=2.0",
            |x| if x < 0.0 { 2.0 * (x / 2.0).exp_m1() } else { x },
            -30.0,
            3.0,
            5.0,
        ),
    ];
    for isa in every_isa() {
        for (text, exact, low, high, units) in table {
            let error = error_in_units(isa, text, exact, low, high);
            assert!(error <= units, "{isa:?}, {text}: {error} units in the last place");
        }
    }
}

#[test]
fn gelu_is_exact_in_absolute_terms() {
    // 1 + erf cancels for negative arguments.
    for isa in every_isa() {
        let given = arguments(-12.0, 12.0);
        let mut values = given.clone();
        run(isa, "Gelu x", vec![], &mut values);
        for (x, value) in given.iter().map(|x| f64::from(*x)).zip(values) {
            let exact = 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2));
            assert!((f64::from(value) - exact).abs() <= 1.2e-7 * x.abs().max(1.0), "{isa:?}, {x}");
        }
    }
}

/// What ONNX Runtime's operators give for infinities and for what is no number.
const BEYOND: [(&str, [f32; 3]); 15] = [
    ("Relu x", [f32::INFINITY, 0.0, f32::NAN]),
    ("LeakyRelu x alpha=0.1", [f32::INFINITY, f32::NEG_INFINITY, f32::NAN]),
    ("LeakyRelu x alpha=0.0", [f32::INFINITY, f32::NAN, f32::NAN]),
    ("Clip x -2.0 3.0", [3.0, -2.0, f32::NAN]),
    ("HardSwish x", [f32::INFINITY, f32::NAN, f32::NAN]),
    ("HardSigmoid x", [1.0, 0.0, f32::NAN]),
    ("Sigmoid x\nMul x %0", [f32::INFINITY, f32::NAN, f32::NAN]),
    ("Gelu x", [f32::INFINITY, f32::NAN, f32::NAN]),
    ("Mish x", [f32::INFINITY, f32::NAN, f32::NAN]),
    ("Elu x", [f32::INFINITY, -1.0, f32::NAN]),
    ("Softplus x", [f32::INFINITY, 0.0, f32::NAN]),
    ("Tanh x", [1.0, -1.0, f32::NAN]),
    ("Erf x", [1.0, -1.0, f32::NAN]),
    ("ThresholdedRelu x alpha=1.0", [f32::INFINITY, 0.0, 0.0]),
    ("Max x 0.5", [f32::INFINITY, 0.5, f32::NAN]),
];

#[test]
fn infinities_and_what_is_no_number() {
    for isa in every_isa() {
        for (text, expected) in BEYOND {
            let mut values = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
            run(isa, text, vec![], &mut values);
            for (value, wanted) in values.into_iter().zip(expected) {
                let same = value.to_bits() == wanted.to_bits() || value.is_nan() && wanted.is_nan();
                assert!(same, "{isa:?}, {text}: {value}, expected {wanted}");
            }
        }
    }
}

#[test]
fn numbers_that_are_not_normal() {
    for isa in every_isa() {
        for text in ["Relu x", "LeakyRelu x alpha=0.5", "Tanh x", "Elu x", "Softsign x"] {
            let mut values = [1e-40, f32::from_bits(1)];
            run(isa, text, vec![], &mut values);
            assert_eq!(values.map(f32::to_bits), [1e-40, f32::from_bits(1)].map(f32::to_bits));
        }
        let mut values = [1e-40_f32];
        run(isa, "Log x", vec![], &mut values);
        assert!((values[0] + 92.103_41).abs() < 1e-4, "{isa:?}: {}", values[0]);
    }
}

#[test]
fn instructions_read_earlier_results_and_operands() {
    for isa in every_isa() {
        let mut values = [-2.0, 3.0];
        let operands = vec![vec![9.0, 10.0]];
        run(isa, "LeakyRelu x alpha=0.5\nMul %0 $0\nAdd %1 x", operands, &mut values);
        assert_eq!(values.map(f32::to_bits), [-12.0_f32, 33.0].map(f32::to_bits));
    }
}

#[test]
fn programs_of_many_steps_and_arguments() {
    for isa in every_isa() {
        let mut values = [0.5; 70];
        let text = "Add x 1.0\nMul %0 2.0\nSub %1 x\nNeg %2\nAbs %3\nMax %4 x 1.0 7.5 %0";
        run(isa, text, vec![], &mut values);
        assert!(values.iter().all(|value| value.to_bits() == 7.5_f32.to_bits()), "{isa:?}");
    }
}

#[test]
fn every_operator_is_read_and_runs() {
    for operator in Operator::ALL {
        let line = ["x", "x 2.0"]
            .map(|arguments| format!("{operator:?} {arguments}"))
            .into_iter()
            .find(|line| Program::parse(line).is_ok());
        for isa in every_isa() {
            let mut values = [0.25, 0.75];
            run(isa, line.as_deref().expect("one or two arguments"), vec![], &mut values);
            assert!(values.iter().all(|value| value.is_finite()), "{operator:?}");
        }
    }
}
