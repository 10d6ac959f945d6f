"""Small changes of a graph that passes share."""

from collections.abc import Iterable

import onnx_graphsurgeon as gs


def remove_nodes(graph: gs.Graph, nodes: Iterable[gs.Node]) -> None:
    """Take nodes out of a graph and cut their connections."""
    removed = {id(node) for node in nodes}
    for node in graph.nodes:
        if id(node) in removed:
            node.inputs.clear()
            node.outputs.clear()
    graph.nodes = [node for node in graph.nodes if id(node) not in removed]
