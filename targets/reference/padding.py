"""Pad: a map with a border around it, or without what negative pads take away."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from condense_compiler.operators.moving import Pad
from condense_compiler.targets.reference.kernel import Array, Kernel, NodeContext, Shape


@dataclass(frozen=True, slots=True)
class _Borders:
    """Where the map lies in the result.

    Attributes:
        source: What is left of the map.
        inside: Where that goes.
    """

    source: tuple[slice, ...]
    inside: tuple[slice, ...]


# Tells which position of a stretch of some size is seen at a place before or behind it.
_MIRRORS: Mapping[str, Callable[[int, int], int]] = {
    "edge": lambda place, size: min(max(place, 0), size - 1),
    "reflect": lambda place, size: -place if place < 0 else 2 * (size - 1) - place,
    "wrap": lambda place, size: place % size,
}


def pad(context: NodeContext) -> Kernel | None:
    """Prepare Pad."""
    operator = context.read(Pad)
    pads, mode = operator.pads, operator.mode
    if pads is None or mode not in ("constant", *_MIRRORS):
        return None
    if mode != "constant" and not _is_plain(context.shape(), pads, mode):
        return None
    borders = _borders(context.shape(), pads)

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        result = outputs[0]
        if mode == "constant":
            result.fill(inputs[2].reshape(()) if context.has_input(2) else operator.value)
        result[borders.inside] = inputs[0][borders.source]
        if mode != "constant":
            _mirror(result, borders.inside, _MIRRORS[mode])

    return Kernel(compute)


def _is_plain(shape: Shape, pads: Sequence[tuple[int, int]], mode: str) -> bool:
    """Tell whether every border shows the map once at most, and nothing is taken away."""
    room = {"reflect": -1, "wrap": 0}
    return min(map(min, pads)) >= 0 and (
        mode == "edge"
        or all(max(pad) <= size + room[mode] for pad, size in zip(pads, shape, strict=True))
    )


def _borders(shape: Shape, pads: Sequence[tuple[int, int]]) -> _Borders:
    source, inside = [], []
    for size, (before, behind) in zip(shape, pads, strict=True):
        first, end = max(-before, 0), size - max(-behind, 0)
        first = min(first, size)
        count = max(end - first, 0)
        source.append(slice(first, first + count))
        inside.append(slice(max(before, 0), max(before, 0) + count))
    return _Borders(tuple(source), tuple(inside))


def _mirror(result: Array, inside: tuple[slice, ...], place: Callable[[int, int], int]) -> None:
    """Fill the borders from what lies inside, one axis after the other."""
    for axis, stretch in enumerate(inside):
        # What earlier axes have filled is seen, too; later axes are still to be filled.
        along = (*(slice(None),) * axis, *inside[axis:])
        size = stretch.stop - stretch.start
        for position in (*range(stretch.start), *range(stretch.stop, result.shape[axis])):
            seen = stretch.start + place(position - stretch.start, size)
            target = (*along[:axis], position, *along[axis + 1 :])
            result[target] = result[(*along[:axis], seen, *along[axis + 1 :])]
