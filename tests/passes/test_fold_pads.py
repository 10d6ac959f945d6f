from collections.abc import Sequence

import numpy as np
import pytest
from kit.codes_writer import CodesWriter
from kit.layers import Layer, Window
from kit.rewriting import Rewritten, rewrite
from kit.topology_writer import CHANNELS, TopologyWriter, Write, build

import condense_compiler as cc
from condense_compiler.passes import find_pass

PASSES = [find_pass("fold_pads")]
SPATIAL_PADS = [0, 0, 1, 2, 0, 0, 2, 1]


def folded(write: Write, optimised: bool = True) -> Rewritten:
    result = rewrite(build(write), PASSES)
    assert bool(result.outcomes["fold_pads"].rewrites) == optimised
    assert ("Pad" in result.operators) != optimised
    result.check_outputs(tolerance=1e-6)
    return result


def padded(
    graph: TopologyWriter,
    tensor: str,
    pads: Sequence[int] = SPATIAL_PADS,
    value: float | None = None,
    **attributes: object,
) -> str:
    inputs = [tensor, graph.constant(np.array(pads, np.int64))]
    if value is not None:
        inputs.append(graph.constant(np.array(value, np.float32)))
    return graph.write("Pad", *inputs, **attributes)


def convolution(graph: TopologyWriter, tensor: str, **window: object) -> str:
    layer = Layer(convolution=Window((3, 4), **window))
    return graph.convolution(tensor, CHANNELS, 5, layer)


@pytest.mark.parametrize("value", [None, 0.0])
@pytest.mark.parametrize(
    "window",
    [{}, {"pads": (1, 0, 0, 1)}, {"strides": (2, 2)}, {"dilations": (2, 1)}],
    ids=str,
)
def test_convolutions_take_zeros_over(window: dict[str, object], value: float | None) -> None:
    result = folded(
        lambda graph: [convolution(graph, padded(graph, "input", value=value), **window)]
    )
    assert result.operators == ["Conv"]


def test_axes_may_be_named() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        pads, axes = ([1, 2, 2, 1], [-2, 3])
        constants = [graph.constant(np.array(v, np.int64)) for v in (pads, axes)]
        return [convolution(graph, graph.write("Pad", "input", constants[0], "", constants[1]))]

    assert folded(write).node("Conv").attrs["pads"] == [1, 2, 2, 1]


def test_all_readers_take_it_over() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = padded(graph, "input")
        pooled = graph.write("AveragePool", tensor, kernel_shape=[3, 3])
        return [convolution(graph, tensor), convolution(graph, tensor, strides=(2, 1)), pooled]

    assert sorted(folded(write).operators) == ["AveragePool", "Conv", "Conv"]


def pooled(
    op: str, value: float | None = None, activation: str = "", **attributes: object
) -> Write:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = graph.write(activation, "input") if activation else "input"
        attributes.setdefault("kernel_shape", [3, 3])
        return [graph.write(op, padded(graph, tensor, value=value), **attributes)]

    return write


POOLS: dict[str, Write] = {
    "average": pooled("AveragePool"),
    "average that counts padding": pooled("AveragePool", count_include_pad=1, pads=[0, 0, 0, 1]),
    "maximum of what is not negative": pooled("MaxPool", activation="Relu"),
    "maximum among the least": pooled("MaxPool", value=-np.inf),
    "rounded up where nothing is left": pooled("MaxPool", activation="Relu", ceil_mode=1),
    "strided": pooled("MaxPool", activation="Sigmoid", strides=[2, 2]),
}


@pytest.mark.parametrize("write", POOLS.values(), ids=POOLS)
def test_pools_take_padding_over(write: Write) -> None:
    folded(write)


def read_elsewhere(graph: TopologyWriter) -> Sequence[str]:
    tensor = padded(graph, "input")
    return [convolution(graph, tensor), graph.write("Exp", tensor)]


LEFT: dict[str, Write] = {
    "another value": lambda g: [convolution(g, padded(g, "input", value=0.5))],
    "reflected": lambda g: [convolution(g, padded(g, "input", mode="reflect"))],
    "channels": lambda g: [g.write("Relu", padded(g, "input", [0, 1, 0, 0, 0, 1, 0, 0]))],
    "cropped": lambda g: [convolution(g, padded(g, "input", [0, 0, -1, 0, 0, 0, 1, 0]))],
    "read by something else": read_elsewhere,
    "an output": lambda g: [padded(g, "input")],
    "windows of padding alone": lambda g: [convolution(g, padded(g, "input", [0, 0, 3, 0] * 2))],
    "maximum with zeros": pooled("MaxPool"),
    "average that counts no padding": pooled("AveragePool", pads=[1, 1, 1, 1]),
    "rounded up": pooled("AveragePool", ceil_mode=1, kernel_shape=[2, 2], strides=[3, 3]),
    "depends on the size": pooled("AveragePool", auto_pad="SAME_UPPER"),
}


@pytest.mark.parametrize("write", LEFT.values(), ids=LEFT)
def test_what_means_something_else_is_left(write: Write) -> None:
    folded(write, optimised=False)


def test_quantisation_between_keeps_zeros() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        grid = [graph.constant(np.float32(0.03))]
        codes = graph.write("QuantizeLinear", padded(graph, "input"), *grid)
        return [convolution(graph, graph.write("DequantizeLinear", codes, *grid))]

    assert folded(write).operators == ["QuantizeLinear", "DequantizeLinear", "Conv"]


@pytest.mark.parametrize(("code", "folds"), [(113, True), (0, False)])
def test_codes_are_padded_with_that_of_zero(code: int, folds: bool) -> None:
    w = CodesWriter()
    grid = w.parameters(0.03, 113)
    [codes] = w.apply("QuantizeLinear", "x", *grid)
    pads, value = w.constant(np.array(SPATIAL_PADS)), w.constant(np.array(code, np.uint8))
    [wider] = w.apply("Pad", codes, pads, value)
    [values] = w.apply("DequantizeLinear", wider, *grid)
    filters = w.constant(w.random.normal(0, 1, (5, 4, 3, 4)).astype(np.float32))
    result = rewrite(w.model(w.apply("Conv", values, filters), (1, 4, 9, 8)), PASSES)
    assert ("Pad" not in result.operators) == folds
    result.check_outputs(tolerance=1e-6)


def test_the_padded_map_is_not_stored() -> None:
    model = build(lambda graph: [convolution(graph, padded(graph, "input"))])
    after = cc.compile(model).report.to_dict()["feature_maps"]
    assert after["after"]["sum_bytes"] < after["before"]["sum_bytes"]
