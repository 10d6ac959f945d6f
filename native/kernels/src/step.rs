//! One instruction of an element-wise program on a block of vectors.
//!
//! Each gives what ONNX Runtime's operator gives, also for infinities and what is no number.

use crate::functions;
use crate::program::{Instruction, Operator};
use crate::simd::Simd;

/// Arguments that one call takes; more are combined one by one.
pub const MOST_AT_ONCE: usize = 3;

const SELU_ALPHA: f32 = 1.673_263_2;
const SELU_GAMMA: f32 = 1.050_701;

/// Vectors of an argument.
#[derive(Clone, Copy)]
pub struct Operand {
    start: *const f32,
    /// Distance of vectors; nothing where all are the same.
    step: usize,
}

impl Operand {
    /// Vectors that lie a distance apart.
    pub fn vector(start: *const f32, step: usize) -> Self {
        Self { start, step }
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(self, vector: usize) -> S::V {
        // SAFETY: as the caller of `run` promises.
        unsafe { S::load(self.start.add(vector * self.step)) }
    }
}

/// Writes a loop over vectors.
macro_rules! each {
    ($count:ident, $out:ident, $vector:ident => $value:expr) => {
        for $vector in 0..$count / S::LANES {
            let value = $value;
            S::store($out.add($vector * S::LANES), value);
        }
    };
}

/// Computes `count` values, a multiple of the vector's.
///
/// # Safety
/// The processor has the instruction set; operands and `out` are valid for all vectors.
#[inline(always)]
pub unsafe fn run<S: Simd>(
    step: &Instruction,
    operands: &[Operand; MOST_AT_ONCE],
    count: usize,
    out: *mut f32,
) {
    let [a, b, c] = *operands;
    // SAFETY: as the caller promises.
    unsafe {
        match (step.operator, step.arguments.len()) {
            (Operator::Clip, 3) => each!(count, out, at => {
                S::min(c.load::<S>(at), S::max(b.load::<S>(at), a.load::<S>(at)))
            }),
            (Operator::Clip, 2) => each!(count, out, at => {
                S::max(b.load::<S>(at), a.load::<S>(at))
            }),
            (Operator::Clip, _) | (Operator::Max | Operator::Min, 1) => {
                each!(count, out, at => a.load::<S>(at));
            }
            (operator, 1) => unary::<S>(operator, step, a, count, out),
            (operator, arguments) => {
                combine::<S>(operator, a, b, count, out);
                if arguments > 2 {
                    combine::<S>(operator, Operand::vector(out, S::LANES), c, count, out);
                }
            }
        }
    }
}

/// Computes an operator of two arguments.
///
/// # Safety
/// As for [`run`]; `out` may be one of the operands.
#[inline(always)]
pub unsafe fn combine<S: Simd>(
    operator: Operator,
    a: Operand,
    b: Operand,
    count: usize,
    out: *mut f32,
) {
    // SAFETY: as the caller promises.
    unsafe {
        match operator {
            Operator::Add => each!(count, out, at => S::add(a.load::<S>(at), b.load::<S>(at))),
            Operator::Sub => each!(count, out, at => S::sub(a.load::<S>(at), b.load::<S>(at))),
            Operator::Mul => each!(count, out, at => S::mul(a.load::<S>(at), b.load::<S>(at))),
            Operator::Div => each!(count, out, at => S::div(a.load::<S>(at), b.load::<S>(at))),
            Operator::Max => each!(count, out, at => {
                let (a, b) = (a.load::<S>(at), b.load::<S>(at));
                S::select_number(a, S::max(a, b), a)
            }),
            Operator::Min => each!(count, out, at => {
                let (a, b) = (a.load::<S>(at), b.load::<S>(at));
                S::select_number(a, S::min(a, b), a)
            }),
            Operator::PRelu => each!(count, out, at => {
                let (x, slope) = (a.load::<S>(at), b.load::<S>(at));
                S::select_less(x, S::splat(0.0), S::mul(x, slope), x)
            }),
            _ => powers::<S>(a, b, count, out),
        }
    }
}

/// Powers one by one: exponents are 2 nearly always.
#[inline(always)]
unsafe fn powers<S: Simd>(a: Operand, b: Operand, count: usize, out: *mut f32) {
    for value in 0..count {
        let (vector, lane) = (value / S::LANES, value % S::LANES);
        // SAFETY: as the caller promises.
        unsafe {
            let base = *a.start.add(vector * a.step + lane);
            let exponent = *b.start.add(vector * b.step + lane);
            #[expect(clippy::float_cmp, reason = "exactly the square")]
            let power = if exponent == 2.0 { base * base } else { base.powf(exponent) };
            *out.add(value) = power;
        }
    }
}

#[inline(always)]
unsafe fn unary<S: Simd>(
    operator: Operator,
    step: &Instruction,
    x: Operand,
    count: usize,
    out: *mut f32,
) {
    let attribute = |name, default| step.attribute(name, default);
    // SAFETY: as the caller promises.
    unsafe {
        let (zero, one) = (S::splat(0.0), S::splat(1.0));
        match operator {
            Operator::Abs => each!(count, out, at => S::magnitude(x.load::<S>(at))),
            Operator::Ceil => each!(count, out, at => S::ceil(x.load::<S>(at))),
            Operator::Erf => each!(count, out, at => functions::erf::<S>(x.load::<S>(at))),
            Operator::Exp => each!(count, out, at => functions::exp::<S>(x.load::<S>(at))),
            Operator::Floor => each!(count, out, at => S::floor(x.load::<S>(at))),
            Operator::Gelu => each!(count, out, at => functions::gelu::<S>(x.load::<S>(at))),
            Operator::Log => each!(count, out, at => functions::log::<S>(x.load::<S>(at))),
            Operator::Mish => each!(count, out, at => functions::mish::<S>(x.load::<S>(at))),
            Operator::Neg => each!(count, out, at => S::sub(S::splat(-0.0), x.load::<S>(at))),
            Operator::Reciprocal => each!(count, out, at => S::div(one, x.load::<S>(at))),
            Operator::Relu => each!(count, out, at => S::max(zero, x.load::<S>(at))),
            Operator::Round => each!(count, out, at => S::round(x.load::<S>(at))),
            Operator::Sigmoid => each!(count, out, at => functions::sigmoid::<S>(x.load::<S>(at))),
            Operator::Sign => each!(count, out, at => {
                let x = x.load::<S>(at);
                let rest = S::select_less(zero, x, one, S::add(x, zero));
                S::select_less(x, zero, S::splat(-1.0), rest)
            }),
            Operator::Softplus => {
                each!(count, out, at => functions::softplus::<S>(x.load::<S>(at)));
            }
            Operator::Softsign => each!(count, out, at => {
                let x = x.load::<S>(at);
                S::div(x, S::add(one, S::magnitude(x)))
            }),
            Operator::Sqrt => each!(count, out, at => S::sqrt(x.load::<S>(at))),
            Operator::Tanh => each!(count, out, at => functions::tanh::<S>(x.load::<S>(at))),
            Operator::HardSwish => hard::<S>(x, (1.0 / 6.0, 0.5), true, count, out),
            Operator::HardSigmoid => {
                let line = (attribute("alpha", 0.2), attribute("beta", 0.5));
                hard::<S>(x, line, false, count, out);
            }
            Operator::Selu => {
                let (alpha, gamma) =
                    (attribute("alpha", SELU_ALPHA), attribute("gamma", SELU_GAMMA));
                exponential::<S>(x, (1.0, alpha * gamma, gamma), count, out);
            }
            Operator::Elu => {
                exponential::<S>(x, (1.0, attribute("alpha", 1.0), 1.0), count, out);
            }
            Operator::Celu => {
                let alpha = attribute("alpha", 1.0);
                exponential::<S>(x, (1.0 / alpha, alpha, 1.0), count, out);
            }
            _ => with_alpha::<S>(operator, step, x, count, out),
        }
    }
}

/// Activations of one parameter.
#[inline(always)]
unsafe fn with_alpha<S: Simd>(
    operator: Operator,
    step: &Instruction,
    x: Operand,
    count: usize,
    out: *mut f32,
) {
    // SAFETY: as the caller promises.
    unsafe {
        let zero = S::splat(0.0);
        match operator {
            Operator::LeakyRelu => {
                let alpha = S::splat(step.attribute("alpha", 0.01));
                each!(count, out, at => {
                    let x = x.load::<S>(at);
                    S::select_less(x, zero, S::mul(x, alpha), x)
                });
            }
            Operator::Swish => {
                let alpha = S::splat(step.attribute("alpha", 1.0));
                each!(count, out, at => {
                    let x = x.load::<S>(at);
                    S::mul(x, functions::sigmoid::<S>(S::mul(x, alpha)))
                });
            }
            Operator::ThresholdedRelu => {
                let alpha = S::splat(step.attribute("alpha", 1.0));
                each!(count, out, at => {
                    let x = x.load::<S>(at);
                    S::select_less(alpha, x, x, zero)
                });
            }
            _ => each!(count, out, at => x.load::<S>(at)),
        }
    }
}

/// The line a · x + b held between 0 and 1, times x if asked for.
#[inline(always)]
unsafe fn hard<S: Simd>(
    x: Operand,
    (slope, offset): (f32, f32),
    times_x: bool,
    count: usize,
    out: *mut f32,
) {
    // SAFETY: as the caller promises.
    unsafe {
        let (slope, offset) = (S::splat(slope), S::splat(offset));
        let factor_of_all = S::splat(1.0);
        each!(count, out, at => {
            let x = x.load::<S>(at);
            let line = S::multiply_add(x, slope, offset);
            let held = S::max(S::splat(0.0), S::min(S::splat(1.0), line));
            S::mul(held, if times_x { x } else { factor_of_all })
        });
    }
}

/// `positive` · x from zero on, `negative` · (e^(`inner` · x) - 1) below.
#[inline(always)]
unsafe fn exponential<S: Simd>(
    x: Operand,
    (inner, negative, positive): (f32, f32, f32),
    count: usize,
    out: *mut f32,
) {
    // SAFETY: as the caller promises.
    unsafe {
        let (inner, negative) = (S::splat(inner), S::splat(negative));
        let (positive, zero) = (S::splat(positive), S::splat(0.0));
        each!(count, out, at => {
            let x = x.load::<S>(at);
            let falling = S::mul(negative, functions::expm1::<S>(S::mul(x, inner)));
            S::select_less(x, zero, falling, S::mul(positive, x))
        });
    }
}
