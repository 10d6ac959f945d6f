"""A binary as what its units do: every start with its registers, checked before anything runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from condense_compiler.errors import InputError
from condense_compiler.targets.accelerator.isa.binary import Binary
from condense_compiler.targets.accelerator.isa.instructions import Instruction, signed
from condense_compiler.targets.accelerator.isa.ports import PortRecord
from condense_compiler.targets.accelerator.isa.registers import (
    QUEUES,
    REGISTERS,
    Opcode,
    Queue,
)
from condense_compiler.targets.accelerator.simulator.access import Access, Area, access_of

_WAITS = ("wait_loads", "wait_computes", "wait_stores")


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a unit.

    Attributes:
        opcode: The unit.
        number: Position in its queue.
        registers: What the registers hold.
        waits: How many of each queue must have finished, in the order of `Queue`.
        access: What it reads and writes.
    """

    opcode: Opcode
    number: int
    registers: dict[str, int]
    waits: tuple[int, int, int]
    access: Access

    @property
    def queue(self) -> Queue:
        """The queue that it stands in."""
        return QUEUES[self.opcode]


def decode_program(binary: Binary) -> list[Start]:
    """Return the starts of a binary.

    Raises:
        InputError: An instruction asks for what cannot be: bytes outside a memory, windows that
            do not fit, or a barrier that would wait for ever.
    """
    if not binary.instructions or binary.instructions[-1].opcode is not Opcode.END:
        raise InputError("binary: the program does not end with END")
    for port in binary.ports:
        _check_port(port, binary)
    starts: list[Start] = []
    registers = dict.fromkeys(REGISTERS, 0)
    counts = [0, 0, 0]
    for index, instruction in enumerate(binary.instructions[:-1]):
        if instruction.opcode is Opcode.SET:
            name = REGISTERS[instruction.register]
            registers[name] = signed(name, instruction.value)
            continue
        try:
            starts.append(_start(instruction, registers, counts, binary))
        except InputError as error:
            raise InputError(f"instruction {index}, {instruction.opcode.name}: {error}") from None
    return starts


def _start(
    instruction: Instruction, registers: dict[str, int], counts: list[int], binary: Binary
) -> Start:
    opcode = instruction.opcode
    if opcode is Opcode.END:
        raise InputError("more instructions behind it")
    waits = tuple(registers[name] for name in _WAITS)
    queue = QUEUES[opcode]
    for wait, count in zip(waits, counts, strict=True):
        if wait > count:
            raise InputError(f"waits for {wait} instructions where {count} were given")
    start = Start(
        opcode,
        counts[queue],
        dict(registers),
        (waits[0], waits[1], waits[2]),
        access_of(opcode, registers, binary),
    )
    counts[queue] += 1
    return start


def _check_port(port: PortRecord, binary: Binary) -> None:
    channels, height, width = port.pixels
    area = Area("dram", port.address, port.pitch, height, channels * width)
    area.check(binary.dram_bytes)


def loads_and_stores(starts: Sequence[Start]) -> list[Start]:
    """Return the starts that move bytes to or from DRAM."""
    return [start for start in starts if start.queue is not Queue.COMPUTE]
