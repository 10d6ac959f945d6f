"""The operator `condense::OnCodes`: an ONNX operator whose feature maps are 8-bit codes.

Inputs: codes, scale and zero point of each of `operands` tensors; constants that the operator reads
behind them, as they are; scale and zero point of the result. Attributes: `op`, the operator;
`operands`; `operand_axes`, for each operand the axis along which it has scales, if there are
several; all others are its own. Output: of the type of the last zero point.

It stands for DequantizeLinear of each operand, the operator, and QuantizeLinear; none of the values
are stored.
"""

import zlib
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import onnx_graphsurgeon as gs
from onnx import FunctionProto, helper

from condense_compiler.operators import elementwise
from condense_compiler.operators.attributes import Spelling
from condense_compiler.operators.fused import DOMAIN

ON_CODES_OP = "OnCodes"
INPUTS_OF_OPERAND = 3  # codes, scale, zero point
_INPUTS_OF_RESULT = 2
_OWN_ATTRIBUTES = ("op", "operand_axes", "operands")

# Element-wise operators that it may stand for.
COMMUTATIVE = ("Add", "Max", "Mean", "Min", "Mul", "Sum")
BINARY = (*COMMUTATIVE, "Div", "PRelu", "Pow", "Sub")
UNARY = ("Identity", *elementwise.UNARY)
ELEMENT_WISE = frozenset((*BINARY, *UNARY, "BatchNormalization", "Clip"))
# Sums of products; their weights stay codes.
PRODUCTS = frozenset({"Gemm", "MatMul"})

# Values that may exist at one time whatever is saved, in bytes.
_FEW_BYTES = 1 << 14


def _two(_node: gs.Node) -> int:
    return 2


def _unresized(node: gs.Node) -> int:
    data, result = node.inputs[0].shape, node.outputs[0].shape
    return 2 if tuple(data[:2]) == tuple(result[:2]) else 0


def _unreduced(node: gs.Node) -> int:
    given = Spelling(node).integers("axes", 1)
    rank = len(node.inputs[0].shape)
    return min((axis % rank for axis in given or ()), default=0)


def _before_axis(default: int) -> Callable[[gs.Node], int]:
    return lambda node: int(node.attrs.get("axis", default)) % len(node.inputs[0].shape)


# Operators that treat each index along the first axes alike and apart: how many axes these are.
_SEPARATE_AXES: Mapping[str, Callable[[gs.Node], int]] = {
    **dict.fromkeys(("AveragePool", "GlobalAveragePool", "GlobalLpPool", "LpPool"), _two),
    **dict.fromkeys(
        (
            *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMean"),
            *("ReduceProd", "ReduceSum", "ReduceSumSquare"),
        ),
        _unreduced,
    ),
    **dict.fromkeys(("LogSoftmax", "Softmax"), _before_axis(-1)),
    "Resize": _unresized,
}
BY_PARTS = frozenset(_SEPARATE_AXES)
OPERATORS = ELEMENT_WISE | PRODUCTS | BY_PARTS | {"Concat", "Conv"}


def separate_axes(node: gs.Node) -> int:
    """Return how many of the first axes an operator of values treats index by index."""
    return _SEPARATE_AXES[node.op](node)


def is_saving(node: gs.Node) -> bool:
    """Tell whether the values of one part need no more than the codes of everything."""
    data, result = tuple(node.inputs[0].shape), tuple(node.outputs[0].shape)
    axes = separate_axes(node)
    values_bytes = 4 * (prod(data[axes:]) + prod(result[axes:]))
    return bool(values_bytes <= max(prod(data) + prod(result), _FEW_BYTES))


def is_on_codes(node: gs.Node) -> bool:
    """Tell whether a node is a `condense::OnCodes`."""
    return bool(node.domain == DOMAIN and node.op == ON_CODES_OP)


def plain_inputs(node: gs.Node) -> range:
    """Return the indices of the constants behind the operands."""
    operands = int(node.attrs["operands"])
    return range(INPUTS_OF_OPERAND * operands, len(node.inputs) - _INPUTS_OF_RESULT)


def own_attributes(node: gs.Node) -> dict[str, Any]:
    """Return the attributes of the operator that it stands for."""
    return {name: value for name, value in node.attrs.items() if name not in _OWN_ATTRIBUTES}


def on_codes_function(node: gs.Node, opset: int) -> FunctionProto:
    """Return the plain ONNX subgraph that a node stands for, as a model-local function."""
    names, values, nodes = [], [], []
    count = node.attrs["operands"]
    for index, axis in enumerate(node.attrs.get("operand_axes", [1] * count)):
        parts = [f"{part}{index}" for part in ("codes", "scale", "zero")]
        names += parts
        values.append(f"values{index}")
        nodes.append(helper.make_node("DequantizeLinear", parts, [values[-1]], axis=axis))
    constants = [f"constant{index}" for index in plain_inputs(node)]
    inner = helper.make_node(
        node.attrs["op"], [*values, *constants], ["result"], **own_attributes(node)
    )
    quantise = helper.make_node("QuantizeLinear", ["result", "scale", "zero"], ["y"])
    function = helper.make_function(
        DOMAIN,
        ON_CODES_OP,
        [*names, *constants, "scale", "zero"],
        ["y"],
        [*nodes, inner, quantise],
        [helper.make_opsetid("", opset)],
        attributes=sorted(node.attrs),
    )
    function.overload = f"{zlib.crc32(function.SerializeToString(deterministic=True)):08x}"
    return function
