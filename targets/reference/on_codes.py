"""Prepare condense::OnCodes: values exist for one block, or for one part, at a time."""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from math import prod

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.operators.channel_pooling import OnCodes
from condense_compiler.operators.normalisation import scaling
from condense_compiler.operators.on_codes import (
    BY_PARTS,
    INPUTS_OF_OPERAND,
    PRODUCTS,
    own_attributes,
    plain_inputs,
    separate_axes,
)
from condense_compiler.targets.reference.blocks import BLOCK_ELEMENTS, block_elements, blocks
from condense_compiler.targets.reference.codes import operand, store
from condense_compiler.targets.reference.elementwise import channel_terms, normalize
from condense_compiler.targets.reference.fallback import compute_elsewhere
from condense_compiler.targets.reference.functions import FUNCTIONS, Function, temporaries
from condense_compiler.targets.reference.kernel import (
    ABSENT,
    Array,
    Builder,
    Kernel,
    NodeContext,
    Shape,
)
from condense_compiler.targets.reference.products_on_codes import product_on_codes
from condense_compiler.targets.reference.quantised_convolution import convolution_on_codes

_RESIZE_INPUTS = 3  # roi, scales, sizes


def on_codes(context: NodeContext, on_values: Mapping[str, Builder]) -> Kernel | None:
    """Prepare an operator on codes.

    Args:
        context: The node.
        on_values: Who prepares operators on values.
    """
    op = context.read(OnCodes).inner
    if op in BY_PARTS:
        return _by_parts(context, on_values.get(op, compute_elsewhere))
    return _RULES.get(op, _elementwise)(context)


def _elementwise(context: NodeContext) -> Kernel:
    op = context.read(OnCodes).inner
    function: Function = FUNCTIONS.get(op, np.copyto)  # Identity copies
    attributes, plain = own_attributes(context.node), plain_inputs(context.node)
    return _in_blocks(
        context,
        lambda out, *values: function(out, *values, **attributes),
        lambda inputs: [None if inputs[i] is ABSENT else inputs[i] for i in plain],
        temporaries(op),
    )


def _batch_norm(context: NodeContext) -> Kernel | None:
    constants = [context.constant(index) for index in plain_inputs(context.node)]
    known = [value for value in constants if value is not None]
    if len(known) < len(constants):
        return None
    factors = scaling(known, context.read(OnCodes).epsilon)
    terms: list[Array | None] = [*channel_terms(context, factors, np.dtype(np.float32))]
    return _in_blocks(context, normalize, lambda _inputs: terms, 0)


def _in_blocks(
    context: NodeContext,
    function: Callable[..., object],
    constants: Callable[[Sequence[Array]], list[Array | None]],
    held: int,
) -> Kernel:
    """Prepare a function of operands and constants, all of which broadcast to the result."""
    count, shape = context.read(OnCodes).operands, context.output_shape()

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        output = np.atleast_1d(outputs[0])
        operands = [operand(inputs, index).spread(output.shape) for index in range(count)]
        plain = [v if v is None else np.broadcast_to(v, output.shape) for v in constants(inputs)]
        for block in blocks(output.shape):
            values = [operand.values(block) for operand in operands]
            result = np.empty(values[0].shape, np.float32)
            function(result, *values, *(v if v is None else v[block] for v in plain))
            store(output[block], result, inputs)

    return Kernel(compute, temporary_bytes=block_elements(shape) * (held + count + 2) * 4)


def _concatenate(context: NodeContext) -> Kernel:
    operator = context.read(OnCodes)
    count, axis = operator.operands, operator.axis
    sizes = [context.shape(INPUTS_OF_OPERAND * index)[axis] for index in range(count)]
    starts = [0, *accumulate(sizes)]

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        for index in range(count):
            source = operand(inputs, index)
            part = [slice(None)] * outputs[0].ndim
            part[axis] = slice(starts[index], starts[index + 1])
            target = outputs[0][tuple(part)]
            for block in blocks(source.codes.shape):
                store(target[block], source.values(block), inputs)

    return Kernel(compute, temporary_bytes=BLOCK_ELEMENTS * 3 * 4)


def _by_parts(context: NodeContext, builder: Builder) -> Kernel | None:
    """Prepare an operator that treats parts of a map apart: part by part, on values."""
    axes = separate_axes(_of_values(context.node))
    data, result = context.shape(), context.output_shape()
    node = _of_values(context.node, (*[1] * axes, *data[axes:]), (*[1] * axes, *result[axes:]))
    part = builder(NodeContext(node, context.opset))
    if part is None:
        return None

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], scratch: Array) -> None:
        codes = operand(inputs, 0)
        values = np.empty(node.outputs[0].shape, np.float32)
        plain = [ABSENT if t.is_empty() else t.values for t in node.inputs[1:]]
        for index in np.ndindex(*data[:axes]):
            place = tuple(slice(i, i + 1) for i in index)
            part.compute([codes.values(place), *plain], [values], scratch)
            store(outputs[0][place], values, inputs)

    held = 4 * (prod(data[axes:]) + prod(result[axes:]))
    return Kernel(compute, part.buffer_bytes, part.temporary_bytes + held, part.computed_by)


def _of_values(node: gs.Node, data: Shape | None = None, result: Shape | None = None) -> gs.Node:
    """Return the operator on values, of maps of other shapes."""
    values = gs.Variable("values", np.float32, data or tuple(node.inputs[0].shape))
    results = gs.Variable("results", np.float32, result or tuple(node.outputs[0].shape))
    constants = [node.inputs[index] for index in plain_inputs(node)]
    if node.attrs["op"] == "Resize" and len(constants) == _RESIZE_INPUTS and result is not None:
        constants[-1] = gs.Constant(f"{node.name}/sizes", np.array(result, np.int64))
    attributes = own_attributes(node)
    return gs.Node(node.attrs["op"], node.name, attributes, [values, *constants], [results])


_RULES: Mapping[str, Builder] = {
    "BatchNormalization": _batch_norm,
    "Concat": _concatenate,
    "Conv": convolution_on_codes,
    **dict.fromkeys(PRODUCTS, product_on_codes),
}
