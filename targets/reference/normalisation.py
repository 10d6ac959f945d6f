"""Operators that look along axes: reductions, response normalisation."""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from condense_compiler.operators.normalisation import ResponseNormalisation
from condense_compiler.operators.reduction import Reduction
from condense_compiler.targets.reference.blocks import BLOCK_ELEMENTS
from condense_compiler.targets.reference.kernel import (
    Array,
    Builder,
    Kernel,
    NodeContext,
    Shape,
    is_float,
)


def reduction(reduce: Callable[..., object], floats_only: bool = False) -> Builder:
    """Return the builder of an operator that reduces some axes."""

    def build(context: NodeContext) -> Kernel | None:
        axes = context.read(Reduction).axes
        if not axes or (floats_only and not is_float(context.dtype())):
            return None
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(context.shape()))

        def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
            reduce(inputs[0], axis=axes, keepdims=True, out=outputs[0].reshape(kept))

        return Kernel(compute)

    return build


def lrn(context: NodeContext) -> Kernel | None:
    """Prepare LRN: each channel divided by what its neighbours sum up to."""
    if not is_float(context.dtype()):
        return None
    operator = context.read(ResponseNormalisation)
    size, alpha = operator.size, operator.alpha
    batch, channels, *others = context.shape()
    flat: Shape = (batch, channels, prod(others))
    pixels = max(1, BLOCK_ELEMENTS * 4 // channels)

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        x, y = inputs[0].reshape(flat), outputs[0].reshape(flat)
        for index in (
            (n, slice(p, p + pixels)) for n in range(batch) for p in range(0, flat[2], pixels)
        ):
            block = x[index[0], :, index[1]]
            total = _neighbour_sum(np.square(block), size)
            total *= alpha / size
            total += operator.bias
            np.power(total, -operator.beta, out=total)
            np.multiply(block, total, out=y[index[0], :, index[1]])

    return Kernel(
        compute, temporary_bytes=3 * channels * min(pixels, flat[2]) * context.dtype().itemsize
    )


def _neighbour_sum(values: Array, size: int) -> Array:
    """Return for each channel the sum over `size` channels around it."""
    total: Array = values.copy()
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    for distance in range(1, before + 1):
        total[distance:] += values[:-distance]
    for distance in range(1, after + 1):
        total[:-distance] += values[distance:]
    return total
