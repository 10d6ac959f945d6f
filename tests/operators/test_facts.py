from collections.abc import Callable, Sequence

import numpy as np
import pytest
from kit.layers import Layer, Network, Window
from kit.rewriting import rewrite
from kit.topology_writer import CHANNELS, SPATIAL, TopologyWriter, build

from condense_compiler.operators.registry import parse
from condense_compiler.passes import DEFAULT_PASSES
from condense_compiler.rewriting import Pass

HEIGHT, WIDTH = SPATIAL


def macs(write: Callable[[TopologyWriter], str], passes: Sequence[Pass] = ()) -> int:
    result = rewrite(build(lambda graph: [write(graph)]), passes)
    return sum(parse(node).macs() for node in result.network.graph.nodes)


def convolution(window: Window, filters: int, group: int = 1) -> Callable[[TopologyWriter], str]:
    layer = Layer(convolution=window, group=group)
    return lambda graph: graph.convolution("input", CHANNELS, filters, layer)


def test_convolution_counts_each_tap_of_each_filter_at_each_pixel() -> None:
    assert macs(convolution(Window((3, 2)), 7)) == 7 * CHANNELS * 6 * (HEIGHT - 2) * (WIDTH - 1)


def test_taps_in_the_padding_count() -> None:
    window = Window((3, 3), pads=(1, 1, 1, 1))
    assert macs(convolution(window, 5)) == 5 * CHANNELS * 9 * HEIGHT * WIDTH


def test_grouped_convolution_reads_its_own_channels_only() -> None:
    window = Window((3, 3), pads=(1, 1, 1, 1))
    assert macs(convolution(window, 6, group=CHANNELS)) == 6 * 9 * HEIGHT * WIDTH


def test_transposed_convolution_counts_each_input_pixel() -> None:
    def write(graph: TopologyWriter) -> str:
        weights = graph.random_constant(CHANNELS, 4, 3, 2)
        return graph.write("ConvTranspose", "input", weights, strides=[2, 2])

    assert macs(write) == CHANNELS * HEIGHT * WIDTH * 4 * 6


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(transposed: int) -> None:
    def write(graph: TopologyWriter) -> str:
        matrix = graph.reshape("input", (CHANNELS, HEIGHT * WIDTH))
        other = graph.random_constant(*((48, 5) if not transposed else (CHANNELS, 5)))
        return graph.write("Gemm", matrix, other, transA=transposed)

    assert macs(write) == CHANNELS * HEIGHT * WIDTH * 5


def test_matrix_product_counts_each_matrix() -> None:
    def write(graph: TopologyWriter) -> str:
        return graph.write("MatMul", "input", graph.random_constant(WIDTH, 4))

    assert macs(write) == CHANNELS * HEIGHT * WIDTH * 4


def test_element_wise_operators_and_poolings_count_nothing() -> None:
    def write(graph: TopologyWriter) -> str:
        tensor = graph.write("Add", "input", graph.constant(np.ones((CHANNELS, 1, 1))))
        return graph.write("MaxPool", graph.write("Relu", tensor), kernel_shape=[2, 2])

    assert macs(write) == 0


@pytest.mark.parametrize("window", [1, 2, 4])
def test_fused_operator_counts_its_virtual_maps(window: int) -> None:
    layer = Layer("reduce_max", 4, window, Window((3, 3), (2, 2)), max_pool=Window((2, 2), (2, 2)))
    source = Network((layer,), channels=3, spatial=(12, 10)).build()
    [node] = rewrite(source, DEFAULT_PASSES).network.graph.nodes
    assert node.op == "ConvPool"
    assert parse(node).macs() == 4 * window * 3 * 9 * 5 * 4


def test_operator_of_another_domain_is_unknown() -> None:
    source = Network((Layer("reduce_max", 2, 2),)).build()
    [node] = rewrite(source).network.graph.nodes
    node.op, node.domain = "Conv", "somewhere.else"
    assert parse(node).macs() == 0
