"""Instructions that move rows of bytes between external memory and chip."""

from dataclasses import dataclass
from typing import Annotated

from condense_compiler.targets.accelerator.isa.areas import Area, MemoryName
from condense_compiler.targets.accelerator.isa.instruction import Instruction, Start
from condense_compiler.targets.accelerator.isa.kinds import Whole
from condense_compiler.targets.accelerator.isa.records import Address, Queue, Size
from condense_compiler.targets.accelerator.machine import Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Start):
    """Rows of bytes from one memory to another."""

    external_address: Annotated[Address, "first byte outside the chip"]
    external_pitch: Annotated[Address, "bytes from one row to the next outside"]
    chip_address: Annotated[Address, "first byte on the chip"]
    chip_pitch: Annotated[Address, "bytes from one row to the next on the chip"]
    rows: Annotated[Size, "rows"]
    row_bytes: Annotated[int, Whole(32, least=1), "bytes of a row"]

    def external(self, memory: MemoryName) -> Area:
        """Return the bytes outside the chip."""
        return Area(memory, self.external_address, self.external_pitch, self.rows, self.row_bytes)

    def near(self, memory: MemoryName) -> Area:
        """Return the bytes on the chip."""
        return Area(memory, self.chip_address, self.chip_pitch, self.rows, self.row_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load(Transfer):
    """Rows of maps from DRAM to the chip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadWeights(Transfer):
    """Bytes of the weight section to the weight buffer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store(Transfer):
    """Rows of maps from the chip to DRAM."""


def _transfer_cycles(start: Transfer, machine: Machine) -> int:
    moved = start.external("dram").bursts(machine.burst_bytes) * machine.burst_bytes
    return -(-moved // machine.dram_bytes_per_cycle)


LOAD = Instruction(
    "load",
    0x10,
    Load,
    Queue.LOAD,
    reads={"source": lambda s: s.external("dram")},
    writes={"destination": lambda s: s.near("chip")},
    cycles=_transfer_cycles,
    traffic="feature maps read",
)
LOAD_WEIGHTS = Instruction(
    "load_weights",
    0x11,
    LoadWeights,
    Queue.LOAD,
    reads={"source": lambda s: s.external("section")},
    writes={"destination": lambda s: s.near("weights")},
    cycles=_transfer_cycles,
    traffic="weights",
)
STORE = Instruction(
    "store",
    0x12,
    Store,
    Queue.STORE,
    reads={"source": lambda s: s.near("chip")},
    writes={"destination": lambda s: s.external("dram")},
    cycles=_transfer_cycles,
    traffic="feature maps written",
)

TRANSFERS = (LOAD, LOAD_WEIGHTS, STORE)
