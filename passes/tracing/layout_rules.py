"""Operators that move values without changing them."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from condense_compiler.operators.moving import Transpose
from condense_compiler.operators.parts import Concat, Gather, GatherND, Slice, Split
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
    return [transpose(view, context.read(Transpose).permutation) if view is not None else None]


def _split(context: Context) -> Sequence[View | None]:
    view, split = context.view(), context.read(Split)
    return [take(view, split.axis, part) for part in split.parts] if view is not None else []


def _slice(context: Context) -> Sequence[View | None]:
    result, slices = context.view(), context.read(Slice)
    if slices.taken is None:
        return [None]
    for dim, taken in enumerate(slices.taken):
        if result is not None and taken != range(slices.data[dim]):
            result = take(result, dim, taken)
    return [result]


def _gather(context: Context) -> Sequence[View | None]:
    view, gather = context.view(), context.read(Gather)
    if view is None or gather.indices is None:
        return [None]
    return [_taken(view, gather.axis, gather.indices, context.shape())]


def _gather_nd(context: Context) -> Sequence[View | None]:
    """Positions along the first axis alone: how PyTorch exports `x[:, indices]`."""
    view, indices = context.view(), context.constant(1)
    if view is None or indices is None or indices.shape[-1] != 1:
        return [None]
    if context.read(GatherND).batch_axes:
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
    return [concatenate(combined, context.read(Concat).axis)]


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
