//! Activations that need no interpreter.

use crate::elementwise::Bound;
use crate::program::{Argument, Operator, Program};

/// An activation of one instruction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// max(x, slope · x), with a slope between 0 and 1.
    Leaky(f32),
    /// min(max(x, low), high)
    Clip(f32, f32),
}

/// An element-wise program, in the fastest form that it has.
#[derive(Clone, Debug)]
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
        simple(bound.program()).map_or(Self::General(bound), Self::Simple)
    }

    /// Tells whether a larger input never gives a smaller output, so that a maximum may be taken
    /// before.
    pub fn keeps_order(&self) -> bool {
        !matches!(self, Self::General(_))
    }
}

fn simple(program: &Program) -> Option<Activation> {
    let [step] = program.instructions.as_slice() else { return None };
    let literal = |index: usize, default| match step.arguments.get(index) {
        None => Some(default),
        Some(Argument::Literal(number)) => Some(*number),
        Some(_) => None,
    };
    if step.arguments.first() != Some(&Argument::Input) {
        return None;
    }
    match step.operator {
        Operator::Relu => Some(Activation::Clip(0.0, f32::INFINITY)),
        Operator::LeakyRelu => {
            let slope = step.attribute("alpha", 0.01);
            (0.0..=1.0).contains(&slope).then_some(Activation::Leaky(slope))
        }
        Operator::Clip => {
            let (low, high) = (literal(1, f32::NEG_INFINITY)?, literal(2, f32::INFINITY)?);
            (low <= high).then_some(Activation::Clip(low, high))
        }
        _ => None,
    }
}

/// Replaces values by their activations.
#[inline(always)]
pub fn activate(activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::Leaky(slope) => {
            for value in values {
                let scaled = *value * slope;
                *value = if *value > scaled { *value } else { scaled };
            }
        }
        Activation::Clip(low, high) => {
            for value in values {
                let raised = if *value > low { *value } else { low };
                *value = if raised < high { raised } else { high };
            }
        }
    }
}
