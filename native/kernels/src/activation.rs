//! Element-wise programs in the fastest form that each has.

use crate::elementwise::Bound;
use crate::program::{Argument, Operator, Program};
use crate::simd::Simd;

/// An activation of one instruction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// slope · x below zero, x elsewhere.
    Leaky(f32),
    /// min(max(x, low), high)
    Clip(f32, f32),
}

impl Activation {
    /// Returns the activations of a vector.
    ///
    /// # Safety
    /// The processor has the instruction set.
    #[inline(always)]
    pub unsafe fn of_vector<S: Simd>(self, x: S::V) -> S::V {
        // SAFETY: as the caller promises.
        unsafe {
            match self {
                Self::Leaky(slope) => {
                    S::select_less(x, S::splat(0.0), S::mul(x, S::splat(slope)), x)
                }
                Self::Clip(low, high) => S::min(S::splat(high), S::max(S::splat(low), x)),
            }
        }
    }
}

/// An element-wise program.
#[derive(Clone)]
pub enum Elementwise {
    /// Does nothing.
    Identity,
    /// One simple activation.
    Simple(Activation),
    /// Anything else.
    General(Bound),
}

impl Elementwise {
    /// Picks the form.
    pub fn new(bound: Bound) -> Self {
        if bound.program().is_empty() {
            return Self::Identity;
        }
        simple(&bound).map_or(Self::General(bound), Self::Simple)
    }

    /// Tells whether a larger input never gives a smaller output, so that a maximum may be taken
    /// before.
    pub fn keeps_order(&self) -> bool {
        match self {
            Self::Identity | Self::Simple(Activation::Clip(..)) => true,
            Self::Simple(Activation::Leaky(slope)) => *slope >= 0.0,
            Self::General(bound) => rises(bound.program()),
        }
    }

    /// Returns the program for units whose lanes are the named channels, if they are any.
    pub fn for_units(&self, units: usize, channel: impl Fn(usize, usize) -> Option<usize>) -> Self {
        match self {
            Self::General(bound) => Self::General(bound.for_units(units, channel)),
            other => other.clone(),
        }
    }
}

/// Tells whether a program is one operator that never decreases.
fn rises(program: &Program) -> bool {
    let [step] = program.instructions.as_slice() else { return false };
    match step.operator {
        Operator::Exp
        | Operator::Erf
        | Operator::Sigmoid
        | Operator::Softplus
        | Operator::Softsign
        | Operator::Tanh => true,
        Operator::Elu => step.attribute("alpha", 1.0) >= 0.0,
        Operator::HardSigmoid => step.attribute("alpha", 0.2) >= 0.0,
        _ => false,
    }
}

fn simple(bound: &Bound) -> Option<Activation> {
    let [step] = bound.program().instructions.as_slice() else { return None };
    let literal = |index: usize, default| match step.arguments.get(index) {
        None => Some(default),
        Some(Argument::Operand(operand)) => bound.number(*operand),
        Some(_) => None,
    };
    if step.arguments.first() != Some(&Argument::Input) {
        return None;
    }
    match step.operator {
        Operator::Relu => Some(Activation::Clip(0.0, f32::INFINITY)),
        Operator::LeakyRelu => Some(Activation::Leaky(step.attribute("alpha", 0.01))),
        Operator::Clip => {
            let (low, high) = (literal(1, f32::NEG_INFINITY)?, literal(2, f32::INFINITY)?);
            (low <= high).then_some(Activation::Clip(low, high))
        }
        _ => None,
    }
}

/// Replaces values by their activations; what is no number stays.
#[inline(always)]
pub fn activate(activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::Leaky(slope) => {
            for value in values {
                *value = if *value < 0.0 { *value * slope } else { *value };
            }
        }
        Activation::Clip(low, high) => {
            for value in values {
                let raised = if *value < low { low } else { *value };
                *value = if raised > high { high } else { raised };
            }
        }
    }
}
