"""The instruction set: all rows."""

from collections.abc import Mapping
from typing import Any

from condense_compiler.targets.accelerator.isa.convolution import CONVOLVE
from condense_compiler.targets.accelerator.isa.instruction import Instruction, Start
from condense_compiler.targets.accelerator.isa.maps import MAPS
from condense_compiler.targets.accelerator.isa.transfers import TRANSFERS

INSTRUCTIONS: tuple[Instruction[Any], ...] = (*TRANSFERS, CONVOLVE, *MAPS)
END_OPCODE = 0xFF  # what ends a program: a word of which all else is zero

BY_OPCODE: Mapping[int, Instruction[Any]] = {each.opcode: each for each in INSTRUCTIONS}
BY_NAME: Mapping[str, Instruction[Any]] = {each.name: each for each in INSTRUCTIONS}
_BY_RECORD = {each.record: each for each in INSTRUCTIONS}


def instruction_of(start: Start) -> Instruction[Any]:
    """Return the row of the table that a record belongs to."""
    return _BY_RECORD[type(start)]
