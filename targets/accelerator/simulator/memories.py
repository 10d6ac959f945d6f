"""The memories, and who wrote and read each byte last: finds missing barriers."""

from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import as_strided

from condense_compiler.errors import InputError
from condense_compiler.targets.accelerator.integer.arithmetic import Array
from condense_compiler.targets.accelerator.isa.areas import Area
from condense_compiler.targets.accelerator.isa.records import Queue

Known = tuple[int, int, int]


@dataclass(slots=True)
class Memory:
    """One memory.

    Attributes:
        name: What messages call it.
        content: Its bytes.
        used_bytes: One more than the highest address that was touched.
    """

    name: str
    content: Array
    used_bytes: int = 0
    _written: dict[Queue, Array] = field(default_factory=dict)
    _read: dict[Queue, Array] = field(default_factory=dict)
    _valid: Array = field(init=False)

    def __post_init__(self) -> None:
        self._valid = np.zeros(len(self.content), bool)

    def fill(self, area: Area, values: Array) -> None:
        """Put bytes in before the program starts."""
        rows(self.content, area)[...] = values
        rows(self._valid, area)[...] = True

    def check_read(self, area: Area, known: Known) -> None:
        """Refuse to read what is not there yet.

        Raises:
            InputError: A byte was never written, or who wrote it may not have finished.
        """
        if not rows(self._valid, area).all():
            raise InputError(f"reads bytes of {self.name} that were never written")
        self._check(self._written, area, known, "reads", "written")

    def record_read(self, area: Area, queue: Queue, number: int) -> None:
        """Record that an instruction reads an area, which nothing may overwrite meanwhile."""
        self._record(self._read, area, queue, number)

    def write(self, area: Area, queue: Queue, number: int, known: Known) -> None:
        """Record that an instruction writes an area.

        Raises:
            InputError: Who wrote or reads a byte may not have finished.
        """
        self._check(self._written, area, known, "overwrites", "written")
        self._check(self._read, area, known, "overwrites", "read")
        for other in self._written:
            rows(self._written[other], area)[...] = 0
        self._record(self._written, area, queue, number)
        rows(self._valid, area)[...] = True

    def _check(
        self, accesses: dict[Queue, Array], area: Area, known: Known, does: str, done: str
    ) -> None:
        for queue, numbers in accesses.items():
            if rows(numbers, area).max() > known[queue]:
                raise InputError(
                    f"{does} bytes of {self.name} that are still being {done} by "
                    f"{queue.name.lower()}: a barrier is missing"
                )

    def _record(self, accesses: dict[Queue, Array], area: Area, queue: Queue, number: int) -> None:
        if queue not in accesses:
            accesses[queue] = np.zeros(len(self.content), np.int32)
        rows(accesses[queue], area)[...] = number + 1
        self.used_bytes = max(self.used_bytes, area.end)


def rows(content: Array, area: Area) -> Array:
    """Return the view of an area: (rows, bytes of a row)."""
    size = content.itemsize
    first = content[area.address :]
    return as_strided(first, (area.rows, area.row_bytes), (area.pitch * size, size))


def codes(content: Array, area: Area, channels: int) -> Array:
    """Return the view of an area as codes: (channels, height, width)."""
    width = area.row_bytes // channels
    first = content[area.address :]
    return as_strided(first, (channels, area.rows, width), (width, area.pitch, 1))
