from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from kit.layers import Layer, Window
from kit.rewriting import Rewritten, rewrite
from kit.topology_writer import CHANNELS, SPATIAL, WIDE, TopologyWriter, Write, build

from condense_compiler.passes import find_pass

HEIGHT, WIDTH = SPATIAL


def folded(write: Write, optimised: bool = True) -> Rewritten:
    result = rewrite(build(write), [find_pass("fold_batch_norm")])
    assert bool(result.outcomes["fold_batch_norm"].rewrites) == optimised
    result.check_outputs(tolerance=1e-6)
    return result


def normalised(graph: TopologyWriter, tensor: str, channels: int = WIDE) -> str:
    ranges = ((-1.5, 1.5), (-1.0, 1.0), (-1.0, 1.0), (0.5, 1.5))
    parameters = [graph.constant(graph.random.uniform(*ends, channels)) for ends in ranges]
    return graph.write("BatchNormalization", tensor, *parameters, epsilon=0.01)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kernel", "group", "channels"),
    [((3, 3), 1, 3), ((1, 1), 1, 3), ((5, 2), 3, 3)],
    ids=["plain", "pointwise", "depthwise"],
)
def test_normalisation_goes_into_the_filters(
    bias: bool, kernel: tuple[int, int], group: int, channels: int
) -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        layer = Layer(convolution=Window(kernel), group=group, bias=bias)
        filters = 9
        return [normalised(graph, graph.convolution("input", channels, filters, layer), filters)]

    assert folded(write).operators == ["Conv"]


def scaled(op: str, *shape: int, first: bool = False) -> Write:
    def write(graph: TopologyWriter) -> Sequence[str]:
        constant = graph.constant(graph.random.uniform(0.5, 2.0, shape))
        wide = graph.wide()
        return [graph.write(op, *((constant, wide) if first else (wide, constant)))]

    return write


