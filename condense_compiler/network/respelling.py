"""Operators whose definition shape inference or later stages stumble over, written otherwise.

Each is replaced by standard operators of the same opset that compute the same. Definitions: ONNX
operator specification, GroupNormalization-18, MeanVarianceNormalization-13, BatchNormalization-7.
"""

from collections.abc import Callable, Mapping, MutableSequence
from typing import Any

import onnx
from onnx import TensorProto, helper

from condense_compiler.errors import InputError
from condense_compiler.network.traversal import shown, subgraphs

_MEAN_VARIANCE_AXES = (0, 2, 3)
_EPSILON = 1e-5

Ranks = Mapping[str, int]  # of stored constants, by name
Respell = Callable[[onnx.NodeProto, int, Ranks], list[onnx.NodeProto]]


def respell(model: onnx.ModelProto) -> None:
    """Rewrite such operators, in place, in the graph, its subgraphs and the functions.

    Raises:
        InputError: One contradicts its definition.
    """
    opset = _opset(model.opset_import)
    ranks = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    _respell_nodes(model.graph.node, opset, ranks)
    for function in model.functions:
        _respell_nodes(function.node, _opset(function.opset_import) or opset, {})


def _opset(imports: Any) -> int:
    return next((int(entry.version) for entry in imports if entry.domain in ("", "ai.onnx")), 0)


def _respell_nodes(nodes: MutableSequence[onnx.NodeProto], opset: int, ranks: Ranks) -> None:
    for node in nodes:
        for graph in subgraphs(node):
            _respell_nodes(graph.node, opset, ranks)
    if not any(_is_concerned(node) for node in nodes):
        return
    parts = [
        part
        for node in nodes
        for part in (_TABLE[node.op_type](node, opset, ranks) if _is_concerned(node) else [node])
    ]
    copies = [onnx.NodeProto.FromString(part.SerializeToString()) for part in parts]
    del nodes[:]
    nodes.extend(copies)


def _is_concerned(node: onnx.NodeProto) -> bool:
    return node.op_type in _TABLE and node.domain in ("", "ai.onnx") and len(node.output) > 0


class _Parts:
    """The operators that stand for one node, named after its result."""

    def __init__(self, node: onnx.NodeProto) -> None:
        self._node = node
        self.nodes: list[onnx.NodeProto] = []

    def add(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Append an operator; return the name of its result."""
        result = output or f"{self._node.output[0]}/{op.lower()}{len(self.nodes)}"
        stem = self._node.name or self._node.output[0]
        name = self._node.name if output and self._node.name else f"{stem}/{op}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [result], name, **attributes))
        return result

    def constant(self, data_type: int, dims: list[int], values: list[Any]) -> str:
        """Append a constant; return its name."""
        return self.add("Constant", value=helper.make_tensor("", data_type, dims, values))


def _mean_variance(node: onnx.NodeProto, _opset: int, _ranks: Ranks) -> list[onnx.NodeProto]:
    """Write the default axes out: inference from version 13 on fails without them."""
    if not any(a.name == "axes" for a in node.attribute):
        node.attribute.append(helper.make_attribute("axes", list(_MEAN_VARIANCE_AXES)))
    return [node]


def _group_normalisation(node: onnx.NodeProto, opset: int, _ranks: Ranks) -> list[onnx.NodeProto]:
    """Write version 18, which ONNX has withdrawn, as InstanceNormalization of reshaped groups.

    There, scale and bias have a value for each group; since 21 they have one for each channel.
    """
    if opset >= 21 or len(node.input) != 3:
        return [node]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    parts, data = _Parts(node), node.input[0]
    by_group = parts.constant(TensorProto.INT64, [3], [0, attributes.get("num_groups", 1), -1])
    grouped = parts.add("Reshape", data, by_group)
    epsilon = attributes.get("epsilon", _EPSILON)
    normal = parts.add("InstanceNormalization", grouped, *node.input[1:], epsilon=epsilon)
    shape = parts.add("Shape", data)
    parts.add("Reshape", normal, shape, output=node.output[0])
    return parts.nodes


def _batch_normalisation(node: onnx.NodeProto, opset: int, ranks: Ranks) -> list[onnx.NodeProto]:
    """Write `spatial = 0`, parameters of which there is one for each pixel, as arithmetic."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    by_pixel = opset < 9 and attributes.get("spatial", 1) == 0
    if not by_pixel or len(node.input) != 5 or len(node.output) > 1:
        return [node]
    data, scale, bias, mean, variance = node.input
    if ranks.get(scale, 2) < 2:
        raise InputError(
            f"{shown(node)}: with spatial = 0 its parameters need a value for each pixel; "
            "export the model with opset 9 or newer"
        )
    parts = _Parts(node)
    epsilon = parts.constant(TensorProto.FLOAT, [], [attributes.get("epsilon", _EPSILON)])
    deviation = parts.add("Sqrt", parts.add("Add", variance, epsilon))
    factor = parts.add("Div", scale, deviation)
    shift = parts.add("Sub", bias, parts.add("Mul", mean, factor))
    parts.add("Add", parts.add("Mul", data, factor), shift, output=node.output[0])
    return parts.nodes


_TABLE: Mapping[str, Respell] = {
    "BatchNormalization": _batch_normalisation,
    "GroupNormalization": _group_normalisation,
    "MeanVarianceNormalization": _mean_variance,
}
