"""When each writing is needed, once the order is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from condense_compiler.memory.sharing import Sharing

# Operators by their position in the order of the file; two where one accumulates into the other.
Steps = Sequence[tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """First and last step of each writing, both included; accumulated results have none.

    Attributes:
        first: The step that writes it.
        last: The last step throughout which it stays.
        moved: Writings that the step behind their last one moves away: nobody writes over them.
    """

    first: Mapping[int, int]
    last: Mapping[int, int]
    moved: frozenset[int]

    def meet(self, one: int, other: int) -> bool:
        """Tell whether two writings are needed at the same step."""
        return self.first[one] <= self.last[other] and self.first[other] <= self.last[one]


def find_lifetimes(sharing: Sharing, steps: Steps) -> Lifetimes:
    """Return the lifetimes of everything that is written.

    Inputs of the network are needed from the first step, outputs to the last. An input that is gone
    when the first step begins had its memory before; then step -1 stands for that time, for all
    inputs.

    What a moving operator reads for the last time is needed until the step before: it gives up the
    old place while it takes the new one.
    """
    step_of = {operator: step for step, operators in enumerate(steps) for operator in operators}
    accumulated = {operators[0] for operators in steps if len(operators) > 1}
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    moved: set[int] = set()
    given = [number for number, writing in enumerate(sharing.writings) if writing.writer is None]
    for number, writing in enumerate(sharing.writings):
        if writing.writer in accumulated:
            continue
        first[number] = -1 if writing.writer is None else step_of[writing.writer]
        readers = [step_of[reader] - (reader in sharing.releasing) for reader in writing.readers]
        last[number] = max([first[number], *readers])
        if any(step_of[reader] > last[number] for reader in writing.readers):
            moved.add(number)
        if writing.kept:
            last[number] = max(last[number], len(steps) - 1)
    if all(last[number] >= 0 for number in given):
        first |= dict.fromkeys(given, 0)
    return Lifetimes(first, last, frozenset(moved))
