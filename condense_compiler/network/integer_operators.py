"""Operators on codes (QLinearConv and its kin) as DequantizeLinear, operator, QuantizeLinear.

Definitions: ONNX operator specification; for operators of the domain com.microsoft, the document
ContribOperators of ONNX Runtime.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import TensorProto, helper, numpy_helper

from condense_compiler.network.reading import read_model

_OF_ONNX_RUNTIME = "com.microsoft"
# The first opsets in which DequantizeLinear has an axis, and Gemm needs no bias.
_FIRST_WITH_AXES, _FIRST_WITHOUT_BIAS = 13, 11
_QUANTISERS = ("DequantizeLinear", "QuantizeLinear")

# Types of codes, those of biases among them, and what holds them.
_ADOPTED: Mapping[int, type[np.integer[Any]] | None] = {
    TensorProto.INT4: np.int8,
    TensorProto.INT8: None,
    TensorProto.INT32: None,
    TensorProto.UINT4: np.uint8,
    TensorProto.UINT8: None,
}

SplitUp = Callable[[onnx.NodeProto], list[onnx.NodeProto]]


# What these operators have beside the attributes of the operator in their middle.
_OWN_ATTRIBUTES = ("channels_last", "opset")


def _dequantise(node: onnx.NodeProto, first: int, axis: int = 1) -> onnx.NodeProto:
    inputs = list(node.input[first : first + 3])
    name = f"{node.output[0]}/operand{first}"
    return helper.make_node("DequantizeLinear", inputs, [name], name, axis=axis)


def _between(
    node: onnx.NodeProto, op: str, operands: list[onnx.NodeProto], parameters: list[str]
) -> list[onnx.NodeProto]:
    """Return operands, operator and quantisation of its result."""
    result = f"{node.output[0]}/result"
    name = node.name or node.output[0]
    middle = helper.make_node(op, [o.output[0] for o in operands], [result], name=name)
    middle.attribute.extend(a for a in node.attribute if a.name not in _OWN_ATTRIBUTES)
    quantise = helper.make_node(
        "QuantizeLinear", [result, *parameters], list(node.output), name=f"{result}/codes"
    )
    return [*operands, middle, quantise]


def _convolution(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    operands = [_dequantise(node, 0), _dequantise(node, 3, axis=0)]
    if len(node.input) <= 8:
        return _between(node, "Conv", operands, list(node.input[6:8]))
    parts = _between(node, "Conv", operands, list(node.input[6:8]))
    return _with_bias(node, parts, bias=8, scales=(1, 4))


def _with_bias(
    node: onnx.NodeProto, parts: list[onnx.NodeProto], bias: int, scales: tuple[int, int]
) -> list[onnx.NodeProto]:
    """Give the operator among the parts a bias in units of the product of two scales."""
    values, unit = f"{node.output[0]}/bias", f"{node.output[0]}/bias_scale"
    factors = [node.input[index] for index in scales]
    steps = [node.input[bias], unit]
    parts[2].input.append(values)
    return [
        helper.make_node("Mul", factors, [unit], name=unit),
        helper.make_node("DequantizeLinear", steps, [values], name=values, axis=0),
        *parts,
    ]


def _general_matrix_product(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    operands = [_dequantise(node, 0), _dequantise(node, 3, axis=0 if transposed else 1)]
    parts = _between(node, "Gemm", operands, list(node.input[7:9]))
    if len(node.input) <= 7 or not node.input[7]:  # the result stays in floating point
        parts[2].output[:] = node.output
        parts = parts[:3]
    if len(node.input) <= 6 or not node.input[6]:
        return parts
    return _with_bias(node, parts, bias=6, scales=(1, 4))


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
    "QGemm": _general_matrix_product,
    "QLinearAdd": _binary("Add"),
    "QLinearAveragePool": _unary("AveragePool"),
    "QLinearConcat": _concatenation,
    "QLinearConv": _convolution,
    "QLinearGlobalAveragePool": _unary("GlobalAveragePool"),
    "QLinearLeakyRelu": _unary("LeakyRelu"),
    "QLinearMatMul": _matrix_product,
    "QLinearMul": _binary("Mul"),
    "QLinearSigmoid": _unary("Sigmoid"),
    "QLinearSoftmax": _unary("Softmax"),
}


def split_up(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return what stands for a node: itself, unless it is an operator on codes."""
    return SPLIT_UP[node.op_type](node) if node.op_type in SPLIT_UP else [node]


