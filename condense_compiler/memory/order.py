"""The order in which operators run."""

import onnx_graphsurgeon as gs

from condense_compiler.network import Network

Order = tuple[gs.Node, ...]


def file_order(network: Network) -> Order:
    """Return the operators that compute feature maps, as they stand in the file.

    Operators that do not depend on the network's inputs compute weights; they run before the
    first step and have no place in the order.
    """
    computed = {tensor.name for tensor in network.graph.inputs}
    order: list[gs.Node] = []
    for node in network.graph.nodes:
        if any(tensor.name in computed for tensor in node.inputs):
            order.append(node)
            computed.update(tensor.name for tensor in node.outputs)
    return tuple(order)
