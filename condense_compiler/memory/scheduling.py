"""From what a network stores to the order in which its operators run."""

from dataclasses import dataclass

from condense_compiler.memory.layout import Steps
from condense_compiler.memory.sharing import Sharing


@dataclass(frozen=True, slots=True)
class Schedule:
    """An order of the operators.

    Attributes:
        steps: Operators by their position in the order of the file; two where one accumulates
            into what the other adds it to.
        peak_bytes: Most bytes alive at a step.
        optimal: No order is proved to need less.
    """

    steps: Steps
    peak_bytes: int
    optimal: bool


def schedule(sharing: Sharing, seconds: float | None = None) -> Schedule:
    """Return the order of the file."""
    del seconds
    steps = [(number,) for number in range(len(sharing.order)) if number not in sharing.idle]
    return Schedule(steps, 0, optimal=False)
