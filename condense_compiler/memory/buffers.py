"""What the planner sees and returns: plain records, no graph."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Buffer:
    """A piece of memory that is needed for some time.

    Time is counted in steps; step i runs operator i of the order.

    Attributes:
        id: Name, unique within a plan.
        lower: First step at which the buffer is alive.
        upper: First step at which it is no longer alive (half-open, so `lower < upper`).
        size: Bytes.
        alignment: The offset is a multiple of this many bytes.
        pinned: The offset in bytes, where it is not for the planner to choose.
        gaps: Half-open parts of the lifetime, in rising order, during which others may use the
            bytes.
    """

    id: str
    lower: int
    upper: int
    size: int
    alignment: int = 1
    pinned: int | None = None
    gaps: tuple[tuple[int, int], ...] = ()

    def active(self) -> Iterator[tuple[int, int]]:
        """Yield the half-open parts of the lifetime between the gaps, in rising order."""
        start = self.lower
        for gap_lower, gap_upper in self.gaps:
            if start < gap_lower:
                yield start, gap_lower
            start = gap_upper
        if start < self.upper:
            yield start, self.upper

    def overlaps(self, other: "Buffer") -> bool:
        """Tell whether both are alive at some step."""
        if not (self.lower < other.upper and other.lower < self.upper):
            return False
        if not self.gaps and not other.gaps:
            return True
        return any(
            lower < other_upper and other_lower < upper
            for lower, upper in self.active()
            for other_lower, other_upper in other.active()
        )


class Ending(Enum):
    """Why the planner stopped."""

    PROVED = "proved"
    EFFORT_SPENT = "effort spent"
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"


class Verdict(Enum):
    """Whether buffers fit a capacity."""

    FITS = "fits"
    DOES_NOT_FIT = "proved not to fit"
    NOT_FOUND = "not found"


@dataclass(frozen=True, slots=True)
class Plan:
    """Where every buffer lies in one arena.

    Attributes:
        offsets: Bytes from the start of the arena, by buffer id.
        arena_bytes: Size of the arena.
        lower_bound_bytes: No arena for these buffers can be smaller: the largest load, or more
            where a search proved more.
        optimal: The arena is proved to be the smallest possible.
        ending: Why the planner stopped; other than `PROVED`, more time may give a better plan.
    """

    offsets: Mapping[str, int]
    arena_bytes: int
    lower_bound_bytes: int
    optimal: bool
    ending: Ending = Ending.PROVED

    def verdict(self, capacity: int) -> Verdict:
        """Tell whether the buffers fit an arena of `capacity` bytes, as far as is known."""
        if self.arena_bytes <= capacity:
            return Verdict.FITS
        return Verdict.DOES_NOT_FIT if capacity < self.lower_bound_bytes else Verdict.NOT_FOUND

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from condense_compiler.report.notebook import plan_html  # noqa: PLC0415 - notebooks alone

        return plan_html(self)
