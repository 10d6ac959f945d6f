"""Prepare condense::OnCodes: values exist for one block at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, product
from math import prod

import numpy as np

from condense_compiler.operators.on_codes import (
    INPUTS_OF_OPERAND,
    operand_count,
    own_attributes,
)
from condense_compiler.targets.reference.blocks import BLOCK_ELEMENTS, block_elements, blocks
from condense_compiler.targets.reference.functions import FUNCTIONS, Function, temporaries
from condense_compiler.targets.reference.kernel import Array, Kernel, NodeContext, Shape

_PIXEL_AXES = 2  # the first of them


def on_codes(context: NodeContext) -> Kernel:
    """Prepare an operator on codes."""
    return _RULES.get(context.attribute("op"), _elementwise)(context)


def _elementwise(context: NodeContext) -> Kernel:
    op, shape = context.attribute("op"), context.output_shape()
    function: Function = FUNCTIONS.get(op, np.copyto)  # Identity copies
    attributes, count = own_attributes(context.node), operand_count(context.node)

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        output = np.atleast_1d(outputs[0])
        operands = [_operand(inputs, index).spread(output.shape) for index in range(count)]
        for block in blocks(output.shape):
            values = [operand.values(block) for operand in operands]
            result = np.empty(values[0].shape, np.float32)
            function(result, *values, **attributes)
            _store(output[block], result, inputs)

    held = temporaries(op) + count + 2
    return Kernel(compute, temporary_bytes=block_elements(shape) * held * 4)


def _concatenate(context: NodeContext) -> Kernel:
    axis = context.attribute("axis") % len(context.output_shape())
    count = operand_count(context.node)
    sizes = [context.shape(INPUTS_OF_OPERAND * index)[axis] for index in range(count)]
    starts = [0, *accumulate(sizes)]

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        for index in range(count):
            operand = _operand(inputs, index)
            part = [slice(None)] * outputs[0].ndim
            part[axis] = slice(starts[index], starts[index + 1])
            target = outputs[0][tuple(part)]
            for block in blocks(operand.codes.shape):
                _store(target[block], operand.values(block), inputs)

    return Kernel(compute, temporary_bytes=BLOCK_ELEMENTS * 3 * 4)


def _global_average(context: NodeContext) -> Kernel:
    pixels = context.shape()[_PIXEL_AXES:]
    axes = tuple(range(_PIXEL_AXES, len(context.shape())))

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        operand = _operand(inputs, 0)
        for item, channel in product(*map(range, operand.codes.shape[:_PIXEL_AXES])):
            plane = (slice(item, item + 1), slice(channel, channel + 1))
            mean = operand.values(plane).mean(axis=axes, keepdims=True, dtype=np.float32)
            _store(outputs[0][plane], mean, inputs)

    return Kernel(compute, temporary_bytes=prod(pixels) * 3 * 4)


_RULES: dict[str, Callable[[NodeContext], Kernel]] = {
    "Concat": _concatenate,
    "GlobalAveragePool": _global_average,
}


@dataclass(frozen=True, slots=True)
class _Operand:
    """Codes, and what they mean."""

    codes: Array
    scale: np.float32
    zero: np.float32

    def spread(self, shape: Shape) -> "_Operand":
        """Return the same, as large as the result."""
        return replace(self, codes=np.broadcast_to(self.codes, shape))

    def values(self, part: tuple[slice, ...]) -> Array:
        """Return the values of some of the codes."""
        values = self.codes[part].astype(np.float32)
        values -= self.zero
        values *= self.scale
        return values


def _operand(inputs: Sequence[Array], index: int) -> _Operand:
    codes, scale, zero = inputs[INPUTS_OF_OPERAND * index : INPUTS_OF_OPERAND * (index + 1)]
    return _Operand(codes, np.float32(scale.reshape(())), np.float32(zero.reshape(())))


def _store(codes: Array, values: Array, inputs: Sequence[Array]) -> None:
    """Quantise values, which are written over."""
    scale, zero = inputs[-2:]
    limits = np.iinfo(zero.dtype)
    values /= np.float32(scale.reshape(()))
    np.rint(values, out=values)
    values += np.float32(zero.reshape(()))
    np.copyto(codes, np.clip(values, limits.min, limits.max, out=values), casting="unsafe")
