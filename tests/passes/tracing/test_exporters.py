from collections.abc import Sequence

import numpy as np
import pytest
from kit.exporters import EXPORTED
from kit.rewriting import rewrite
from kit.topology_writer import (
    CHANNELS,
    GROUPS,
    SPATIAL,
    WIDE,
    WINDOW,
    TopologyWriter,
    Write,
    build,
    reduced,
)

from condense_compiler.network import load_network
from condense_compiler.passes.tracing import trace


@pytest.mark.parametrize("write", EXPORTED.values(), ids=EXPORTED)
def test_spelling_of_other_exporters_is_fused(write: Write) -> None:
    result = rewrite(build(write))
    assert result.fused == 1, result.reasons
    assert set(result.operators) <= {"Conv", "ConvPool", "Transpose"}
    result.check_outputs()


def single_pixels(graph: TopologyWriter) -> Sequence[str]:
    """Two coordinates: a channel and a row, of maps as wide as high."""
    graph.inputs["input"] = (1, CHANNELS, SPATIAL[0], SPATIAL[0])
    tensor = graph.write("Transpose", graph.wide(), perm=[1, 2, 0, 3])
    table = np.stack([np.arange(WIDE), np.zeros(WIDE)], 1).astype(np.int64)
    tensor = graph.write("GatherND", tensor, graph.constant(table.reshape(GROUPS, WINDOW, 2)))
    return [reduced(graph, tensor, axis=1)]


def images_of_each_channel(graph: TopologyWriter) -> Sequence[str]:
    """A coordinate for each channel, which tells the image."""
    tensor = graph.write("Transpose", graph.wide(), perm=[1, 0, 2, 3])
    places = graph.constant(np.zeros((WIDE, 1, 1), np.int64))
    tensor = graph.write("GatherND", tensor, places, batch_dims=1)
    tensor = graph.reshape(tensor, (GROUPS, WINDOW, 1, *SPATIAL))
    return [reduced(graph, tensor, axis=1)]


@pytest.mark.parametrize("write", [single_pixels, images_of_each_channel])
def test_other_coordinates_than_channels_are_not_taken_for_channels(write: Write) -> None:
    network = load_network(build(write))
    [gathered] = [node for node in network.graph.nodes if node.op == "GatherND"]
    assert gathered.inputs[0].name in trace(network)
    assert gathered.outputs[0].name not in trace(network)
