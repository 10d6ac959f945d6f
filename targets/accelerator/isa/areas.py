"""The bytes of a memory that an instruction reads or writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from condense_compiler.errors import InputError

# Feature-map memory, external memory, weight buffer, and the weight section of the binary.
MemoryName = Literal["chip", "dram", "weights", "section"]
EXTERNAL: tuple[MemoryName, ...] = ("dram", "section")


@dataclass(frozen=True, slots=True)
class Area:
    """Rows of bytes in a memory.

    Attributes:
        memory: The memory.
        address: First byte.
        pitch: Bytes from one row to the next.
        rows: Number of rows.
        row_bytes: Bytes of a row.
    """

    memory: MemoryName
    address: int
    pitch: int
    rows: int
    row_bytes: int

    @property
    def end(self) -> int:
        """Byte behind the last one."""
        return self.address + (self.rows - 1) * self.pitch + self.row_bytes

    @property
    def size_bytes(self) -> int:
        """Bytes in all rows."""
        return self.rows * self.row_bytes

    def check(self, memory_bytes: int) -> None:
        """Refuse an area that is not inside its memory, or whose rows overlap.

        Raises:
            InputError: It is not.
        """
        if self.rows < 1 or self.row_bytes < 1 or self.pitch < self.row_bytes:
            raise InputError(f"an area of {self.memory} is empty, or its rows overlap")
        if self.end > memory_bytes:
            raise InputError(
                f"bytes up to {self.end:,} of {self.memory}, which has {memory_bytes:,}"
            )

    def overlaps(self, other: "Area") -> bool:
        """Tell whether both have a byte between their first and last ones."""
        same = self.memory == other.memory
        return same and self.address < other.end and other.address < self.end

    def covers(self, other: "Area") -> bool:
        """Tell whether all bytes of the other lie between the first and last of this."""
        same = self.memory == other.memory
        return same and self.address <= other.address and other.end <= self.end

    def bursts(self, burst_bytes: int) -> int:
        """Return the bursts that hold its bytes; rows without a gap share those between them."""
        if self.pitch == self.row_bytes:
            return (self.end - 1) // burst_bytes - self.address // burst_bytes + 1
        starts = range(self.address, self.address + self.rows * self.pitch, self.pitch)
        return sum(
            (first + self.row_bytes - 1) // burst_bytes - first // burst_bytes + 1
            for first in starts
        )


def one_row(memory: MemoryName, address: int, size: int) -> Area:
    """Return bytes that follow each other."""
    return Area(memory, address, size, 1, size)


@dataclass(frozen=True, slots=True)
class Access:
    """What an instruction touches, by operand."""

    reads: Mapping[str, Area]
    writes: Mapping[str, Area]

    def external_bytes(self, burst_bytes: int) -> int:
        """Return the bytes that it moves to or from external memory: whole bursts."""
        areas = (*self.reads.values(), *self.writes.values())
        return burst_bytes * sum(
            area.bursts(burst_bytes) for area in areas if area.memory in EXTERNAL
        )
