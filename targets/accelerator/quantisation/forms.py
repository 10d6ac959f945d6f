"""Find out how ONNX Runtime computes the operators of a quantised model.

It computes most of them on codes; but on x86, those of which a feature map with a sign has several
readers on values, in floating point. Its optimiser decides, so that is asked.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

import onnx
from onnx import numpy_helper

from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator.integer.forms import ON_CODES, Form, Forms
from condense_compiler.targets.accelerator.quantisation.naming import with_plain_names
from condense_compiler.targets.accelerator.quantisation.session import optimised_graph

Stored = Mapping[str, onnx.TensorProto]

_BLOCKED = "com.microsoft.nchwc"  # domain of the operators on channels in blocks
_ON_VALUES = frozenset(["Add", "AveragePool", "GlobalAveragePool", "Mul", "ReduceMean"])
# Operators on codes that round with the zero of their result, and the input that is that zero.
_ZERO_OF_RESULT = {"QLinearAdd": 7, "QLinearAveragePool": 4, "QLinearMul": 7}
_JOINING_CODES = frozenset(["QLinearAdd", "QLinearMul"])
_LAYERS_ON_CODES = frozenset(["QGemm", "QLinearConv"])
_RENAMED = re.compile(r"_token_\d+$")


def forms_of(quantised: onnx.ModelProto) -> Forms:
    """Return how ONNX Runtime, with its default options, computes the operators of a model.

    Raises:
        UnsupportedError: It cannot run the model.
    """
    plain, original = with_plain_names(quantised)
    try:
        graph = optimised_graph(plain)
    except UnsupportedError as error:
        raise UnsupportedError(original(str(error))) from None
    stored = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: _name(node) for node in plain.graph.node for name in node.output}
    found = {_given_name(node, makers): _form(node, stored) for node in graph.node}
    return {original(name): form for name, form in found.items() if form is not None}


def _name(node: onnx.NodeProto) -> str:
    return node.name or node.output[0]


def _given_name(node: onnx.NodeProto, makers: Mapping[str, str]) -> str:
    """Return the name that a node of the optimised graph has in the model as given.

    Args:
        node: The node.
        makers: Names of the nodes of the model as given, by what they write.
    """
    if node.domain == _BLOCKED:  # named after what it writes
        output = node.name.removesuffix("_nchwc")
        return makers.get(output, output)
    return _RENAMED.sub("", _name(node))


def _has_rounded_bias(node: onnx.NodeProto) -> bool:
    """Tell whether the optimiser quantised a bias that was not, for a layer on values."""
    return len(node.input) > 2 and node.input[2] == f"{node.name}_bias_dq"


def _form(node: onnx.NodeProto, stored: Stored) -> Form | None:
    if node.op_type in _ON_VALUES:
        by_columns = node.op_type == "AveragePool" and node.domain != _BLOCKED
        return Form(on_values=True, order="columns" if by_columns else "rows")
    if node.op_type in _LAYERS_ON_CODES or _has_rounded_bias(node):
        return Form(adds_bias_codes=True)
    zero = stored.get(node.input[_ZERO_OF_RESULT.get(node.op_type, 0)])
    if node.op_type not in _ZERO_OF_RESULT or zero is None:
        return None
    signed = zero.data_type == onnx.TensorProto.INT8
    constant = _constant(node, stored) if node.op_type in _JOINING_CODES else None
    form = Form(signed=signed) if constant is None else replace(constant, signed=signed)
    return None if form == ON_CODES else form


def _constant(node: onnx.NodeProto, stored: Stored) -> Form | None:
    """Return how the codes of a constant mean values that an operator joins with a map's."""
    for first in (0, 3):
        codes, scale, zero = (stored.get(name) for name in node.input[first : first + 3])
        if codes is None or scale is None or zero is None:
            continue
        shift = 128 if zero.data_type == onnx.TensorProto.UINT8 else 0
        value, code = (numpy_helper.to_array(tensor) for tensor in (scale, zero))
        if value.size == code.size == 1:
            return Form(constant_scale=float(value.item()), constant_zero=int(code.item()) - shift)
    return None
