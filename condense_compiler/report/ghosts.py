"""Feature maps of a network as given that its compiled form does not store."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from condense_compiler.memory.sharing import Sharing
from condense_compiler.report.measure import Given
from condense_compiler.report.picture import FeatureMap, GoneMap, Picture, PlanPicture


def find_gone(given: Given, sharing: Sharing, stored: Picture) -> tuple[GoneMap, ...]:
    """Return the maps that are not stored any more, each where it would have been needed."""
    names = {
        name for each in stored.after.maps for name in (each.tensor, *each.part_of, *each.views)
    }
    missing = [each for each in stored.before.maps if each.size and each.tensor not in names]
    homes = _homes(given, sharing, stored.after)
    inside: dict[int, list[FeatureMap]] = defaultdict(list)
    for each in missing:
        if each.tensor in homes:
            inside[homes[each.tensor]].append(each)
    tops = _tops(stored.after)
    pass_of = {each.operator: each.pass_name for each in stored.after.maps}
    ghosts: dict[str, GoneMap] = {}
    for step, maps in inside.items():
        operator = stored.after.steps[step].operators[0]
        for ghost in _stack(maps, step, tops[step]):
            ghosts[ghost.tensor] = replace(
                ghost, operator=operator, pass_name=pass_of.get(operator, "")
            )
    return tuple(ghosts.get(each.tensor) or _ghost(each) for each in missing)


def _ghost(lost: FeatureMap) -> GoneMap:
    return GoneMap(lost.tensor, lost.op, lost.shape, lost.dtype, lost.size)


def _homes(given: Given, sharing: Sharing, after: PlanPicture) -> Mapping[str, int]:
    """Return the step that computes what each map of the given network is needed for.

    It is the step that writes the map, or else the first that writes something computed from it.
    """
    step_of = {name: number for number, step in enumerate(after.steps) for name in step.operators}
    homes = {
        tensor.name: step_of[node.name]
        for node in sharing.order
        if node.name in step_of
        for tensor in node.outputs
    }
    for operator in reversed(given.operators):
        known = [homes[name] for name in operator.writes if name in homes]
        for name in operator.reads if known else ():
            if not sharing.stores(name):
                homes[name] = min(*known, homes.get(name, known[0]))
    return homes


def _tops(plan: PlanPicture) -> Sequence[int]:
    """Return the first byte above everything stored, for each step."""
    tops = [0] * max(len(plan.steps), 1)
    for each in plan.maps:
        for step in range(each.first, each.last + 1):
            tops[step] = max(tops[step], each.offset + each.size)
    return tops


def _stack(maps: Iterable[FeatureMap], step: int, top: int) -> list[GoneMap]:
    """Pile the ghosts of one step up; their lifetimes are scaled to the width of the step."""
    lost = sorted(maps, key=lambda each: each.first)
    start = lost[0].first
    width = max(each.last for each in lost) + 1 - start
    placed: list[GoneMap] = []
    alive: list[tuple[FeatureMap, int]] = []
    for each in lost:
        alive = [(other, offset) for other, offset in alive if other.last >= each.first]
        offset = top
        for other, bottom in sorted(alive, key=lambda pair: pair[1]):
            if bottom < offset + each.size:
                offset = max(offset, bottom + other.size)
        alive.append((each, offset))
        placed.append(
            replace(
                _ghost(each),
                drawn_from=step + (each.first - start) / width,
                drawn_to=step + (each.last + 1 - start) / width,
                offset=offset,
            )
        )
    return placed
