//! Runs element-wise programs on vectors, block by block.

use crate::Error;
use crate::aligned::Aligned;
use crate::program::{Argument, Program};
use crate::simd::Simd;
use crate::step::{self, Operand};

/// Values that one step computes before the next one starts.
pub const BLOCK: usize = 64;
/// Steps whose results need no memory from the heap.
const FEW_STEPS: usize = 4;

type Block = [f32; BLOCK];

/// A program with its operands, for vectors of one width.
///
/// Operands and the numbers of its text are constants: for each *unit*, which is a channel or a
/// vector of channels, each of them is a vector.
#[derive(Clone)]
pub struct Bound {
    program: Program,
    operands: Vec<Vec<f32>>,
    /// Unit, constant, lane.
    constants: Aligned<f32>,
    lanes: usize,
    /// Constants of a unit.
    count: usize,
}

impl Bound {
    /// Gives a program its operands, each with one value for each channel or one for all.
    ///
    /// # Errors
    /// An operand is missing or has another number of values.
    pub fn new(
        program: Program,
        operands: Vec<Vec<f32>>,
        channels: usize,
        lanes: usize,
    ) -> Result<Self, Error> {
        if program.operand_count() != operands.len() {
            return Err(Error::new(format!(
                "the programs read {} operands, the node has {}",
                program.operand_count(),
                operands.len()
            )));
        }
        if let Some(index) = operands.iter().position(|o| o.len() != 1 && o.len() != channels) {
            return Err(Error::new(format!(
                "operand {index} has {} values for {channels} channels",
                operands[index].len()
            )));
        }
        let (program, literals) = named(program, operands.len());
        let operands: Vec<_> = operands.into_iter().chain(literals).collect();
        let count = operands.len();
        let bound = Self { program, operands, constants: Vec::new().into(), lanes, count };
        let units = if bound.is_uniform() { 1 } else { channels };
        Ok(bound.for_units(units, |unit, _| Some(unit)))
    }

    /// Returns the program for units whose lanes are the named channels, if they are any.
    pub fn for_units(&self, units: usize, channel: impl Fn(usize, usize) -> Option<usize>) -> Self {
        let units = if self.is_uniform() { 1 } else { units };
        let mut constants = Vec::with_capacity(units * self.count * self.lanes);
        for unit in 0..units {
            for operand in &self.operands {
                constants.extend((0..self.lanes).map(|lane| match operand.as_slice() {
                    [single] => *single,
                    values => channel(unit, lane).map_or(0.0, |channel| values[channel]),
                }));
            }
        }
        Self { constants: constants.into(), ..self.clone() }
    }

    /// Returns the instructions.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Tells whether all channels have the same operands, so that they are one unit.
    pub fn is_uniform(&self) -> bool {
        self.operands.iter().all(|operand| operand.len() == 1)
    }

    /// Returns the value of an operand that is one number.
    pub fn number(&self, operand: usize) -> Option<f32> {
        match self.operands[operand].as_slice() {
            [number] => Some(*number),
            _ => None,
        }
    }

    fn constants_of(&self, unit: usize) -> &[f32] {
        let unit = if self.is_uniform() { 0 } else { unit };
        &self.constants[unit * self.count * self.lanes..(unit + 1) * self.count * self.lanes]
    }
}

/// Makes operands of the numbers in a program's text.
fn named(mut program: Program, operands: usize) -> (Program, Vec<Vec<f32>>) {
    let mut literals = Vec::new();
    for argument in program.instructions.iter_mut().flat_map(|step| &mut step.arguments) {
        if let Argument::Literal(number) = *argument {
            *argument = Argument::Operand(operands + literals.len());
            literals.push(vec![number]);
        }
    }
    (program, literals)
}

/// Replaces the values of one unit by the program's output.
///
/// # Safety
/// The processor has the instruction set, and the program was bound for its vectors.
#[inline(always)]
pub unsafe fn run<S: Simd>(bound: &Bound, unit: usize, values: &mut [f32]) {
    let steps = bound.program.instructions.len();
    let constants = bound.constants_of(unit);
    let mut few = [[0.0; BLOCK]; FEW_STEPS];
    let mut many = Vec::new();
    let results: &mut [Block] = if steps <= FEW_STEPS {
        &mut few[..steps]
    } else {
        many.resize(steps, [0.0; BLOCK]);
        &mut many
    };
    for chunk in values.chunks_mut(BLOCK) {
        let count = chunk.len().div_ceil(S::LANES) * S::LANES;
        // SAFETY: `input` and every result have room for a block, constants are whole vectors.
        unsafe {
            if count == chunk.len() {
                steps_on::<S>(bound, constants, chunk.as_ptr(), count, results);
            } else {
                let mut input = [0.0; BLOCK];
                input[..chunk.len()].copy_from_slice(chunk);
                steps_on::<S>(bound, constants, input.as_ptr(), count, results);
            }
        }
        if let Some(last) = results.last() {
            chunk.copy_from_slice(&last[..chunk.len()]);
        }
    }
}

#[inline(always)]
unsafe fn steps_on<S: Simd>(
    bound: &Bound,
    constants: &[f32],
    input: *const f32,
    count: usize,
    results: &mut [Block],
) {
    for (index, instruction) in bound.program.instructions.iter().enumerate() {
        let (earlier, rest) = results.split_at_mut(index);
        let mut operands = [Operand::vector(std::ptr::null(), 0); step::MOST_AT_ONCE];
        let arguments = &instruction.arguments;
        for (operand, argument) in operands.iter_mut().zip(arguments) {
            *operand = locate::<S>(*argument, constants, input, earlier);
        }
        // SAFETY: operands lie where `locate` says, the result has room for a block.
        unsafe {
            step::run::<S>(instruction, &operands, count, rest[0].as_mut_ptr());
            for argument in arguments.iter().skip(step::MOST_AT_ONCE) {
                let next = locate::<S>(*argument, constants, input, earlier);
                let so_far = Operand::vector(rest[0].as_ptr(), S::LANES);
                step::combine::<S>(instruction.operator, so_far, next, count, rest[0].as_mut_ptr());
            }
        }
    }
}

/// Returns where an argument's vectors lie.
#[inline(always)]
fn locate<S: Simd>(
    argument: Argument,
    constants: &[f32],
    input: *const f32,
    earlier: &[Block],
) -> Operand {
    match argument {
        Argument::Result(index) => Operand::vector(earlier[index].as_ptr(), S::LANES),
        Argument::Operand(index) => Operand::vector(constants[index * S::LANES..].as_ptr(), 0),
        // Numbers have become operands.
        Argument::Input | Argument::Literal(_) => Operand::vector(input, S::LANES),
    }
}

#[cfg(test)]
#[path = "elementwise_tests.rs"]
mod tests;
