"""Operators on codes (QLinearConv and its kin) as DequantizeLinear, operator, QuantizeLinear."""

from collections.abc import Callable, Mapping
from pathlib import Path

import onnx
from onnx import helper

from condense_compiler.network.reading import read_model

SplitUp = Callable[[onnx.NodeProto], list[onnx.NodeProto]]


def _dequantise(node: onnx.NodeProto, first: int, axis: int = 1) -> onnx.NodeProto:
    inputs = list(node.input[first : first + 3])
    name = f"{node.output[0]}/operand{first}"
    return helper.make_node("DequantizeLinear", inputs, [name], name, axis=axis)


def _between(
    node: onnx.NodeProto, op: str, operands: list[onnx.NodeProto], parameters: list[str]
) -> list[onnx.NodeProto]:
    """Return operands, operator and quantisation of its result."""
    result = f"{node.output[0]}/result"
    middle = helper.make_node(op, [o.output[0] for o in operands], [result], name=node.name)
    middle.attribute.extend(a for a in node.attribute if a.name != "channels_last")
    quantise = helper.make_node(
        "QuantizeLinear", [result, *parameters], list(node.output), name=f"{result}/codes"
    )
    return [*operands, middle, quantise]


def _convolution(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    operands = [_dequantise(node, 0), _dequantise(node, 3, axis=0)]
    if len(node.input) <= 8:
        return _between(node, "Conv", operands, list(node.input[6:8]))
    # The bias is in units of input scale times weight scale: dequantise in two steps.
    bias, part = f"{node.output[0]}/bias", f"{node.output[0]}/bias_part"
    first = helper.make_node("DequantizeLinear", [node.input[8], node.input[4]], [part], axis=0)
    second = helper.make_node("Mul", [part, node.input[1]], [bias], name=bias)
    parts = _between(node, "Conv", operands, list(node.input[6:8]))
    parts[2].input.append(bias)
    return [first, second, *parts]


def _matrix_product(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    operands = [_dequantise(node, 0), _dequantise(node, 3, axis=1)]
    return _between(node, "MatMul", operands, list(node.input[6:8]))


def _binary(op: str) -> SplitUp:
    def split_up(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        operands = [_dequantise(node, 0), _dequantise(node, 3)]
        return _between(node, op, operands, list(node.input[6:8]))

    return split_up


def _unary(op: str) -> SplitUp:
    def split_up(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        return _between(node, op, [_dequantise(node, 0)], list(node.input[3:5]))

    return split_up


def _concatenation(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    operands = [_dequantise(node, first) for first in range(2, len(node.input), 3)]
    return _between(node, "Concat", operands, list(node.input[:2]))


SPLIT_UP: Mapping[str, SplitUp] = {
    "QLinearAdd": _binary("Add"),
    "QLinearAveragePool": _unary("AveragePool"),
    "QLinearConcat": _concatenation,
    "QLinearConv": _convolution,
    "QLinearGlobalAveragePool": _unary("GlobalAveragePool"),
    "QLinearLeakyRelu": _unary("LeakyRelu"),
    "QLinearMatMul": _matrix_product,
    "QLinearMul": _binary("Mul"),
    "QLinearSigmoid": _unary("Sigmoid"),
}


def split_up(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return what stands for a node: itself, unless it is an operator on codes."""
    return SPLIT_UP[node.op_type](node) if node.op_type in SPLIT_UP else [node]


def in_standard_operators(source: str | Path | onnx.ModelProto) -> str | Path | onnx.ModelProto:
    """Return a model whose operators on codes, if it has any, are split up; others as they are.

    Raises:
        InputError: The file cannot be read.
    """
    model = source if isinstance(source, onnx.ModelProto) else read_model(Path(source))
    if not any(node.op_type in SPLIT_UP for node in model.graph.node):
        return source
    split = onnx.ModelProto()
    split.CopyFrom(source if isinstance(source, onnx.ModelProto) else onnx.load(source))
    del split.graph.node[:]
    split.graph.node.extend(part for node in model.graph.node for part in split_up(node))
    return split
