//! Runs element-wise programs, block by block.

use crate::Error;
use crate::erf::erf;
use crate::program::{Argument, Instruction, Operator, Program};

const BLOCK: usize = 64;
type Block = [f32; BLOCK];

/// A program with its operands.
#[derive(Clone, Debug)]
pub struct Bound {
    program: Program,
    operands: Vec<Vec<f32>>,
}

impl Bound {
    /// Gives a program its operands, each with one value for each channel or one for all.
    ///
    /// # Errors
    /// An operand is missing or has another number of values.
    pub fn new(program: Program, operands: Vec<Vec<f32>>, channels: usize) -> Result<Self, Error> {
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
        Ok(Self { program, operands })
    }

    /// Returns the instructions.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Replaces the values of one channel by the program's output.
    pub fn run(&self, channel: usize, values: &mut [f32]) {
        if self.program.is_empty() {
            return;
        }
        let mut results = vec![[0.0; BLOCK]; self.program.instructions.len()];
        for chunk in values.chunks_mut(BLOCK) {
            let mut input = [0.0; BLOCK];
            input[..chunk.len()].copy_from_slice(chunk);
            for (index, instruction) in self.program.instructions.iter().enumerate() {
                results[index] = self.step(instruction, &input, &results, channel);
            }
            chunk.copy_from_slice(&results[results.len() - 1][..chunk.len()]);
        }
    }

    fn step(
        &self,
        instruction: &Instruction,
        input: &Block,
        results: &[Block],
        channel: usize,
    ) -> Block {
        let value = |argument: &Argument| match *argument {
            Argument::Input => *input,
            Argument::Result(index) => results[index],
            Argument::Operand(index) => {
                let operand = &self.operands[index];
                [operand[if operand.len() > 1 { channel } else { 0 }]; BLOCK]
            }
            Argument::Literal(number) => [number; BLOCK],
        };
        let mut blocks = instruction.arguments.iter().map(value);
        let first = blocks.next().unwrap_or([0.0; BLOCK]);
        match instruction.operator {
            Operator::Clip => {
                let low = blocks.next().unwrap_or([f32::NEG_INFINITY; BLOCK]);
                let high = blocks.next().unwrap_or([f32::INFINITY; BLOCK]);
                zip(&zip(&first, &low, f32::max), &high, f32::min)
            }
            operator => match binary(operator) {
                Some(function) => blocks.fold(first, |all, next| zip(&all, &next, function)),
                None => unary(instruction, &first),
            },
        }
    }
}

fn zip(first: &Block, second: &Block, function: impl Fn(f32, f32) -> f32) -> Block {
    std::array::from_fn(|i| function(first[i], second[i]))
}

fn binary(operator: Operator) -> Option<fn(f32, f32) -> f32> {
    match operator {
        Operator::Add => Some(|a, b| a + b),
        Operator::Sub => Some(|a, b| a - b),
        Operator::Mul => Some(|a, b| a * b),
        Operator::Div => Some(|a, b| a / b),
        Operator::Max => Some(f32::max),
        Operator::Min => Some(f32::min),
        Operator::Pow => Some(f32::powf),
        Operator::PRelu => Some(|x, slope| if x < 0.0 { x * slope } else { x }),
        _ => None,
    }
}

const SELU_ALPHA: f32 = 1.673_263_2;
const SELU_GAMMA: f32 = 1.050_701;

fn unary(step: &Instruction, x: &Block) -> Block {
    let alpha = |default| step.attribute("alpha", default);
    match step.operator {
        Operator::Abs => x.map(f32::abs),
        Operator::Ceil => x.map(f32::ceil),
        Operator::Celu => {
            let alpha = alpha(1.0);
            x.map(|x| x.max(0.0) + (alpha * (x / alpha).exp_m1()).min(0.0))
        }
        Operator::Elu => {
            let alpha = alpha(1.0);
            x.map(|x| if x < 0.0 { alpha * x.exp_m1() } else { x })
        }
        Operator::Erf => x.map(erf),
        Operator::Exp => x.map(f32::exp),
        Operator::Floor => x.map(f32::floor),
        Operator::Gelu => x.map(|x| 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))),
        Operator::HardSigmoid => {
            let (alpha, beta) = (alpha(0.2), step.attribute("beta", 0.5));
            x.map(|x| (alpha * x + beta).clamp(0.0, 1.0))
        }
        Operator::HardSwish => x.map(|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        Operator::LeakyRelu => {
            let alpha = alpha(0.01);
            x.map(|x| if x < 0.0 { alpha * x } else { x })
        }
        Operator::Log => x.map(f32::ln),
        Operator::Mish => x.map(|x| x * softplus(x).tanh()),
        Operator::Neg => x.map(|x| -x),
        Operator::Reciprocal => x.map(f32::recip),
        Operator::Relu => x.map(|x| x.max(0.0)),
        Operator::Round => x.map(f32::round_ties_even),
        Operator::Selu => {
            let (alpha, gamma) = (alpha(SELU_ALPHA), step.attribute("gamma", SELU_GAMMA));
            x.map(|x| gamma * if x > 0.0 { x } else { alpha * x.exp_m1() })
        }
        Operator::Sigmoid => x.map(sigmoid),
        Operator::Sign => x.map(|x| if x == 0.0 { 0.0 } else { x.signum() }),
        Operator::Softplus => x.map(softplus),
        Operator::Softsign => x.map(|x| x / (1.0 + x.abs())),
        Operator::Sqrt => x.map(f32::sqrt),
        Operator::Swish => {
            let alpha = alpha(1.0);
            x.map(|x| x * sigmoid(alpha * x))
        }
        Operator::Tanh => x.map(f32::tanh),
        Operator::ThresholdedRelu => {
            let alpha = alpha(1.0);
            x.map(|x| if x > alpha { x } else { 0.0 })
        }
        _ => *x,
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "these sums and products are exact")]

    use super::Bound;
    use crate::program::Program;

    fn run(text: &str, operands: Vec<Vec<f32>>, values: &mut [f32]) {
        let program = Program::parse(text).expect("the program can be read");
        Bound::new(program, operands, 2).expect("operands fit").run(1, values);
    }

    #[test]
    fn instructions_read_earlier_results_and_operands() {
        let mut values = [-2.0, 3.0];
        run("LeakyRelu x alpha=0.5\nMul %0 $0\nAdd %1 x", vec![vec![9.0, 10.0]], &mut values);
        assert_eq!(values, [-12.0, 33.0]);
    }

    #[test]
    fn clip_takes_numbers_and_infinity() {
        let mut values = [-7.0, 7.0];
        run("Clip x -1.5 inf", vec![], &mut values);
        assert_eq!(values, [-1.5, 7.0]);
    }

    #[test]
    fn every_operator_is_read_and_runs() {
        for operator in crate::program::Operator::ALL {
            let line = ["x", "x 2.0"]
                .map(|arguments| format!("{operator:?} {arguments}"))
                .into_iter()
                .find_map(|line| Program::parse(&line).ok());
            let program = line.expect("one or two arguments");
            let mut values = [0.25, 0.75];
            Bound::new(program, vec![], 1).expect("no operands").run(0, &mut values);
            assert!(values.iter().all(|value| value.is_finite()), "{operator:?}");
        }
    }
}
