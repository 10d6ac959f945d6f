"""What the planner sees and returns: plain records, no graph."""

from collections.abc import Mapping
from dataclasses import dataclass


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
    """

    id: str
    lower: int
    upper: int
    size: int
    alignment: int = 1

    def overlaps(self, other: "Buffer") -> bool:
        """Tell whether both are alive at some step."""
        return self.lower < other.upper and other.lower < self.upper


@dataclass(frozen=True, slots=True)
class Plan:
    """Where every buffer lies in one arena.

    Attributes:
        offsets: Bytes from the start of the arena, by buffer id.
        arena_bytes: Size of the arena.
        lower_bound_bytes: No arena for these buffers can be smaller.
        optimal: The arena is proved to be the smallest possible.
    """

    offsets: Mapping[str, int]
    arena_bytes: int
    lower_bound_bytes: int
    optimal: bool
