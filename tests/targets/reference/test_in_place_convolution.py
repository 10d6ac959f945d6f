"""Convolutions whose result lies on their input, or is added to what it is added to."""

from dataclasses import replace
from math import prod

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kit.in_place import both, fused, lower_single, scratch_limit, single
from onnx import helper

from condense_compiler.errors import ContractError
from condense_compiler.network import Network, tensor_bytes
from condense_compiler.operators.aliasing import overwritable_inputs
from condense_compiler.operators.elementwise import parse
from condense_compiler.operators.fused import ConvPool
from condense_compiler.operators.window import Window
from condense_compiler.program import ScheduledProgram, Step
from condense_compiler.targets.reference import ReferenceTarget

# One stripe at a time, a few of them, all of them.
LIMITS_BYTES = (0, 6000, 1 << 20)
TOLERANCE = {np.float32: 2e-5, np.float16: 4e-3}


def draw(shape, dtype=np.float32, seed=0):
    return np.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def assert_close(actual, expected):
    scale = max(np.abs(expected.astype(np.float32)).max(initial=0), 1)
    tolerance = TOLERANCE[expected.dtype.type] * scale
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def assert_in_place(graph, dtype=np.float32):
    assert overwritable_inputs(graph.nodes[0]) == [0]
    feeds = {"x": draw(graph.inputs[0].shape, dtype)}
    apart, in_place = both(graph, feeds)
    assert_close(in_place, apart)


