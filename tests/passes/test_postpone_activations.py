from collections.abc import Callable, Sequence

import numpy as np
import pytest
from kit.layers import Layer, Network
from kit.rewriting import Rewritten, rewrite
from kit.stages import STAGES
from kit.topology_writer import GROUPS, WIDE, WINDOW, TopologyWriter, build

from condense_compiler.operators.fused import ConvPool
from condense_compiler.passes import find_pass

PASSES = [find_pass(name) for name in ("cross_channel_pooling", "postpone_activations")]


def recipe_of(result: Rewritten) -> ConvPool:
    return ConvPool.from_attributes(result.node("ConvPool").attrs)


def postponed(model_of: Network) -> ConvPool:
    result = rewrite(model_of.build(), PASSES)
    result.check_outputs()
    return recipe_of(result)


# Stages that vanish: they do nothing, or become part of the filters.
INTO_FILTERS = {
    *("identity", "dropout", "add_scalar", "mul_scalar", "mul_negative_scalar", "div_scalar"),
    *("add", "add_4d", "add_first", "sub", "mul", "mul_4d", "mul_mixed", "div"),
    *("batch_norm", "batch_norm_mixed"),
}


@pytest.mark.parametrize("spelling", ["reduce_max", "reduce_min"])
@pytest.mark.parametrize("stage", sorted(STAGES.keys() - INTO_FILTERS))
def test_activation_moves_if_and_only_if_it_never_decreases(stage: str, spelling: str) -> None:
    layer = Layer(spelling, 3, 2, before=(stage,))
    recipe = postponed(Network((layer,), opset=max(18, STAGES[stage].opset)))
    moves = STAGES[stage].non_decreasing and stage not in ("prelu", "leaky_relu_by_max")
    assert bool(recipe.before) != moves
    assert bool(recipe.after) == moves


@pytest.mark.parametrize(
    "spelling", ["reduce_mean", "reduce_sum", "reduce_l2", "ordinal", "top_k_gather"]
)
def test_activation_moves_only_behind_what_picks_one_member(spelling: str) -> None:
    recipe = postponed(Network((Layer(spelling, 3, 2, before=("relu",)),)))
    assert bool(recipe.after) == (recipe.reduction == "max")


def test_what_stood_behind_already_still_comes_last() -> None:
    layer = Layer("reduce_max", 3, 2, before=("sigmoid",), after=("mul", "tanh", "add"))
    recipe = postponed(Network((layer,)))
    assert [step.op for step in recipe.after.instructions] == ["Sigmoid", "Mul", "Tanh", "Add"]


def prelu(slopes: Sequence[float], spelling: str = "reduce_max") -> Rewritten:
    def write(graph: TopologyWriter) -> Sequence[str]:
        constant = graph.constant(np.reshape(slopes, (WIDE, 1, 1)))
        return [graph.pooled(graph.write("PRelu", graph.wide(), constant), spelling)]

    result = rewrite(build(write), PASSES)
    result.check_outputs()
    return result


def test_slopes_that_a_group_shares_move() -> None:
    result = prelu(np.repeat([0.1, 0.2, 0.3, 0.4], WINDOW).tolist())
    assert not recipe_of(result).before
    assert result.node("ConvPool").inputs[3].values.reshape(-1).tolist() == pytest.approx(
        [0.1, 0.2, 0.3, 0.4]
    )


def test_slopes_that_a_strided_group_shares_move() -> None:
    result = prelu([0.1, 0.2, 0.3, 0.4] * WINDOW, "reduce_max_strided")
    assert not recipe_of(result).before


def test_slopes_that_differ_within_a_group_stay() -> None:
    assert recipe_of(prelu([0.1, 0.2, 0.3, 0.4] * WINDOW)).before


def test_negative_slopes_stay() -> None:
    assert recipe_of(prelu(np.repeat([0.1, -0.2, 0.3, 0.4], WINDOW).tolist())).before


Stage = Callable[[TopologyWriter, str], str]


def factors(graph: TopologyWriter, tensor: str, values: Sequence[float]) -> str:
    return graph.write("Mul", tensor, graph.constant(np.repeat(values, WINDOW).reshape(-1, 1, 1)))


@pytest.mark.parametrize(
    ("values", "moves"),
    [([0.5, 1.0, 0.0, 2.0], True), ([0.5, 1.0, -1e-3, 2.0], False)],
    ids=["none negative", "one negative"],
)
def test_factors_behind_an_activation_move_unless_negative(
    values: list[float], moves: bool
) -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        wide = graph.write("Relu", graph.wide())
        return [graph.pooled(factors(graph, wide, values))]

    result = rewrite(build(write), PASSES)
    result.check_outputs()
    assert bool(recipe_of(result).before) != moves


@pytest.mark.parametrize("op", ["Log", "Sqrt"])
def test_members_that_have_no_logarithm_or_root_are_not_passed_over(op: str) -> None:
    """One negative member makes the maximum undefined; the others must not hide it."""

    def write(graph: TopologyWriter) -> Sequence[str]:
        return [graph.pooled(graph.write(op, graph.wide()))]

    result = rewrite(build(write), PASSES)
    assert recipe_of(result).before
    result.check_outputs()


def test_grouped_convolution_pooled_across_groups_moves_the_operands_of_members() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        graph.inputs["input"] = (1, WIDE, 5, 4)
        wide = graph.convolution("input", WIDE, WIDE, Layer(group=WIDE))
        slopes = graph.constant(np.tile([0.1, 0.2, 0.3, 0.4], WINDOW).reshape(WIDE, 1, 1))
        tensor = graph.reshape(graph.write("PRelu", wide, slopes), (1, WINDOW, GROUPS, 5, 4))
        return [graph.along("ReduceMax", tensor, [1], keepdims=0)]

    result = rewrite(build(write), PASSES)
    result.check_outputs()
    recipe = recipe_of(result)
    assert recipe.members
    assert not recipe.before
