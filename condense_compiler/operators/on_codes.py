"""The operator `condense::OnCodes`: an ONNX operator whose operands and result are 8-bit codes.

Inputs: codes, scale and zero point of each operand, then scale and zero point of the result.
Attributes: `op`, the operator; all others are its own. Output: of the type of the last zero point.

It stands for DequantizeLinear of each operand, the operator, and QuantizeLinear; none of the values
are stored.
"""

import zlib
from typing import Any

import onnx_graphsurgeon as gs
from onnx import FunctionProto, helper

from condense_compiler.operators.fused import DOMAIN

ON_CODES_OP = "OnCodes"
INPUTS_OF_OPERAND = 3  # codes, scale, zero point
_INPUTS_OF_RESULT = 2

# Element-wise operators that it may stand for, by their number of operands.
BINARY = ("Add", "Max", "Min", "Mul", "Sub")
UNARY = (
    *("Abs", "Elu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Neg", "Relu"),
    *("Selu", "Sigmoid", "Softplus", "Softsign", "Tanh"),
)
ELEMENT_WISE = frozenset((*BINARY, *UNARY))


def is_on_codes(node: gs.Node) -> bool:
    """Tell whether a node is a `condense::OnCodes`."""
    return bool(node.domain == DOMAIN and node.op == ON_CODES_OP)


def operand_count(node: gs.Node) -> int:
    """Return the number of operands."""
    return (len(node.inputs) - _INPUTS_OF_RESULT) // INPUTS_OF_OPERAND


def own_attributes(node: gs.Node) -> dict[str, Any]:
    """Return the attributes of the operator that it stands for."""
    return {name: value for name, value in node.attrs.items() if name != "op"}


def on_codes_function(node: gs.Node, opset: int) -> FunctionProto:
    """Return the plain ONNX subgraph that a node stands for, as a model-local function."""
    operands = range(operand_count(node))
    names, nodes = [], []
    for index in operands:
        parts = [f"{part}{index}" for part in ("codes", "scale", "zero")]
        names += parts
        nodes.append(helper.make_node("DequantizeLinear", parts, [f"values{index}"]))
    values = [f"values{index}" for index in operands]
    nodes.append(helper.make_node(node.attrs["op"], values, ["result"], **own_attributes(node)))
    nodes.append(helper.make_node("QuantizeLinear", ["result", "scale", "zero"], ["y"]))
    function = helper.make_function(
        DOMAIN,
        ON_CODES_OP,
        [*names, "scale", "zero"],
        ["y"],
        nodes,
        [helper.make_opsetid("", opset)],
        attributes=sorted(node.attrs),
    )
    function.overload = f"{zlib.crc32(function.SerializeToString(deterministic=True)):08x}"
    return function
