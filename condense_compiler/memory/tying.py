"""Tying results to the places of the inputs that they overwrite, as the lifetimes allow it."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator

from condense_compiler.memory.lifetimes import Lifetimes, Steps
from condense_compiler.memory.overwriting import Options, Overwriting
from condense_compiler.memory.positions import Group, Positions, Stretch


class Ties:
    """Positions of tensors while results are tied to inputs one by one.

    Attributes:
        positions: Where tensors lie relative to each other so far.
        overwritten: Inputs whose place was taken, by the name of the tensor that took it.
    """

    def __init__(
        self, positions: Positions, lives: Lifetimes, options: Options, steps: Steps
    ) -> None:
        self.positions = positions
        self.overwritten: dict[str, str] = {}
        self._lives = lives
        self._timelines: dict[int, _Timeline] = {}
        # Pairs of writings of which the second may take the bytes of the first.
        self._handovers = {
            (old, new): option
            for operators in steps
            for option in options.at(operators)
            for old in option.stretches
            for new in option.written
        }

    def tie(self, candidates: Iterable[Overwriting], step: int) -> bool:
        """Use the candidate that saves most of those that are possible.

        Returns:
            Whether there was one.
        """
        for option in sorted(candidates, key=lambda option: -option.saved_bytes):
            if not self._dies(option, step):
                continue
            one, two, distance = self.positions.distance(option.source, option.result, 0)
            if distance == 0 if one is two else not self._collide(one, two, distance):
                if one is not two:
                    self._join(one, two, distance)
                self.overwritten[option.result] = option.source
                return True
        return False

    def _dies(self, option: Overwriting, step: int) -> bool:
        return all(
            self._lives.last[number] == step and number not in self._lives.moved
            for number in option.stretches
        )

    def _join(self, one: Group, two: Group, distance: int) -> None:
        timelines = self._timeline(one), self._timeline(two)
        self.positions.join(one, two, distance)
        if self.positions.group_of(next(iter(two.tensors))) is one:
            timelines[0].add(stretch.shifted(distance) for stretch in timelines[1])
        else:
            timelines[1].add(stretch.shifted(-distance) for stretch in timelines[0])

    def _timeline(self, group: Group) -> "_Timeline":
        known = self._timelines.get(id(group))
        if known is None:
            known = self._timelines[id(group)] = _Timeline(self._lives)
            known.add(s for s in group.stretches if s.number in self._lives.first)
        return known

    def _collide(self, one: Group, two: Group, distance: int) -> bool:
        """Tell whether joining would put two maps on the same bytes at the same time."""
        fixed, moving = self._timeline(one), self._timeline(two)
        shift = distance
        if len(moving) > len(fixed):
            fixed, moving, shift = moving, fixed, -distance

        def is_together(option: Overwriting) -> bool:
            places = [
                one.tensors[name] if name in one.tensors else two.tensors[name] + distance
                for name in (option.source, option.result)
                if name in one.tensors or name in two.tensors
            ]
            return len(places) == 2 and places[0] == places[1]

        for moved in (stretch.shifted(shift) for stretch in moving):
            for stretch in fixed.meeting(moved):
                if stretch.meets(moved) and not (
                    self._hands_over(stretch, moved, is_together)
                    or self._hands_over(moved, stretch, is_together)
                ):
                    return True
        return False

    def _hands_over(
        self, old: Stretch, new: Stretch, is_together: Callable[[Overwriting], bool]
    ) -> bool:
        """Tell whether one writing takes the place of the other just where that is allowed."""
        option = self._handovers.get((old.number, new.number))
        if option is None or not is_together(option):
            return False
        return self._dies(option, self._lives.first[new.number])


class _Timeline:
    """The writings of a group that are stored, found by when they are alive."""

    def __init__(self, lives: Lifetimes) -> None:
        self._lives = lives
        self._stretches: dict[int, Stretch] = {}
        self._by_first: list[tuple[int, int]] = []
        self._by_last: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._stretches)

    def __iter__(self) -> Iterator[Stretch]:
        return iter(self._stretches.values())

    def add(self, stretches: Iterable[Stretch]) -> None:
        """Take in more writings."""
        for stretch in stretches:
            number = stretch.number
            self._stretches[number] = stretch
            insort(self._by_first, (self._lives.first[number], number))
            insort(self._by_last, (self._lives.last[number], number))

    def meeting(self, other: Stretch) -> Iterator[Stretch]:
        """Yield the writings that are alive at some step together with another."""
        first, last = self._lives.first[other.number], self._lives.last[other.number]
        begun = bisect_left(self._by_first, (last + 1, -1))
        ended = bisect_left(self._by_last, (first, -1))
        if begun <= len(self._by_last) - ended:
            candidates = (self._by_first[index][1] for index in range(begun))
        else:
            candidates = (self._by_last[index][1] for index in range(ended, len(self._by_last)))
        for number in candidates:
            if self._lives.meet(number, other.number):
                yield self._stretches[number]
