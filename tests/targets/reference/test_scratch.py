"""Scratch is bounded, and is what was reported: wide maps never exist whole."""

import tracemalloc
from dataclasses import replace
from math import prod

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from onnx import helper

from condense_compiler.operators.elementwise import parse
from condense_compiler.operators.fused import DOMAIN, OP, ConvPool
from condense_compiler.operators.window import Window

LIMIT_BYTES = 1 << 20

# Views, index tuples, numpy's casting buffers: nothing that grows with a map.
SLACK_BYTES = 192 * 1024

SAME = Window((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
HALVED = Window((2, 2), (2, 2), (0, 0, 0, 0), (1, 1))
FUSED = ConvPool(SAME, 1, "max", 8, after=parse(["LeakyRelu x alpha=0.1"]), spatial=HALVED)


def fused_graph(recipe, x, wide_channels, floats, dtype=np.float32):
    pixels = recipe.convolution.output_shape(x[2:])
    pixels = recipe.spatial.output_shape(pixels) if recipe.spatial else pixels
    weights = floats(wide_channels, x[1] // recipe.group, *recipe.convolution.kernel_shape)
    source = gs.Variable("x", dtype, list(x))
    result = gs.Variable("y", dtype, [x[0], wide_channels // recipe.window, *pixels])
    inputs = [source, gs.Constant("w", weights.astype(dtype))]
    node = gs.Node(OP, "fused", recipe.to_attributes(), inputs, [result], domain=DOMAIN)
    imports = [helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, 1)]
    return gs.Graph([node], [source], [result], opset=18, import_domains=imports)


def peak_bytes(executable, x):
    """Return the most that a run allocates beside arena and outputs."""
    executable.run({"x": x})
    tracemalloc.start()
    outputs = executable.run({"x": x})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - executable.arena_bytes - sum(y.nbytes for y in outputs.values())


LONG = Window((9,), (1,), (4, 4), (1,))
LONG_HALVED = Window((2,), (2,), (0, 0), (1,))
CASES = {
    "many pixels": (FUSED, (1, 3, 416, 416), 128),
    "many channels": (FUSED, (1, 512, 14, 14), 2048),
    "mean": (replace(FUSED, reduction="mean", spatial=None), (1, 16, 128, 128), 256),
    "ordinal": (
        replace(FUSED, reduction="ordinal", rank_weights=(0.125,) * 8),
        (1, 8, 99, 98),
        256,
    ),
    "before": (replace(FUSED, before=parse(["Sigmoid x", "Mul x %0"])), (1, 8, 99, 98), 256),
    "erf": (replace(FUSED, before=parse(["Gelu x"])), (1, 8, 99, 98), 64),
    "1-D": (
        ConvPool(LONG, 1, "max", 4, spatial=LONG_HALVED),
        (1, 4, 100_000),
        64,
    ),
    "3-D": (
        ConvPool(Window((3,) * 3, (1,) * 3, (1,) * 6, (1,) * 3), 1, "max", 4),
        (1, 3, 24, 24, 24),
        64,
    ),
    "batch": (FUSED, (4, 3, 64, 64), 128),
    "overlapping windows": (
        replace(FUSED, spatial=Window((3, 3), (2, 2), (1, 1, 1, 1), (1, 1))),
        (1, 8, 160, 160),
        128,
    ),
    "depthwise with many temporaries": (
        replace(FUSED, group=256, window=1, before=parse(["Gelu x", "Mul x %0"])),
        (1, 256, 8, 500),
        256,
    ),
    "depthwise": (replace(FUSED, group=16), (1, 16, 200, 200), 128),
}  # fmt: skip


@pytest.mark.parametrize(("recipe", "x", "wide_channels"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_scratch_is_bounded(kit, floats, recipe, x, wide_channels, dtype):
    executable = kit.lower(fused_graph(recipe, x, wide_channels, floats, dtype))
    wide_map_bytes = 4 * x[0] * wide_channels * prod(recipe.convolution.output_shape(x[2:]))
    assert executable.scratch_bytes <= LIMIT_BYTES
    assert executable.facts()["scratch_bytes"] == executable.scratch_bytes
    peak = peak_bytes(executable, floats(*x).astype(dtype))
    assert peak <= executable.scratch_bytes + SLACK_BYTES
    assert peak < wide_map_bytes / 2 or wide_map_bytes < 2 * LIMIT_BYTES


def test_scratch_of_a_long_row_is_one_stripe(kit, floats):
    recipe = replace(FUSED, window=2, spatial=None, members=tuple(range(4))[::-1], group=2)
    crossing = replace(recipe, members=(0, 2, 1, 3))
    width = 200_000
    executable = kit.lower(fused_graph(crossing, (1, 2, 3, width), 4, floats))
    stripe_bytes = 4 * width * (9 + 4 + 4)
    assert LIMIT_BYTES < executable.scratch_bytes <= stripe_bytes + SLACK_BYTES
    peak = peak_bytes(executable, floats(1, 2, 3, width))
    assert peak <= executable.scratch_bytes + SLACK_BYTES


PLAIN = {
    "Conv": ({"pads": [1] * 4}, (64, 64, 3, 3)),
    "Conv, depthwise": ({"pads": [1] * 4, "group": 64}, (64, 1, 3, 3)),
    "Conv, pointwise": ({}, (64, 64, 1, 1)),
    "ConvTranspose": ({"strides": [2, 2], "pads": [1] * 4}, (64, 32, 4, 4)),
    "ConvTranspose, depthwise": ({"strides": [2, 2], "group": 64}, (64, 1, 2, 2)),
    "DepthToSpace": ({"blocksize": 4}, None),
    "Gelu": ({}, None),
    "Hardmax": ({"axis": 1}, None),
    "HardSwish": ({}, None),
    "LRN": ({"size": 5}, None),
    "LogSoftmax": ({"axis": -1}, None),
    "MaxPool": ({"kernel_shape": [3, 3]}, None),
    "Softmax": ({"axis": 1}, None),
    "SpaceToDepth": ({"blocksize": 2}, None),
    "Transpose": ({}, None),
}


@pytest.mark.parametrize("name", PLAIN)
def test_scratch_of_plain_operators_is_reported(compare, floats, name):
    attributes, filters = PLAIN[name]
    constants = {"w": floats(*filters)} if filters else {}
    node = helper.make_node(name.split(",")[0], ["x", *constants], ["y"], **attributes)
    x = floats(1, 64, 112, 112)
    executable = compare(node, {"x": x}, constants)
    assert executable.scratch_bytes <= LIMIT_BYTES
    assert peak_bytes(executable, x) <= executable.scratch_bytes + SLACK_BYTES


CONSTANTS = {
    "Pad": ({"mode": "reflect"}, {"p": np.array([0, 0, 2, 2, 0, 0, 2, 2])}),
    "Resize": ({"mode": "linear"}, {"": None, "s": np.array([1, 1, 1.7, 2], np.float32)}),
    "Resize, nearest": ({}, {"": None, "s": np.array([1, 1, 2, 2], np.float32)}),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_scratch_of_operators_with_constants_is_reported(compare, floats, name):
    attributes, operands = CONSTANTS[name]
    node = helper.make_node(name.split(",")[0], ["x", *operands], ["y"], **attributes)
    x = floats(1, 64, 112, 112)
    executable = compare(node, {"x": x}, {n: v for n, v in operands.items() if n})
    assert executable.facts()["computed_by"] == {}
    assert executable.scratch_bytes <= LIMIT_BYTES
    assert peak_bytes(executable, x) <= executable.scratch_bytes + SLACK_BYTES
