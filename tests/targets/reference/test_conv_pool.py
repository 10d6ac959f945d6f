"""The fused operator against its plain composition in ONNX Runtime."""

import re
from dataclasses import replace
from math import prod

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import helper

from condense_compiler.operators.elementwise import UNARY, WITH_CONSTANTS, parse
from condense_compiler.operators.fused import DOMAIN, OP, REDUCTIONS, ConvPool
from condense_compiler.operators.window import Window

OPSET = 24


def window(kernel, strides=None, pads=None, dilations=None, ceil_mode=False):
    ones = (1,) * len(kernel)
    return Window(
        kernel, strides or ones, pads or (0,) * 2 * len(kernel), dilations or ones, ceil_mode
    )


def attributes_of(part):
    found = {"kernel_shape": part.kernel_shape, "strides": part.strides, "pads": part.pads}
    return found | {"dilations": part.dilations}


def plain_nodes(recipe, operands, wide_channels):
    """Return the composition that the recipe stands for, and its constants."""
    constants = {}
    nodes = [
        helper.make_node(
            "Conv", ["x", "w", "b"], ["c"], group=recipe.group, **attributes_of(recipe.convolution)
        )
    ]
    count = recipe.before.operand_count()
    value = add_program(nodes, constants, recipe.before, "c", "before", operands[:count])
    members = recipe.members or tuple(range(wide_channels))
    constants["members"] = np.array(members)
    nodes.append(helper.make_node("Gather", [value, "members"], ["g"], axis=1))
    # 0 copies a size of the input: pixels are moved to one axis, and back again behind.
    constants["flat"] = np.array([0, wide_channels // recipe.window, recipe.window, -1])
    nodes.append(helper.make_node("Reshape", ["g", "flat"], ["r"]))
    add_reduction(nodes, constants, recipe)
    nodes += [
        helper.make_node("Shape", ["c"], ["sizes"], start=2),
        helper.make_node("Concat", ["lead", "sizes"], ["back"], axis=0),
        helper.make_node("Reshape", ["p", "back"], ["q"]),
    ]
    constants["lead"] = np.array([0, wide_channels // recipe.window])
    value = add_program(nodes, constants, recipe.after, "q", "after", operands[count:])
    if recipe.spatial:
        extra = {"ceil_mode": int(recipe.spatial.ceil_mode), **attributes_of(recipe.spatial)}
        nodes.append(helper.make_node("MaxPool", [value], ["y"], **extra))
    else:
        nodes.append(helper.make_node("Identity", [value], ["y"]))
    return nodes, constants


def add_program(nodes, constants, program, value, prefix, operands):
    """Append the nodes of an element-wise program; return the name of its output."""
    names = {"x": value} | {f"${i}": f"{prefix}${i}" for i in range(len(operands))}
    constants |= {f"{prefix}${i}": operand for i, operand in enumerate(operands)}
    for index, step in enumerate(program.instructions):
        for argument in step.arguments:
            if argument not in names:
                names[argument] = f"{prefix}{argument}"
                constants[f"{prefix}{argument}"] = np.float32(argument)
        names[f"%{index}"] = f"{prefix}%{index}"
        nodes.append(
            helper.make_node(
                step.op,
                [names[argument] for argument in step.arguments],
                [names[f"%{index}"]],
                **dict(step.attributes),
            )
        )
        value = names[f"%{index}"]
    return value


def add_reduction(nodes, constants, recipe):
    constants["axis"] = np.array([2])
    if recipe.reduction != "ordinal":
        op = "Reduce" + ("L2" if recipe.reduction == "l2" else recipe.reduction.capitalize())
        nodes.append(helper.make_node(op, ["r", "axis"], ["p"], keepdims=0))
        return
    constants["k"] = np.array([recipe.window])
    constants["ranks"] = np.array(recipe.rank_weights, np.float32)[:, None]
    nodes += [
        helper.make_node("TopK", ["r", "k"], ["sorted", "positions"], axis=2),
        helper.make_node("Mul", ["sorted", "ranks"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "axis"], ["p"], keepdims=0),
    ]


def fused_graph(recipe, x, w, b, operands):
    pixels = recipe.convolution.output_shape(x.shape[2:])
    pixels = recipe.spatial.output_shape(pixels) if recipe.spatial else pixels
    y = gs.Variable("y", x.dtype, [x.shape[0], w.shape[0] // recipe.window, *pixels])
    inputs = [gs.Variable("x", x.dtype, list(x.shape)), gs.Constant("w", w), gs.Constant("b", b)]
    inputs += [gs.Constant(f"o{i}", operand) for i, operand in enumerate(operands)]
    node = gs.Node(OP, "fused", recipe.to_attributes(), inputs, [y], domain=DOMAIN)
    imports = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    return gs.Graph([node], inputs[:1], [y], opset=OPSET, import_domains=imports)


@pytest.fixture(scope="session")
def check(kit):
    def run(recipe, x, w, tolerance=1e-5, seed=3):
        rng = np.random.default_rng(seed)
        draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
        rank = len(x) - 2
        feeds, weights, bias = {"x": draw(*x)}, draw(*w), draw(w[0])
        wide = [draw(w[0], *(1,) * rank) for _ in range(recipe.before.operand_count())]
        narrow = [
            draw(w[0] // recipe.window, *(1,) * rank) for _ in range(recipe.after.operand_count())
        ]
        nodes, constants = plain_nodes(recipe, wide + narrow, w[0])
        constants |= {"w": weights, "b": bias}
        model = kit.to_model(nodes, feeds, constants, ["y"], OPSET)
        expected = kit.run_onnxruntime(model, feeds)["y"]
        executable = kit.lower(fused_graph(recipe, feeds["x"], weights, bias, wide + narrow))
        kit.assert_close(expected, executable.run(feeds)["y"], tolerance)

    return run


SAME = window((3, 3), pads=(1, 1, 1, 1))
PLAIN = ConvPool(SAME, 1, "max", 2)
SPATIAL = {
    "none": None,
    "2x2": window((2, 2), (2, 2)),
    "3x3 padded": window((3, 3), (2, 2), (1, 1, 1, 1)),
    "ceil": window((3, 2), (2, 3), ceil_mode=True),
    "ceil padded": window((2, 3), (2, 2), (1, 1, 1, 1), ceil_mode=True),
    "dilated": window((2, 3), (1, 2), (1, 2, 1, 2), (2, 2)),
    "rows alone": window((3, 1), (1, 1)),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("spatial", SPATIAL.values(), ids=SPATIAL)
def test_reductions(check, reduction, size, spatial):
    ranks = tuple(0.9 / (i + 1) for i in range(size)) if reduction == "ordinal" else ()
    recipe = replace(PLAIN, reduction=reduction, window=size, rank_weights=ranks, spatial=spatial)
    check(recipe, (2, 5, 12, 11), (24, 5, 3, 3))


CONVOLUTIONS = {
    "stride": (window((3, 2), (2, 3), (0, 1, 2, 1)), 1, (1, 6, 23, 22), (12, 6, 3, 2)),
    "dilation": (window((3, 3), None, (2, 0, 2, 4), (2, 2)), 1, (1, 6, 23, 22), (12, 6, 3, 3)),
    "groups": (SAME, 3, (2, 6, 13, 12), (24, 2, 3, 3)),
    "depthwise": (SAME, 6, (1, 6, 13, 12), (24, 1, 3, 3)),
    "depthwise, window spans inputs": (SAME, 12, (1, 12, 13, 12), (12, 1, 3, 3)),
    "pointwise": (window((1, 1)), 1, (2, 6, 13, 12), (24, 6, 1, 1)),
    "1-D": (window((5,), (2,), (2, 1)), 1, (2, 6, 133), (24, 6, 5)),
    "3-D": (window((2, 3, 1), pads=(1, 0, 0, 1, 1, 0)), 1, (1, 3, 6, 7, 8), (8, 3, 2, 3, 1)),
    "large": (SAME, 1, (1, 16, 101, 103), (64, 16, 3, 3)),
    "deep": (SAME, 1, (1, 256, 13, 13), (512, 256, 3, 3)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("convolution", "group", "x", "w"), CONVOLUTIONS.values(), ids=CONVOLUTIONS
)
@pytest.mark.parametrize("pooled", [False, True], ids=["", "pooled"])
def test_convolutions(check, convolution, group, x, w, pooled):
    rank = len(x) - 2
    spatial = window((2,) * rank, (2,) * rank) if pooled else None
    recipe = ConvPool(
        convolution, group, "max", 2, after=parse(["LeakyRelu x alpha=0.1"]), spatial=spatial
    )
    check(recipe, x, w)


@pytest.mark.parametrize("group", [1, 2, 4, 8])
@pytest.mark.parametrize("members", ["strided", "shuffled"])
def test_members(check, group, members):
    order = np.arange(16).reshape(4, 4).T.ravel()
    if members == "shuffled":
        order = np.random.default_rng(1).permutation(16)
    recipe = replace(PLAIN, group=group, window=4, members=tuple(order.tolist()))
    check(recipe, (1, 8, 9, 10), (16, 8 // group, 3, 3))


@pytest.mark.parametrize("group", [3, 6])
def test_window_across_filter_groups(check, group):
    check(replace(PLAIN, group=group, window=4), (1, 6, 9, 10), (12, 6 // group, 3, 3))


POSITIVE = {"Log", "Sqrt", "Pow"}


@pytest.mark.parametrize("op", sorted(UNARY))
@pytest.mark.parametrize("place", ["before", "after"])
def test_unary_programs(check, op, place):
    lines = ["Abs x", f"{op} %0"] if op in POSITIVE else [f"{op} x"]
    if op in ("Ceil", "Floor", "Round", "Sign", "ThresholdedRelu", "Reciprocal"):
        # Rounding would be told apart by the last bit where it jumps.
        lines = ["Clip x 0.6 0.9", f"{op} %0"]
    check(replace(PLAIN, **{place: parse(lines)}), (1, 5, 12, 11), (8, 5, 3, 3))


PROGRAMS = {
    "Add": ["Add x $0"],
    "Clip": ["Clip x -0.5 0.25"],
    "Clip to infinity": ["Clip x 0.5 inf"],
    "Div": ["Div x 3.5"],
    "Div by": ["Abs x", "Add %0 1.5", "Div $0 %1"],
    "Max": ["Max x $0"],
    "Min": ["Min $0 x"],
    "Mul": ["Mul x $0"],
    "PRelu": ["PRelu x $0"],
    "Pow": ["Pow x 2.0"],
    "Sub": ["Sub $0 x"],
    "SiLU": ["Sigmoid x", "Mul x %0"],
    "several operands": ["Mul x $0", "Add %0 $1", "Max %1 x", "Min %2 %0"],
    "result of no use": ["Exp x", "Tanh x"],
}


@pytest.mark.parametrize("lines", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("spatial", [None, window((2, 2), (2, 2))], ids=["", "pooled"])
def test_programs(check, lines, place, spatial):
    recipe = replace(PLAIN, spatial=spatial, **{place: parse(lines)})
    check(recipe, (2, 5, 12, 11), (8, 5, 3, 3))


def test_every_operator_of_programs_is_tested():
    tested = {re.match(r"\w+", line).group() for lines in PROGRAMS.values() for line in lines}
    assert set(WITH_CONSTANTS) <= tested


def test_operands_of_both_programs(check):
    before, after = parse(["Mul x $0", "Add %0 $1"]), parse(["Add x $0", "Mul %0 $1"])
    check(replace(PLAIN, before=before, after=after), (1, 5, 9, 8), (8, 5, 3, 3))


@st.composite
def recipes(draw):
    rank = draw(st.integers(1, 3))
    axes = {"min_size": rank, "max_size": rank}
    conv = draw(windows(axes, False))
    reach = [d * (k - 1) + 1 for k, d in zip(conv.kernel_shape, conv.dilations, strict=True)]
    pixels = tuple(draw(st.integers(r + 8, r + 14)) for r in reach)
    spatial = draw(st.none() | windows(axes, True))
    assume(spatial is None or min(spatial.output_shape(conv.output_shape(pixels))) > 0)
    group, inputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    size, outputs = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    reduction = draw(st.sampled_from(REDUCTIONS))
    wide = group * size * outputs
    ranks = tuple(i - 0.7 for i in range(size)) if reduction == "ordinal" else ()
    members = draw(st.just(()) | st.permutations(range(wide)).map(tuple))
    recipe = ConvPool(conv, group, reduction, size, members, ranks, spatial=spatial)
    return (
        recipe,
        (draw(st.integers(1, 2)), group * inputs, *pixels),
        (wide, inputs, *conv.kernel_shape),
    )


@st.composite
def windows(draw, axes, pooling):
    kernel = draw(st.lists(st.integers(1, 3), **axes))
    # ONNX Runtime wants some of the map in every window of a pooling.
    limits = [k - 1 if pooling else 2 for k in kernel]
    return Window(
        kernel_shape=tuple(kernel),
        strides=tuple(draw(st.lists(st.integers(1, 3), **axes))),
        pads=tuple(draw(st.integers(0, limit)) for limit in limits * 2),
        dilations=tuple(draw(st.lists(st.integers(1, 2), **axes))),
        ceil_mode=pooling and draw(st.booleans()),
    )


@settings(max_examples=200, deadline=None, derandomize=True)
@given(recipes(), st.integers(0, 1000))
def test_any_recipe(check, case, seed):
    recipe, x, w = case
    assert prod(x) > 0
    check(recipe, x, w, seed=seed, tolerance=2e-5)
