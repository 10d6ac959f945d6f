"""Run an element-wise program in place, block by block."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from condense_compiler.operators.elementwise import INPUT, Program
from condense_compiler.targets.reference.blocks import BLOCK_ELEMENTS, blocks
from condense_compiler.targets.reference.functions import FUNCTIONS, temporaries
from condense_compiler.targets.reference.kernel import Array

# Names that attributes of old operators have as arguments of functions.
_NAMES = {"min": "low", "max": "high"}


@dataclass(frozen=True, slots=True)
class BoundProgram:
    """A program and its operands.

    Attributes:
        program: The instructions.
        operands: One for each `$i`: (channels, 1) or (1, 1).
    """

    program: Program
    operands: Sequence[Array]

    def select(self, channels: Array) -> "BoundProgram":
        """Return the program for some of the channels, in the order given."""
        return BoundProgram(
            self.program,
            [operand[channels] if len(operand) > 1 else operand for operand in self.operands],
        )

    def run(self, values: Array) -> None:
        """Replace `values`, (channels, pixels), by the program's output."""
        if not self.program:
            return
        for channels, pixels in blocks(values.shape):
            operands = [o[channels] if len(o) > 1 else o for o in self.operands]
            block = values[channels, pixels]
            run_block(self.program, block, block, operands, block.dtype)

    def scratch_bytes(self, itemsize: int) -> int:
        """Return the size of the temporaries of a run."""
        return BLOCK_ELEMENTS * itemsize * scratch_arrays(self.program)


def run_block(
    program: Program,
    block: Array,
    target: Array,
    operands: Sequence[Array],
    stored: np.dtype[Any],
) -> None:
    """Apply a program to one block.

    Args:
        program: The instructions, one at least.
        block: What they are applied to.
        target: Gets the result; may be the block.
        operands: One for each `$i`, of a shape that broadcasts to the block's.
        stored: Element type to which each result between is rounded.
    """
    results: list[Array] = []
    last = len(program.instructions) - 1
    for index, instruction in enumerate(program.instructions):
        arguments = [_value(a, block, results, operands) for a in instruction.arguments]
        out = target if index == last else np.empty_like(block)
        attributes = {_NAMES.get(name, name): value for name, value in instruction.attributes}
        FUNCTIONS[instruction.op](out, *arguments, **attributes)
        if index < last and stored != block.dtype:
            out = out.astype(stored).astype(block.dtype)
        results.append(out)


def scratch_arrays(program: Program) -> int:
    """Return how many arrays of the size of a block are held at one time, at most."""
    instructions = program.instructions
    most = max((temporaries(instruction.op) for instruction in instructions), default=0)
    return len(instructions) - 1 + most if instructions else 0


def bind(program: Program, operands: Sequence[Array], dtype: np.dtype[Any]) -> BoundProgram:
    """Give a program its operands, each with one value for each channel."""
    return BoundProgram(program, [o.reshape(prod(o.shape), 1).astype(dtype) for o in operands])


def _value(argument: str, block: Array, results: Sequence[Array], operands: Sequence[Array]) -> Any:
    if argument == INPUT:
        return block
    if argument.startswith("%"):
        return results[int(argument[1:])]
    if argument.startswith("$"):
        return operands[int(argument[1:])]
    return float(argument)
