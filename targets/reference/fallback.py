"""Operators off the main path, computed by `onnx.reference`."""

from collections.abc import Sequence

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx.reference import ReferenceEvaluator
from onnx_graphsurgeon.exporters.onnx_exporter import OnnxExporter

from condense_compiler.errors import UnsupportedError
from condense_compiler.network.tensors import element_type
from condense_compiler.targets.reference.kernel import Array, Kernel, NodeContext

# What `onnx.reference` raises where it has no or no complete implementation.
_FAILURES = (LookupError, NotImplementedError, RuntimeError, TypeError, ValueError)


def evaluate_with_onnx(context: NodeContext) -> Kernel:
    """Prepare a model of one node.

    Raises:
        UnsupportedError: `onnx.reference` does not know the operator either.
    """
    node = context.node
    inputs = [tensor.name for tensor in node.inputs]
    outputs = [tensor.name for tensor in node.outputs]
    evaluator = _evaluator(context)

    def compute(values: Sequence[Array], results: Sequence[Array], _scratch: Array) -> None:
        feeds = {name: value for name, value in zip(inputs, values, strict=True) if name}
        wanted = [name for name in outputs if name]
        targets = [target for name, target in zip(outputs, results, strict=True) if name]
        try:
            computed = evaluator.run(wanted, feeds)
            for target, value in zip(targets, computed, strict=True):
                np.copyto(target, np.asarray(value).reshape(target.shape), casting="unsafe")
        except _FAILURES as error:
            reason = str(error).partition("\n")[0]
            message = f"node {node.name!r}: onnx.reference cannot compute {node.op}: {reason}"
            raise UnsupportedError(message) from error

    return Kernel(compute, bounded=False)


def _evaluator(context: NodeContext) -> ReferenceEvaluator:
    node = context.node
    graph = onnx.helper.make_graph(
        [OnnxExporter.export_node(node)],
        "one_node",
        [_value_info(tensor) for tensor in _unique(node.inputs)],
        [_value_info(tensor) for tensor in _unique(node.outputs)],
    )
    versions = {node.domain or "": 1} | {"": context.opset}
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in versions.items()]
    model = onnx.helper.make_model(graph, opset_imports=imports)
    try:
        return ReferenceEvaluator(model)
    except _FAILURES as error:
        raise UnsupportedError(f"node {node.name!r}: cannot compute {node.op}") from error


def _unique(tensors: Sequence[gs.Tensor]) -> list[gs.Tensor]:
    return list({tensor.name: tensor for tensor in tensors if tensor.name}.values())


def _value_info(tensor: gs.Tensor) -> onnx.ValueInfoProto:
    element = element_type(tensor)
    return onnx.helper.make_tensor_value_info(tensor.name, element, tensor.shape)
