"""What stands behind a reduction may belong to it only if both may change places."""

from collections.abc import Sequence

import pytest
from kit.rewriting import rewrite
from kit.topology_writer import (
    GROUPS,
    SPATIAL,
    TopologyWriter,
    Write,
    build,
    reduced,
)

from condense_compiler.operators.fused_elementwise import ELEMENTWISE_OP

HEIGHT, WIDTH = SPATIAL
OUTPUT = (1, GROUPS, *SPATIAL)

# What looks like more of the same layer, but may not change places with what stands before it.


def behind_spatial(*operators: str, spelling: str = "reduce_max") -> Write:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = graph.pooled(graph.wide(), spelling)
        tensor = graph.write("MaxPool", tensor, kernel_shape=[3, 3], strides=[2, 2])
        for op in operators:
            tensor = graph.write(op, tensor)
        return [tensor]

    return write


def product_behind_spatial(low: float, high: float) -> Write:
    def write(graph: TopologyWriter) -> Sequence[str]:
        [tensor] = behind_spatial()(graph)
        factors = graph.constant(graph.random.uniform(low, high, (GROUPS, 1, 1)))
        return [graph.write("Mul", tensor, factors)]

    return write


def gate_behind_spatial(graph: TopologyWriter) -> Sequence[str]:
    [tensor] = behind_spatial()(graph)
    return [graph.write("Mul", tensor, graph.write("Sigmoid", tensor))]


def normalised_behind_spatial(graph: TopologyWriter) -> Sequence[str]:
    [tensor] = behind_spatial()(graph)
    ranges = ((-1.5, -0.5), (-1.0, 1.0), (-1.0, 1.0), (0.5, 1.5))
    parameters = [graph.constant(graph.random.uniform(*ends, GROUPS)) for ends in ranges]
    return [graph.write("BatchNormalization", tensor, *parameters)]


def reduced_behind_spatial(op: str, spelling: str) -> Write:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = graph.pooled(graph.wide(), spelling)
        tensor = graph.write("MaxPool", tensor, kernel_shape=[2, 2])
        return [reduced(graph, graph.reshape(tensor, (1, 2, 2, HEIGHT - 1, WIDTH - 1)), op=op)]

    return write


def reduced_differently(first: str, second: str) -> Write:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = graph.reshape(graph.wide(filters=16), (1, 4, 2, 2, *SPATIAL))
        return [reduced(graph, reduced(graph, tensor, 3, first), 2, second)]

    return write


def negated_then_largest(graph: TopologyWriter) -> Sequence[str]:
    pooled = graph.write("Neg", graph.pooled(graph.wide()))
    return [graph.write("Max", *graph.split(pooled, [2, 2]))]


def moved_then_added(graph: TopologyWriter) -> Sequence[str]:
    pooled = graph.write("Add", graph.pooled(graph.wide(), "reduce_sum"), graph.constant(1.5))
    return [graph.write("Add", *graph.split(pooled, [2, 2]))]


FUSED_IN_PART: dict[str, tuple[Write, str]] = {
    "negated behind max-pooling": (behind_spatial("Neg"), "Neg"),
    "absolute behind max-pooling": (behind_spatial("Abs"), "Abs"),
    "activation that dips behind max-pooling": (behind_spatial("HardSwish"), "HardSwish"),
    "negated behind sums and max-pooling": (behind_spatial("Neg", spelling="reduce_sum"), "Neg"),
    "mixed factors behind max-pooling": (product_behind_spatial(-1.5, 1.5), "Mul"),
    "gate behind max-pooling": (gate_behind_spatial, ELEMENTWISE_OP),
    "normalisation that turns round": (normalised_behind_spatial, "BatchNormalization"),
    "sum behind max-pooling": (reduced_behind_spatial("ReduceSum", "reduce_sum"), "ReduceSum"),
    "minimum behind max-pooling": (reduced_behind_spatial("ReduceMin", "reduce_min"), "ReduceMin"),
    "squares of sums": (reduced_differently("ReduceSum", "ReduceSumSquare"), "ReduceSumSquare"),
    "magnitudes of sums": (reduced_differently("ReduceSum", "ReduceL1"), "ReduceL1"),
    "smallest of largest": (reduced_differently("ReduceMax", "ReduceMin"), "ReduceMin"),
    "largest of negated": (negated_then_largest, "Max"),
    "sum of moved sums": (moved_then_added, "Add"),
}


@pytest.mark.parametrize(("write", "left"), FUSED_IN_PART.values(), ids=FUSED_IN_PART)
def test_what_may_not_change_places_stays_behind(write: Write, left: str) -> None:
    result = rewrite(build(write))
    assert result.fused == 1
    assert left in result.operators
    result.check_outputs()


NON_DECREASING_BEHIND_SPATIAL: dict[str, Write] = {
    "activation": behind_spatial("Relu", "Sigmoid"),
    "positive factors": product_behind_spatial(0.5, 1.5),
}


@pytest.mark.parametrize(
    "write", NON_DECREASING_BEHIND_SPATIAL.values(), ids=NON_DECREASING_BEHIND_SPATIAL
)
def test_what_never_decreases_moves_in_front_of_spatial_pooling(write: Write) -> None:
    result = rewrite(build(write))
    assert result.operators == ["ConvPool"]
    result.check_outputs()
