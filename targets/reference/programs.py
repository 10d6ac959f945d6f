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
            self._run_block(values[channels, pixels], operands)

    def _run_block(self, block: Array, operands: Sequence[Array]) -> None:
        results: list[Array] = []
        last = len(self.program.instructions) - 1
        for index, instruction in enumerate(self.program.instructions):
            arguments = [_value(a, block, results, operands) for a in instruction.arguments]
            out = block if index == last else np.empty_like(block)
            FUNCTIONS[instruction.op](out, *arguments, **dict(instruction.attributes))
            results.append(out)

    def scratch_bytes(self, itemsize: int) -> int:
        """Return the size of the temporaries of a run."""
        instructions = self.program.instructions
        if not instructions:
            return 0
        most = max(temporaries(instruction.op) for instruction in instructions)
        return BLOCK_ELEMENTS * itemsize * (len(instructions) - 1 + most)


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
