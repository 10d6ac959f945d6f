from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from kit.numerics import random_feeds, run_onnxruntime
from kit.quantising import FORMATS, quantised
from kit.rewriting import rewrite
from kit.topology_writer import GROUPS, SPATIAL, WIDE, WINDOW, TopologyWriter, Write, build


def shuffled(graph: TopologyWriter, *activations: str) -> str:
    tensor = graph.wide()
    for op in activations:
        tensor = graph.write(op, tensor)
    tensor = graph.reshape(tensor, (1, WINDOW, GROUPS, *SPATIAL))
    tensor = graph.write("Transpose", tensor, perm=[0, 2, 1, 3, 4])
    return graph.reshape(tensor, (1, WIDE, *SPATIAL))


def behind_activation(graph: TopologyWriter) -> Sequence[str]:
    return [shuffled(graph, "Sigmoid", "Neg")]


def behind_convolution(graph: TopologyWriter) -> Sequence[str]:
    return [graph.write("Relu", shuffled(graph))]


WRITES = (behind_activation, behind_convolution)


@pytest.mark.parametrize("write", WRITES)
def test_a_shuffle_is_folded_into_the_filters_in_front(write: Write) -> None:
    result = rewrite(build(write))
    assert set(result.operators) <= {"Conv", "ConvPool"}
    result.check_outputs()


def test_a_shuffle_of_maps_that_are_read_elsewhere_stays() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = shuffled(graph)
        convolution = next(node for node in graph.nodes if node.op_type == "Conv")
        return [tensor, graph.write("Relu", convolution.output[0])]

    result = rewrite(build(write))
    assert "Transpose" in result.operators
    result.check_outputs()


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("form", FORMATS)
def test_a_shuffle_of_codes_gives_the_same_codes(write: Write, form: str, tmp_path: Path) -> None:
    model = quantised(build(write), tmp_path, form)
    feeds = random_feeds(model)
    [found] = rewrite(model).outputs(feeds).values()
    [expected] = run_onnxruntime(model, feeds).values()
    np.testing.assert_array_equal(found, expected)
