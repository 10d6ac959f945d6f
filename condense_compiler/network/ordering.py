"""Order of the nodes of an ONNX graph: each must come after what it reads."""

import networkx as nx
import onnx

from condense_compiler.errors import InputError
from condense_compiler.network.traversal import reads, shown


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Bring the nodes of a graph into topological order, in place.

    Raises:
        InputError: A tensor depends on itself, or nothing makes it.
    """
    known = {value.name for value in graph.input} | {value.name for value in graph.initializer}
    if _is_sorted(graph, known):
        return
    producer = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    _refuse_dangling(graph, known | producer.keys())
    dependencies: nx.DiGraph[int] = nx.DiGraph()
    dependencies.add_nodes_from(range(len(graph.node)))
    for i, node in enumerate(graph.node):
        edges = ((producer[name], i, name) for name in reads(node) if name in producer)
        for source, target, name in edges:
            dependencies.add_edge(source, target, tensor=name)
    try:
        order = list(nx.lexicographical_topological_sort(dependencies))
    except nx.NetworkXUnfeasible:
        raise InputError(_describe_cycle(graph, dependencies)) from None
    nodes = [onnx.NodeProto.FromString(graph.node[i].SerializeToString()) for i in order]
    del graph.node[:]
    graph.node.extend(nodes)


def _is_sorted(graph: onnx.GraphProto, known: set[str]) -> bool:
    made = set(known)
    for node in graph.node:
        if not made.issuperset(reads(node)):
            return False
        made.update(node.output)
    return True


def _refuse_dangling(graph: onnx.GraphProto, known: set[str]) -> None:
    for node in graph.node:
        for name in reads(node):
            if name not in known:
                raise InputError(
                    f"{shown(node)} reads tensor '{name}', which is neither "
                    "an input, an initializer, nor the output of any node; export the model again"
                )


def _describe_cycle(graph: onnx.GraphProto, dependencies: "nx.DiGraph[int]") -> str:
    cycle = nx.find_cycle(dependencies)
    source, target = cycle[0][0], cycle[0][1]
    tensor = dependencies.edges[source, target]["tensor"]
    return (
        f"the graph is cyclic: tensor '{tensor}', read by {shown(graph.node[target])}, "
        "depends on itself; networks must be acyclic"
    )
