"""Prepare condense::OnCodes: values exist for one block, or for one plane, at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, product
from math import prod

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.operators.on_codes import (
    INPUTS_OF_OPERAND,
    own_attributes,
    plain_inputs,
)
from condense_compiler.targets.reference.blocks import BLOCK_ELEMENTS, Block, block_elements, blocks
from condense_compiler.targets.reference.elementwise import normalisation, normalize
from condense_compiler.targets.reference.functions import FUNCTIONS, Function, temporaries
from condense_compiler.targets.reference.kernel import (
    Array,
    Builder,
    Kernel,
    NodeContext,
    Shape,
)
from condense_compiler.targets.reference.pooling import average_pool, global_average_pool

_PIXEL_AXES = 2  # the first of them


def on_codes(context: NodeContext) -> Kernel | None:
    """Prepare an operator on codes."""
    op = context.attribute("op")
    if op in _POOLING:
        return _by_planes(context, _POOLING[op])
    return _RULES.get(op, _elementwise)(context)


def _elementwise(context: NodeContext) -> Kernel:
    op = context.attribute("op")
    function: Function = FUNCTIONS.get(op, np.copyto)  # Identity copies
    attributes, plain = own_attributes(context.node), plain_inputs(context.node)
    return _in_blocks(
        context,
        lambda out, *values: function(out, *values, **attributes),
        lambda inputs: [inputs[index] for index in plain],
        temporaries(op),
    )


def _batch_norm(context: NodeContext) -> Kernel | None:
    constants = [context.constant(index) for index in plain_inputs(context.node)]
    known = [value for value in constants if value is not None]
    if len(known) < len(constants):
        return None
    terms = [*normalisation(context, known, np.dtype(np.float32))]
    return _in_blocks(context, normalize, lambda _inputs: terms, 0)


def _in_blocks(
    context: NodeContext,
    function: Callable[..., object],
    constants: Callable[[Sequence[Array]], list[Array]],
    held: int,
) -> Kernel:
    """Prepare a function of operands and constants, all of which broadcast to the result."""
    count, shape = context.attribute("operands"), context.output_shape()

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        output = np.atleast_1d(outputs[0])
        operands = [_operand(inputs, index).spread(output.shape) for index in range(count)]
        plain = [np.broadcast_to(value, output.shape) for value in constants(inputs)]
        for block in blocks(output.shape):
            values = [operand.values(block) for operand in operands]
            result = np.empty(values[0].shape, np.float32)
            function(result, *values, *(value[block] for value in plain))
            _store(output[block], result, inputs)

    return Kernel(compute, temporary_bytes=block_elements(shape) * (held + count + 2) * 4)


def _concatenate(context: NodeContext) -> Kernel:
    axis, count = context.attribute("axis"), context.attribute("operands")
    axis %= len(context.output_shape())
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


def _by_planes(context: NodeContext, builder: Builder) -> Kernel | None:
    """Prepare a pooling of pixels: plane by plane, by the operator on values."""
    pixels, results = (shape[_PIXEL_AXES:] for shape in (context.shape(), context.output_shape()))
    values, pooled = (
        gs.Variable(name, np.float32, (1, 1, *size))
        for name, size in (("values", pixels), ("pooled", results))
    )
    attributes = own_attributes(context.node)
    node = gs.Node(context.attribute("op"), context.node.name, attributes, [values], [pooled])
    plane = builder(NodeContext(node, context.opset))
    if plane is None:
        return None

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], scratch: Array) -> None:
        operand = _operand(inputs, 0)
        result = np.empty((1, 1, *results), np.float32)
        for item, channel in product(*map(range, operand.codes.shape[:_PIXEL_AXES])):
            part = (slice(item, item + 1), slice(channel, channel + 1))
            plane.compute([operand.values(part)], [result], scratch)
            _store(outputs[0][part], result, inputs)

    held = (prod(pixels) + prod(results)) * 4
    return Kernel(compute, plane.buffer_bytes, plane.temporary_bytes + held, plane.computed_by)


_RULES: Mapping[str, Builder] = {
    "BatchNormalization": _batch_norm,
    "Concat": _concatenate,
}
_POOLING: Mapping[str, Builder] = {
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
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

    def values(self, part: Block) -> Array:
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
