"""A binary as what its units do: every instruction, checked before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from condense_compiler.errors import InputError
from condense_compiler.targets.accelerator.isa.areas import Access, Area
from condense_compiler.targets.accelerator.isa.binary import Binary
from condense_compiler.targets.accelerator.isa.instruction import Instruction, Start
from condense_compiler.targets.accelerator.isa.ports import PortRecord
from condense_compiler.targets.accelerator.isa.records import Queue
from condense_compiler.targets.accelerator.isa.table import instruction_of
from condense_compiler.targets.accelerator.machine import Machine


@dataclass(frozen=True, slots=True)
class Issue:
    """An instruction in its queue.

    Attributes:
        start: Its fields.
        number: Position in its queue.
        instruction: Its row of the table.
        access: What it reads and writes.
    """

    start: Start
    number: int
    instruction: Instruction[Any]
    access: Access

    @property
    def queue(self) -> Queue:
        """The queue that it stands in."""
        return self.instruction.queue

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations."""
        return self.instruction.macs(self.start)


def memory_sizes(binary: Binary) -> dict[str, int]:
    """Return the bytes of each memory."""
    return {
        "chip": binary.chip_bytes,
        "dram": binary.dram_bytes,
        "weights": binary.machine.weight_buffer_bytes,
        "section": len(binary.weights),
    }


def decode_program(binary: Binary) -> list[Issue]:
    """Return the instructions of a binary.

    Raises:
        InputError: An instruction asks for what cannot be: bytes outside a memory, windows that
            do not fit, or a barrier that would wait for ever.
    """
    sizes = memory_sizes(binary)
    for port in binary.ports:
        port_area(port).check(sizes["dram"])
    issues: list[Issue] = []
    counts = [0, 0, 0]
    for index, start in enumerate(binary.program):
        instruction = instruction_of(start)
        try:
            access = _check(start, counts, binary.machine, sizes)
        except InputError as error:
            raise InputError(f"instruction {index}, {instruction.name}: {error}") from None
        issues.append(Issue(start, counts[instruction.queue], instruction, access))
        counts[instruction.queue] += 1
    return issues


def _check(
    start: Start, counts: Sequence[int], machine: Machine, sizes: Mapping[str, int]
) -> Access:
    """Return what an instruction touches, after so many of each queue."""
    instruction = instruction_of(start)
    instruction.check(start, machine)
    for wait, count in zip(start.waits.by_queue(), counts, strict=True):
        if wait > count:
            raise InputError(f"waits for {wait} instructions where {count} were given")
    access = instruction.access(start)
    for area in (*access.reads.values(), *access.writes.values()):
        area.check(sizes[area.memory])
    return access


def port_area(port: PortRecord) -> Area:
    """Return the bytes of an input or output."""
    channels, height, width = port.pixels
    return Area("dram", port.address, port.pitch, height, channels * width)
