"""From the mutable graph back to ONNX."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.exporters.onnx_exporter import OnnxExporter
from onnx_graphsurgeon.ir.tensor import LazyValues

from condense_compiler.network.stored import StoredValues
from condense_compiler.network.tensors import element_type, is_static, variables
from condense_compiler.network.weights_aside import is_large

# What a constant becomes: a tensor with its bytes, or a graph input of its type.
Encoding = Callable[[gs.Constant], onnx.TensorProto | onnx.ValueInfoProto]

DEFAULT_DOMAINS = ("", "ai.onnx")


def export_graph(graph: gs.Graph, encode: Encoding, result: onnx.GraphProto) -> None:
    """Write the graph to an empty ONNX graph, with each constant as `encode` has it.

    graphsurgeon's own exporter is not used for whole graphs: it renames tensors that several
    constants share, and confuses some element types.
    """
    result.name = graph.name
    result.doc_string = graph.doc_string or ""
    result.node.extend(export_node(node) for node in graph.nodes)
    result.input.extend(_value_info(tensor) for tensor in graph.inputs)
    result.output.extend(_value_info(tensor) for tensor in graph.outputs)
    for constant in constants(graph):
        encoded = encode(constant)
        if isinstance(encoded, onnx.TensorProto):
            result.initializer.append(encoded)
            result.initializer[-1].name = constant.name
        else:
            result.input.append(encoded)
    interface = {tensor.name for tensor in (*graph.inputs, *graph.outputs)}
    result.value_info.extend(
        _value_info(tensor)
        for tensor in variables(graph)
        if tensor.name not in interface and tensor.dtype is not None and is_static(tensor.shape)
    )


def constants(graph: gs.Graph) -> list[gs.Constant]:
    """Return every constant of a graph, in the order of use."""
    used = [tensor for node in graph.nodes for tensor in node.inputs]
    return list({t.name: t for t in (*used, *graph.outputs) if isinstance(t, gs.Constant)}.values())


def export_node(node: gs.Node) -> onnx.NodeProto:
    """Return one node as ONNX, empty lists among its attributes included."""
    result = onnx.helper.make_node(
        node.op,
        [tensor.name for tensor in node.inputs],
        [tensor.name for tensor in node.outputs],
        name=node.name,
        domain=node.domain,
    )
    empty = {name for name, value in node.attrs.items() if isinstance(value, list) and not value}
    full = {name: value for name, value in node.attrs.items() if name not in empty}
    result.attribute.extend(OnnxExporter.export_attributes(full))
    for name in empty:
        kind = _attribute_type(node, name)
        result.attribute.append(onnx.helper.make_attribute(name, [], attr_type=kind))
    return result


def _attribute_type(node: gs.Node, name: str) -> int:
    """Return the type of an attribute that is an empty list, which does not tell by itself."""
    try:
        schema = onnx.defs.get_schema(node.op, node.domain or "")
    except onnx.defs.SchemaError:
        return onnx.AttributeProto.INTS
    known = schema.attributes.get(name)
    return onnx.AttributeProto.INTS if known is None else int(known.type)  # type: ignore[call-overload]  # an integer enumeration; the stub forgets


def _value_info(tensor: gs.Tensor) -> onnx.ValueInfoProto:
    if tensor.dtype is None:
        return onnx.ValueInfoProto(name=tensor.name)
    return onnx.helper.make_tensor_value_info(tensor.name, element_type(tensor), tensor.shape)


def full_tensor(constant: gs.Constant) -> onnx.TensorProto:
    """Encode a constant with its bytes; its name is set by the caller."""
    values: Any = constant._values
    if isinstance(values, StoredValues):
        return values.with_bytes()
    if isinstance(values, LazyValues):
        tensor: onnx.TensorProto = values.tensor
        return tensor
    return onnx.numpy_helper.from_array(np.asarray(values), constant.name)


def skeleton_tensor(constant: gs.Constant) -> onnx.TensorProto | onnx.ValueInfoProto:
    """Encode a small constant with its bytes, a large one as an input."""
    if is_large(element_type(constant), tuple(constant.shape)):
        return _value_info(constant)
    return full_tensor(constant)
