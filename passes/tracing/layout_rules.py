"""Operators that move values without changing them."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from condense_compiler.passes.tracing.combining import combine
from condense_compiler.passes.tracing.layout import concatenate, reshape, take, transpose
from condense_compiler.passes.tracing.rules import Context, Rule
from condense_compiler.passes.tracing.views import View


def _same(context: Context) -> Sequence[View | None]:
    return [context.view()]


def _reshape(context: Context) -> Sequence[View | None]:
    view = context.view()
    return [reshape(view, context.shape()) if view is not None else None]


def _transpose(context: Context) -> Sequence[View | None]:
    view = context.view()
    if view is None:
        return [None]
    rank = len(view.dims)
    return [transpose(view, context.node.attrs.get("perm", range(rank)[::-1]))]


def _split(context: Context) -> Sequence[View | None]:
    view = context.view()
    if view is None:
        return []
    dim = context.node.attrs.get("axis", 0) % len(view.dims)
    ends = np.cumsum([tensor.shape[dim] for tensor in context.node.outputs])
    starts = [0, *ends[:-1]]
    return [take(view, dim, range(a, b)) for a, b in zip(starts, ends, strict=True)]


def _slice(context: Context) -> Sequence[View | None]:
    view = context.view()
    starts, ends = context.ints("starts", 1), context.ints("ends", 2)
    if view is None or starts is None or ends is None:
        return [None]
    axes = context.ints("axes", 3) or list(range(len(starts)))
    steps = context.ints("steps", 4) or [1] * len(starts)
    result: View | None = view
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if result is None:
            return [None]
        dim = axis % len(result.dims)
        size = result.shape[dim]
        stop = None if step < 0 and end < -size else end
        result = take(result, dim, range(size)[slice(start, stop, step)])
    return [result]


def _gather(context: Context) -> Sequence[View | None]:
    view, indices = context.view(), context.constant(1)
    if view is None or indices is None:
        return [None]
    dim = context.node.attrs.get("axis", 0) % len(view.dims)
    return [_taken(view, dim, indices, context.shape())]


def _gather_nd(context: Context) -> Sequence[View | None]:
    """Positions along the first axis alone: how PyTorch exports `x[:, indices]`."""
    view, indices = context.view(), context.constant(1)
    if view is None or indices is None or indices.shape[-1] != 1:
        return [None]
    if context.node.attrs.get("batch_dims", 0):
        return [None]
    return [_taken(view, 0, indices[..., 0], context.shape())]


def _taken(
    view: View, dim: int, indices: npt.NDArray[np.generic], shape: Sequence[int]
) -> View | None:
    positions = np.asarray(indices, dtype=np.int64) % view.shape[dim]
    if positions.ndim == 0:
        return take(view, dim, int(positions))
    taken = take(view, dim, positions.reshape(-1).tolist())
    return reshape(taken, shape) if taken is not None else None


def _concat(context: Context) -> Sequence[View | None]:
    views = [context.view(i) for i in range(len(context.node.inputs))]
    known = [view for view in views if view is not None]
    if len(known) != len(views):
        return [None]
    combined = combine(known)
    apart = len({frozenset(view.convolutions()) for view in known}) > 1
    if combined is None or (apart and not known[0].is_wide):
        return [None]  # maps that are pooled already are layers of their own
    return [concatenate(combined, context.node.attrs["axis"] % len(known[0].dims))]


RULES: Mapping[str, Rule] = {
    "Concat": _concat,
    "Dropout": _same,
    "Flatten": _reshape,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Identity": _same,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _reshape,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
