//! Element-wise programs in their text form.
//!
//! One instruction a line: an ONNX operator, its arguments (`x`, `%i` for the result of
//! instruction i, `$i` for operand i, or a number), then its attributes as `name=value`.

use crate::Error;

/// Where an argument comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Argument {
    /// The program's input.
    Input,
    /// The result of an earlier instruction.
    Result(usize),
    /// An operand: one value for each channel, or one for all.
    Operand(usize),
    /// A number in the text.
    Literal(f32),
}

/// One operator with its arguments and attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Instruction {
    /// ONNX operator type.
    pub operator: Operator,
    /// Arguments in order.
    pub arguments: Vec<Argument>,
    /// Attributes by name.
    attributes: Vec<(String, f32)>,
}

impl Instruction {
    /// Returns an attribute, or the value that it has where it is not given.
    pub fn attribute(&self, name: &str, default: f32) -> f32 {
        let given = self.attributes.iter().find(|(known, _)| known == name);
        given.map_or(default, |(_, value)| *value)
    }
}

/// Instructions in the order in which they run; none at all means the identity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// The instructions.
    pub instructions: Vec<Instruction>,
}

impl Program {
    /// Reads the text form.
    ///
    /// # Errors
    /// A line cannot be read.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let instructions = lines
            .enumerate()
            .map(|(index, line)| {
                parse_line(index, line).ok_or_else(|| {
                    Error::new(format!("element-wise program, line {index}: cannot read {line:?}"))
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { instructions })
    }

    /// Tells whether the program returns its input.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }

    /// Returns how many operands the program reads.
    #[must_use]
    pub fn operand_count(&self) -> usize {
        let arguments = self.instructions.iter().flat_map(|step| &step.arguments);
        let last = arguments.filter_map(|argument| match argument {
            Argument::Operand(index) => Some(index + 1),
            _ => None,
        });
        last.max().unwrap_or(0)
    }
}

fn parse_line(index: usize, line: &str) -> Option<Instruction> {
    let mut words = line.split_whitespace();
    let operator = Operator::parse(words.next()?)?;
    let mut arguments = Vec::new();
    let mut attributes = Vec::new();
    for word in words {
        if let Some((name, value)) = word.split_once('=') {
            attributes.push((name.to_owned(), value.parse().ok()?));
        } else {
            arguments.push(parse_argument(index, word)?);
        }
    }
    operator.takes(arguments.len()).then_some(Instruction { operator, arguments, attributes })
}

fn parse_argument(index: usize, word: &str) -> Option<Argument> {
    if word == "x" {
        return Some(Argument::Input);
    }
    if let Some(number) = word.strip_prefix('%') {
        let result = number.parse().ok()?;
        return (result < index).then_some(Argument::Result(result));
    }
    if let Some(number) = word.strip_prefix('$') {
        return Some(Argument::Operand(number.parse().ok()?));
    }
    word.parse().ok().map(Argument::Literal)
}

macro_rules! operators {
    ($($name:ident),* $(,)?) => {
        /// The ONNX operators that a program may use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Operator { $($name),* }

        impl Operator {
            /// All operators.
            #[cfg(test)]
            pub const ALL: &[Self] = &[$(Self::$name),*];

            fn parse(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

operators!(
    Abs,
    Add,
    Ceil,
    Celu,
    Clip,
    Div,
    Elu,
    Erf,
    Exp,
    Floor,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Log,
    Max,
    Min,
    Mish,
    Mul,
    Neg,
    PRelu,
    Pow,
    Reciprocal,
    Relu,
    Round,
    Selu,
    Sigmoid,
    Sign,
    Softplus,
    Softsign,
    Sqrt,
    Sub,
    Swish,
    Tanh,
    ThresholdedRelu,
);

impl Operator {
    fn takes(self, arguments: usize) -> bool {
        match self {
            Self::Add | Self::Div | Self::Mul | Self::PRelu | Self::Pow | Self::Sub => {
                arguments == 2
            }
            Self::Clip => (1..=3).contains(&arguments),
            Self::Max | Self::Min => arguments >= 1,
            _ => arguments == 1,
        }
    }
}
