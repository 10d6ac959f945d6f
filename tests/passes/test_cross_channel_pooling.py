import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from kit.case import Case
from kit.cases import cases, quick_cases
from kit.layers import Layer, Network
from kit.negatives import NEGATIVES
from kit.numerics import random_feeds, run_onnxruntime
from kit.rewriting import Rewritten, rewrite
from kit.spellings import ALL_SPELLINGS, members
from kit.strategies import networks
from kit.topology_writer import (
    CHANNELS,
    GROUPS,
    SPATIAL,
    WIDE,
    WINDOW,
    TopologyWriter,
    build,
    reduced,
)
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from condense_compiler.operators.fused import ConvPool
from condense_compiler.passes import find_pass


def check(case: Case) -> None:
    result = rewrite(case.build())
    if case.expected.fused is not None:
        assert result.fused == case.expected.fused, f"refused: {result.reasons}"
    if case.expected.refused is not None:
        assert any(case.expected.refused in reason for reason in result.reasons), result.reasons
    result.check_outputs()


@pytest.mark.parametrize("case", list(quick_cases()), ids=lambda case: case.id)
def test_spelling_is_fused_or_refused_as_expected_and_computes_the_same(case: Case) -> None:
    check(case)


def remaining_cases() -> Iterator[Case]:
    quick = {case.id for case in quick_cases()}
    return (case for case in cases() if case.id not in quick)


@pytest.mark.parametrize("part", range(8))
def test_every_variation_of_every_spelling(part: int) -> None:
    """All cases at once: failures name theirs."""
    failures = []
    for case in list(remaining_cases())[part::8]:
        try:
            check(case)
        except AssertionError as error:
            failures.append(f"{case.id}: {error}")
    assert not failures, "\n".join(failures)


@settings(max_examples=150, deadline=None)
@given(networks())
def test_drawn_networks_are_fused_and_compute_the_same(network: Network) -> None:
    result = rewrite(network.build())
    # On a map one pixel high, some spellings of "a group of one map" are no operator at all.
    pooled = sum(layer.window > 1 for layer in network.layers)
    assert pooled <= result.fused <= len(network.layers), result.reasons
    result.check_outputs()


# Refusals.

REASON_WORDS = ("also read by", "output of the network", "do not tile", "not constant")


@pytest.mark.parametrize("word", REASON_WORDS)
def test_each_reason_for_a_refusal_occurs(word: str) -> None:
    reasons = [
        reason for write, _ in NEGATIVES.values() for reason in rewrite(build(write)).reasons
    ]
    assert any(word in reason for reason in reasons)


def test_every_reason_is_one_of_those_known() -> None:
    pattern = re.compile("|".join(REASON_WORDS))
    for write, _ in NEGATIVES.values():
        assert all(pattern.search(reason) for reason in rewrite(build(write)).reasons)


def test_a_refused_network_is_left_as_it_was() -> None:
    write, _ = NEGATIVES["wide_output"]
    result = rewrite(build(write), [find_pass("cross_channel_pooling")])
    assert result.outcomes["cross_channel_pooling"].rewrites == ()
    assert result.operators == [node.op_type for node in result.source.graph.node]


# One convolution, several readers.


def test_two_layers_that_share_one_convolution_are_refused() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        halves = graph.split(graph.wide(filters=16), [8, 8])
        shape = (1, GROUPS, WINDOW, *SPATIAL)
        return [reduced(graph, graph.reshape(half, shape)) for half in halves]

    result = rewrite(build(write))
    assert (result.fused, result.reasons) == (0, ["the groups do not tile the channels"])
    result.check_outputs()


def test_a_pooled_map_that_is_also_an_output_keeps_its_name() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        pooled = graph.pooled(graph.wide())
        return [pooled, graph.write("MaxPool", pooled, kernel_shape=[2, 2], strides=[2, 2])]

    result = rewrite(build(write))
    assert result.operators == ["ConvPool", "MaxPool"]
    result.check_outputs()


def test_layers_that_share_filters_keep_their_own() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        filters, bias = graph.random_constant(WIDE, CHANNELS, 3, 3), graph.random_constant(WIDE)
        factors = graph.constant(graph.random.uniform(0.5, 1.5, (WIDE, 1, 1)))
        one = graph.write("Conv", "input", filters, bias, pads=[1] * 4)
        other = graph.write("Conv", graph.write("Sigmoid", "input"), filters, bias, pads=[1] * 4)
        one = graph.write("Mul", one, factors)
        return [graph.write("Add", graph.pooled(one), graph.pooled(other, "reduce_max_strided"))]

    result = rewrite(build(write))
    assert result.fused == 2
    result.check_outputs()


# A mistake in the grouping shows in the numbers: the comparison above is worth something.


