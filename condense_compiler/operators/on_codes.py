"""The operator `condense::OnCodes`: an ONNX operator whose feature maps are 8-bit codes.

Inputs: codes, scale and zero point of each of `operands` tensors; constants that the operator reads
behind them, as they are; scale and zero point of the result. Attributes: `op`, the operator;
`operands`; `operand_axes`, for each operand the axis along which it has scales, if there are
several; all others are its own. Output: of the type of the last zero point.

It stands for DequantizeLinear of each operand, the operator, and QuantizeLinear; none of the values
are stored.
"""

import zlib
from typing import Any

import onnx_graphsurgeon as gs
from onnx import FunctionProto, helper

from condense_compiler.operators import elementwise
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

# Operators that treat indices along the first axes alike: values exist for one index at a time.
BY_PARTS = frozenset(
    {
        *("AveragePool", "GlobalAveragePool", "GlobalLpPool", "LogSoftmax", "LpNormalization"),
        *("LpPool", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMean"),
        *("ReduceProd", "ReduceSum", "ReduceSumSquare", "Resize", "Softmax"),
    }
)
OPERATORS = ELEMENT_WISE | PRODUCTS | BY_PARTS | {"Concat", "Conv"}


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
