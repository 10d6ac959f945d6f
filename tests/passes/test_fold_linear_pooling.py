from collections.abc import Sequence

import numpy as np
import pytest
from kit.layers import Layer, Network, Window
from kit.rewriting import Rewritten, rewrite
from kit.topology_writer import WIDE, TopologyWriter, build

from condense_compiler.operators.fused import ConvPool
from condense_compiler.operators.registry import parse
from condense_compiler.passes import find_pass

PASSES = [find_pass(name) for name in ("cross_channel_pooling", "fold_linear_pooling")]
LINEAR = (
    "reduce_mean",
    "reduce_sum_strided",
    "sum_chained",
    "sum_n_ary_div",
    "stack_reduce_mean",
    "average_pool_3d",
    "average_pool_transposed_1d",
    "global_average_pool",
)


def folded(network: Network) -> Rewritten:
    result = rewrite(network.build(), PASSES)
    result.check_outputs(tolerance=1e-5)
    return result


def macs(result: Rewritten) -> int:
    return sum(parse(node).macs() for node in result.network.graph.nodes)


def recipe_of(result: Rewritten) -> ConvPool:
    return ConvPool.from_attributes(result.node("ConvPool").attrs)


@pytest.mark.parametrize("spelling", LINEAR)
@pytest.mark.parametrize("window", [1, 2, 5])
def test_mean_and_sum_become_one_plain_convolution(spelling: str, window: int) -> None:
    result = folded(Network((Layer(spelling, 3, window),), spatial=(7, 5)))
    assert result.operators == ["Conv"]
    assert result.fused == 1
    assert result.node("Conv").inputs[1].shape[0] == 3


def test_arithmetic_shrinks_by_the_window() -> None:
    wide = rewrite(Network((Layer("reduce_mean", 3, 4),)).build(), [])
    assert macs(wide) == 4 * macs(folded(Network((Layer("reduce_mean", 3, 4),))))


CONVOLUTIONS = {
    "strided": Window((3, 2), strides=(2, 3), pads=(0, 1, 2, 1)),
    "dilated": Window((2, 3), dilations=(2, 2)),
    "same": Window((3, 3), strides=(2, 2), auto_pad="SAME_LOWER"),
}


@pytest.mark.parametrize("convolution", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_how_the_convolution_walks_is_kept(convolution: Window) -> None:
    layer = Layer("reduce_mean", 3, 2, convolution, bias=False)
    assert folded(Network((layer,), spatial=(9, 8))).operators == ["Conv"]


def test_activation_in_between_is_not_folded_over() -> None:
    recipe = recipe_of(folded(Network((Layer("reduce_mean", 3, 2, before=("relu",)),))))
    assert (recipe.reduction, recipe.window) == ("mean", 2)


def test_scaling_in_between_is_folded_with_it() -> None:
    layer = Layer("reduce_sum", 3, 2, before=("batch_norm", "mul_mixed"))
    assert folded(Network((layer,))).operators == ["Conv"]


@pytest.mark.parametrize("spelling", ["reduce_max", "reduce_min", "reduce_l2", "ordinal"])
def test_what_is_not_linear_is_not_folded(spelling: str) -> None:
    assert recipe_of(folded(Network((Layer(spelling, 3, 2),)))).window == 2


def test_magnitudes_are_not_summed_as_values() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        return [graph.along("ReduceL1", graph.grouped(graph.wide()), [2], keepdims=0)]

    result = rewrite(build(write), PASSES)
    assert recipe_of(result).window == 2
    result.check_outputs()


def test_what_stands_behind_stays_in_the_operator() -> None:
    layer = Layer("reduce_mean", 3, 2, after=("silu",), max_pool=Window((2, 2), (2, 2)))
    recipe = recipe_of(folded(Network((layer,))))
    assert (recipe.window, recipe.spatial is not None, bool(recipe.after)) == (1, True, True)


def test_groups_within_a_group_of_the_convolution_are_folded() -> None:
    result = folded(Network((Layer("reduce_mean", 4, 2, group=2),), channels=4))
    assert result.operators == ["Conv"]
    assert result.node("Conv").attrs["group"] == 2


@pytest.mark.parametrize("spelling", ["reduce_mean", "reduce_mean_strided"])
def test_groups_across_groups_of_the_convolution_are_not_folded(spelling: str) -> None:
    """Their filters see different inputs."""
    result = folded(Network((Layer(spelling, 2, 4, group=4),), channels=4))
    assert recipe_of(result).window == 4


def test_strided_groups_across_groups_of_the_convolution_are_not_folded() -> None:
    result = folded(Network((Layer("reduce_mean_strided", 4, 2, group=2),), channels=4))
    assert recipe_of(result).members


def test_filters_that_others_read_are_left_as_they_were() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        filters = graph.random_constant(WIDE, 3, 3, 3)
        one = graph.write("Conv", "input", filters, pads=[1] * 4)
        other = graph.write("Conv", graph.write("Abs", "input"), filters, pads=[1] * 4)
        return [graph.pooled(one, "reduce_mean"), graph.pooled(other, "reduce_sum"), other]

    result = rewrite(build(write), PASSES)
    assert result.fused == 1
    result.check_outputs()


def test_folded_filters_are_the_mean_of_their_group() -> None:
    source = Network((Layer("reduce_mean", 3, 4),)).build()
    [filters] = [t for t in source.graph.initializer if t.name.endswith("weight")]
    wide = np.frombuffer(filters.raw_data, np.float32).reshape(3, 4, -1).astype(np.float64)
    narrow = rewrite(source, PASSES).node("Conv").inputs[1].values.reshape(3, -1)
    np.testing.assert_array_equal(narrow, wide.mean(axis=1).astype(np.float32))
