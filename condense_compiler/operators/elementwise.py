"""Element-wise programs: what a fused operator computes at each element, as short text.

A program is a list of instructions, each an ONNX operator applied to earlier values:

    LeakyRelu x alpha=0.1
    Mul x $0            $0: the first operand, one value for each channel
    Add %0 0.5          %0: the result of the first instruction

`x` is the program's input; the last instruction's result is its output. A program without
instructions returns its input.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from condense_compiler.errors import InputError

Attributes = Mapping[str, float]
Array = npt.NDArray[np.floating]

INPUT = "x"


def _always(_attributes: Attributes) -> bool:
    return True


def _never(_attributes: Attributes) -> bool:
    return False


def _not_negative(name: str, default: float) -> Callable[[Attributes], bool]:
    return lambda attributes: attributes.get(name, default) >= 0


# Operators of one tensor, and whether they never decrease, given their attributes. Log and Sqrt
# are not among those: a negative member, which has neither, must not be passed over.
UNARY: Mapping[str, Callable[[Attributes], bool]] = {
    "Abs": _never,
    "Ceil": _always,
    "Celu": lambda attributes: attributes.get("alpha", 1.0) > 0,
    "Elu": _not_negative("alpha", 1.0),
    "Erf": _always,
    "Exp": _always,
    "Floor": _always,
    "Gelu": _never,
    "HardSigmoid": _not_negative("alpha", 0.2),
    "HardSwish": _never,
    "LeakyRelu": _not_negative("alpha", 0.01),
    "Log": _never,
    "Mish": _never,
    "Neg": _never,
    "Reciprocal": _never,
    "Relu": _always,
    "Round": _always,
    "Selu": lambda attributes: all(attributes.get(name, 1.0) >= 0 for name in ("alpha", "gamma")),
    "Sigmoid": _always,
    "Sign": _always,
    "Softplus": _always,
    "Softsign": _always,
    "Sqrt": _never,
    "Swish": _never,
    "Tanh": _always,
    "ThresholdedRelu": _not_negative("alpha", 1.0),
}

# Operators of a tensor and constants: position of the tensor -> whether the constants that stand
# in the other positions make it non-decreasing.
Constants = Sequence[Array]
WITH_CONSTANTS: Mapping[str, Mapping[int, Callable[[Constants], bool]]] = {
    "Add": {0: lambda _: True, 1: lambda _: True},
    "Clip": {0: lambda _: True},
    "Div": {0: lambda others: bool(np.all(others[0] > 0)), 1: lambda _: False},
    "Max": {0: lambda _: True, 1: lambda _: True},
    "Min": {0: lambda _: True, 1: lambda _: True},
    "Mul": dict.fromkeys((0, 1), lambda others: bool(np.all(others[0] >= 0))),
    "PRelu": {0: lambda others: bool(np.all(others[0] >= 0))},
    "Pow": {0: lambda _: False, 1: lambda _: False},
    "Sub": {0: lambda _: True, 1: lambda _: False},
}

# Attributes that a program can hold, by operator: numbers all of them.
ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "Celu": frozenset({"alpha"}),
    "Clip": frozenset({"min", "max"}),
    "Elu": frozenset({"alpha"}),
    "HardSigmoid": frozenset({"alpha", "beta"}),
    "LeakyRelu": frozenset({"alpha"}),
    "Selu": frozenset({"alpha", "gamma"}),
    "Swish": frozenset({"alpha"}),
    "ThresholdedRelu": frozenset({"alpha"}),
}

OPERATORS = frozenset(UNARY) | frozenset(WITH_CONSTANTS)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One operator of a program.

    Attributes:
        op: ONNX operator type.
        arguments: Each `x`, `%i` (result of instruction i), `$i` (operand i) or a literal number.
        attributes: ONNX attributes, all numbers, in order of name.
    """

    op: str
    arguments: tuple[str, ...]
    attributes: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        """Return the text form, which `parse` reads back."""
        settings = (f"{name}={value!r}" for name, value in self.attributes)
        return " ".join((self.op, *self.arguments, *settings))


@dataclass(frozen=True, slots=True)
class Program:
    """Instructions in the order in which they run."""

    instructions: tuple[Instruction, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.instructions)

    def lines(self) -> list[str]:
        """Return the text form, one line for each instruction."""
        return [str(instruction) for instruction in self.instructions]

    def operand_count(self) -> int:
        """Return how many operands the program reads."""
        return len({argument for argument in self._arguments() if argument.startswith("$")})

    def followed_by(self, other: "Program") -> "Program":
        """Return the program that applies `other` to this one's result.

        The operands of `other` follow those of this program.
        """
        if not self or not other:
            return self or other
        renamed = {INPUT: f"%{len(self.instructions) - 1}"}
        first_result, first_operand = len(self.instructions), self.operand_count()
        shifts = {"%": first_result, "$": first_operand}

        def rename(argument: str) -> str:
            if argument[0] in shifts:
                return f"{argument[0]}{int(argument[1:]) + shifts[argument[0]]}"
            return renamed.get(argument, argument)

        moved = (
            Instruction(step.op, tuple(map(rename, step.arguments)), step.attributes)
            for step in other.instructions
        )
        return Program((*self.instructions, *moved))

    def _arguments(self) -> Iterable[str]:
        return (argument for step in self.instructions for argument in step.arguments)

    def is_non_decreasing(self, operands: Sequence[Array]) -> bool:
        """Tell whether a larger input never gives a smaller output, in every channel.

        The program must be a chain: each instruction applied to the result before it. Anything
        else gets the safe answer.
        """
        previous = INPUT
        for index, instruction in enumerate(self.instructions):
            if not _keeps_order(instruction, previous, operands):
                return False
            previous = f"%{index}"
        return True


def _keeps_order(instruction: Instruction, previous: str, operands: Sequence[Array]) -> bool:
    if instruction.op in UNARY:
        attributes = dict(instruction.attributes)
        return instruction.arguments == (previous,) and UNARY[instruction.op](attributes)
    positions = [i for i, name in enumerate(instruction.arguments) if name == previous]
    others = [name for name in instruction.arguments if name != previous]
    if len(positions) != 1 or any(name == INPUT or name.startswith("%") for name in others):
        return False
    rule = WITH_CONSTANTS[instruction.op].get(positions[0])
    return rule is not None and rule([constant(name, operands) for name in others])


def constant(argument: str, operands: Sequence[Array]) -> Array:
    """Return the value of an argument that is an operand or a literal."""
    if argument.startswith("$"):
        return operands[int(argument[1:])]
    return np.float64(argument)  # type: ignore[return-value]  # a scalar serves as an array


_ARGUMENT = re.compile(r"x|%\d+|\$\d+|[-+]?(\d+\.?\d*([eE][-+]?\d+)?|inf|nan)")


def parse(lines: Iterable[str]) -> Program:
    """Read the text form of a program.

    Raises:
        InputError: A line does not follow the form above.
    """
    return Program(tuple(_parse_line(index, line) for index, line in enumerate(lines)))


def _parse_line(index: int, line: str) -> Instruction:
    op, *words = line.split()
    settings = [word.partition("=") for word in words if "=" in word]
    arguments = tuple(word for word in words if "=" not in word)
    known = op in OPERATORS and all(_ARGUMENT.fullmatch(word) for word in arguments)
    if not known or any(word.startswith("%") and int(word[1:]) >= index for word in arguments):
        raise InputError(f"element-wise program, line {index}: cannot read {line!r}")
    return Instruction(op, arguments, tuple((name, float(value)) for name, _, value in settings))
