"""A model of one node, for what others compute."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import helper, numpy_helper
from onnx_graphsurgeon.exporters.onnx_exporter import OnnxExporter

from condense_compiler.network.tensors import element_type
from condense_compiler.targets.reference.kernel import Array, NodeContext

# ONNX Runtime knows no older operators; loading refuses them, too.
_OLDEST_OPSET = 7
_IR_VERSION = 10

# Some kernels want operands such as axes or pads known ahead; weights above this size are fed, so
# that nothing holds them twice.
_LARGEST_INITIALISER_BYTES = 1 << 16


def fixed_operands(context: NodeContext) -> dict[str, Array]:
    """Return the small operands whose value is known ahead, by name."""
    found = {}
    for index, tensor in enumerate(context.node.inputs):
        value = context.constant(index)
        if value is not None and value.nbytes <= _LARGEST_INITIALISER_BYTES:
            found[tensor.name] = value
    return found


def single_node_models(
    context: NodeContext, fixed: Mapping[str, Array]
) -> Iterator[onnx.ModelProto]:
    """Yield models of a node whose inputs are those of the node, but for the fixed ones.

    The first is in the operators' version of the network, the second in the one that brought the
    operator as it is: runtimes that do not know the former yet may know the latter.
    """
    node = context.node
    fed = [tensor for tensor in unique(node.inputs) if tensor.name not in fixed]
    graph = helper.make_graph(
        [OnnxExporter.export_node(node)],
        "one_node",
        [helper.make_tensor_value_info(t.name, element_type(t), t.shape) for t in fed],
        # Whoever computes finds out the shapes, which are then compared with those planned.
        [
            helper.make_tensor_value_info(t.name, element_type(t), None)
            for t in unique(node.outputs)
        ],
        [numpy_helper.from_array(np.asarray(v, order="C"), name) for name, v in fixed.items()],
    )
    domain = node.domain or ""
    version = context.versions.get(domain, 1) if domain else context.opset
    first = onnx.defs.get_schema(node.op, version, domain).since_version
    for number in dict.fromkeys((version, max(first, 1 if domain else _OLDEST_OPSET))):
        imports = {"": context.opset, domain: number}
        opsets = [helper.make_opsetid(*item) for item in imports.items()]
        yield helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)


def unique(tensors: Sequence[gs.Tensor]) -> list[gs.Tensor]:
    """Return tensors without those left out and those met before."""
    return list({tensor.name: tensor for tensor in tensors if tensor.name}.values())
