"""Networks in which something unusual stands around layers that are fused all the same."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import onnx
from onnx import numpy_helper

from kit.case import Case, Expected
from kit.lookalikes import LOOKALIKES
from kit.negatives import NEGATIVES
from kit.topology_writer import (
    CHANNELS,
    GROUPS,
    PLAIN,
    POINTWISE,
    SPATIAL,
    WIDE,
    WINDOW,
    TopologyWriter,
    Write,
    build,
)


def _pooled_read_twice(graph: TopologyWriter) -> Sequence[str]:
    pooled = graph.pooled(graph.wide())
    return [graph.write("Add", pooled, graph.convolution(pooled, GROUPS, GROUPS, POINTWISE))]


def _pooled_output_too(graph: TopologyWriter) -> Sequence[str]:
    pooled = graph.pooled(graph.wide())
    return [graph.write("MaxPool", pooled, kernel_shape=[2, 2], strides=[2, 2]), pooled]


def _pooled_read_before_activation(graph: TopologyWriter) -> Sequence[str]:
    pooled = graph.pooled(graph.wide())
    return [graph.write("Mul", graph.write("Tanh", pooled), pooled)]


def _activation_read_twice(graph: TopologyWriter) -> Sequence[str]:
    active = graph.write("Relu", graph.pooled(graph.wide()))
    smaller = graph.write("MaxPool", active, kernel_shape=[2, 2], strides=[2, 2])
    return [smaller, graph.write("Sigmoid", active)]


def _spatial_indices_used(graph: TopologyWriter) -> Sequence[str]:
    pooled = graph.pooled(graph.wide())
    window = [2, 2]
    smaller, indices = graph.write_many(
        "MaxPool", pooled, outputs=2, kernel_shape=window, strides=window
    )
    return [smaller, graph.write("Cast", indices, to=onnx.TensorProto.FLOAT)]


def _residual(graph: TopologyWriter) -> Sequence[str]:
    graph.inputs["input"] = (1, GROUPS, *SPATIAL)
    wide = graph.convolution("input", GROUPS, WIDE, PLAIN)
    return [graph.write("Relu", graph.write("Add", graph.pooled(wide), "input"))]


def _two_branches(graph: TopologyWriter) -> Sequence[str]:
    branches = [graph.pooled(graph.wide(), name) for name in ("reduce_max", "split_max")]
    return [graph.write("Concat", *branches, axis=1)]


def _max_of_pooled(graph: TopologyWriter) -> Sequence[str]:
    return [graph.write("Max", *(graph.pooled(graph.wide()) for _ in range(2)))]


def _filters_shared(graph: TopologyWriter) -> Sequence[str]:
    weights = graph.random_constant(WIDE, CHANNELS, 3, 3)
    inputs = ["input", graph.write("Tanh", "input")]
    wides = [graph.write("Conv", name, weights, pads=[1] * 4) for name in inputs]
    pooled = (graph.pooled(wides[0]), graph.pooled(wides[1], "split_max"))
    return [graph.write("Add", *pooled)]


def _filters_in_node(graph: TopologyWriter) -> Sequence[str]:
    values = graph.random.standard_normal((WIDE, CHANNELS, 3, 3)).astype(np.float32)
    weights = graph.write("Constant", value=numpy_helper.from_array(values))
    return [graph.pooled(graph.write("Conv", "input", weights, pads=[1] * 4))]


def _filters_through(graph: TopologyWriter, op_type: str, shape: Sequence[int]) -> Sequence[str]:
    attributes = {"perm": [3, 2, 0, 1]} if op_type == "Transpose" else {}
    weights = graph.write(op_type, graph.random_constant(*shape), **attributes)
    return [graph.pooled(graph.write("Conv", "input", weights, pads=[1] * 4))]


def _all_channels(graph: TopologyWriter) -> Sequence[str]:
    return [graph.along("ReduceMax", graph.wide(), [1], keepdims=1)]


def _split_evenly(graph: TopologyWriter) -> Sequence[str]:
    wide = graph.wide()
    parts = graph.write_many("Split", wide, outputs=WINDOW, axis=1, num_outputs=WINDOW)
    return [graph.write("Max", *parts)]


def _parts_in_another_order(graph: TopologyWriter) -> Sequence[str]:
    third, first, fourth, second = graph.split(graph.wide(), [2, 2, 2, 2])
    return [graph.write("Max", first, second, third, fourth)]


def _with_bias_added(graph: TopologyWriter) -> Sequence[str]:
    weights = graph.random_constant(WIDE, CHANNELS, 3, 3)
    wide = graph.write("Conv", "input", weights, pads=[1] * 4)
    return [graph.pooled(graph.write("Add", graph.random_constant(1, WIDE, 1, 1), wide))]


def _one_constant_per_member(graph: TopologyWriter) -> Sequence[str]:
    grouped = graph.grouped(graph.wide())
    tensor = graph.write("Mul", grouped, graph.constant(np.float64(1.5)))
    return [graph.along("ReduceMax", tensor, [2], keepdims=0)]


def _shape_read(graph: TopologyWriter) -> Sequence[str]:
    wide = graph.wide()
    size = graph.slice(graph.write("Shape", wide), 2, 4, axis=0)
    channels = graph.constant([1, GROUPS])
    shape = graph.write("Concat", channels, size, axis=0)
    zeros = graph.write("ConstantOfShape", shape)
    return [graph.write("Add", graph.pooled(wide), zeros)]


def _empty_optional_bias(graph: TopologyWriter) -> Sequence[str]:
    weights = graph.random_constant(WIDE, CHANNELS, 3, 3)
    return [graph.pooled(graph.write("Conv", "input", weights, "", pads=[1] * 4))]


def _widths_apart(graph: TopologyWriter) -> Sequence[str]:
    first = graph.pooled(graph.wide(), window=4)
    other = graph.convolution(first, WIDE // 4, WIDE, PLAIN)
    return [graph.pooled(other, "reduce_max_strided", window=WIDE)]


def _of_different_type(graph: TopologyWriter) -> Sequence[str]:
    wide = graph.write("Cast", graph.wide(), to=onnx.TensorProto.DOUBLE)
    pooled = graph.along("ReduceMax", graph.grouped(wide), [2], keepdims=0)
    return [graph.write("Cast", pooled, to=onnx.TensorProto.FLOAT)]


POSITIVES: Mapping[str, tuple[Write, Expected]] = {
    "pooled_read_twice": (_pooled_read_twice, Expected(1)),
    "pooled_output_too": (_pooled_output_too, Expected(1)),
    "pooled_read_before_activation": (_pooled_read_before_activation, Expected(1)),
    "activation_read_twice": (_activation_read_twice, Expected(1)),
    "spatial_indices_used": (_spatial_indices_used, Expected(1)),
    "residual": (_residual, Expected(1)),
    "two_branches": (_two_branches, Expected(2)),
    "max_of_pooled": (_max_of_pooled, Expected(None)),
    "filters_shared": (_filters_shared, Expected(2)),
    "filters_in_node": (_filters_in_node, Expected(1)),
    "filters_through_identity": (
        partial(_filters_through, op_type="Identity", shape=(WIDE, CHANNELS, 3, 3)),
        Expected(1),
    ),
    "filters_through_transpose": (
        partial(_filters_through, op_type="Transpose", shape=(3, 3, CHANNELS, WIDE)),
        Expected(1),
    ),
    "all_channels": (_all_channels, Expected(1)),
    "split_evenly": (_split_evenly, Expected(1)),
    "parts_in_another_order": (_parts_in_another_order, Expected(1)),
    "with_bias_added": (_with_bias_added, Expected(1)),
    "scaled_inside": (_one_constant_per_member, Expected(1)),
    "shape_read": (_shape_read, Expected(1)),
    "empty_optional_bias": (_empty_optional_bias, Expected(1)),
    "windows_of_different_sizes": (_widths_apart, Expected(2)),
    "of_different_type": (_of_different_type, Expected(None)),
}


def topologies() -> Iterator[Case]:
    """Yield the cases of this module, the negatives and the lookalikes."""
    tables = {"topology": POSITIVES, "negative": NEGATIVES, "lookalike": LOOKALIKES}
    for prefix, table in tables.items():
        for name, (write, expected) in table.items():
            yield Case(f"{prefix}-{name}", partial(build, write), expected)
