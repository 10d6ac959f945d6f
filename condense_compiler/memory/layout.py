"""From an order to storages: who lies where, once it is known when each map is needed."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from condense_compiler.memory.overwriting import Options, Overwriting
from condense_compiler.memory.positions import Group, Positions, Stretch
from condense_compiler.memory.sharing import Sharing
from condense_compiler.memory.storages import Part, Storage, disjoint_parts
from condense_compiler.network.tensors import type_alignment

# Operators by their position in the order of the file; two where one accumulates into the other.
Steps = Sequence[tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where every feature map lies within the storages.

    Attributes:
        storages: What the planner has to place.
        places: Storage and byte offset within it of each tensor, by name. A result that is
            accumulated is never stored and has no place.
        overwritten: Inputs whose place was taken, by the name of the tensor that took it.
    """

    storages: tuple[Storage, ...]
    places: dict[str, tuple[str, int]]
    overwritten: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Times:
    """First and last step of each writing; those of accumulated results are missing."""

    first: dict[int, int]
    last: dict[int, int]

    def meet(self, one: int, other: int) -> bool:
        return self.first[one] <= self.last[other] and self.first[other] <= self.last[one]


class CannotAccumulateError(Exception):
    """A result cannot be added in place; `pair` tells which."""

    def __init__(self, pair: tuple[int, ...]) -> None:
        super().__init__(pair)
        self.pair = pair


def lay_out(sharing: Sharing, options: Options, steps: Steps, limit_bytes: int = 0) -> Layout:
    """Decide what overwrites what, and form storages.

    Args:
        sharing: What shares memory whatever the order.
        options: What may overwrite what.
        steps: The order.
        limit_bytes: Overwrite only where the load would exceed this otherwise. Storages that are
            not tied to each other are easier to place.

    Raises:
        CannotAccumulateError: A pair of steps has to run apart.
    """
    times = _times(sharing, steps)
    positions = sharing.positions.copy()
    overwritten: dict[str, str] = {}
    loads = _loads(sharing, times, len(steps))
    for step, operators in enumerate(steps):
        is_pair = len(operators) > 1
        if not is_pair and loads[step] <= limit_bytes:
            continue
        chosen = _first_possible(positions, times, options.at(operators), step)
        if chosen is not None:
            overwritten[chosen.result] = chosen.source
        elif is_pair:
            raise CannotAccumulateError(operators)
    return _finish(sharing, positions, times, overwritten)


def _times(sharing: Sharing, steps: Steps) -> _Times:
    step_of = {operator: step for step, operators in enumerate(steps) for operator in operators}
    accumulated = {operators[0] for operators in steps if len(operators) > 1}
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, writing in enumerate(sharing.writings):
        if writing.writer in accumulated:
            continue
        first[number] = 0 if writing.writer is None else step_of[writing.writer]
        readers = [step_of[reader] for reader in writing.readers]
        last[number] = len(steps) - 1 if writing.kept else max(readers, default=first[number])
        last[number] = max(last[number], first[number])
    return _Times(first, last)


def _loads(sharing: Sharing, times: _Times, step_count: int) -> list[int]:
    """Return the bytes alive at each step if nothing is overwritten."""
    changes = [0] * (step_count + 1)
    for number, first in times.first.items():
        changes[first] += sharing.writings[number].size
        changes[times.last[number] + 1] -= sharing.writings[number].size
    return list(itertools.accumulate(changes))[:step_count]


def _first_possible(
    positions: Positions, times: _Times, options: Iterable[Overwriting], step: int
) -> Overwriting | None:
    """Take the option that saves most of those that the times allow; None if there is none."""
    for option in sorted(options, key=lambda option: -option.saved_bytes):
        if any(times.last[number] != step for number in option.stretches):
            continue
        one, two, distance = positions.distance(option.source, option.result, 0)
        if one is two or _collide(one, two, distance, times, option):
            continue
        positions.join(one, two, distance)
        return option
    return None


def _collide(one: Group, two: Group, distance: int, times: _Times, option: Overwriting) -> bool:
    """Tell whether joining two groups would put two maps on the same bytes at the same time."""
    dying = set(option.stretches)
    for moved in (stretch.shifted(distance) for stretch in _known(two, times)):
        for stretch in _known(one, times):
            if not stretch.meets(moved) or not times.meet(stretch.number, moved.number):
                continue
            handed_over = times.last[stretch.number] == times.first[moved.number]
            if not (stretch.number in dying and handed_over):
                return True
    return False


def _known(group: Group, times: _Times) -> list[Stretch]:
    return [stretch for stretch in group.stretches if stretch.number in times.first]


def _finish(
    sharing: Sharing, positions: Positions, times: _Times, overwritten: dict[str, str]
) -> Layout:
    alignments = {name: type_alignment(tensor) for name, tensor in sharing.tensors.items()}
    storages: list[Storage] = []
    places: dict[str, tuple[str, int]] = {}
    for group in positions.groups():
        stretches = _known(group, times)
        if not stretches:
            continue
        origin = min(stretch.bottom for stretch in stretches)
        parts = disjoint_parts(
            Part(
                times.first[stretch.number],
                times.last[stretch.number] + 1,
                stretch.bottom - origin,
                stretch.top - origin,
            )
            for stretch in stretches
            if stretch.top > stretch.bottom
        )
        written = [sharing.writings[s.number].tensor for s in stretches]
        name = next(tensor for tensor in group.tensors if tensor in written)
        alignment = max(alignments[tensor] for tensor in group.tensors)
        storages.append(Storage(name, parts, alignment))
        for tensor, position in group.tensors.items():
            places[tensor] = (name, position - origin)
    return Layout(tuple(storages), places, overwritten)
