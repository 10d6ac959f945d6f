"""Barriers: what an instruction must wait for, found from the bytes that instructions touch."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from condense_compiler.targets.accelerator.isa.areas import Area
from condense_compiler.targets.accelerator.isa.records import Queue


@dataclass(frozen=True, slots=True)
class _Access:
    area: Area
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
        self, queue: Queue, reads: Iterable[Area], writes: Iterable[Area]
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
            if not any(area.covers(access.area) for area in writes)
        ]
        number = self.counts[queue]
        self._accesses += [_Access(area, queue, number, writes=False) for area in reads]
        self._accesses += [_Access(area, queue, number, writes=True) for area in writes]
        self.counts[queue] += 1
        return waits

    @staticmethod
    def _conflict(access: _Access, reads: list[Area], writes: list[Area]) -> bool:
        spans = [*writes, *reads] if access.writes else writes
        return any(area.overlaps(access.area) for area in spans)
