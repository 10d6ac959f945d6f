"""Nodes are found and removed wherever the last search ended."""

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network.editing import position_of, remove_nodes


def test_nodes_are_found_from_anywhere_and_removed() -> None:
    tensors = [gs.Variable(f"t{index}", np.float32, (1,)) for index in range(31)]
    nodes = [gs.Node("Relu", f"n{i}", None, [tensors[i]], [tensors[i + 1]]) for i in range(30)]
    graph = gs.Graph(list(nodes))
    left, order = list(nodes), list(nodes)
    order = [order[i] for i in np.random.default_rng(5).permutation(len(order))]
    for node in order:
        for other in (node, left[0], left[-1]):
            assert graph.nodes[position_of(graph, other)] is other
        remove_nodes(graph, [node])
        left.remove(node)
        assert position_of(graph, node) is None
        assert not node.inputs
        assert not node.outputs
        assert [id(n) for n in graph.nodes] == [id(n) for n in left]
        if not left:
            break
