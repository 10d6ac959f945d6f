from collections.abc import Sequence

import numpy as np
import pytest
from kit.codes_writer import CodesWriter
from kit.rewriting import rewrite
from kit.topology_writer import CHANNELS, WIDE, TopologyWriter, build

from condense_compiler.passes import find_pass

PASSES = [find_pass("fold_constants")]


def weights_from_a_chain(graph: TopologyWriter) -> Sequence[str]:
    raw = graph.random_constant(3, 3, CHANNELS, WIDE)  # as TensorFlow stores filters
    scaled = graph.write("Mul", raw, graph.write("Exp", graph.random_constant(WIDE)))
    filters = graph.write("Transpose", scaled, perm=[3, 2, 0, 1])
    return [graph.write("Conv", "input", filters, pads=[1] * 4)]


def test_chain_of_constants_becomes_one() -> None:
    result = rewrite(build(weights_from_a_chain), PASSES)
    assert result.operators == ["Conv"]
    result.check_outputs(tolerance=1e-6)


def test_computed_filters_are_constant_for_the_passes_behind() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        [wide] = weights_from_a_chain(graph)
        return [graph.pooled(wide)]

    result = rewrite(build(write))
    assert result.fused == 1
    result.check_outputs()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_codes_of_constants_are_computed_and_their_values_are_not(
    dtype: type[np.generic], axis: int | None
) -> None:
    w = CodesWriter()
    values = w.random.normal(0, 3, (6, 4, 3, 3)).astype(np.float32)
    count = () if axis is None else values.shape[axis]
    grid = [
        w.constant(w.random.uniform(0.01, 0.05, count).astype(np.float32)),
        w.constant(w.random.integers(0, 99, count).astype(dtype)),
    ]
    along = {} if axis is None else {"axis": axis}
    [codes] = w.apply("QuantizeLinear", w.constant(values), *grid, **along)
    [filters] = w.apply("DequantizeLinear", codes, *grid, **along)
    result = rewrite(w.model(w.apply("Conv", "x", filters), (1, 4, 9, 8)), PASSES)
    assert result.operators == ["DequantizeLinear", "Conv"]
    result.check_outputs(tolerance=0.0)


def test_nothing_to_fold_is_no_rewrite() -> None:
    result = rewrite(build(lambda graph: [graph.write("Relu", graph.wide())]), PASSES)
    assert result.outcomes["fold_constants"].rewrites == ()
    assert result.operators == ["Conv", "Relu"]


def test_a_constant_with_two_readers_serves_both() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        shared = graph.write("Neg", graph.random_constant(CHANNELS, 1, 1))
        added = graph.write("Add", "input", shared)
        return [graph.write("Mul", added, shared), graph.write("Mul", "input", shared)]

    result = rewrite(build(write), PASSES)
    assert result.operators == ["Add", "Mul", "Mul"]
    result.check_outputs(tolerance=0.0)


def test_quantised_weights_stay_quantised() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        scale = graph.constant(0.02)
        zero = graph.write("Cast", graph.constant(0), to=3)
        stored = graph.write("Cast", graph.constant(np.arange(-12, 12).reshape(8, 3, 1, 1)), to=3)
        filters = graph.write("DequantizeLinear", stored, scale, zero)
        return [graph.write("Conv", "input", filters)]

    result = rewrite(build(write), PASSES)
    assert result.operators == ["DequantizeLinear", "Conv"]
    result.check_outputs(tolerance=0.0)


def test_an_output_that_is_constant_is_still_there() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        return [graph.write("Relu", "input"), graph.write("Exp", graph.random_constant(2, 3))]

    rewrite(build(write), PASSES).check_outputs()
