"""Small changes of a graph that passes share."""

from collections.abc import Iterable

import onnx_graphsurgeon as gs


def remove_nodes(graph: gs.Graph, nodes: Iterable[gs.Node]) -> None:
    """Take nodes out of a graph and cut their connections."""
    for node in nodes:
        position = position_of(graph, node)
        if position is not None:
            node.inputs.clear()
            node.outputs.clear()
            del graph.nodes[position]


def position_of(graph: gs.Graph, node: gs.Node) -> int | None:
    """Return where a node stands in a graph, or None.

    Passes walk along a graph, so the search begins where the last one ended: to rewrite all of a
    long network takes no longer than to walk along it.
    """
    nodes = graph.nodes
    start = min(int(graph.__dict__.get(_LAST_FOUND, 0)), max(len(nodes) - 1, 0))
    for distance in range(len(nodes)):
        for position in (start + distance, start - distance):
            if 0 <= position < len(nodes) and nodes[position] is node:
                graph.__dict__[_LAST_FOUND] = position
                return position
    return None


_LAST_FOUND = "_condense_last_found"


def is_output(graph: gs.Graph, tensor: gs.Tensor) -> bool:
    """Tell whether a tensor is an output of the graph."""
    return any(output is tensor for output in graph.outputs)


def sole_reader(graph: gs.Graph, tensor: gs.Tensor) -> gs.Node | None:
    """Return the node that alone reads a tensor, once; None if others need the tensor too."""
    if len(tensor.outputs) != 1 or is_output(graph, tensor):
        return None
    return tensor.outputs[0]


def replace_reads(old: gs.Tensor, new: gs.Tensor) -> None:
    """Make every reader of a tensor read another one."""
    for reader in list(old.outputs):
        for index, tensor in enumerate(reader.inputs):
            if tensor is old:
                reader.inputs[index] = new


def bypass(graph: gs.Graph, node: gs.Node, source: gs.Tensor) -> bool:
    """Remove a node whose result is one of its inputs, `source`.

    Returns:
        Whether it could be removed: an output of the graph keeps its name and needs an operator
        that computes it.
    """
    result = node.outputs[0]
    if not is_output(graph, result):
        remove_nodes(graph, [node])
        replace_reads(result, source)
        return True
    if not source.inputs or is_output(graph, source):
        return False
    producer = source.inputs[0]
    position = next(i for i, tensor in enumerate(producer.outputs) if tensor is source)
    remove_nodes(graph, [node])
    replace_reads(source, result)
    producer.outputs[position] = result
    return True
