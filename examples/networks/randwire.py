"""RandWire (Xie, Kirillov, Girshick and He, arXiv 1904.01569): stages wired at random."""

from collections.abc import Sequence

import networkx as nx
import onnx

from networks.layers import LayerWriter, Maps


def build(  # noqa: PLR0913, PLR0917 - the arguments of the published generator
    nodes: int = 32,
    neighbours: int = 4,
    rewired: float = 0.75,
    stages: int = 3,
    channels: int = 16,
    size: int = 32,
    weighted: bool = True,
    seed: int = 0,
) -> onnx.ModelProto:
    """Return the network.

    Args:
        nodes: Nodes of the Watts-Strogatz graph of each stage.
        neighbours: Neighbours of each node in the ring that it starts from.
        rewired: Probability with which an edge is rewired.
        stages: Number of stages, each with its own graph.
        channels: Channels of the first stage; each further one has twice as many.
        size: Height and width of the input image, a multiple of 2 to the power of `stages`.
        weighted: Whether the sums that enter a node are weighted, as published.
        seed: Seed of the graphs and the random weights.
    """
    graph = LayerWriter(seed)
    maps = graph.convolution(graph.image(size), channels, 3)
    for stage in range(stages):
        wiring = nx.connected_watts_strogatz_graph(nodes, neighbours, rewired, seed=seed + stage)
        graph.scope = f"stage{stage}"
        maps = _stage(graph, maps, wiring, channels << stage, weighted)
    graph.scope = "head"
    return graph.classifier(maps, "randwire", size)


def _stage(
    graph: LayerWriter, maps: Maps, wiring: nx.Graph, channels: int, weighted: bool
) -> Maps:
    """Write a stage: edges lead from lower to higher nodes, and the ends are averaged."""
    results: dict[int, Maps] = {}
    for node in sorted(wiring):
        sources = sorted(other for other in wiring[node] if other < node)
        inputs = [results[source] for source in sources]
        entry = _weighted_sum(graph, inputs, weighted) if inputs else maps
        results[node] = graph.separable(entry, channels, 3, stride=1 if inputs else 2)
    ends = [results[node] for node in sorted(wiring) if all(other < node for other in wiring[node])]
    total = graph.add(*ends)
    share = graph.constant(1.0 / len(ends), "share")
    return Maps(graph.write("Mul", total.name, share), channels, total.side)


def _weighted_sum(graph: LayerWriter, inputs: Sequence[Maps], weighted: bool) -> Maps:
    if not weighted or len(inputs) == 1:
        return graph.add(*inputs)
    parts = []
    for maps in inputs:
        weight = graph.constant(graph.random.uniform(0.3, 0.7), "edge")
        parts.append(Maps(graph.write("Mul", maps.name, weight), maps.channels, maps.side))
    return graph.add(*parts)
