"""From an order to storages: who lies where, once it is known when each map is needed."""

import itertools
from dataclasses import dataclass

from condense_compiler.memory.lifetimes import Lifetimes, Steps, find_lifetimes
from condense_compiler.memory.overwriting import Options
from condense_compiler.memory.positions import Positions
from condense_compiler.memory.sharing import Sharing
from condense_compiler.memory.storages import Part, Storage, disjoint_parts
from condense_compiler.memory.tying import Ties
from condense_compiler.network.tensors import type_alignment


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


class CannotAccumulateError(Exception):
    """A result cannot be added in place; `pair` tells which."""

    def __init__(self, pair: tuple[int, ...]) -> None:
        super().__init__(pair)
        self.pair = pair


def lay_out(
    sharing: Sharing,
    options: Options,
    steps: Steps,
    limit_bytes: int = 0,
    *,
    heaviest_first: bool = False,
) -> Layout:
    """Decide what overwrites what, and form storages.

    Args:
        sharing: What shares memory whatever the order.
        options: What may overwrite what.
        steps: The order.
        limit_bytes: Overwrite only where the load would exceed this otherwise. Storages that are
            not tied to each other are easier to place.
        heaviest_first: Where ties exclude each other, those at the steps of the largest load come
            first instead of those at the first steps.

    Raises:
        CannotAccumulateError: A pair of steps has to run apart.
    """
    times = find_lifetimes(sharing, steps)
    ties = Ties(sharing.positions.copy(), times, options, steps)
    loads = _loads(sharing, times, len(steps))
    sequence = list(range(len(steps)))
    if heaviest_first:
        sequence.sort(key=lambda step: (len(steps[step]) < 2, -loads[step], step))
    for step in sequence:
        operators = steps[step]
        is_pair = len(operators) > 1
        if not is_pair and loads[step] <= limit_bytes:
            continue
        if not ties.tie(options.at(operators), step) and is_pair:
            raise CannotAccumulateError(operators)
    return _finish(sharing, ties.positions, times, ties.overwritten)


def _loads(sharing: Sharing, times: Lifetimes, step_count: int) -> list[int]:
    """Return the bytes alive at each step if nothing is overwritten."""
    changes = [0] * (max(step_count, 1) + 1)  # what is given is alive even if nothing runs
    for number, first in times.first.items():
        changes[max(first, 0)] += sharing.writings[number].size
        changes[times.last[number] + 1] -= sharing.writings[number].size
    return list(itertools.accumulate(changes))[:step_count]


def _finish(
    sharing: Sharing, positions: Positions, times: Lifetimes, overwritten: dict[str, str]
) -> Layout:
    alignments = {name: type_alignment(tensor) for name, tensor in sharing.tensors.items()}
    storages: list[Storage] = []
    places: dict[str, tuple[str, int]] = {}
    for group in positions.groups():
        stretches = [stretch for stretch in group.stretches if stretch.number in times.first]
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
        written = {sharing.writings[s.number].tensor for s in stretches}
        name = next(tensor for tensor in group.tensors if tensor in written)
        alignment = max(alignments[tensor] for tensor in group.tensors)
        storages.append(Storage(name, parts, alignment))
        for tensor, position in group.tensors.items():
            places[tensor] = (name, position - origin)
    return Layout(tuple(storages), places, overwritten)
