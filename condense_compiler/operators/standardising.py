"""Operators that standardise groups of values: which values form a group, and what is done.

A group here is a stretch of memory; other ways to group are left to whoever computes any operator.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.operators.attributes import Spelling

_EPSILON = float(np.float32(1e-5))  # as ONNX holds what is not given
_GROUPED_CHANNELS_SINCE = 21  # one scale for each channel; one for each group before


@dataclass(frozen=True, slots=True)
class Groups:
    """Consecutive groups of a map.

    Attributes:
        count: Number of groups.
        size: Elements of each.
        affine_shape: Shape of the map to which scale and bias are broadcast.
        term_axes: Axes of scale and bias; None: as they are given.
        centred: The mean is subtracted first.
        outside: The small number is added to the root, not under it.
        epsilon: The small number.
    """

    count: int
    size: int
    affine_shape: tuple[int, ...]
    term_axes: int | None = None
    centred: bool = True
    outside: bool = False
    epsilon: float = _EPSILON

    def term_shape(self, term: npt.NDArray[np.generic]) -> tuple[int, ...]:
        """Return the shape in which scale or bias broadcasts."""
        if self.term_axes is None:
            return term.shape
        return (-1, *(1,) * (self.term_axes - 1))


def _instances(given: Spelling, _opset: int) -> Groups | None:
    batch, channels, *pixels = given.shape()
    shape = (batch, channels, prod(pixels))
    return Groups(batch * channels, prod(pixels), shape, term_axes=2)


def _channel_groups(given: Spelling, opset: int) -> Groups | None:
    batch, channels, *pixels = given.shape()
    count = given.integer("num_groups", 0)
    if not count or channels % count:
        return None
    size = channels // count * prod(pixels)
    by_channel = opset >= _GROUPED_CHANNELS_SINCE
    shape = (batch, channels, prod(pixels)) if by_channel else (batch, count, size)
    return Groups(batch * count, size, shape, term_axes=2)


def _layers(given: Spelling, _opset: int) -> Groups | None:
    shape = given.shape()
    axis = given.axis("axis", -1, len(shape))
    return Groups(prod(shape[:axis]), prod(shape[axis:]), shape)


def _mean_squares(given: Spelling, opset: int) -> Groups | None:
    layers = _layers(given, opset)
    assert layers is not None
    return Groups(layers.count, layers.size, layers.affine_shape, centred=False)


def _mean_variance(given: Spelling, _opset: int) -> Groups | None:
    shape = given.shape()
    axes = {axis % len(shape) for axis in given.integers("axes") or (0, 2, 3)}
    kept = [axis for axis, size in enumerate(shape) if axis not in axes and size > 1]
    first = max(kept, default=-1) + 1
    if any(axis < first and shape[axis] > 1 for axis in axes):
        return None
    count = prod(shape[:first])
    return Groups(count, prod(shape[first:]), shape, outside=True, epsilon=1e-9)


_GROUPS: Mapping[str, Callable[[Spelling, int], Groups | None]] = {
    "GroupNormalization": _channel_groups,
    "InstanceNormalization": _instances,
    "LayerNormalization": _layers,
    "MeanVarianceNormalization": _mean_variance,
    "RMSNormalization": _mean_squares,
}

STANDARDISING = frozenset(_GROUPS)


def normalised_groups(node: gs.Node, opset: int) -> Groups | None:
    """Return the groups that an operator standardises; None where they are no stretches.

    None, too, where it has other results than the standardised map.
    """
    results = [tensor for tensor in node.outputs if not tensor.is_empty()]
    if len(results) != 1 or prod(node.inputs[0].shape) == 0:
        return None
    given = Spelling(node)
    groups = _GROUPS[node.op](given, opset)
    return replace(groups, epsilon=given.number("epsilon", groups.epsilon)) if groups else None
