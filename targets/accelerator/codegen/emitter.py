"""Writes instructions: only registers that change are set, and barriers are found."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from condense_compiler.targets.accelerator.codegen.hazards import Hazards, Span
from condense_compiler.targets.accelerator.isa.instructions import Instruction
from condense_compiler.targets.accelerator.isa.registers import NUMBERS, QUEUES, Opcode, Queue

_WAIT_REGISTERS = {
    Queue.LOAD: "wait_loads",
    Queue.COMPUTE: "wait_computes",
    Queue.STORE: "wait_stores",
}
_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Rows of bytes in a memory.

    Attributes:
        address: First byte.
        pitch: Bytes from one row to the next.
        rows: Number of rows.
        row_bytes: Bytes of a row.
    """

    address: int
    pitch: int
    rows: int
    row_bytes: int

    def span(self, memory: str) -> Span:
        """Return the bytes from the first to the last."""
        return Span(
            memory, self.address, self.address + (self.rows - 1) * self.pitch + self.row_bytes
        )


@dataclass(slots=True)
class Emitter:
    """Instructions so far.

    Attributes:
        instructions: The instructions.
        starts: Name of what each instruction that starts a unit belongs to, in order.
        weights: What the weight section holds so far.
        burst_bytes: Alignment of what is put there.
        _passed: For each queue, how many of each queue its instructions have waited for.
    """

    burst_bytes: int
    instructions: list[Instruction] = field(default_factory=list)
    starts: list[str] = field(default_factory=list)
    weights: bytearray = field(default_factory=bytearray)
    _registers: dict[str, int] = field(default_factory=dict)
    _hazards: Hazards = field(default_factory=Hazards)
    _passed: dict[Queue, dict[Queue, int]] = field(
        default_factory=lambda: {queue: dict.fromkeys(Queue, 0) for queue in Queue}
    )

    def start(
        self,
        opcode: Opcode,
        registers: Mapping[str, int],
        reads: Iterable[Span],
        writes: Iterable[Span],
        name: str,
    ) -> None:
        """Start a unit."""
        passed = self._passed[QUEUES[opcode]]
        for queue, count in self._hazards.waits(QUEUES[opcode], reads, writes).items():
            passed[queue] = max(passed[queue], count)
            # What another queue waits for is put back: this one would wait for it, too.
            self._set(_WAIT_REGISTERS[queue], passed[queue])
        for register, value in registers.items():
            self._set(register, value)
        self.instructions.append(Instruction(opcode))
        self.starts.append(name)

    def _set(self, register: str, value: int) -> None:
        if self._registers.get(register, 0) != value:
            self._registers[register] = value
            self.instructions.append(Instruction(Opcode.SET, NUMBERS[register], value & _MASK))

    def load(self, source: Rectangle, destination: Rectangle, name: str) -> None:
        """Copy rows from DRAM to the chip."""
        spans = [source.span("dram")], [destination.span("chip")]
        self.start(Opcode.LOAD, _transfer(source, destination), *spans, name)

    def store(self, source: Rectangle, destination: Rectangle, name: str) -> None:
        """Copy rows from the chip to DRAM."""
        spans = [source.span("chip")], [destination.span("dram")]
        self.start(Opcode.STORE, _transfer(destination, source), *spans, name)

    def add_weights(self, content: bytes) -> int:
        """Put bytes in the weight section; return their address."""
        address = len(self.weights)
        self.weights += content
        self.weights += bytes(-len(self.weights) % self.burst_bytes)
        return address

    def load_weights(self, address: int, chip_address: int, size: int, name: str) -> None:
        """Copy bytes from the weight section to the weight buffer."""
        rows = Rectangle(address, size, 1, size)
        place = Rectangle(chip_address, size, 1, size)
        self.start(Opcode.LOAD_WEIGHTS, _transfer(rows, place), [], [place.span("weights")], name)


def _transfer(dram: Rectangle, chip: Rectangle) -> dict[str, int]:
    if dram.rows > 1 and dram.pitch == dram.row_bytes == chip.pitch:  # one long row
        size = dram.rows * dram.row_bytes
        dram, chip = Rectangle(dram.address, size, 1, size), Rectangle(chip.address, size, 1, size)
    return {
        "dma_dram_address": dram.address,
        "dma_chip_address": chip.address,
        "dma_rows": dram.rows,
        "dma_row_bytes": dram.row_bytes,
        "dma_dram_pitch": dram.pitch,
        "dma_chip_pitch": chip.pitch,
    }