def convolution(x, outputs, kernel, dtype=np.float32, bias=True, **attributes):
    group = attributes.get("group", 1)
    constants = {"w": draw((outputs, x[1] // group, *kernel), dtype, seed=1)}
    if bias:
        constants["b"] = draw(outputs, dtype, seed=2)
    node = helper.make_node("Conv", ["x", *constants], ["y"], **attributes)
    return single(node, {"x": draw(x, dtype)}, constants)


@st.composite
def same_grids(draw_from, largest_kernel=4):
    """Return window attributes and pixels such that there are as many positions as pixels."""
    rank = draw_from(st.integers(1, 3))
    kernel, strides, dilations, before, after, pixels = [], [], [], [], [], []
    for _ in range(rank):
        taps, dilation = draw_from(st.integers(1, largest_kernel)), draw_from(st.integers(1, 3))
        stride = draw_from(st.sampled_from([1, 1, 1, 2]))
        size = draw_from(st.integers(1, 11 if rank < 3 else 5))
        reach = dilation * (taps - 1) + 1
        total = (size - 1) * stride + reach - size
        first = draw_from(st.integers(0, total))
        for values, value in zip(
            (kernel, strides, dilations, before, after, pixels),
            (taps, stride, dilation, first, total - first, size),
            strict=True,
        ):
            values.append(value)
    window = Window(tuple(kernel), tuple(strides), (*before, *after), tuple(dilations))
    return window, tuple(pixels)


def attributes_of(window):
    return {
        "strides": list(window.strides),
        "pads": list(window.pads),
        "dilations": list(window.dilations),
    }


@settings(max_examples=120, deadline=None)
@given(
    same_grids(),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 2),
    st.sampled_from(LIMITS_BYTES),
    st.sampled_from([np.float32, np.float32, np.float16]),
)
def test_convolutions_on_the_same_grid(grid, group, inputs, outputs, batch, limit, dtype):
    window, pixels = grid
    outputs = inputs if batch > 1 else outputs
    x = (batch, group * inputs, *pixels)
    graph = convolution(
        x, group * outputs, window.kernel_shape, dtype, group=group, **attributes_of(window)
    )
    with scratch_limit(limit):
        assert_in_place(graph, dtype)


@st.composite
def depthwise(draw_from):
    """Return window attributes and pixels of a depthwise convolution with no larger planes."""
    rank = draw_from(st.integers(1, 3))
    kernel = [draw_from(st.integers(1, 4)) for _ in range(rank)]
    window = Window(
        tuple(kernel),
        tuple(draw_from(st.integers(1, 3)) for _ in range(rank)),
        tuple(draw_from(st.integers(0, 3)) for _ in range(2 * rank)),
        tuple(draw_from(st.integers(1, 2)) for _ in range(rank)),
    )
    pixels = tuple(draw_from(st.integers(1, 13 if rank < 3 else 6)) for _ in range(rank))
    output = window.output_shape(pixels)
    assume(min(output) > 0 and prod(output) <= prod(pixels))
    return window, pixels


@settings(max_examples=120, deadline=None)
@given(
    depthwise(),
    st.integers(1, 6),
    st.integers(1, 3),
    st.sampled_from((*LIMITS_BYTES, 1500)),
    st.sampled_from([np.float32, np.float32, np.float16]),
)
def test_depthwise_convolutions(case, channels, batch, limit, dtype):
    window, pixels = case
    x = (batch, channels, *pixels)
    kernel = window.kernel_shape
    graph = convolution(x, channels, kernel, dtype, group=channels, **attributes_of(window))
    with scratch_limit(limit):
        assert_in_place(graph, dtype)


@pytest.mark.parametrize("before", [0, 3, 8])
def test_rows_that_are_written_over_long_before_they_are_read(before):
    graph = convolution((1, 2, 9, 5), 2, (3, 3), strides=[2, 1], pads=[before, 1, 10 - before, 1])
    with scratch_limit(0):
        assert_in_place(graph)


@pytest.mark.parametrize("limit", [0, 1500, 6000, 9000])
@pytest.mark.parametrize("batch", [1, 2])
def test_smaller_planes_that_lie_next_to_each_other(limit, batch):
    x = (batch, 6, 40, 5)
    graph = convolution(x, 6, (3, 3), strides=[2, 2], pads=[1] * 4, group=6)
    with scratch_limit(limit):
        assert_in_place(graph)


SAME = Window((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
POINT = Window((1, 1), (1, 1), (0, 0, 0, 0), (1, 1))
GROWN = Window((3, 3), (1, 1), (2, 2, 2, 2), (1, 1))
SHRUNK = Window((3, 3), (1, 1), (0, 0, 0, 0), (1, 1))
RECIPES = {
    "pixel by pixel": ConvPool(POINT, 1, "max", 2),
    "row by row": ConvPool(SAME, 1, "max", 4),
    "programs": ConvPool(
        SAME, 2, "mean", 2, before=parse(["LeakyRelu x alpha=-0.5"]), after=parse(["Gelu x"])
    ),
    "ordinal": ConvPool(SAME, 1, "ordinal", 3, rank_weights=(0.5, 0.3, 0.2)),
    "depthwise": ConvPool(SAME, 12, "max", 2),
    "depthwise, far members": ConvPool(
        SAME, 12, "sum", 2, members=tuple(m for c in range(6) for m in (c, c + 6))
    ),
    "depthwise with a multiplier": ConvPool(SAME, 4, "l2", 3),
    "crossing groups": ConvPool(
        SAME, 2, "min", 2, members=tuple(m for c in range(6) for m in (c, c + 6))
    ),
    "spatial pooling on the same grid": ConvPool(
        SAME, 1, "max", 2, spatial=Window((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
    ),
    "spatial pooling that takes back": ConvPool(GROWN, 1, "max", 2, spatial=SHRUNK),
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("limit", LIMITS_BYTES)
@pytest.mark.parametrize("pixels", [(9, 7), (1, 5), (6, 1), (1, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_convolutions_with_pooling(recipe, limit, pixels, dtype):
    inputs = 4 if recipe.group == 4 else 12
    weights = draw((12, inputs // recipe.group, *recipe.convolution.kernel_shape), seed=1)
    with scratch_limit(limit):
        assert_in_place(fused(recipe, (1, inputs, *pixels), weights, dtype), dtype)


def test_pooling_keeps_batches_of_as_many_channels():
    recipe = replace(RECIPES["row by row"], window=3)
    with scratch_limit(0):
        assert_in_place(fused(recipe, (3, 4, 6, 5), draw((12, 4, 3, 3), seed=1)))


def accumulation(conv, added_first=False):
    """Return y = conv(x) + z as a graph of two operators."""
    c, x = conv.outputs[0], conv.inputs[0]
    z = gs.Variable("z", c.dtype, list(c.shape))
    y = gs.Variable("sum", c.dtype, list(c.shape))
    operands = [z, c] if added_first else [c, z]
    conv.nodes.append(gs.Node("Add", "addition", {}, operands, [y]))
    conv.inputs, conv.outputs = [x, z], [y]
    return conv


def accumulate(graph, offsets=None):
    """Prepare one step that adds to `z` where it lies; the convolution's result has no place."""
    x, z = graph.inputs
    start = -(-tensor_bytes(x) // 64) * 64
    offsets = offsets or {"x": 0, "z": start, "sum": start}
    steps = (Step(graph.nodes[0], graph.nodes[1]),)
    program = ScheduledProgram(Network(graph, "add"), steps, offsets, start + tensor_bytes(z))
    return ReferenceTarget(poison=True).lower(program)


@settings(max_examples=60, deadline=None)
@given(
    same_grids(),
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    st.integers(1, 2),
    st.sampled_from(LIMITS_BYTES),
    st.booleans(),
    st.sampled_from([np.float32, np.float16]),
)
def test_results_are_added_in_place(grid, channels, batch, limit, first, dtype):
    window, pixels = grid
    group, inputs, outputs = channels
    x = (batch, group * inputs, *pixels)
    graph = convolution(
        x, group * outputs, window.kernel_shape, dtype, group=group, **attributes_of(window)
    )
    feeds = {"x": draw(x, dtype)}
    alone = lower_single(graph, None).run(feeds)["y"]
    z = draw(alone.shape, dtype, seed=3)
    with scratch_limit(limit):
        total = accumulate(accumulation(graph, added_first=first)).run(feeds | {"z": z})["sum"]
    assert_close(total, alone + z)


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ({"x": 0, "z": 256, "sum": 0}, "'sum' does not lie where 'z' lies"),
        ({"x": 128, "z": 256, "sum": 256}, "Conv cannot write 'sum' over 'x'"),
    ],
)
def test_what_cannot_be_added_in_place_is_refused(offsets, message):
    graph = accumulation(convolution((1, 4, 4, 4), 4, (1, 1)))
    with pytest.raises(ContractError, match=message):
        accumulate(graph, offsets)


def test_additions_of_something_else_are_refused():
    graph = accumulation(convolution((1, 4, 4, 4), 4, (1, 1)))
    graph.nodes[1].inputs = [graph.inputs[1], graph.inputs[1]]
    with pytest.raises(ContractError, match="'addition' does not add 'y'"):
        accumulate(graph)


LARGE = {
    "point": ((1, 256, 56, 56), 512, (1, 1), {}),
    "rows": ((1, 64, 112, 112), 64, (3, 3), {"pads": [1] * 4}),
    "long rows": ((1, 3, 416, 416), 16, (3, 3), {"pads": [1] * 4}),
    "wide kernel": ((1, 32, 56, 56), 32, (7, 7), {"pads": [3] * 4}),
    "groups": ((1, 240, 28, 28), 240, (3, 3), {"pads": [1] * 4, "group": 3}),
    "depthwise": ((1, 96, 112, 112), 96, (3, 3), {"pads": [1] * 4, "group": 96}),
    "depthwise, halved": (
        (1, 96, 112, 112),
        96,
        (3, 3),
        {"pads": [1] * 4, "group": 96, "strides": [2, 2]},
    ),
    "depthwise, large planes": (
        (1, 2, 1200, 1000),
        2,
        (5, 5),
        {"pads": [2] * 4, "group": 2, "strides": [2, 2]},
    ),
    "line": ((1, 16, 20_000), 16, (9,), {"pads": [4] * 2}),
    "volume": ((1, 8, 24, 24, 24), 8, (3, 3, 3), {"pads": [1] * 6}),
}


@pytest.mark.parametrize("name", LARGE)
def test_scratch_in_place_is_bounded(name):
    x, outputs, kernel, attributes = LARGE[name]
    graph = convolution(x, outputs, kernel, **attributes)
    executable = lower_single(graph, "x")
    stripe_bytes = 4 * (kernel[0] * x[1] + outputs) * prod(x[3:])
    stripe_bytes += 4 * prod(kernel) * x[1] // attributes.get("group", 1) * prod(x[3:])
    assert executable.scratch_bytes <= max(1 << 20, stripe_bytes)
    assert_in_place(graph)
