"""Weights that operators compute from other weights, such as dequantised filters."""

from collections.abc import Mapping

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.targets.element_types import numpy_dtype
from condense_compiler.targets.reference.kernel import ABSENT, Array, NodeContext, constant_value
from condense_compiler.targets.reference.operators import kernel_for


def known_values(graph: gs.Graph, versions: Mapping[str, int]) -> dict[str, Array]:
    """Return every value that does not depend on the network's inputs, by tensor name.

    Args:
        graph: The network.
        versions: Versions of its operators, by domain.

    Raises:
        UnsupportedError: An operator is unknown.
    """
    read = [tensor for node in graph.nodes for tensor in node.inputs]
    known = {
        tensor.name: constant_value(tensor)
        for tensor in (*read, *graph.outputs)
        if isinstance(tensor, gs.Constant)
    }
    for node in graph.nodes:
        if all(tensor.name in known for tensor in node.inputs if tensor.name):
            known |= _results(node, versions, known)
    return known


def _results(
    node: gs.Node, versions: Mapping[str, int], known: dict[str, Array]
) -> dict[str, Array]:
    kernel = kernel_for(NodeContext(node, versions[""], known=known, versions=versions))
    inputs = [known[tensor.name] if tensor.name else ABSENT for tensor in node.inputs]
    outputs = [
        np.empty(tensor.shape, numpy_dtype(tensor)) if tensor.name else ABSENT
        for tensor in node.outputs
    ]
    kernel.compute(inputs, outputs, np.empty(kernel.buffer_bytes, np.uint8))
    pairs = zip(node.outputs, outputs, strict=True)
    return {tensor.name: value for tensor, value in pairs if tensor.name}
