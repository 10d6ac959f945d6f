"""Instructions as records, as bytes, and as text."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from condense_compiler.errors import InputError
from condense_compiler.targets.accelerator.isa.registers import NUMBERS, REGISTERS, SIGNED, Opcode

# opcode: 8 bits, register: 8 bits, zero: 16 bits, value: 32 bits, little-endian.
_LAYOUT = struct.Struct("<BBHI")
INSTRUCTION_BYTES = _LAYOUT.size
_BITS, _FLOAT = struct.Struct("<I"), struct.Struct("<f")
_VALUES = 1 << 32
_OPCODES = {int(opcode): opcode for opcode in Opcode}


def bits_of_number(number: float) -> int:
    """Return the bits of a number in 32-bit floating point."""
    (bits,) = _BITS.unpack(_FLOAT.pack(number))
    return int(bits)


def number_of_bits(bits: int) -> float:
    """Return the number in 32-bit floating point that a register holds the bits of."""
    (number,) = _FLOAT.unpack(_BITS.pack(bits))
    return float(number)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction.

    Attributes:
        opcode: What to do.
        register: What `SET` writes.
        value: What `SET` writes there, 32 bits without sign.
    """

    opcode: Opcode
    register: int = 0
    value: int = 0


def encode(instructions: Iterable[Instruction]) -> bytes:
    """Return instructions as bytes."""
    return b"".join(_LAYOUT.pack(i.opcode, i.register, 0, i.value) for i in instructions)


def decode(content: bytes) -> list[Instruction]:
    """Read instructions back.

    Raises:
        InputError: They are not instructions.
    """
    if len(content) % INSTRUCTION_BYTES:
        raise InputError("the instructions end within an instruction")
    return (
        list(map(_decode_one, *zip(*enumerate(_LAYOUT.iter_unpack(content)), strict=True)))
        if (content)
        else []
    )


def _decode_one(index: int, fields: tuple[int, int, int, int]) -> Instruction:
    number, register, zero, value = fields
    opcode = _OPCODES.get(number)
    if opcode is None:
        raise InputError(f"instruction {index}: unknown opcode {number:#04x}")
    unused = zero or (opcode is not Opcode.SET and (register or value))
    if unused or register >= len(REGISTERS):
        raise InputError(f"instruction {index}: {opcode.name} with bits that must be zero")
    return Instruction(opcode, register, value)


def to_text(instructions: Iterable[Instruction]) -> Iterator[str]:
    """Return one line for each instruction: `set REGISTER VALUE`, or the name of a unit."""
    for instruction in instructions:
        if instruction.opcode is Opcode.SET:
            name = REGISTERS[instruction.register]
            yield f"set {name} {signed(name, instruction.value)}"
        else:
            yield instruction.opcode.name.lower()


def from_text(lines: Iterable[str], first: int = 1) -> list[Instruction]:
    """Read the text form back.

    Raises:
        InputError: A line is not an instruction.
    """
    return [_parse(number, line) for number, line in enumerate(lines, first)]


def _parse(number: int, line: str) -> Instruction:
    words = line.split()
    names = {opcode.name.lower(): opcode for opcode in Opcode}
    if len(words) == 1 and words[0] in names and words[0] != "set":
        return Instruction(names[words[0]])
    if len(words) != 3 or words[0] != "set" or words[1] not in NUMBERS:
        raise InputError(f"line {number}: cannot read {line!r}")
    try:
        value = int(words[2])
    except ValueError:
        raise InputError(f"line {number}: {words[2]!r} is not a number") from None
    low, high = (-_VALUES // 2, _VALUES // 2) if words[1] in SIGNED else (0, _VALUES)
    if not low <= value < high:
        raise InputError(f"line {number}: {value} does not fit 32 bits")
    return Instruction(Opcode.SET, NUMBERS[words[1]], value % _VALUES)


def signed(register: str, value: int) -> int:
    """Return a register's value with its sign."""
    return value - _VALUES if register in SIGNED and value >= _VALUES // 2 else value
