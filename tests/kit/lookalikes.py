"""Networks that resemble a convolution with cross-channel pooling, but hold none.

Some compute the same as one all the same, in a way that nobody is bound to recognise: there,
fusing and not fusing are both right.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from kit.case import Expected
from kit.topology_writer import (
    CHANNELS,
    GROUPS,
    IMAGE,
    POINTWISE,
    SPATIAL,
    WIDE,
    WINDOW,
    TopologyWriter,
    Write,
)


def _leaky_relu_by_max(graph: TopologyWriter) -> Sequence[str]:
    wide = graph.wide()
    return [graph.write("Max", wide, graph.write("Mul", wide, graph.constant(0.1)))]


def _relu_by_max(graph: TopologyWriter) -> Sequence[str]:
    return [graph.write("Max", graph.wide(), graph.constant(0.0))]


def _meeting(graph: TopologyWriter, op_type: str, second_input: bool) -> Sequence[str]:
    other = graph.input("other", *IMAGE) if second_input else graph.write("Sigmoid", "input")
    return [graph.write(op_type, graph.wide(), graph.wide(other))]


def _residual(graph: TopologyWriter, op_type: str) -> Sequence[str]:
    return [graph.write(op_type, graph.wide(filters=CHANNELS), "input")]


def _different_convolutions(graph: TopologyWriter) -> Sequence[str]:
    small = graph.convolution("input", CHANNELS, GROUPS, POINTWISE)
    return [graph.write("Max", graph.wide(filters=GROUPS), small)]


def _over(graph: TopologyWriter, axes: Sequence[int], grouped: bool = False) -> Sequence[str]:
    wide = graph.wide()
    tensor = graph.grouped(wide) if grouped else wide
    return [graph.along("ReduceMax", tensor, axes, keepdims=0)]


def _rows_for_channels(graph: TopologyWriter) -> Sequence[str]:
    height, width = SPATIAL
    tensor = graph.reshape(graph.wide(), (1, WIDE, height // 2, 2, width))
    return [graph.along("ReduceMax", tensor, [3], keepdims=0)]


def _reshaped_across_pixels(graph: TopologyWriter) -> Sequence[str]:
    height, width = SPATIAL
    tensor = graph.reshape(graph.wide(), (1, GROUPS, height, WINDOW, width))
    return [graph.along("ReduceMax", tensor, [3], keepdims=0)]


def _over_batch(graph: TopologyWriter) -> Sequence[str]:
    graph.inputs["input"] = (2, *IMAGE[1:])
    tensor = graph.reshape(graph.wide(), (1, 2, WIDE, *SPATIAL))
    return [graph.along("ReduceMax", tensor, [1], keepdims=0)]


def _no_convolution(graph: TopologyWriter) -> Sequence[str]:
    graph.inputs["input"] = (1, WIDE, *SPATIAL)
    return [graph.pooled("input")]


def _transposed_convolution(graph: TopologyWriter) -> Sequence[str]:
    weights = graph.random_constant(CHANNELS, WIDE, 3, 3)
    return [graph.pooled(graph.write("ConvTranspose", "input", weights, pads=[1] * 4))]


def _behind_stage(op_type: str, *shape: int) -> Write:
    def write(graph: TopologyWriter) -> Sequence[str]:
        constant = graph.random_constant(*shape)
        return [graph.pooled(graph.write(op_type, graph.wide(), constant))]

    return write


def _inside_stage(*shape: int) -> Write:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = graph.write("Add", graph.grouped(graph.wide()), graph.random_constant(*shape))
        return [graph.along("ReduceMax", tensor, [2], keepdims=0)]

    return write


def _softmax_between(graph: TopologyWriter) -> Sequence[str]:
    return [graph.pooled(graph.write("Softmax", graph.wide(), axis=1))]


def _spatial_pool_between(graph: TopologyWriter) -> Sequence[str]:
    wide = graph.write("MaxPool", graph.wide(), kernel_shape=[3, 3], pads=[1] * 4)
    return [graph.pooled(wide)]


def _halves_unlike(graph: TopologyWriter) -> Sequence[str]:
    first, second = graph.split(graph.wide(), [GROUPS, GROUPS])
    return [graph.write("Max", graph.write("Relu", first), graph.write("Tanh", second))]


def _squares_without_root(graph: TopologyWriter) -> Sequence[str]:
    return [graph.along("ReduceSumSquare", graph.grouped(graph.wide()), [2], keepdims=0)]


def _weight_per_channel_and_rank(graph: TopologyWriter) -> Sequence[str]:
    count = graph.constant([WINDOW])
    grouped = graph.grouped(graph.wide())
    values, _ = graph.write_many("TopK", grouped, count, outputs=2, axis=2)
    weighted = graph.write("Mul", values, graph.random_constant(GROUPS, WINDOW, 1, 1))
    return [graph.along("ReduceSum", weighted, [2], keepdims=0)]


def _difference(graph: TopologyWriter) -> Sequence[str]:
    first, second = graph.split(graph.wide(), [GROUPS, GROUPS])
    return [graph.write("Sub", first, second)]


NOTHING = Expected(0)
EITHER = Expected(None)

LOOKALIKES: Mapping[str, tuple[Write, Expected]] = {
    "leaky_relu_by_max": (_leaky_relu_by_max, NOTHING),
    "relu_by_max": (_relu_by_max, NOTHING),
    "max_of_two_inputs": (partial(_meeting, op_type="Max", second_input=True), NOTHING),
    "max_of_input_and_activation": (partial(_meeting, op_type="Max", second_input=False), NOTHING),
    "sum_of_two_inputs": (partial(_meeting, op_type="Add", second_input=True), NOTHING),
    "sum_of_input_and_activation": (partial(_meeting, op_type="Add", second_input=False), NOTHING),
    "residual_sum": (partial(_residual, op_type="Add"), NOTHING),
    "residual_max": (partial(_residual, op_type="Max"), NOTHING),
    "convolutions_unlike": (_different_convolutions, EITHER),
    "over_pixels": (partial(_over, axes=[2, 3]), NOTHING),
    "over_rows": (partial(_over, axes=[2]), NOTHING),
    "over_everything": (partial(_over, axes=[0, 1, 2, 3]), NOTHING),
    "over_channels_and_rows": (partial(_over, axes=[2, 3], grouped=True), NOTHING),
    "over_groups_and_windows": (partial(_over, axes=[1, 2], grouped=True), EITHER),
    "over_all_channels": (partial(_over, axes=[1]), EITHER),
    "over_rows_for_channels": (_rows_for_channels, NOTHING),
    "reshaped_across_pixels": (_reshaped_across_pixels, NOTHING),
    "over_batch": (_over_batch, NOTHING),
    "without_convolution": (_no_convolution, NOTHING),
    "transposed_convolution": (_transposed_convolution, NOTHING),
    "add_per_pixel": (_behind_stage("Add", 1, 1, *SPATIAL), NOTHING),
    "mul_per_pixel": (_behind_stage("Mul", *SPATIAL), NOTHING),
    "add_per_channel_and_pixel": (_behind_stage("Add", WIDE, *SPATIAL), NOTHING),
    "add_per_row": (_behind_stage("Add", SPATIAL[0], 1), NOTHING),
    "add_per_column": (_behind_stage("Add", SPATIAL[1]), NOTHING),
    "add_per_pixel_inside": (_inside_stage(1, WINDOW, *SPATIAL), NOTHING),
    "add_per_group_inside": (_inside_stage(GROUPS, 1, 1, 1), EITHER),
    "add_per_channel_inside": (_inside_stage(GROUPS, WINDOW, 1, 1), EITHER),
    "softmax_between": (_softmax_between, NOTHING),
    "spatial_pool_between": (_spatial_pool_between, EITHER),
    "halves_unlike": (_halves_unlike, EITHER),
    "squares_without_root": (_squares_without_root, EITHER),
    "weight_per_channel_and_rank": (_weight_per_channel_and_rank, EITHER),
    "difference": (_difference, NOTHING),
}
