"""Operators that bring values to a mean of zero, a deviation of one, or a norm of one.

The result may lie on the data: all of a group is read before any of it is written.
"""

from collections.abc import Sequence
from math import prod

import numpy as np

from condense_compiler.operators.normalisation import AxisNormalisation
from condense_compiler.operators.standardising import Groups, normalised_groups
from condense_compiler.targets.reference.blocks import BLOCK_ELEMENTS, blocks
from condense_compiler.targets.reference.kernel import (
    Array,
    Kernel,
    NodeContext,
    Shape,
    is_float,
)

_SCALE, _BIAS = 1, 2


def standardise(context: NodeContext) -> Kernel | None:
    """Prepare any of them; None where a group is no stretch of memory, or more is asked for."""
    groups = normalised_groups(context.node, context.opset)
    if groups is None or not is_float(context.dtype()):
        return None
    shape, epsilon = (groups.count, groups.size), groups.epsilon

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        x, y = inputs[0].reshape(shape), outputs[0].reshape(shape)
        for part in blocks(shape, max(_elements(shape), shape[1])):
            _standardise(x[part], y[part], groups, epsilon)
        given = [index for index in (_SCALE, _BIAS) if context.has_input(index)]
        terms = [inputs[index].reshape(groups.term_shape(inputs[index])) for index in given]
        _scale_and_shift(outputs[0].reshape(groups.affine_shape), terms)

    held = 3 * min(prod(shape), BLOCK_ELEMENTS) + 4 * min(shape[0], _elements(shape))
    return Kernel(compute, temporary_bytes=8 * held)


def _elements(shape: Shape) -> int:
    """Return how many elements of whole groups are computed at a time."""
    return max(BLOCK_ELEMENTS // shape[1], 1) * shape[1]


def _standardise(x: Array, y: Array, groups: Groups, epsilon: float) -> None:
    """Standardise some groups, (groups, elements)."""
    if groups.centred:
        mean = np.mean(x, axis=1, keepdims=True, dtype=np.float64)
        np.subtract(x, mean.astype(x.dtype), out=y)
        x = y
    power = np.zeros((len(x), 1), np.float64)
    for start in range(0, x.shape[1], BLOCK_ELEMENTS):
        square = np.square(x[:, start : start + BLOCK_ELEMENTS])
        power += np.sum(square, axis=1, keepdims=True, dtype=np.float64)
    power /= x.shape[1]
    divisor = np.sqrt(power) + epsilon if groups.outside else np.sqrt(power + epsilon)
    np.divide(x, divisor.astype(x.dtype), out=y)


def _scale_and_shift(y: Array, terms: Sequence[Array]) -> None:
    spread = [np.broadcast_to(term, y.shape) for term in terms]
    for index in blocks(y.shape):
        for function, term in zip((np.multiply, np.add), spread, strict=False):
            function(y[index], term[index], out=y[index])


def lp_normalize(context: NodeContext) -> Kernel | None:
    """Prepare LpNormalization: each vector along an axis divided by its norm."""
    operator = context.read(AxisNormalisation)
    order = operator.power
    if not is_float(context.dtype()) or order not in (1, 2):
        return None
    shape = context.shape()
    axis = (-1 if operator.axis is None else operator.axis) % len(shape)
    flat = (prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :]))
    columns = max(1, min(flat[2], 4 * BLOCK_ELEMENTS // max(flat[1], 1)))

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        x, y = inputs[0].reshape(flat), outputs[0].reshape(flat)
        for row in range(flat[0]):
            for column in range(0, flat[2], columns):
                part = np.s_[row, :, column : column + columns]
                size = np.abs(x[part]) if order == 1 else np.square(x[part])
                norm = np.sum(size, axis=0)
                norm = np.sqrt(norm) if order == 2 else norm
                # A vector of zeros stays one.
                np.divide(x[part], np.where(norm == 0, 1, norm), out=y[part])

    return Kernel(compute, temporary_bytes=8 * columns * (flat[1] + 4))
