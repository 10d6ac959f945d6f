"""Cross-channel pooling: reduce the slots of a block to one, in place."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from condense_compiler.targets.reference.kernel import Array

# Takes wide values (slots, channels, pixels), the weight of each rank, and room for one slot;
# leaves the result in the first slot.
Reduction = Callable[[Array, Sequence[float], Array], None]


def _fold(ufunc: np.ufunc) -> Reduction:
    def fold(slots: Array, _weights: Sequence[float], _room: Array) -> None:
        for slot in slots[1:]:
            ufunc(slots[0], slot, out=slots[0])

    return fold


def _mean(slots: Array, weights: Sequence[float], room: Array) -> None:
    _fold(np.add)(slots, weights, room)
    slots[0] *= 1 / len(slots)


def _l2(slots: Array, weights: Sequence[float], room: Array) -> None:
    np.square(slots, out=slots)
    _fold(np.add)(slots, weights, room)
    np.sqrt(slots[0], out=slots[0])


def _ordinal(slots: Array, weights: Sequence[float], room: Array) -> None:
    _sort_descending(slots, room)
    slots *= np.array(weights, slots.dtype)[:, None, None]
    _fold(np.add)(slots, weights, room)


def _sort_descending(slots: Array, room: Array) -> None:
    """Sort by exchanging neighbours: whole slots at a time, so no loop over pixels."""
    for end in range(len(slots) - 1, 0, -1):
        for upper, lower in pairwise(slots[: end + 1]):
            np.copyto(room, upper)
            np.maximum(upper, lower, out=upper)
            np.minimum(room, lower, out=lower)


REDUCTIONS: Mapping[str, Reduction] = {
    "max": _fold(np.maximum),
    "mean": _mean,
    "min": _fold(np.minimum),
    "l2": _l2,
    "ordinal": _ordinal,
    "sum": _fold(np.add),
}