SHAPES: dict[str, tuple[int, ...]] = {
    "scalar": (),
    "one": (1,),
    "per channel": (WIDE, 1, 1),
    "per channel with batch": (1, WIDE, 1, 1),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(
    ("op", "first"),
    [*product(("Mul", "Add", "Sub"), (False, True)), ("Div", False)],
)
def test_scaling_and_shifting_go_into_the_filters(
    op: str, first: bool, shape: tuple[int, ...]
) -> None:
    assert folded(scaled(op, *shape, first=first)).operators == ["Conv"]


NOT_PER_CHANNEL: dict[str, Write] = {
    "constant divided by the map": scaled("Div", WIDE, 1, 1, first=True),
    "one for each column": scaled("Mul", WIDTH),
    "one for each pixel": scaled("Add", 1, 1, HEIGHT, WIDTH),
    "one for each element": scaled("Mul", 1, WIDE, HEIGHT, WIDTH),
    "more dimensions than the map": scaled("Add", 1, 1, WIDE, 1, 1),
    "larger batch": scaled("Add", 2, 1, 1, 1),
    "squared": lambda graph: [graph.write("Pow", graph.wide(), graph.constant(2.0))],
    "by itself": lambda graph: [graph.write("Mul", *[graph.wide()] * 2)],
    "another map": lambda graph: [graph.write("Mul", graph.wide(), graph.wide())],
}


@pytest.mark.parametrize("write", NOT_PER_CHANNEL.values(), ids=NOT_PER_CHANNEL)
def test_what_is_not_one_value_for_each_channel_stays(write: Write) -> None:
    folded(write, optimised=False)


def test_chain_is_folded_to_its_end() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = normalised(graph, graph.wide())
        tensor = graph.write("Mul", tensor, graph.random_constant(WIDE, 1, 1))
        tensor = graph.write("Sub", graph.constant(0.5), tensor)
        return [graph.write("Relu", normalised(graph, tensor))]

    result = folded(write)
    assert result.operators == ["Conv", "Relu"]
    assert len(result.outcomes["fold_batch_norm"].rewrites) == 4


def test_normalisation_behind_no_convolution_takes_what_follows() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = normalised(graph, graph.write("Sigmoid", "input"), CHANNELS)
        return [graph.write("Add", tensor, graph.random_constant(CHANNELS, 1, 1))]

    assert folded(write).operators == ["Sigmoid", "BatchNormalization"]


def test_normalisation_behind_an_activation_stays() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        return [normalised(graph, graph.write("Relu", graph.wide()))]

    assert folded(write, optimised=False).operators == ["Conv", "Relu", "BatchNormalization"]


def test_map_that_is_an_output_is_not_scaled() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        wide = graph.wide()
        return [normalised(graph, wide), wide]

    folded(write, optimised=False)


def test_map_that_others_read_is_not_scaled() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        wide = graph.wide()
        return [normalised(graph, wide), graph.write("Relu", wide)]

    folded(write, optimised=False)


def test_normalised_map_that_is_the_output_keeps_its_name() -> None:
    result = folded(lambda graph: [normalised(graph, graph.wide())])
    assert [tensor.name for tensor in result.network.graph.outputs] == ["output"]


def test_filters_that_others_read_are_left_as_they_were() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        filters, bias = graph.random_constant(WIDE, CHANNELS, 3, 3), graph.random_constant(WIDE)
        one = graph.write("Conv", "input", filters, bias)
        other = graph.write("Conv", graph.write("Sigmoid", "input"), filters, bias)
        return [normalised(graph, one), graph.write("Relu", other), graph.write("Abs", filters)]

    assert folded(write).operators.count("Conv") == 2


def test_normalisations_that_share_parameters_are_folded_apart() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        parameters = [graph.constant(graph.random.uniform(0.5, 1.5, WIDE)) for _ in range(4)]
        outputs = []
        for _ in range(2):
            tensor = graph.write("BatchNormalization", graph.wide(), *parameters)
            tensor = graph.write("Add", tensor, graph.random_constant(WIDE, 1, 1))
            outputs.append(tensor)
        return outputs

    assert folded(write).operators == ["Conv", "Conv"]


def test_division_by_zero_is_not_folded() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        values = np.ones((WIDE, 1, 1))
        values[3] = 0.0
        return [graph.write("Div", graph.wide(), graph.constant(values))]

    folded(write, optimised=False)


def test_scale_beyond_the_type_is_not_folded() -> None:
    """Filters would become infinite, where the product of small values is finite."""

    def write(graph: TopologyWriter) -> Sequence[str]:
        small = graph.write("Conv", "input", graph.constant(np.full((WIDE, CHANNELS, 1, 1), 1e10)))
        shrunk = graph.write("Mul", graph.write("Relu", small), graph.constant(1e-30))
        filters = graph.constant(graph.random.uniform(1e10, 2e10, (WIDE, WIDE, 1, 1)))
        return [graph.write("Mul", graph.write("Conv", shrunk, filters), graph.constant(1e30))]

    folded(write, optimised=False)


def test_filters_known_at_run_time_only_are_left_alone() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        filters = graph.input("filters", WIDE, CHANNELS, 3, 3)
        return [normalised(graph, graph.write("Conv", "input", filters))]

    folded(write, optimised=False)


def test_bias_known_at_run_time_only_is_left_alone() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        bias, filters = graph.input("bias", WIDE), graph.random_constant(WIDE, CHANNELS, 3, 3)
        return [normalised(graph, graph.write("Conv", "input", filters, bias))]

    folded(write, optimised=False)


@pytest.mark.parametrize("op", ["Mul", "Add", "Div", "Sub"])
def test_scaling_in_front_of_a_rounding_stays(op: str) -> None:
    """Folded, sums next to the middle between two whole numbers would be rounded otherwise."""

    def write(graph: TopologyWriter) -> Sequence[str]:
        factors = graph.constant(graph.random.uniform(0.5, 1.5, (1, WIDE, 1, 1)))
        scaled = graph.write(op, graph.wide(), factors)
        return [graph.write("Round", graph.write("Mul", scaled, graph.constant(3.0)))]

    folded(write, optimised=False)
