"""Networks in which a layer must not be fused, for one reason each.

The wide map is needed elsewhere, the windows do not tile the channels, or the filters are not
constant.
"""

from collections.abc import Mapping, Sequence

import onnx

from kit.case import Expected
from kit.topology_writer import (
    CHANNELS,
    GROUPS,
    POINTWISE,
    WIDE,
    WINDOW,
    TopologyWriter,
    Write,
)

# What still reads a wide map, or will.


def _read_by_convolution(graph: TopologyWriter) -> Sequence[str]:
    wide = graph.wide()
    other = graph.convolution(wide, WIDE, GROUPS, POINTWISE)
    return [graph.write("Add", graph.pooled(wide), other)]


def _read_behind_activation(graph: TopologyWriter) -> Sequence[str]:
    wide = graph.write("Relu", graph.wide())
    other = graph.convolution(wide, WIDE, GROUPS, POINTWISE)
    return [graph.write("Add", graph.pooled(wide), other)]


def _read_before_activation(graph: TopologyWriter) -> Sequence[str]:
    wide = graph.wide()
    other = graph.convolution(wide, WIDE, GROUPS, POINTWISE)
    return [graph.write("Add", graph.pooled(graph.write("Relu", wide)), other)]


def _pooled_in_two_ways(graph: TopologyWriter) -> Sequence[str]:
    wide = graph.wide()
    return [graph.pooled(wide), graph.pooled(wide, "reduce_mean")]


def _grouped_map_read(graph: TopologyWriter) -> Sequence[str]:
    grouped = graph.grouped(graph.wide())
    sorted_maps = graph.write("Softmax", grouped, axis=2)
    return [graph.along("ReduceMax", grouped, [2], keepdims=0), sorted_maps]


def _part_read(graph: TopologyWriter) -> Sequence[str]:
    first, second = graph.split(graph.wide(), [GROUPS, GROUPS])
    return [graph.write("Concat", graph.write("Max", first, second), second, axis=1)]


def _wide_output(graph: TopologyWriter) -> Sequence[str]:
    wide = graph.wide()
    return [graph.pooled(wide), wide]


def _activation_output(graph: TopologyWriter) -> Sequence[str]:
    wide = graph.write("Sigmoid", graph.wide())
    return [graph.pooled(wide), wide]


def _convolution_output(graph: TopologyWriter) -> Sequence[str]:
    wide = graph.wide()
    return [graph.pooled(graph.write("Relu", wide)), wide]


def _grouped_map_output(graph: TopologyWriter) -> Sequence[str]:
    grouped = graph.grouped(graph.wide())
    return [graph.along("ReduceMax", grouped, [2], keepdims=0), grouped]


def _one_convolution_read(graph: TopologyWriter) -> Sequence[str]:
    maps = [graph.wide(filters=GROUPS) for _ in range(WINDOW)]
    return [graph.write("Max", *maps), graph.write("Relu", maps[1])]


def _indices_used(graph: TopologyWriter) -> Sequence[str]:
    count = graph.constant([1])
    grouped = graph.grouped(graph.wide())
    values, indices = graph.write_many("TopK", grouped, count, outputs=2, axis=2)
    weights = graph.write("Cast", indices, to=onnx.TensorProto.FLOAT)
    return [graph.along("Squeeze", graph.write("Add", values, weights), [2])]


# Windows that do not tile the channels.


def _depth_pooling(
    kernel: int,
    stride: int,
    padding: int = 0,
    dilation: int = 1,
    pixels: int = 1,
    ceil_mode: int = 0,
) -> Write:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = graph.write(
            "MaxPool",
            graph.along("Unsqueeze", graph.wide(), [1]),
            kernel_shape=[kernel, pixels, pixels],
            strides=[stride, pixels, pixels],
            pads=[padding, 0, 0, padding, 0, 0],
            dilations=[dilation, 1, 1],
            ceil_mode=ceil_mode,
        )
        return [graph.along("Squeeze", tensor, [1])]

    return write


