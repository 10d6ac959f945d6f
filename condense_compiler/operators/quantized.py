"""The operator `condense::QLinearConvPool`: `ConvPool` on 8-bit numbers.

Inputs: those of ONNX QLinearConv (x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale,
y_zero_point, B or empty), then `table` or nothing. Output: of the type of y_zero_point.

In order, at each pixel: QLinearConv, `reduction` (max or min) of each group of `window` wide
channels to one, a look-up of each byte in `table` (256 values, by the byte's bits), and if
`spatial` is given a spatial max-pooling. Its recipe is one of `ConvPool` whose programs are empty:
what element-wise operators do to 256 values is a table.

The kernel pools before it rounds to 8 bits; the result is the same, because rounding keeps order.
"""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs
from onnx import FunctionProto, TensorProto, helper, numpy_helper

from condense_compiler.operators.function_body import AXES_INPUT_SINCE, REDUCE_OPERATORS
from condense_compiler.operators.fused import DOMAIN, ConvPool

QUANTIZED_OP = "QLinearConvPool"
INPUTS = (
    "x", "x_scale", "x_zero_point",
    "w", "w_scale", "w_zero_point",
    "y_scale", "y_zero_point",
    "B",
)  # fmt: skip
TABLE = "table"
FILTERS = INPUTS.index("w")
_OUTPUT_ZERO = INPUTS.index("y_zero_point")
_CHANNEL_AXIS = 1
_MEMBER_AXIS = 2


def quantized_function_body(
    recipe: ConvPool, wide_shape: Sequence[int], opset: int, *, table: bool, signed: bool
) -> FunctionProto:
    """Return the plain ONNX subgraph that a `QLinearConvPool` stands for.

    Args:
        recipe: What the operator computes; its programs are empty.
        wide_shape: Shape of the convolution's result, (batch, wide channels, pixels...).
        opset: Version of the default domain that the body is written in.
        table: Whether there is a table.
        signed: Whether output bytes are signed.
    """
    names = [*INPUTS, TABLE] if table else [*INPUTS]
    constants = _Constants()
    nodes = [
        helper.make_node(
            "QLinearConv", [*INPUTS], ["wide"], **recipe.convolution.to_attributes(pooling=False)
        )
    ]
    nodes[0].attribute.append(helper.make_attribute("group", recipe.group))
    value = "wide"
    if recipe.members:
        members = constants.add("members", recipe.members)
        nodes.append(helper.make_node("Gather", [value, members], ["picked"], axis=_CHANNEL_AXIS))
        value = "picked"
    outputs = (len(recipe.members) or wide_shape[_CHANNEL_AXIS]) // recipe.window
    shape = constants.add("shape", [wide_shape[0], outputs, recipe.window, *wide_shape[2:]])
    nodes.append(helper.make_node("Reshape", [value, shape], ["grouped"]))
    reduce = REDUCE_OPERATORS[recipe.reduction]
    if opset < AXES_INPUT_SINCE[reduce]:
        nodes.append(
            helper.make_node(reduce, ["grouped"], ["pooled"], axes=[_MEMBER_AXIS], keepdims=0)
        )
    else:
        axis = constants.add("axis", [_MEMBER_AXIS])
        nodes.append(helper.make_node(reduce, ["grouped", axis], ["pooled"], keepdims=0))
    value = "pooled"
    if table:
        nodes += _look_up(value, constants, signed=signed)
        value = "looked_up"
    if recipe.spatial is not None:
        window = recipe.spatial.to_attributes(pooling=True)
        nodes.append(helper.make_node("MaxPool", [value], ["spatial"], **window))
    nodes[-1].output[0] = "y"
    function = helper.make_function(
        DOMAIN,
        QUANTIZED_OP,
        names,
        ["y"],
        [*constants.nodes, *nodes],
        [helper.make_opsetid("", opset)],
        attributes=sorted(recipe.to_attributes()),
    )
    function.overload = f"{zlib.crc32(function.SerializeToString(deterministic=True)):08x}"
    return function


def quantized_function_of(node: gs.Node, opset: int) -> FunctionProto:
    """Return the function of a `condense::QLinearConvPool` node whose tensors have shapes."""
    recipe = ConvPool.from_attributes(node.attrs)
    data, filters = node.inputs[0], node.inputs[FILTERS]
    pixels = recipe.convolution.output_shape(tuple(data.shape[2:]))
    return quantized_function_body(
        recipe,
        (data.shape[0], filters.shape[0], *pixels),
        opset,
        table=len(node.inputs) > len(INPUTS),
        signed=np.dtype(node.inputs[_OUTPUT_ZERO].dtype) == np.int8,
    )


def is_quantized_conv_pool(node: gs.Node) -> bool:
    """Tell whether a node is a `condense::QLinearConvPool`."""
    return bool(node.domain == DOMAIN and node.op == QUANTIZED_OP)


def _look_up(value: str, constants: "_Constants", *, signed: bool) -> list[Any]:
    """Return nodes that look up the bits of each byte in the table."""
    nodes = [helper.make_node("Cast", [value], ["number"], to=TensorProto.INT32)]
    index = "number"
    if signed:  # the bits of -1 are those of 255
        size = constants.add("size", 256, np.int32)
        nodes.append(helper.make_node("Mod", [index, size], ["bits"]))
        index = "bits"
    return [*nodes, helper.make_node("Gather", [TABLE, index], ["looked_up"], axis=0)]


class _Constants:
    """Constants of a body, as nodes."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []

    def add(self, name: str, values: object, dtype: npt.DTypeLike = np.int64) -> str:
        tensor = numpy_helper.from_array(np.asarray(values, dtype=dtype), name)
        self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name
