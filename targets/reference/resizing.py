"""Resize and Upsample: nearest and linear, separated into the axes that change."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from condense_compiler.operators.resize import Resize
from condense_compiler.targets.reference.kernel import (
    Array,
    Kernel,
    NodeContext,
    Shape,
    compute_dtype,
    is_float,
)

# What comes before the axes that change is computed in blocks of this size.
_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class _Pass:
    """A pass along one axis of (lead, before, axis, behind): `weights` of `high`, rest of `low`."""

    axis: int
    low: Array
    high: Array | None = None
    weights: Array | None = None

    def run(self, source: Array, target: Array) -> None:
        """Write `target`; both are (lead, axes...)."""
        np.take(source, self.low, axis=self.axis, out=target, mode="clip")
        if self.high is None or self.weights is None:
            return
        weights = self.weights.astype(target.dtype).reshape(
            -1, *(1,) * (target.ndim - self.axis - 1)
        )
        target *= 1 - weights
        far = np.take(source, self.high, axis=self.axis)
        far *= weights
        target += far


def resize(context: NodeContext) -> Kernel | None:
    """Prepare Resize or Upsample."""
    operator = context.read(Resize)
    axes = operator.axes()
    if axes is None or (operator.mode == "linear" and not is_float(context.dtype())):
        return None
    first = min(axes, default=len(context.shape()) - 1)
    passes = [
        _Pass(number - first + 1, *operator.neighbours(axis)) for number, axis in axes.items()
    ]
    return _in_blocks(context, first, passes)


def _in_blocks(context: NodeContext, first: int, passes: Sequence[_Pass]) -> Kernel:
    """Return a kernel that runs the passes one after the other, a block of leading axes a time."""
    dtype = compute_dtype(context.dtype()) if is_float(context.dtype()) else context.dtype()
    shapes = [context.shape()[first:]]
    for step in passes:
        shape = list(shapes[-1])
        shape[step.axis - 1] = len(step.low)
        shapes.append(tuple(shape))
    lead = prod(context.shape()[:first])
    count = max(1, _BLOCK_BYTES // max(prod(shape) * dtype.itemsize for shape in shapes))

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        source = inputs[0].reshape(lead, *shapes[0])
        target = outputs[0].reshape(lead, *shapes[-1])
        for low in range(0, lead, count):
            _run(passes, shapes, source[low : low + count], target[low : low + count])

    held = _elements_held(shapes, linear=any(step.high is not None for step in passes))
    return Kernel(compute, temporary_bytes=min(count, lead) * held * dtype.itemsize)


def _run(passes: Sequence[_Pass], shapes: Sequence[Shape], block: Array, target: Array) -> None:
    if not passes:
        np.copyto(target, block)
        return
    for step, shape in zip(passes, shapes[1:], strict=True):
        last = step is passes[-1]
        result: Array = target if last else np.empty((len(block), *shape), block.dtype)
        step.run(block, result)
        block = result


def _elements_held(shapes: Sequence[Shape], *, linear: bool) -> int:
    """Return the elements of the temporaries of one item, at most."""
    sizes = [prod(shape) for shape in shapes]
    held: list[Any] = [before + behind * (1 + linear) for before, behind in pairwise(sizes)]
    return int(max(held, default=0))
