"""Operators that reduce channels: reductions, pooling over a channel axis, sorting."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from condense_compiler.operators.pooling import GlobalPool, Pool
from condense_compiler.operators.reduction import Reduction, TopK
from condense_compiler.operators.window import Window
from condense_compiler.passes.tracing.combining import may_reduce
from condense_compiler.passes.tracing.expressions import IDENTITY, Apply, Expression, compose
from condense_compiler.passes.tracing.layout import channel_window, reduce_dims
from condense_compiler.passes.tracing.ranks import summed_ranks
from condense_compiler.passes.tracing.rules import Context, Rule
from condense_compiler.passes.tracing.views import (
    TILE_FAULT,
    Axis,
    View,
    is_canonical,
    is_channel_only,
    simplified,
)

_SQUARE = Apply("Mul", (IDENTITY, IDENTITY))

# Operator -> what it reduces to, and what it applies to each member first.
REDUCTIONS: Mapping[str, tuple[str, Expression]] = {
    "ReduceL1": ("sum", Apply("Abs", (IDENTITY,))),
    "ReduceL2": ("l2", IDENTITY),
    "ReduceMax": ("max", IDENTITY),
    "ReduceMean": ("mean", IDENTITY),
    "ReduceMin": ("min", IDENTITY),
    "ReduceSum": ("sum", IDENTITY),
    "ReduceSumSquare": ("sum", _SQUARE),
}

POOLINGS: Mapping[str, str] = {"AveragePool": "mean", "LpPool": "l2", "MaxPool": "max"}
GLOBAL_POOLINGS: Mapping[str, str] = {
    "GlobalAveragePool": "mean",
    "GlobalLpPool": "l2",
    "GlobalMaxPool": "max",
}


def _reduce(context: Context) -> Sequence[View | None]:
    view, operator = context.view(), context.read(Reduction)
    if view is None or not operator.axes:
        return [None]
    reduction, first = REDUCTIONS[operator.op]
    return [_reduced(view, operator.axes, operator.keeps_axes, reduction, first)]


def _reduced(
    view: View, dims: Sequence[int], keep: bool, reduction: str, first: Expression = IDENTITY
) -> View | None:
    if view.is_ranked:
        return _sum_ranks(view, dims, keep, reduction)
    if not view.is_wide and not any(view.dims[dim] for dim in dims):
        alone = reduction != "l2" and first == IDENTITY  # a value by itself stays what it is
        return reduce_dims(view, dims, keep) if alone else None
    if not _is_group(view, dims) or not may_reduce(view, reduction):
        return None
    if not view.is_wide:
        return reduce_dims(view, dims, keep) if first == IDENTITY else None
    reduced = reduce_dims(view, dims, keep)
    if reduced is None:
        return None
    return simplified(replace(reduced, before=compose(first, view.before), reduction=reduction))


def _is_group(view: View, dims: Sequence[int]) -> bool:
    """Tell whether the dimensions hold members: channels, or one axis made for a single member.

    A dimension of size one may as well be a map that is one pixel high, so in a tensor laid out
    as the convolution's result it counts for nothing.
    """
    if not all(is_channel_only(view.dims[dim]) for dim in dims):
        return False
    has_channels = any(view.dims[dim] for dim in dims)
    return has_channels or (len(dims) == 1 and not is_canonical(view))


def _sum_ranks(view: View, dims: Sequence[int], keep: bool, reduction: str) -> View | None:
    """Sum the weighted ranks of sorted groups."""
    scale = {"sum": 1.0, "mean": 1.0 / len(view.ranks)}.get(reduction)
    axes = [axis for dim in dims for axis in view.dims[dim]]
    if scale is None or len(dims) != 1 or [axis.kind for axis in axes] != ["rank"]:
        return None
    weighted = replace(view, ranks=tuple((rank, w * scale) for rank, w in view.ranks))
    return summed_ranks(weighted, dims[0], keep)


def _pool(context: Context) -> Sequence[View | None]:
    view, pool = context.view(), context.read(Pool)
    window = pool.window
    if view is None or view.is_ranked or len(context.node.outputs) > 1:
        return [None]
    if pool.op == "LpPool" and pool.power != 2:
        return [None]
    moving = [axis for axis in range(len(window.kernel_shape)) if not _stands_still(window, axis)]
    dims = [axis + 2 for axis in moving]
    if len(dims) == 1 and view.dims[dims[0]] and is_channel_only(view.dims[dims[0]]):
        return [_pool_channels(context, view, window, moving[0])]
    reduction = POOLINGS[context.node.op]
    if not dims and view.is_wide and not is_canonical(view):
        return [replace(view, reduction=reduction) if may_reduce(view, reduction) else None]
    return [_pool_pixels(context, view, window)]


def _stands_still(window: Window, axis: int) -> bool:
    rank = len(window.kernel_shape)
    settings = (
        window.kernel_shape[axis],
        window.strides[axis],
        window.pads[axis] + 1,
        window.pads[axis + rank] + 1,
    )
    return settings == (1, 1, 1, 1)


def _pool_channels(context: Context, view: View, window: Window, axis: int) -> View | None:
    reduction = POOLINGS[context.node.op]
    if not view.is_wide or not may_reduce(view, reduction):
        return None
    dim, size = axis + 2, view.shape[axis + 2]
    starts = np.arange(context.shape()[dim])[:, None] * window.strides[axis] - window.pads[axis]
    rows = starts + np.arange(window.kernel_shape[axis]) * window.dilations[axis]
    inside = bool(np.all((rows >= 0) & (rows < size)))
    pooled = channel_window(view, dim, np.clip(rows, 0, size - 1))
    return replace(pooled, reduction=reduction, fault=None if inside else TILE_FAULT)


def _pool_pixels(context: Context, view: View, window: Window) -> View | None:
    """Spatial max-pooling, behind the reduction or in front of a maximum."""
    if context.node.op != "MaxPool" or view.spatial is not None or not is_canonical(view):
        return None
    pixels = context.shape()[2:]
    dims = list(view.dims)
    for axis, size in enumerate(pixels, start=2):
        dims[axis] = tuple(replace(factor, size=size) for factor in view.dims[axis])
        if size == 1:
            dims[axis] = ()
    return replace(view, dims=tuple(dims), spatial=window, pixels=pixels)


def _global_pool(context: Context) -> Sequence[View | None]:
    view, pool = context.view(), context.read(GlobalPool)
    if view is None or pool.power != 2:
        return [None]
    return [_reduced(view, pool.axes, True, GLOBAL_POOLINGS[pool.op])]


def _top_k(context: Context) -> Sequence[View | None]:
    view, operator = context.view(), context.read(TopK)
    dim, size, largest = operator.axis, operator.count, operator.largest
    if view is None or size is None or not view.is_wide:
        return [None]
    if size == 1:
        return [_reduced(view, [dim], True, "max" if largest else "min")]
    if not operator.is_sorted or not is_channel_only(view.dims[dim]):
        return [None]
    if not may_reduce(view, "ordinal"):
        return [None]
    reduced = reduce_dims(view, [dim], keep=True)
    return [_ranked(reduced, dim, size, largest) if reduced is not None else None]


def _ranked(view: View, dim: int, size: int, largest: bool) -> View:
    """Put an axis of ranks where the sorted members stood."""
    dims = (*view.dims[:dim], (Axis("rank", size),), *view.dims[dim + 1 :])
    order = range(size) if largest else range(view.window - 1, view.window - 1 - size, -1)
    return replace(view, dims=dims, reduction="ordinal", ranks=tuple((rank, 1.0) for rank in order))


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(POOLINGS, _pool),
    **dict.fromkeys(GLOBAL_POOLINGS, _global_pool),
    "TopK": _top_k,
}
