"""A small NASNet-A (Zoph, Vasudevan, Shlens and Le, arXiv 1707.07012)."""

import onnx

from networks.layers import LayerWriter, Maps


def build(cells: int = 2, channels: int = 16, size: int = 32, seed: int = 0) -> onnx.ModelProto:
    """Return the network: three stages of normal cells with a reduction cell between them.

    Args:
        cells: Number of normal cells in each stage.
        channels: Channels of each branch in the first stage.
        size: Height and width of the input image, a multiple of 4.
        seed: Seed of the random weights.
    """
    graph = LayerWriter(seed)
    current = graph.convolution(graph.image(size), 2 * channels, 3)
    previous = current
    for stage in range(3):
        if stage > 0:
            graph.scope = f"reduction{stage}"
            channels *= 2
            previous, current = current, _reduction_cell(graph, previous, current, channels)
        for index in range(cells):
            graph.scope = f"stage{stage}/cell{index}"
            previous, current = current, _normal_cell(graph, previous, current, channels)
    graph.scope = "head"
    return graph.classifier(current, "nasnet", size)


def _adjusted(
    graph: LayerWriter, previous: Maps, current: Maps, channels: int
) -> tuple[Maps, Maps]:
    """Bring both inputs of a cell to its number of channels and the size of the newer one."""
    shrinks = previous.side != current.side
    adjust = graph.factorized_reduction if shrinks else graph.relu_convolution
    return adjust(previous, channels), graph.relu_convolution(current, channels)


def _normal_cell(graph: LayerWriter, previous: Maps, current: Maps, channels: int) -> Maps:
    old, new = _adjusted(graph, previous, current, channels)
    branches = (
        graph.add(
            graph.separable_twice(new, channels, 5), graph.separable_twice(old, channels, 3)
        ),
        graph.add(
            graph.separable_twice(old, channels, 5), graph.separable_twice(old, channels, 3)
        ),
        graph.add(graph.pool("AveragePool", new), old),
        graph.add(graph.pool("AveragePool", old), graph.pool("AveragePool", old)),
        graph.add(graph.separable_twice(new, channels, 3), new),
    )
    return graph.concat(old, *branches)


def _reduction_cell(graph: LayerWriter, previous: Maps, current: Maps, channels: int) -> Maps:
    old, new = _adjusted(graph, previous, current, channels)
    first = graph.add(
        graph.separable_twice(new, channels, 5, 2), graph.separable_twice(old, channels, 7, 2)
    )
    second = graph.add(
        graph.pool("MaxPool", new, 2), graph.separable_twice(old, channels, 7, 2)
    )
    third = graph.add(
        graph.pool("AveragePool", new, 2), graph.separable_twice(old, channels, 5, 2)
    )
    fourth = graph.add(graph.pool("AveragePool", first), second)
    fifth = graph.add(graph.separable_twice(first, channels, 3), graph.pool("MaxPool", new, 2))
    return graph.concat(second, third, fourth, fifth)
