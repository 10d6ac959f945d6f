"""Operators that look along axes: reductions, response normalisation."""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

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
        axes = _axes(context)
        if axes is None or (floats_only and not is_float(context.dtype())):
            return None
        if not axes and context.attribute("noop_with_empty_axes", 0):
            return None
        shape = context.shape()
        chosen = tuple(axis % len(shape) for axis in axes) or tuple(range(len(shape)))
        kept = tuple(1 if axis in chosen else size for axis, size in enumerate(shape))

        def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
            reduce(inputs[0], axis=chosen, keepdims=True, out=outputs[0].reshape(kept))

        return Kernel(compute)

    return build


def _axes(context: NodeContext) -> Sequence[int] | None:
    """Return the axes, an attribute or an input; None where they are not known ahead."""
    if "axes" in context.node.attrs or not context.has_input(1):
        return [int(axis) for axis in context.attribute("axes", ())]
    value = context.constant(1)
    return None if value is None else [int(axis) for axis in value.ravel()]


def lrn(context: NodeContext) -> Kernel | None:
    """Prepare LRN: each channel divided by what its neighbours sum up to."""
    if not is_float(context.dtype()):
        return None
    size, bias = context.attribute("size"), context.attribute("bias", 1.0)
    alpha, beta = context.attribute("alpha", 1e-4), context.attribute("beta", 0.75)
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
            total += bias
            np.power(total, -beta, out=total)
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
