"""Sorted groups: an axis of ranks whose positions are weighted and summed."""

from collections.abc import Iterable
from dataclasses import replace

from condense_compiler.passes.tracing.views import Axis, View


def is_rank(dim: tuple[Axis, ...]) -> bool:
    """Tell whether a dimension runs over the ranks of sorted groups."""
    return [axis.kind for axis in dim] == ["rank"]


def weigh_ranks(view: View, weights: Iterable[float]) -> View:
    """Multiply the value at each position of the rank axis by a weight."""
    pairs = zip(view.ranks, weights, strict=True)
    return replace(view, ranks=tuple((rank, old * float(new)) for (rank, old), new in pairs))


def take_ranks(view: View, dim: int, positions: Iterable[int], keep: bool) -> View:
    """Keep some positions of the rank axis; a single one is no axis any more."""
    ranks = tuple(view.ranks[position] for position in positions)
    view = replace(view, ranks=ranks)
    if len(ranks) == 1:
        return summed_ranks(view, dim, keep)
    return replace(
        view, dims=(*view.dims[:dim], (Axis("rank", len(ranks)),), *view.dims[dim + 1 :])
    )


def summed_ranks(view: View, dim: int, keep: bool) -> View:
    """Sum the weighted ranks; picking the largest or the smallest alone is max or min."""
    weights = [0.0] * view.window
    for rank, weight in view.ranks:
        weights[rank] += weight
    dims = (*view.dims[:dim], *(((),) if keep else ()), *view.dims[dim + 1 :])
    view = replace(view, dims=dims, ranks=())
    one_hot = [1.0] + [0.0] * (view.window - 1)
    if weights == one_hot:
        return replace(view, reduction="max")
    if weights == one_hot[::-1]:
        return replace(view, reduction="min")
    return replace(view, reduction="ordinal", rank_weights=tuple(weights))
