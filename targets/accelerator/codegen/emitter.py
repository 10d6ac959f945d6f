"""Writes instructions, with the barriers that they need."""

from dataclasses import dataclass, field, replace

from condense_compiler.errors import InputError, UnsupportedError
from condense_compiler.targets.accelerator.codegen.hazards import Hazards
from condense_compiler.targets.accelerator.isa.areas import Area, one_row
from condense_compiler.targets.accelerator.isa.instruction import Start
from condense_compiler.targets.accelerator.isa.records import Queue, Waits
from condense_compiler.targets.accelerator.isa.table import instruction_of
from condense_compiler.targets.accelerator.isa.transfers import Load, LoadWeights, Store, Transfer


@dataclass(slots=True)
class Emitter:
    """Instructions so far.

    Attributes:
        burst_bytes: Alignment of what is put in the weight section.
        starts: The instructions.
        names: Name of what each of them belongs to.
        weights: What the weight section holds so far.
        _passed: For each queue, how many of each queue its instructions have waited for.
    """

    burst_bytes: int
    starts: list[Start] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    weights: bytearray = field(default_factory=bytearray)
    _hazards: Hazards = field(default_factory=Hazards)
    _passed: dict[Queue, dict[Queue, int]] = field(
        default_factory=lambda: {queue: dict.fromkeys(Queue, 0) for queue in Queue}
    )

    def start(self, start: Start, name: str) -> None:
        """Append an instruction, which waits for all whose bytes it touches.

        Raises:
            UnsupportedError: A field does not take its value.
        """
        instruction = instruction_of(start)
        passed, access = self._passed[instruction.queue], instruction.access(start)
        # Nothing writes the weight section, so nothing waits for those who read it.
        reads = [area for area in access.reads.values() if area.memory != "section"]
        waits = self._hazards.waits(instruction.queue, reads, access.writes.values())
        for queue, count in waits.items():
            passed[queue] = max(passed[queue], count)
        loads, computes, stores = (passed[queue] for queue in Queue)
        start = replace(start, waits=Waits(loads=loads, computes=computes, stores=stores))
        try:
            instruction.layout.pack(start)
        except InputError as error:
            raise UnsupportedError(f"{name}: {instruction.name} with {error}") from None
        self.starts.append(start)
        self.names.append(name)

    def load(self, source: Area, destination: Area, name: str) -> None:
        """Copy rows from DRAM to the chip."""
        self.start(_transfer(Load, source, destination), name)

    def store(self, source: Area, destination: Area, name: str) -> None:
        """Copy rows from the chip to DRAM."""
        self.start(_transfer(Store, destination, source), name)

    def add_weights(self, content: bytes) -> int:
        """Put bytes in the weight section; return their address."""
        address = len(self.weights)
        self.weights += content
        self.weights += bytes(-len(self.weights) % self.burst_bytes)
        return address

    def load_weights(self, address: int, chip_address: int, size: int, name: str) -> None:
        """Copy bytes from the weight section to the weight buffer."""
        source, place = one_row("section", address, size), one_row("weights", chip_address, size)
        self.start(_transfer(LoadWeights, source, place), name)


def _transfer(record: type[Transfer], external: Area, chip: Area) -> Transfer:
    if external.rows > 1 and external.pitch == external.row_bytes == chip.pitch:  # one long row
        external = one_row(external.memory, external.address, external.size_bytes)
        chip = one_row(chip.memory, chip.address, chip.size_bytes)
    return record(
        external_address=external.address,
        external_pitch=external.pitch,
        chip_address=chip.address,
        chip_pitch=chip.pitch,
        rows=external.rows,
        row_bytes=external.row_bytes,
    )
