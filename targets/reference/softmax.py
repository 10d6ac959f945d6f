"""Softmax and its kin, at all versions of their operators."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from condense_compiler.operators.normalisation import AxisNormalisation
from condense_compiler.targets.reference.blocks import BLOCK_ELEMENTS
from condense_compiler.targets.reference.kernel import (
    Array,
    Builder,
    Kernel,
    NodeContext,
    is_float,
)

# Elements that are computed at a time, if the axis is not longer.
_BLOCK = 4 * BLOCK_ELEMENTS

# Writes the second, which may be the first; both are (rows, elements, columns).
_Function = Callable[[Array, Array], None]


def _along_axis(function: _Function) -> Builder:
    """Return the builder of an operator that normalises along an axis.

    Before opset 13 all axes from `axis` on were taken together.
    """

    def build(context: NodeContext) -> Kernel | None:
        if not is_float(context.dtype()):
            return None
        shape = context.shape()
        old = context.opset < 13
        given = context.read(AxisNormalisation).axis
        axis = (1 if old else -1) if given is None else given
        axis += len(shape) if axis < 0 else 0
        inner = 1 if old else prod(shape[axis + 1 :])
        flat = (prod(shape[:axis]), prod(shape[axis:]) // inner, inner)
        steps = _steps(flat)

        def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
            x, y = inputs[0].reshape(flat), outputs[0].reshape(flat)
            for row in range(0, flat[0], steps[0]):
                for column in range(0, flat[2], steps[1]):
                    part = np.s_[row : row + steps[0], :, column : column + steps[1]]
                    function(x[part], y[part])

        # Largest values, places and sums; and a block of what is summed up.
        positions = min(steps[0], flat[0]) * min(steps[1], flat[2])
        elements = 3 * positions * 2 + min(_BLOCK, positions * flat[1])
        return Kernel(compute, temporary_bytes=elements * context.dtype().itemsize)

    return build


def _steps(flat: tuple[int, int, int]) -> tuple[int, int]:
    """Return how many rows and columns are computed at a time."""
    columns = max(1, min(flat[2], _BLOCK // flat[1]))
    return (max(1, _BLOCK // (flat[1] * columns)) if columns == flat[2] else 1), columns


def _shifted(x: Array, y: Array) -> None:
    np.subtract(x, np.max(x, axis=1, keepdims=True), out=y)


def _softmax(x: Array, y: Array) -> None:
    _shifted(x, y)
    np.exp(y, out=y)
    np.divide(y, np.sum(y, axis=1, keepdims=True), out=y)


def _log_softmax(x: Array, y: Array) -> None:
    _shifted(x, y)
    total: Any = np.zeros((len(y), 1, y.shape[2]), y.dtype)
    step = max(1, _BLOCK // total.size)
    for low in range(0, y.shape[1], step):
        total += np.sum(np.exp(y[:, low : low + step]), axis=1, keepdims=True)
    np.subtract(y, np.log(total, out=total), out=y)


def _hardmax(x: Array, y: Array) -> None:
    places = np.argmax(x, axis=1, keepdims=True)
    y.fill(0)
    np.put_along_axis(y, places, 1, axis=1)


softmax = _along_axis(_softmax)
log_softmax = _along_axis(_log_softmax)
hardmax = _along_axis(_hardmax)
