"""Tying results to the places of the inputs that they overwrite, as the lifetimes allow it."""

from collections.abc import Iterable

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
                    self.positions.join(one, two, distance)
                self.overwritten[option.result] = option.source
                return True
        return False

    def _dies(self, option: Overwriting, step: int) -> bool:
        return all(
            self._lives.last[number] == step and number not in self._lives.moved
            for number in option.stretches
        )

    def _collide(self, one: Group, two: Group, distance: int) -> bool:
        """Tell whether joining would put two maps on the same bytes at the same time."""
        moved_places = {name: place + distance for name, place in two.tensors.items()}
        places = one.tensors | moved_places
        for moved in (stretch.shifted(distance) for stretch in self._alive(two)):
            for stretch in self._alive(one):
                meets = stretch.meets(moved) and self._lives.meet(stretch.number, moved.number)
                if meets and not (
                    self._hands_over(stretch, moved, places)
                    or self._hands_over(moved, stretch, places)
                ):
                    return True
        return False

    def _hands_over(self, old: Stretch, new: Stretch, places: dict[str, int]) -> bool:
        """Tell whether one writing takes the place of the other just where that is allowed."""
        option = self._handovers.get((old.number, new.number))
        if option is None or places.get(option.source) != places.get(option.result):
            return False
        return self._dies(option, self._lives.first[new.number])

    def _alive(self, group: Group) -> list[Stretch]:
        return [stretch for stretch in group.stretches if stretch.number in self._lives.first]
