"""Every state that a choice of resident maps can be in, and what each costs from there on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from condense_compiler.targets.accelerator.codegen.residency.problem import (
    Choice,
    Option,
    Problem,
    mask_of,
    members,
)

MOST_STATES = 200_000
_LOADS = 32  # classes of states by what they hold


@dataclass(frozen=True, slots=True)
class Move:
    """A way from one state to the next, over one step.

    Attributes:
        added: Maps that come to the chip, as a mask.
        state: The state behind the step.
        options: Ways to run the step that fit, the cheapest first.
        cost: Of the added maps.
    """

    added: int
    state: int
    options: Sequence[Option]
    cost: int

    @property
    def least(self) -> int:
        """Cost of the cheapest way."""
        return self.cost + self.options[0].cost


class States:
    """The states before each step: which maps alive then are on the chip, as masks.

    Attributes:
        complete: None was left out.
        steps: Number of steps.
    """

    def __init__(self, problem: Problem, capacity_bytes: int) -> None:
        self.steps = len(problem.own)
        self.complete = True
        self._problem, self._capacity = problem, capacity_bytes
        self._own = [mask_of(own) for own in problem.own]
        self._born = [0] * self.steps
        self._ended = [0] * self.steps
        for number, each in enumerate(problem.maps):
            if each.lower < self.steps:
                self._born[each.lower] |= 1 << number
                self._ended[min(each.upper, self.steps) - 1] |= 1 << number
        self._options: dict[tuple[int, int], Sequence[Option]] = {}
        self._moves: list[dict[int, list[Move]]] = []
        self._expand()
        self._least = self._sum_up()

    def moves(self, step: int, state: int) -> Iterator[tuple[Move, int]]:
        """Yield the moves of a state, and the least cost of all steps behind each."""
        behind = self._least[step + 1]
        for move in self._moves[step][state]:
            if move.state in behind:
                yield move, behind[move.state]

    def least(self) -> int | None:
        """Return the least cost of any choice; None if nothing fits."""
        return self._least[0].get(0)

    def cheapest(self) -> Choice | None:
        """Return a choice of least cost, whether it can be placed or not."""
        total = self.least()
        if total is None:
            return None
        resident, state, options = 0, 0, []
        for step in range(self.steps):
            move, _ = min(self.moves(step, state), key=lambda pair: pair[0].least + pair[1])
            resident, state = resident | move.added, move.state
            options.append(move.options[0])
        return Choice(members(resident), tuple(options), total)

    def _expand(self) -> None:
        """Walk forwards, and find the states that there can be."""
        layer = {0: 0}
        for step in range(self.steps):
            layer = self._thinned(step, layer)
            self._moves.append({state: list(self._moves_from(step, state)) for state in layer})
            following: dict[int, int] = {}
            for state, moves in self._moves[-1].items():
                for move in moves:
                    cost = layer[state] + move.least
                    following[move.state] = min(cost, following.get(move.state, cost))
            layer = following

    def _thinned(self, step: int, layer: dict[int, int]) -> dict[int, int]:
        """Return the most promising states of a step, where there are too many."""
        most = max(MOST_STATES // self.steps, _LOADS)
        if len(layer) <= most:
            return layer
        self.complete = False
        alive = [
            (1 << number, self._reading(number, step))
            for number, each in enumerate(self._problem.maps)
            if each.lower < step < each.upper
        ]

        def promise(state: int) -> tuple[int, int]:
            away = sum(cost for bit, cost in alive if not state & bit)
            return layer[state] + away, state

        # Of each load some, so that there is a way on wherever the memory gets scarce.
        by_load: dict[int, list[int]] = {}
        for state in sorted(layer, key=promise):
            by_load.setdefault(self._load(state) * _LOADS // (self._capacity + 1), []).append(state)
        kept = [state for states in by_load.values() for state in states[: most // _LOADS]]
        return {state: layer[state] for state in kept}

    def _reading(self, number: int, first: int) -> int:
        """Return about what the steps from one on cost more if a map is not on the chip."""
        bit, cost = 1 << number, 0
        for step in range(first, min(self._problem.maps[number].upper, self.steps)):
            if self._own[step] & bit:
                there, away = (self._ways(step, own) for own in (-1, ~bit))
                cost += away[0].cost - there[0].cost
        return cost

    def _moves_from(self, step: int, state: int) -> Iterator[Move]:
        free, born = self._capacity - self._load(state), self._born[step]
        added = born
        while True:  # all subsets of what is born
            alive = state | added
            left = free - self._load(added) + self._shared_bytes(step, alive)
            fitting = [o for o in self._ways(step, alive) if o.staging_bytes <= left]
            if fitting:
                cost = sum(self._problem.maps[number].cost for number in members(added))
                yield Move(added, alive & ~self._ended[step], fitting, cost)
            if not added:
                return
            added = (added - 1) & born

    def _ways(self, step: int, alive: int) -> Sequence[Option]:
        key = (step, alive & self._own[step])
        if key not in self._options:
            self._options[key] = self._problem.options(step, members(key[1]))
        return self._options[key]

    def _shared_bytes(self, step: int, alive: int) -> int:
        """Return what a step saves because its result takes the place of a map."""
        pair = self._problem.overwriting.get(step, ())
        if not pair or any(not alive >> number & 1 for number in pair):
            return 0
        return self._problem.maps[pair[0]].size_bytes

    def _load(self, state: int) -> int:
        return sum(self._problem.maps[number].size_bytes for number in members(state))

    def _sum_up(self) -> list[dict[int, int]]:
        """Walk backwards, and find the least cost from each state on."""
        least: list[dict[int, int]] = [{} for _ in range(self.steps)] + [{0: 0}]
        for step in reversed(range(self.steps)):
            behind = least[step + 1]
            for state, moves in self._moves[step].items():
                costs = [m.least + behind[m.state] for m in moves if m.state in behind]
                if costs:
                    least[step][state] = min(costs)
        return least
