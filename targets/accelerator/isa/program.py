"""Programs as bytes and as text, by the table alone.

Each instruction is one word of whole groups of 64 bits, little-endian: its opcode in the lowest 8
bits, its fields above. As text it is its name, and `field=value` for all fields that do not hold
their default.
"""

from collections.abc import Iterable, Iterator

from condense_compiler.errors import InputError
from condense_compiler.targets.accelerator.isa.instruction import OPCODE_BITS, WORD_BITS, Start
from condense_compiler.targets.accelerator.isa.table import (
    BY_NAME,
    BY_OPCODE,
    END_OPCODE,
    instruction_of,
)

_WORD_BYTES = WORD_BITS // 8
_END = END_OPCODE.to_bytes(_WORD_BYTES, "little")


def encode(starts: Iterable[Start]) -> bytes:
    """Return a program as bytes.

    Raises:
        InputError: A field does not take its value.
    """
    return b"".join(map(_encode_one, starts)) + _END


def _encode_one(start: Start) -> bytes:
    instruction = instruction_of(start)
    word = instruction.layout.pack(start) | instruction.opcode
    return word.to_bytes(instruction.size_bytes, "little")


def decode(content: bytes) -> Iterator[Start]:
    """Yield the instructions of a program.

    Raises:
        InputError: It is none.
    """
    offset = 0
    body = content.removesuffix(_END)
    if body == content:
        raise InputError("binary: the program does not end with END")
    while offset < len(body):
        instruction = BY_OPCODE.get(body[offset])
        if instruction is None:
            raise InputError(f"byte {offset} of the program: unknown opcode {body[offset]:#04x}")
        end = offset + instruction.size_bytes
        word = int.from_bytes(body[offset:end], "little")
        if end > len(body) or word >> (OPCODE_BITS + instruction.layout.bits):
            raise InputError(f"byte {offset} of the program: {instruction.name} is damaged")
        try:
            yield instruction.layout.unpack(word)
        except InputError as error:
            raise InputError(f"byte {offset} of the program: {instruction.name}: {error}") from None
        offset = end


def to_text(starts: Iterable[Start]) -> Iterator[str]:
    """Return one line for each instruction."""
    for start in starts:
        instruction = instruction_of(start)
        yield f"{instruction.name} {instruction.layout.to_text(start)}"


def from_text(lines: Iterable[str], first: int = 1) -> Iterator[Start]:
    """Read the text form back.

    Args:
        lines: The lines.
        first: Number of the first one in messages.

    Raises:
        InputError: A line is not an instruction.
    """
    for number, line in enumerate(lines, first):
        name, *words = line.split() or [""]
        if name not in BY_NAME:
            raise InputError(f"line {number}: cannot read {line[:80]!r}")
        try:
            yield BY_NAME[name].layout.from_text(words)
        except InputError as error:
            raise InputError(f"line {number}: {name}: {error}") from None