def changed_outputs(
    result: Rewritten, change: Callable[[ConvPool, list[NDArray[np.float32]]], None]
) -> float:
    """Return by how much outputs differ once filters were changed, relative to the largest."""
    feeds = random_feeds(result.source)
    [expected] = run_onnxruntime(result.source, feeds).values()
    node = result.node("ConvPool")
    constants = [node.inputs[1].values.copy(), node.inputs[2].values.copy()]
    change(ConvPool.from_attributes(node.attrs), constants)
    node.inputs[1].values, node.inputs[2].values = constants
    [actual] = result.outputs(feeds).values()
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def swap_neighbours_of_two_groups(recipe: ConvPool, constants: list[NDArray[np.float32]]) -> None:
    for values in constants:
        values[[recipe.window - 1, recipe.window]] = values[[recipe.window, recipe.window - 1]]


def shift_by_one(_recipe: ConvPool, constants: list[NDArray[np.float32]]) -> None:
    constants[:] = [np.roll(values, 1, axis=0) for values in constants]


def swap_within_a_group(_recipe: ConvPool, constants: list[NDArray[np.float32]]) -> None:
    for values in constants:
        values[[0, 1]] = values[[1, 0]]


@pytest.mark.parametrize("spelling", sorted(ALL_SPELLINGS))
@pytest.mark.parametrize("change", [swap_neighbours_of_two_groups, shift_by_one])
def test_grouping_off_by_one_is_seen(
    spelling: str, change: Callable[[ConvPool, list[NDArray[np.float32]]], None]
) -> None:
    # Mean and sum without an activation would be folded away.
    network = Network((Layer(spelling, 3, 3, before=("leaky_relu",)),))
    assert changed_outputs(rewrite(network.build()), change) > 0.01


def test_order_within_a_group_does_not_matter() -> None:
    network = Network((Layer("reduce_max", 3, 3, before=("leaky_relu",)),))
    assert changed_outputs(rewrite(network.build()), swap_within_a_group) < 1e-6


@pytest.mark.parametrize("op", ["Add", "Mean", "Sum"])
def test_what_is_joined_with_itself(op: str) -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        pooled = graph.pooled(graph.wide())
        return [graph.write(op, pooled, pooled)]

    result = rewrite(build(write))
    assert result.fused == 1
    assert (len(result.operators) == 1) == (op != "Mean")


def test_what_is_rounded_next_does_not_go_into_the_filters() -> None:
    """Folded, sums next to the middle between two whole numbers would be rounded otherwise."""

    def write(graph: TopologyWriter) -> Sequence[str]:
        factors = graph.constant(graph.random.uniform(2.0, 9.0, (1, WIDE, 1, 1)).astype("f"))
        scaled = graph.write("Mul", graph.wide(), factors)
        return [graph.pooled(graph.write("Round", scaled))]

    given = build(write)
    result = rewrite(given)
    node = result.node("ConvPool")
    weights = {tensor.name: tensor for tensor in given.graph.initializer}
    [conv] = [node for node in given.graph.node if node.op_type == "Conv"]
    assert np.array_equal(node.inputs[1].values, numpy_helper.to_array(weights[conv.input[1]]))
    before = ConvPool.from_attributes(node.attrs).before
    assert [step.op for step in before.instructions] == ["Mul", "Round"]


@pytest.mark.parametrize("spelling", sorted(ALL_SPELLINGS))
def test_filters_are_permuted_so_that_groups_are_consecutive(spelling: str) -> None:
    grouping = ALL_SPELLINGS[spelling].grouping
    model = Network((Layer(spelling, 3, 2, before=("leaky_relu",)),)).build()
    filters = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if re.fullmatch(r"layer1/weight(_\d+)?", tensor.name)
    ]
    stacked = np.concatenate(filters)
    wanted = stacked[members(grouping, 3, 2).reshape(-1)].reshape(3, 2, -1)
    fused = rewrite(model).node("ConvPool").inputs[1].values.reshape(3, 2, -1)
    for one, other in zip(fused, wanted, strict=True):
        assert {row.tobytes() for row in one} == {row.tobytes() for row in other}


# What comes out is an ordinary ONNX file.

SAMPLE = ("reduce_max", "split_max", "ordinal", "reduce_l2_strided", "several_convolutions")


