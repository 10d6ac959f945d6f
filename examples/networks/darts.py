"""DARTS with the published genotype DARTS_V2 (Liu, Simonyan and Yang, arXiv 1806.09055)."""

import onnx

from networks.layers import LayerWriter, Maps

Edge = tuple[str, int]  # an operation, and which earlier state it reads

# Two edges for each of the four states that a cell computes; states 0 and 1 are its inputs.
NORMAL: tuple[Edge, ...] = (
    ("sep_conv_3x3", 0),
    ("sep_conv_3x3", 1),
    ("sep_conv_3x3", 0),
    ("sep_conv_3x3", 1),
    ("sep_conv_3x3", 1),
    ("skip_connect", 0),
    ("skip_connect", 0),
    ("dil_conv_3x3", 2),
)
REDUCTION: tuple[Edge, ...] = (
    ("max_pool_3x3", 0),
    ("max_pool_3x3", 1),
    ("skip_connect", 2),
    ("max_pool_3x3", 1),
    ("max_pool_3x3", 0),
    ("skip_connect", 2),
    ("skip_connect", 2),
    ("max_pool_3x3", 1),
)
STEM_MULTIPLIER = 3


def build(cells: int = 8, channels: int = 16, size: int = 32, seed: int = 0) -> onnx.ModelProto:
    """Return the network.

    Args:
        cells: Number of cells; those behind a third and two thirds of them reduce.
        channels: Channels of each state in the first cells.
        size: Height and width of the input image, a multiple of 4.
        seed: Seed of the random weights.
    """
    graph = LayerWriter(seed)
    current = graph.convolution(graph.image(size), STEM_MULTIPLIER * channels, 3)
    previous = current
    for index in range(cells):
        graph.scope = f"cell{index}"
        reduces = index in {cells // 3, 2 * cells // 3}
        channels *= 2 if reduces else 1
        previous, current = current, _cell(graph, (previous, current), channels, reduces)
    graph.scope = "head"
    return graph.classifier(current, "darts", size)


def _cell(graph: LayerWriter, inputs: tuple[Maps, Maps], channels: int, reduces: bool) -> Maps:
    previous, current = inputs
    shrinks = previous.side != current.side
    adjust = graph.factorized_reduction if shrinks else graph.relu_convolution
    states = [adjust(previous, channels), graph.relu_convolution(current, channels)]
    edges = REDUCTION if reduces else NORMAL
    for first, second in zip(edges[::2], edges[1::2], strict=True):
        states.append(graph.add(*(_edge(graph, edge, states, reduces) for edge in (first, second))))
    return graph.concat(*states[2:])


def _edge(graph: LayerWriter, edge: Edge, states: list[Maps], reduces: bool) -> Maps:
    operation, source = edge
    maps = states[source]
    stride = 2 if reduces and source < 2 else 1
    if operation == "sep_conv_3x3":
        return graph.separable_twice(maps, maps.channels, 3, stride)
    if operation == "dil_conv_3x3":
        return graph.separable(maps, maps.channels, 3, stride, dilation=2)
    if operation == "max_pool_3x3":
        return graph.pool("MaxPool", maps, stride)
    return maps if stride == 1 else graph.factorized_reduction(maps, maps.channels)
