"""How operators that only move values change a view."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from condense_compiler.passes.tracing.ranks import is_rank, take_ranks
from condense_compiler.passes.tracing.views import (
    Axis,
    ChannelArray,
    View,
    is_channel_only,
    size_of,
)

Dims = tuple[tuple[Axis, ...], ...]


def _channel_axes(dims: Sequence[tuple[Axis, ...]]) -> list[int]:
    """Return the sizes of the channel axes, in order."""
    return [axis.size for dim in dims for axis in dim if axis.kind == "channel"]


def _with_dims(view: View, dims: Dims) -> View:
    shape = [*_channel_axes(dims), view.window]
    return replace(view, dims=dims, channels=view.channels.reshape(shape))


def merged(view: View) -> View:
    """Return the view with neighbouring channel axes of each dimension made one."""
    dims = tuple(_merge_dim(dim) for dim in view.dims)
    return _with_dims(view, dims)


def _merge_dim(dim: tuple[Axis, ...]) -> tuple[Axis, ...]:
    merged_axes: list[Axis] = []
    for axis in dim:
        if axis.kind == "channel" and merged_axes and merged_axes[-1].kind == "channel":
            merged_axes[-1] = Axis("channel", merged_axes[-1].size * axis.size)
        else:
            merged_axes.append(axis)
    return tuple(merged_axes)


def reshape(view: View, shape: Sequence[int]) -> View | None:
    """Group the axes anew; None if that splits a pixel axis."""
    waiting = list(view.axes)
    dims: list[tuple[Axis, ...]] = []
    for size in shape:
        taken = _take(waiting, size)
        if taken is None:
            return None
        dims.append(taken)
    return merged(_with_dims(view, tuple(dims)))


def _take(waiting: list[Axis], size: int) -> tuple[Axis, ...] | None:
    """Take axes from the front that make up a dimension of the given size."""
    taken: list[Axis] = []
    missing = size
    while missing > 1:
        axis = waiting.pop(0)
        if missing % axis.size == 0:
            taken.append(axis)
            missing //= axis.size
        elif axis.kind == "channel" and axis.size % missing == 0:
            taken.append(Axis("channel", missing))
            waiting.insert(0, Axis("channel", axis.size // missing))
            missing = 1
        else:
            return None
    return tuple(taken)


def transpose(view: View, permutation: Sequence[int]) -> View:
    """Put the dimensions in another order."""
    numbers: list[list[int]] = []
    count = 0
    for dim in view.dims:
        channels = sum(axis.kind == "channel" for axis in dim)
        numbers.append(list(range(count, count + channels)))
        count += channels
    order = [number for dim in permutation for number in numbers[dim]]
    dims = tuple(view.dims[dim] for dim in permutation)
    return replace(view, dims=dims, channels=view.channels.transpose(*order, count))


def take(view: View, dim: int, positions: Sequence[int] | int) -> View | None:
    """Keep some positions of a dimension; a single number removes the dimension."""
    scalar = isinstance(positions, int | np.integer)
    chosen = np.atleast_1d(np.asarray(positions, dtype=np.int64))
    size = size_of(view.dims[dim])
    if not scalar and np.array_equal(chosen, np.arange(size)):
        return view
    if is_rank(view.dims[dim]):
        return take_ranks(view, dim, chosen, keep=not scalar)
    if not is_channel_only(view.dims[dim]):
        return None
    view = merged(view)
    kept = (Axis("channel", len(chosen)),) if len(chosen) > 1 else ()
    before, behind = view.dims[:dim], view.dims[dim + 1 :]
    axis = len(_channel_axes(before))
    channels = view.channels if view.dims[dim] else np.expand_dims(view.channels, axis)
    channels = np.take(channels, chosen, axis=axis)
    dims = (*before, *(() if scalar else (kept,)), *behind)
    return _with_dims(replace(view, channels=channels), dims)


def concatenate(views: Sequence[View], dim: int) -> View | None:
    """Join views of one convolution's channels along a dimension that runs over channels."""
    joined = [merged(view) for view in views]
    first = joined[0]
    if not all(is_channel_only(view.dims[dim]) for view in joined):
        return None
    if any(view.window != first.window for view in joined):
        return None  # groups of several sizes
    rest = first.dims[:dim], first.dims[dim + 1 :]
    if any((view.dims[:dim], view.dims[dim + 1 :]) != rest for view in joined):
        return None
    axis = len(_channel_axes(rest[0]))
    parts = [
        view.channels if view.dims[dim] else np.expand_dims(view.channels, axis) for view in joined
    ]
    size = sum(part.shape[axis] for part in parts)
    dims = (*rest[0], (Axis("channel", size),) if size > 1 else (), *rest[1])
    channels = np.concatenate(parts, axis=axis)
    return _with_dims(replace(first, channels=channels), dims)


def channel_window(view: View, dim: int, positions: ChannelArray) -> View:
    """Gather members along a channel dimension.

    Args:
        view: A wide view.
        dim: A dimension that runs over channels alone.
        positions: For each position of the result, the positions that are reduced to it.

    Returns:
        A view whose dimension has one position for each row, members last.
    """
    view = merged(view)
    axis = len(_channel_axes(view.dims[:dim]))
    channels = view.channels if view.dims[dim] else np.expand_dims(view.channels, axis)
    gathered = np.take(channels[..., 0], positions, axis=axis)
    gathered = np.moveaxis(gathered, axis + 1, -1)
    kept = (Axis("channel", len(positions)),) if len(positions) > 1 else ()
    dims = (*view.dims[:dim], kept, *view.dims[dim + 1 :])
    shape = [*_channel_axes(dims), positions.shape[1]]
    return replace(view, dims=dims, channels=gathered.reshape(shape))


def reduce_dims(view: View, reduced: Sequence[int], keep: bool) -> View | None:
    """Make all positions of some channel dimensions members of one value."""
    if not all(is_channel_only(view.dims[dim]) for dim in reduced):
        return None
    order = [d for d in range(len(view.dims)) if d not in reduced] + sorted(reduced)
    moved = transpose(view, order)
    kept_count = len(view.dims) - len(reduced)
    kept = moved.dims[:kept_count]
    channels = moved.channels.reshape([*_channel_axes(kept), -1])
    remaining = iter(kept)
    dims = tuple(
        () if dim in reduced else next(remaining)
        for dim in range(len(view.dims))
        if keep or dim not in reduced
    )
    return replace(view, dims=dims, channels=channels)
