"""From a skeleton and its weights to the mutable graph."""

from collections.abc import Mapping
from typing import Any

import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.importers.onnx_importer import OnnxImporter
from onnx_graphsurgeon.ir.tensor import LazyValues

from condense_compiler.network.export import constants
from condense_compiler.network.stored import Extent, StoredValues


def import_graph(
    model: onnx.ModelProto,
    weights: Mapping[str, onnx.TensorProto],
    extents: Mapping[str, Extent],
) -> gs.Graph:
    """Make the mutable graph of a skeleton, its weights put back but not read.

    Args:
        model: The skeleton, its functions inlined.
        weights: The constants set aside, which are inputs of the skeleton.
        extents: Where those lie that are in files.
    """
    graph = OnnxImporter.import_graph(
        model.graph,
        opset=OnnxImporter.get_opset(model),
        import_domains=[onnx.helper.make_opsetid(o.domain, o.version) for o in model.opset_import],
        producer_name=model.producer_name,
        producer_version=model.producer_version,
        ir_version=model.ir_version,
    )
    for tensor in graph.inputs:
        if tensor.name in weights:
            tensor.to_constant(StoredValues(weights[tensor.name], extents.get(tensor.name)))
    for tensor in graph.outputs:
        if isinstance(tensor, gs.Variable) and not tensor.dtype:
            tensor.dtype = None  # of what is cut out of a network: inference finds it
    graph.inputs = [tensor for tensor in graph.inputs if isinstance(tensor, gs.Variable)]
    return graph


def unify_values(graph: gs.Graph) -> None:
    """Make all values that are still lazy of the one kind that knows every element type."""
    for constant in constants(graph):
        values: Any = constant._values
        if isinstance(values, LazyValues) and not isinstance(values, StoredValues):
            constant.values = StoredValues(values.tensor)
