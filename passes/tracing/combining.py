"""Bringing several views of one convolution's channels together."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from condense_compiler.passes.tracing.expressions import IDENTITY, Expression, unify
from condense_compiler.passes.tracing.views import (
    TILE_FAULT,
    ChannelArray,
    View,
    is_channel_only,
)

# The reduction of such reductions is the reduction of all members.
_NESTED = ("max", "min", "mean", "sum", "l2")


def may_reduce(view: View, reduction: str) -> bool:
    """Tell whether the values of a view may be reduced: as they are, or in the same way once more.

    A max-pooling of pixels that comes first only changes places with a maximum.
    """
    if view.is_ranked or (view.spatial is not None and reduction != "max"):
        return False
    again = view.reduction == reduction and reduction in _NESTED
    return view.is_wide or (again and view.after == IDENTITY)


def combine(views: Sequence[View]) -> list[View] | None:
    """Return views that agree in all but their channels, each knowing what any of them knows.

    Only views of convolutions that share their geometry, computed alike, go together; for others
    the answer is None.
    """
    first = views[0]
    kind = (first.geometry, first.reduction, first.spatial, first.rank_weights)
    if any((v.geometry, v.reduction, v.spatial, v.rank_weights) != kind for v in views):
        return None
    before = _unify_all([(view.before, view.channels.reshape(-1)) for view in views])
    after = _unify_all([(view.after, view.channels[..., 0].reshape(-1)) for view in views])
    if before is None or after is None:
        return None
    nodes = reduce(frozenset.union, (view.nodes for view in views))
    fault = next((view.fault for view in views if view.fault is not None), None)
    return [replace(view, before=before, after=after, nodes=nodes, fault=fault) for view in views]


def _broadcast(views: Sequence[View], reduction: str) -> View | None:
    """Return the reduction of parts of unequal size, which repeats members: not one to fuse."""
    pixels = {tuple(dim for dim in view.dims if not is_channel_only(dim)) for view in views}
    largest = max(views, key=lambda view: view.channels.size)
    if len(pixels) > 1:
        return None
    return replace(largest, reduction=reduction, fault=TILE_FAULT)


def _unify_all(parts: Sequence[tuple[Expression, ChannelArray]]) -> Expression | None:
    """Return the one expression that all are, each for its own channels."""
    result: Expression | None
    result, known = parts[0]
    for expression, keys in parts[1:]:
        if result is None:
            return None
        result = unify(result, expression, known, keys)
        known = np.concatenate([known, keys])
    return result


def join_members(views: Sequence[View], reduction: str) -> View | None:
    """Return the reduction of several views, each wide or already reduced in the same way.

    `Max(Max(a, b), c)` has the members of a, b and c.
    """
    if not all(may_reduce(view, reduction) for view in views):
        return None
    if reduction == "mean" and len({view.window for view in views}) > 1:
        return None
    wide = combine([replace(view, reduction=None) for view in views])
    if wide is None:
        return None
    first = wide[0]
    if any(view.dims != first.dims for view in wide):
        return _broadcast(wide, reduction)
    channels = np.concatenate([view.channels for view in wide], axis=-1)
    return replace(first, channels=channels, reduction=reduction)
