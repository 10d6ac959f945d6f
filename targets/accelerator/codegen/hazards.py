"""Barriers: what an instruction must wait for, found from the bytes that instructions touch."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from condense_compiler.targets.accelerator.isa.registers import Queue


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a memory.

    Attributes:
        memory: `chip`, `dram` or `weights`.
        first: First byte.
        last: Byte behind the last one.
    """

    memory: str
    first: int
    last: int

    def overlaps(self, other: "Span") -> bool:
        """Tell whether both have a byte."""
        same = self.memory == other.memory
        return same and self.first < other.last and other.first < self.last

    def covers(self, other: "Span") -> bool:
        """Tell whether this has all bytes of the other."""
        same = self.memory == other.memory
        return same and self.first <= other.first and other.last <= self.last


@dataclass(frozen=True, slots=True)
class _Access:
    span: Span
    queue: Queue
    number: int
    writes: bool


@dataclass(slots=True)
class Hazards:
    """Accesses so far that a later instruction may have to wait for.

    Attributes:
        counts: Instructions so far, for each queue.
    """

    counts: dict[Queue, int] = field(default_factory=lambda: dict.fromkeys(Queue, 0))
    _accesses: list[_Access] = field(default_factory=list)

    def waits(
        self, queue: Queue, reads: Iterable[Span], writes: Iterable[Span]
    ) -> dict[Queue, int]:
        """Record an instruction; return how many of each other queue must have finished."""
        reads, writes = list(reads), list(writes)
        waits = dict.fromkeys(Queue, 0)
        for access in self._accesses:
            if access.queue != queue and self._conflict(access, reads, writes):
                waits[access.queue] = max(waits[access.queue], access.number + 1)
        # What is overwritten need not be waited for again: whoever comes later waits for this.
        self._accesses = [
            access
            for access in self._accesses
            if not any(span.covers(access.span) for span in writes)
        ]
        number = self.counts[queue]
        self._accesses += [_Access(span, queue, number, writes=False) for span in reads]
        self._accesses += [_Access(span, queue, number, writes=True) for span in writes]
        self.counts[queue] += 1
        return waits

    @staticmethod
    def _conflict(access: _Access, reads: list[Span], writes: list[Span]) -> bool:
        spans = [*writes, *reads] if access.writes else writes
        return any(span.overlaps(access.span) for span in spans)
