"""Whole choices, the cheapest first, until one can be placed."""

import heapq
from dataclasses import dataclass

from condense_compiler.targets.accelerator.codegen.residency.problem import (
    Choice,
    Conflict,
    Option,
    Placing,
    mask_of,
    members,
)
from condense_compiler.targets.accelerator.codegen.residency.states import States

MOST_EXPANSIONS = 20_000
MOST_CONFLICTS = 100


@dataclass(frozen=True, slots=True)
class _Node:
    """The first steps of a choice.

    Attributes:
        step: How many steps.
        state: Maps on the chip behind them that are still needed, as bits.
        resident: All maps on the chip so far, as bits.
        cost: Of these steps.
        known: Conflicts that the steps before the last one were checked against.
        option: How the last step runs.
        parent: The steps before it.
    """

    step: int
    state: int
    resident: int
    cost: int
    known: int = 0
    option: Option | None = None
    parent: "_Node | None" = None

    def options(self, lower: int, upper: int) -> list[Option]:
        """Return how some of the steps run."""
        found: list[Option] = []
        node = self
        while node.parent is not None and node.option is not None and node.step > lower:
            if node.step <= upper:
                found.append(node.option)
            node = node.parent
        return found[::-1]


class Search:
    """Goes through choices, the cheapest first.

    Attributes:
        proved: What was passed over has been proved to have no places.
    """

    def __init__(self, states: States, placing: Placing) -> None:
        self.proved = True
        self._states, self._placing = states, placing
        self._conflicts: list[tuple[Conflict, int]] = []
        self._pushed = 0
        self._waiting: list[tuple[int, int, int, _Node]] = []

    def run(self) -> Choice | None:
        """Return the first choice that can be placed; None if the effort is spent."""
        least = self._states.least()
        if least is not None:
            self._push(_Node(0, 0, 0, 0), least)
        expansions = 0
        while self._waiting and expansions < MOST_EXPANSIONS:
            node = heapq.heappop(self._waiting)[-1]
            if self._is_in_conflict(node):
                continue
            if node.step < self._states.steps:
                self._expand(node)
                expansions += 1
                continue
            options = tuple(node.options(0, node.step))
            choice = Choice(members(node.resident), options, node.cost)
            conflict = self._placing(choice)
            if conflict is None:
                return choice
            if len(self._conflicts) == MOST_CONFLICTS:
                return None
            self.proved &= conflict.proved
            self._conflicts.append((conflict, mask_of(conflict.resident)))
        return None

    def _expand(self, node: _Node) -> None:
        step, known = node.step + 1, len(self._conflicts)
        for move, behind in self._states.moves(node.step, node.state):
            resident = node.resident | move.added
            for option in move.options:
                cost = node.cost + move.cost + option.cost
                following = _Node(step, move.state, resident, cost, known, option, node)
                self._push(following, cost + behind)

    def _push(self, node: _Node, bound: int) -> None:
        """Let a node wait; of equal ones those go first that have come furthest."""
        self._pushed += 1
        heapq.heappush(self._waiting, (bound, -node.step, -self._pushed, node))

    def _is_in_conflict(self, node: _Node) -> bool:
        return any(
            conflict.upper <= node.step
            and (number >= node.known or conflict.upper == node.step)
            and node.resident & mask == mask
            and self._has_no_places(node, conflict)
            for number, (conflict, mask) in enumerate(self._conflicts)
        )

    @staticmethod
    def _has_no_places(node: _Node, conflict: Conflict) -> bool:
        options = node.options(conflict.lower, conflict.upper)
        pairs = zip(options, conflict.staging_bytes, strict=True)
        return all(option.staging_bytes >= staging for option, staging in pairs)
