"""Cells in the manner of SwiftNet (Cheng et al., arXiv 1906.08305): many small concatenations.

The published cells were found by a search and drawn, not listed; these are wired at random with
the same ingredients: every node concatenates some earlier ones, mixes their channels down to a few
and convolves each, and the ends of a cell are concatenated.
"""

import onnx

from networks.layers import LayerWriter, Maps

READ_BY_NODE = (1, 2, 2, 3)  # how many earlier nodes a node reads, equally likely


def build(
    nodes: int = 12, cells: int = 3, channels: int = 8, size: int = 64, seed: int = 0
) -> onnx.ModelProto:
    """Return the network.

    Args:
        nodes: Nodes of each cell.
        cells: Number of cells, each on maps half as high and wide as the one before.
        channels: Channels of a node of the first cell; each further one has half as many again.
        size: Height and width of the input image, a multiple of 2 to the power of `cells`.
        seed: Seed of the wiring and the random weights.
    """
    graph = LayerWriter(seed)
    maps = graph.convolution(graph.image(size), 2 * channels, 3, stride=2)
    for index in range(cells):
        graph.scope = f"cell{index}"
        maps = _cell(graph, maps, nodes, channels)
        if index + 1 < cells:
            maps = graph.pool("MaxPool", maps, 2)
        channels += channels // 2
    graph.scope = "head"
    return graph.classifier(maps, "swiftnet", size)


def _cell(graph: LayerWriter, entry: Maps, nodes: int, channels: int) -> Maps:
    results = [entry]
    unread: set[int] = set()
    for node in range(1, nodes + 1):
        count = min(int(graph.random.choice(READ_BY_NODE)), node)
        sources = sorted(graph.random.choice(node, size=count, replace=False).tolist())
        joined = graph.concat(*(results[source] for source in sources))
        width = channels * int(graph.random.integers(1, 4))
        mixed = graph.relu(graph.convolution(joined, width))
        results.append(graph.depthwise(mixed, 3))
        unread = (unread - set(sources)) | {node}
    return graph.concat(*(results[node] for node in sorted(unread)))