def use_standard_operators(model: onnx.ModelProto) -> None:
    """Put standard operators, in place, for operators on codes that are ONNX Runtime's own."""
    _adopt_quantisers(model.graph)
    if any(_is_foreign(node) for node in model.graph.node):
        _split_up_all(model, _is_foreign)


def _split_up_all(model: onnx.ModelProto, concerned: Callable[[onnx.NodeProto], bool]) -> None:
    opset, parts = _opset(model), list[onnx.NodeProto]()
    for node in model.graph.node:
        replaced = split_up(node) if concerned(node) else [node]
        for part in replaced if concerned(node) else ():
            parts += _for_old_opset(part, opset)
        parts += replaced
    copies = [onnx.NodeProto.FromString(part.SerializeToString()) for part in parts]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _for_old_opset(part: onnx.NodeProto, opset: int) -> list[onnx.NodeProto]:
    """Make an operator that this file has written fit an old opset; return what goes before it.

    Axes of DequantizeLinear are left out until `restore_axes`.
    """
    if part.op_type == "DequantizeLinear" and opset < _FIRST_WITH_AXES:
        del part.attribute[:]
    if part.op_type != "Gemm" or len(part.input) > 2 or opset >= _FIRST_WITHOUT_BIAS:
        return []
    part.input.append(f"{part.output[0]}/no_bias")
    zero = helper.make_tensor("", TensorProto.FLOAT, [], [0.0])
    return [helper.make_node("Constant", [], [part.input[2]], part.input[2], value=zero)]


def restore_axes(graph: gs.Graph) -> None:
    """Give each DequantizeLinear with a scale per channel its axis, in place.

    Before opset 13 there is none to be given; that of weights follows from who reads them.
    """
    for node in graph.nodes:
        for index, tensor in enumerate(node.inputs[1:3], 1):
            maker = tensor.inputs[0] if tensor.inputs else None
            if maker is None or maker.op != "DequantizeLinear" or "axis" in maker.attrs:
                continue
            if node.op in ("Conv", "Gemm", "MatMul"):
                by_column = node.op == "MatMul" or not node.attrs.get("transB", 0)
                maker.attrs["axis"] = int(index == 1 and node.op != "Conv" and by_column)


def _opset(model: onnx.ModelProto) -> int:
    standard = (e.version for e in model.opset_import if e.domain in ("", "ai.onnx"))
    return max(standard, default=_FIRST_WITH_AXES)


def _adopt_quantisers(graph: onnx.GraphProto) -> None:
    """Make QLinearConv, Quantize- and DequantizeLinear standard ones, if codes have at most 8 bits.

    Constants of 4 bits, which these have only in later versions of ONNX, get 8.
    """
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "QLinearConv" and _is_foreign(node):
            node.domain = ""  # beside `channels_last`, which it does not use, it is ONNX's own
            kept = [a for a in node.attribute if a.name not in _OWN_ATTRIBUTES]
            del node.attribute[:]
            node.attribute.extend(kept)
        if node.domain != _OF_ONNX_RUNTIME or node.op_type not in _QUANTISERS:
            continue
        constants = [stored[name] for name in node.input if name in stored]
        types = {tensor.data_type for tensor in constants} - {TensorProto.FLOAT}
        narrow = [tensor for tensor in constants if _ADOPTED.get(tensor.data_type) is not None]
        if types <= _ADOPTED.keys() and not any(tensor.external_data for tensor in narrow):
            node.domain = ""
            for tensor in narrow:
                _widen(tensor)


def _widen(tensor: onnx.TensorProto) -> None:
    values = numpy_helper.to_array(tensor).astype(_ADOPTED[tensor.data_type])
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _is_foreign(node: onnx.NodeProto) -> bool:
    channels_last = any(a.name == "channels_last" and a.i for a in node.attribute)
    return node.domain == _OF_ONNX_RUNTIME and node.op_type in SPLIT_UP and not channels_last


def has_codes(graph: gs.Graph) -> bool:
    """Tell whether a network has operators that make or read codes."""
    return any(node.op in _QUANTISERS or node.op in SPLIT_UP for node in graph.nodes)


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
    _split_up_all(split, lambda node: node.op_type in SPLIT_UP)
    return split
