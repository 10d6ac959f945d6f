"""Feature maps live in the arena and nowhere else; feeds and plans are checked."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from onnx import helper

from condense_compiler.errors import ContractError, InputError, UnsupportedError
from condense_compiler.network import Network
from condense_compiler.program import ScheduledProgram, Step
from condense_compiler.targets import Lowered, Target
from condense_compiler.targets.reference import ReferenceTarget

SHAPE = [1, 4, 8, 8]
MAP_BYTES = 4 * 4 * 8 * 8


def variable(name, shape=SHAPE, dtype=np.float32):
    return gs.Variable(name, dtype, shape)


def residual_graph():
    """X -> a -> b, y = a + b: the maps a and b are alive together."""
    x, a, b, y = (variable(name) for name in "xaby")
    nodes = [
        gs.Node("Neg", "negate", {}, [x], [a]),
        gs.Node("Exp", "raise", {}, [a], [b]),
        gs.Node("Add", "add", {}, [a, b], [y]),
    ]
    return gs.Graph(nodes, [x], [y], opset=18, import_domains=[helper.make_opsetid("", 18)])


def lower(graph, offsets, arena_bytes, poison=False):
    program = ScheduledProgram(
        Network(graph, "test"), tuple(map(Step, graph.nodes)), offsets, arena_bytes
    )
    return ReferenceTarget(poison=poison).lower(program)


def expected(x):
    return np.exp(-x) - x


@pytest.fixture
def feeds(floats):
    return {"x": floats(*SHAPE)}


RIGHT_PLANS = {
    "apart": {"x": 0, "a": 1, "b": 2, "y": 3},
    "reused": {"x": 0, "a": 1, "b": 0, "y": 2},
    "in place": {"x": 0, "a": 0, "b": 1, "y": 0},
    "in place of the other": {"x": 1, "a": 1, "b": 0, "y": 0},
}


@pytest.mark.parametrize("places", RIGHT_PLANS.values(), ids=RIGHT_PLANS)
def test_right_plans(feeds, places):
    offsets = {name: place * MAP_BYTES for name, place in places.items()}
    executable = lower(residual_graph(), offsets, 4 * MAP_BYTES, poison=True)
    np.testing.assert_allclose(executable.run(feeds)["y"], expected(feeds["x"]), rtol=1e-6)


def test_overlap_of_live_maps_changes_the_result(feeds):
    offsets = {"x": 2 * MAP_BYTES, "a": 0, "b": 0, "y": 2 * MAP_BYTES}
    actual = lower(residual_graph(), offsets, 3 * MAP_BYTES).run(feeds)["y"]
    assert not np.allclose(actual, expected(feeds["x"]))


def test_inputs_live_in_the_arena(feeds):
    x, a, y = (variable(name) for name in "xay")
    nodes = [gs.Node("Neg", "negate", {}, [x], [a]), gs.Node("Mul", "multiply", {}, [a, x], [y])]
    graph = gs.Graph(nodes, [x], [y], opset=18, import_domains=[helper.make_opsetid("", 18)])
    right = lower(graph, {"x": 0, "a": MAP_BYTES, "y": 0}, 2 * MAP_BYTES).run(feeds)["y"]
    wrong = lower(graph, {"x": 0, "a": 0, "y": MAP_BYTES}, 2 * MAP_BYTES).run(feeds)["y"]
    np.testing.assert_array_equal(right, -(feeds["x"] ** 2))
    assert not np.allclose(wrong, right)


def test_poison_shows_what_was_never_written(feeds):
    graph = residual_graph()
    offsets = {"x": 0, "a": MAP_BYTES, "b": 2 * MAP_BYTES, "y": 3 * MAP_BYTES}
    program = ScheduledProgram(
        Network(graph, "test"), tuple(Step(graph.nodes[i]) for i in (0, 2)), offsets, 4 * MAP_BYTES
    )
    assert np.isnan(ReferenceTarget(poison=True).lower(program).run(feeds)["y"]).all()


def test_views_share_the_place_of_their_parts(feeds):
    x, left, right = variable("x"), variable("left", [1, 2, 8, 8]), variable("right", [1, 2, 8, 8])
    flat, y = variable("flat", [1, 4, 64]), variable("y")
    nodes = [
        gs.Node("Split", "split", {"axis": 1, "num_outputs": 2}, [x], [left, right]),
        gs.Node("Concat", "concat", {"axis": 1}, [left, right], [y]),
        gs.Node("Flatten", "flatten", {"axis": 2}, [y], [flat]),
    ]
    graph = gs.Graph(nodes, [x], [y, flat], opset=18, import_domains=[helper.make_opsetid("", 18)])
    offsets = {"x": 0, "left": 0, "right": MAP_BYTES // 2, "y": 0, "flat": 0}
    outputs = lower(graph, offsets, MAP_BYTES, poison=True).run(feeds)
    np.testing.assert_array_equal(outputs["y"], feeds["x"])
    np.testing.assert_array_equal(outputs["flat"].ravel(), feeds["x"].ravel())


def test_outputs_that_are_inputs_or_constants(feeds):
    x, constant = variable("x"), gs.Constant("c", np.arange(3, dtype=np.float32))
    graph = gs.Graph([], [x], [x, constant], opset=18, import_domains=[])
    outputs = lower(graph, {"x": 0}, MAP_BYTES).run(feeds)
    np.testing.assert_array_equal(outputs["x"], feeds["x"])
    np.testing.assert_array_equal(outputs["c"], [0, 1, 2])
    outputs["c"][:] = 9
    np.testing.assert_array_equal(lower(graph, {"x": 0}, MAP_BYTES).run(feeds)["c"], [0, 1, 2])


def test_runs_do_not_disturb_each_other(floats):
    places = RIGHT_PLANS["in place"]
    offsets = {name: place * MAP_BYTES for name, place in places.items()}
    executable = lower(residual_graph(), offsets, 2 * MAP_BYTES)
    inputs = [floats(*SHAPE) for _ in range(32)]
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda x: executable.run({"x": x})["y"], inputs))
    for x, y in zip(inputs, outputs, strict=True):
        np.testing.assert_allclose(y, expected(x), rtol=1e-6)


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, "input 'x' is missing"),
        ({"x": np.zeros(SHAPE, np.float32), "z": np.zeros(1)}, "no input is called 'z'"),
        (
            {"x": np.zeros([1, 4, 8], np.float32)},
            r"'x' is float32 \[1, 4, 8, 8\], but float32 \[1, 4, 8\] was given",
        ),
        ({"x": np.zeros(SHAPE)}, r"float64 .* was given"),
    ],
    ids=["missing", "unknown", "shape", "type"],
)
def test_feeds_are_checked(feeds, message):
    offsets = {name: i * MAP_BYTES for i, name in enumerate("xaby")}
    with pytest.raises(InputError, match=message):
        lower(residual_graph(), offsets, 4 * MAP_BYTES).run(feeds)


def test_plan_without_a_place():
    with pytest.raises(ContractError, match="no place for feature map 'b'"):
        lower(residual_graph(), {"x": 0, "a": 0, "y": 0}, MAP_BYTES)


@pytest.mark.parametrize("offset", [-4, 4])
def test_plan_outside_the_arena(offset):
    with pytest.raises(ContractError, match="feature map 'b' outside the arena"):
        lower(residual_graph(), {"x": 0, "a": 0, "b": offset, "y": 0}, MAP_BYTES)


def test_unknown_operator():
    x, y = variable("x"), variable("y")
    node = gs.Node("Frobnicate", "odd", {}, [x], [y])
    graph = gs.Graph([node], [x], [y], opset=18, import_domains=[helper.make_opsetid("", 18)])
    with pytest.raises(UnsupportedError, match=r"'odd'.*Frobnicate"):
        lower(graph, {"x": 0, "y": MAP_BYTES}, 2 * MAP_BYTES)


def test_target_and_executable_keep_the_protocols(tmp_path):
    executable = lower(residual_graph(), dict.fromkeys("xaby", 0), MAP_BYTES)
    assert isinstance(ReferenceTarget(), Target)
    assert isinstance(executable, Lowered)
    executable.save(tmp_path)
    assert not list(tmp_path.iterdir())