def _parts(*bounds: tuple[int, ...]) -> Write:
    def write(graph: TopologyWriter) -> Sequence[str]:
        wide = graph.wide()
        return [graph.write("Max", *(graph.slice(wide, *bound) for bound in bounds))]

    return write


def _broadcast_part(graph: TopologyWriter) -> Sequence[str]:
    return [graph.write("Max", *graph.split(graph.wide(), [1, WIDE - 1]))]


# Filters that are not constant.


def _filters_as_input(graph: TopologyWriter) -> Sequence[str]:
    filters = graph.input("filters", WIDE, CHANNELS, 3, 3)
    return [graph.pooled(graph.write("Conv", "input", filters, pads=[1] * 4))]


def _filters_computed(graph: TopologyWriter) -> Sequence[str]:
    gate = graph.write("Sigmoid", graph.along("ReduceMean", "input", [0, 1, 2, 3], keepdims=0))
    filters = graph.write("Mul", graph.random_constant(WIDE, CHANNELS, 3, 3), gate)
    return [graph.pooled(graph.write("Conv", "input", filters, pads=[1] * 4))]


def _bias_as_input(graph: TopologyWriter) -> Sequence[str]:
    bias = graph.input("bias", WIDE)
    weights = graph.random_constant(WIDE, CHANNELS, 3, 3)
    return [graph.pooled(graph.write("Conv", "input", weights, bias, pads=[1] * 4))]


STILL_READ = Expected(0, "read")
OUTPUT = Expected(0, "output")
NOT_TILED = Expected(0, "tile")
NOT_CONSTANT = Expected(0, "constant")
NOTHING = Expected(0)
EITHER = Expected(None)

NEGATIVES: Mapping[str, tuple[Write, Expected]] = {
    "read_by_convolution": (_read_by_convolution, STILL_READ),
    "read_behind_activation": (_read_behind_activation, STILL_READ),
    "read_before_activation": (_read_before_activation, STILL_READ),
    "pooled_in_two_ways": (_pooled_in_two_ways, STILL_READ),
    "grouped_map_read": (_grouped_map_read, STILL_READ),
    "part_read": (_part_read, STILL_READ),
    "indices_used": (_indices_used, STILL_READ),
    "one_convolution_read": (_one_convolution_read, NOTHING),
    "wide_output": (_wide_output, OUTPUT),
    "activation_output": (_activation_output, OUTPUT),
    "convolution_output": (_convolution_output, OUTPUT),
    "grouped_map_output": (_grouped_map_output, OUTPUT),
    "overlapping": (_depth_pooling(kernel=3, stride=1), NOT_TILED),
    "overlapping_stride_2": (_depth_pooling(kernel=4, stride=2), NOT_TILED),
    "with_gaps": (_depth_pooling(kernel=2, stride=3), NOT_TILED),
    "ragged": (_depth_pooling(kernel=3, stride=3), NOT_TILED),
    "ragged_ceil": (_depth_pooling(kernel=3, stride=3, ceil_mode=1), NOT_TILED),
    "padded": (_depth_pooling(kernel=2, stride=2, padding=1), NOT_TILED),
    "dilated_overlapping": (_depth_pooling(kernel=2, stride=1, dilation=2), NOT_TILED),
    "parts_left_out": (_parts((0, 3), (3, 6)), NOT_TILED),
    "parts_overlapping": (_parts((0, 5), (3, 8)), NOT_TILED),
    "parts_repeated": (_parts((0, 4), (4, 8), (0, 4)), NOT_TILED),
    "parts_strided_left_out": (_parts((0, 8, 3), (1, 8, 3)), NOT_TILED),
    "part_broadcast": (_broadcast_part, NOT_TILED),
    "filters_as_input": (_filters_as_input, NOT_CONSTANT),
    "filters_computed": (_filters_computed, NOT_CONSTANT),
    "bias_as_input": (_bias_as_input, EITHER),
    "channels_and_pixels_pooled": (_depth_pooling(kernel=2, stride=2, pixels=2), EITHER),
}