@pytest.mark.parametrize("spelling", SAMPLE)
@pytest.mark.parametrize("opset", [11, 13, 18, 21, 23])
def test_compiled_model_passes_the_checker_and_runs_with_the_optimiser_on(
    spelling: str, opset: int
) -> None:
    layers = (Layer(spelling, 4, 2, before=("silu",)), Layer(spelling, 2, 3, before=("relu",)))
    result = rewrite(Network(layers, opset=opset).build())
    onnx.checker.check_model(result.model, full_check=True)
    feeds = random_feeds(result.source)
    session = ort.InferenceSession(
        result.model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    [actual] = session.run(None, feeds)
    [expected] = run_onnxruntime(result.source, feeds).values()
    assert np.abs(actual - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("spelling", SAMPLE)
def test_compiling_the_compiled_model_changes_nothing(spelling: str) -> None:
    network = Network((Layer(spelling, 4, 2, before=("silu",)), Layer(spelling, 2, 3)))
    once = rewrite(network.build())
    twice = rewrite(once.model)
    assert not any(outcome.rewrites for outcome in twice.outcomes.values())
    assert twice.model.graph == once.model.graph
    twice.check_outputs(tolerance=0.0)


def test_what_is_fused_later_joins_what_was_fused_before() -> None:
    layers = (Layer("reduce_max", 4, 2), Layer("split_max", 2, 3))
    source = Network(layers).build()
    partly = rewrite(source, [find_pass("clean_up"), find_pass("fold_constants")])
    rest = rewrite(partly.model)
    assert (partly.fused, rest.fused) == (0, 2)
    rest.check_outputs()


# Layouts.


def test_channels_last_end_is_transposed_once_and_not_back() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = graph.write("Transpose", graph.wide(), perm=[0, 2, 3, 1])
        return [reduced(graph, graph.reshape(tensor, (1, *SPATIAL, GROUPS, WINDOW)), axis=4)]

    result = rewrite(build(write))
    assert result.operators == ["ConvPool", "Transpose"]
    result.check_outputs()


def test_channels_last_in_between_needs_no_transpose() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        graph.inputs["input"] = (1, *SPATIAL, CHANNELS)
        tensor = graph.wide(graph.write("Transpose", "input", perm=[0, 3, 1, 2]))
        tensor = graph.write("Transpose", tensor, perm=[0, 2, 3, 1])
        tensor = reduced(graph, graph.reshape(tensor, (1, *SPATIAL, GROUPS, WINDOW)), axis=4)
        tensor = graph.write("Transpose", tensor, perm=[0, 3, 1, 2])
        return [graph.write("Transpose", graph.convolution(tensor, GROUPS, 5), perm=[0, 2, 3, 1])]

    result = rewrite(build(write))
    assert result.operators == ["Transpose", "ConvPool", "Conv", "Transpose"]


def test_a_layout_that_is_a_reshape_away_is_reshaped_only() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = graph.reshape(graph.wide(filters=16), (1, 4, 2, 2, *SPATIAL))
        return [reduced(graph, tensor, 3)]

    result = rewrite(build(write))
    assert result.operators == ["ConvPool", "Reshape"]
    result.check_outputs()


# Element types.


def in_type(model: onnx.ModelProto, dtype: np.dtype[np.floating]) -> onnx.ModelProto:
    """Return the model with all 32-bit floating-point values in another type."""
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(dtype), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = kind
    return model


LAYER_OF_EVERYTHING = Layer("reduce_max", 3, 2, before=("batch_norm", "silu"), after=("prelu",))


@pytest.mark.parametrize("spelling", ["reduce_max", "reduce_mean", "slice_max", "top_k", "ordinal"])
def test_half_precision_is_fused_in_half_precision(spelling: str) -> None:
    layer = replace(LAYER_OF_EVERYTHING, spelling=spelling)
    result = rewrite(in_type(Network((layer,)).build(), np.dtype(np.float16)))
    assert {tensor.dtype for tensor in result.node("ConvPool").inputs} == {np.dtype(np.float16)}
    result.check_outputs()


@pytest.mark.parametrize("spelling", ["reduce_max", "slice_max", "top_k", "ordinal"])
def test_double_precision_is_fused_in_double_precision(spelling: str) -> None:
    """Which ONNX Runtime cannot run; the reference evaluator of onnx can."""
    layer = replace(LAYER_OF_EVERYTHING, spelling=spelling)
    source = in_type(Network((layer,)).build(), np.dtype(np.float64))
    result = rewrite(source)
    feeds = random_feeds(source)
    actual, expected = (
        next(iter(ReferenceEvaluator(model).run(None, feeds))) for model in (result.model, source)
    )
    assert isinstance(actual, np.ndarray)
    assert actual.dtype == np.float64
    assert np.abs(actual - expected).max() <= 1e-12 * np.abs(expected).max()


@pytest.mark.parametrize("op", ["Add", "Max"])
def test_groups_of_several_sizes_are_put_together(op: str) -> None:
    """The sums of two, of three and of four members, one behind the other."""

    def write(graph: TopologyWriter) -> Sequence[str]:
        sizes = graph.constant([GROUPS // 2] * (WIDE // (GROUPS // 2)))
        first, *others = graph.write_many("Split", graph.wide(), sizes, outputs=4, axis=1)
        sums = []
        for other in others:
            first = graph.write(op, first, other)
            sums.append(first)
        return [graph.write("Concat", *sums, axis=1)]

    rewrite(build(write)).check_outputs()
