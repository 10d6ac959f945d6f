"""Arenas where maps share bytes: right plans give right answers, and wrong ones do not."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.in_place import scratch_limit
from kit.models import hydrated
from kit.random_graphs import random_graphs
from onnx import helper

import condense_compiler as cc
from condense_compiler.errors import ContractError
from condense_compiler.memory.layout import lay_out
from condense_compiler.memory.order import file_order
from condense_compiler.memory.overwriting import find_options
from condense_compiler.memory.placement import Placement, place
from condense_compiler.memory.placement_check import check_placement
from condense_compiler.memory.sharing import resolve_sharing
from condense_compiler.memory.storages import plan_storages
from condense_compiler.network import Network, load_network
from condense_compiler.operators import aliasing
from condense_compiler.passes import DEFAULT_PASSES
from condense_compiler.passes.fuse_epilogues import FuseEpilogues
from condense_compiler.planned import as_program
from condense_compiler.program import ScheduledProgram, Step
from condense_compiler.rewriting import run_passes
from condense_compiler.targets.reference import ReferenceTarget
from condense_compiler.verification import random_feeds, verify

ONE_BY_ONE = [step for step in DEFAULT_PASSES if not isinstance(step, FuseEpilogues)]


def closely_shared(model, passes=DEFAULT_PASSES):
    """Compile with every map that may overwrite another doing so, needed or not."""
    network = load_network(model)
    run_passes(network, passes)
    sharing = resolve_sharing(network, file_order(network))
    steps = place(sharing, [(n,) for n in range(len(sharing.order)) if n not in sharing.idle]).steps
    layout = lay_out(sharing, find_options(sharing), steps)
    plan = plan_storages(layout.storages)
    offsets = {name: plan.offsets[id_] + start for name, (id_, start) in layout.places.items()}
    check_placement(sharing, steps, offsets, plan.arena_bytes)
    storage_of = {name: storage for name, (storage, _) in layout.places.items()}
    placement = Placement(steps, layout.storages, plan, offsets, storage_of, layout.overwritten)
    program = as_program(network, sharing, placement)
    executable = ReferenceTarget(poison=True).lower(program)
    return SimpleNamespace(
        network=network, placement=placement, program=program, executable=executable
    )


@pytest.mark.parametrize(
    "name",
    ["densenet121", "ghostnet_050", "googlenet", "mobilenetv2_035", "shufflenet_v2_x0_5"],
)
@pytest.mark.parametrize(("passes", "least"), [(DEFAULT_PASSES, 10), (ONE_BY_ONE, 40)])
def test_networks_that_overwrite_all_they_can(name, passes, least):
    model = hydrated(name)
    shared = closely_shared(model, passes)
    assert len(shared.placement.overwritten) > least
    assert verify(shared.executable.run, model, random_feeds(shared.network)).passed
    assert shared.executable.scratch_bytes <= 1 << 20


@pytest.mark.parametrize("name", ["mobilenetv2_035", "res2net50_14w_8s", "shufflenet_v2_x0_5"])
def test_compiled_networks(name):
    report = cc.compile(hydrated(name), target="reference").report
    assert report.verification.passed
    assert report.after.arena_bytes < report.before.arena_bytes
    assert (report.accumulated > 0) == (name != "shufflenet_v2_x0_5")


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(random_graphs(), st.sampled_from([0, 1 << 20]))
def test_random_networks(model, limit_bytes):
    with scratch_limit(limit_bytes):
        report = cc.compile(model, target="reference").report
    assert report.verification.passed
    assert report.after.arena_bytes <= report.before.arena_bytes


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(random_graphs())
def test_random_networks_that_overwrite_all_they_can(model):
    with scratch_limit(0):
        shared = closely_shared(model)
    assert verify(shared.executable.run, model, random_feeds(shared.network)).passed


SHAPE = (1, 4, 6, 6)
MAP_BYTES = 4 * 4 * 6 * 6


def chain(*operators):
    """Return x -> t0 -> t1 ... of operators that keep the shape."""
    tensors = [gs.Variable("x", np.float32, list(SHAPE))]
    nodes = []
    for number, (op, attributes) in enumerate(operators):
        tensors.append(gs.Variable(f"t{number}", np.float32, list(SHAPE)))
        nodes.append(gs.Node(op, f"n{number}", attributes, [tensors[-2]], [tensors[-1]]))
    imports = [helper.make_opsetid("", 18)]
    return gs.Graph(nodes, tensors[:1], tensors[-1:], opset=18, import_domains=imports)


def run(graph, offsets, feeds):
    end = max(offsets.values()) + 3 * MAP_BYTES
    steps = tuple(map(Step, graph.nodes))
    program = ScheduledProgram(Network(graph, "test"), steps, offsets, end)
    return ReferenceTarget(poison=True).lower(program).run(feeds)[graph.outputs[0].name]


@pytest.fixture
def feeds(floats):
    return {"x": floats(*SHAPE)}


TRANSPOSE = ("Transpose", {"perm": [0, 1, 3, 2]})


@pytest.mark.parametrize("shift_bytes", [-MAP_BYTES + 4, -4, 4, MAP_BYTES - 4])
def test_results_that_do_not_start_where_an_input_starts_are_refused(feeds, shift_bytes):
    offsets = {"x": MAP_BYTES, "t0": MAP_BYTES + shift_bytes}
    with pytest.raises(ContractError, match="'n0': Relu cannot write 't0' over 'x'"):
        run(chain(("Relu", {})), offsets, feeds)


@pytest.mark.parametrize("shift_bytes", [0, 4])
def test_operators_that_cannot_overwrite_are_refused(feeds, shift_bytes):
    with pytest.raises(ContractError, match="'n0': Transpose cannot write 't0' over 'x'"):
        run(chain(TRANSPOSE), {"x": 0, "t0": shift_bytes}, feeds)


def test_an_illegal_rule_gives_a_wrong_answer(feeds, monkeypatch):
    rules = {**aliasing.OVERWRITABLE, "ReduceMean": lambda _: [0]}
    monkeypatch.setattr(aliasing, "OVERWRITABLE", rules)
    reduced = gs.Variable("t0", np.float32, [1, 1, 1, 1])
    x = gs.Variable("x", np.float32, list(SHAPE))
    y = gs.Variable("y", np.float32, list(SHAPE))
    nodes = [
        gs.Node("ReduceMean", "mean", {"axes": [1, 2, 3]}, [x], [reduced]),
        gs.Node("Sub", "centre", {}, [x, reduced], [y]),
    ]
    graph = gs.Graph(nodes, [x], [y], opset=17, import_domains=[helper.make_opsetid("", 17)])
    right = feeds["x"] - feeds["x"].mean()
    apart = run(graph, {"x": 0, "t0": MAP_BYTES, "y": 2 * MAP_BYTES}, feeds)
    np.testing.assert_allclose(apart, right, rtol=1e-4, atol=1e-5)
    over = run(graph, {"x": 0, "t0": 0, "y": 2 * MAP_BYTES}, feeds)
    assert not np.allclose(over, right, rtol=1e-4, atol=1e-5)


def test_a_part_moved_out_of_its_concatenation_shows():
    model = hydrated("squeezenet1_1")
    shared = closely_shared(model)
    program = shared.program
    running = {step.node.name for step in program.steps}
    idle = [n for n in program.network.graph.nodes if n.op == "Concat" and n.name not in running]
    assert len(idle) == 8
    for node in idle[:3]:
        part = node.inputs[1].name
        moved = dict(program.offsets) | {part: program.offsets[part] - 4}
        try:
            executable = ReferenceTarget().lower(replace(program, offsets=moved))
        except ContractError:
            continue
        assert not verify(executable.run, model, random_feeds(shared.network)).passed


def concatenation(offsets, feeds, *names):
    parts = {name: gs.Variable(name, np.float32, list(SHAPE)) for name in feeds}
    y = gs.Variable("y", np.float32, [1, 4 * len(names), 6, 6])
    node = gs.Node("Concat", "concat", {"axis": 1}, [parts[name] for name in names], [y])
    imports = [helper.make_opsetid("", 18)]
    graph = gs.Graph([node], list(parts.values()), [y], opset=18, import_domains=imports)
    return run(graph, offsets, feeds)


@pytest.mark.parametrize("place", [0, 1, 2], ids=["in place", "in place of the other", "apart"])
def test_parts_that_lie_in_the_concatenation_stay(floats, place):
    feeds = {"a": floats(*SHAPE), "b": -floats(*SHAPE)}
    offsets = {"y": 0, "a": 0, "b": (MAP_BYTES, 2 * MAP_BYTES, 3 * MAP_BYTES)[place]}
    joined = np.concatenate([feeds["a"], feeds["b"]], axis=1)
    np.testing.assert_array_equal(concatenation(offsets, feeds, "a", "b"), joined)


def test_a_part_that_comes_twice_is_copied_once(floats):
    feeds = {"a": floats(*SHAPE)}
    joined = np.concatenate([feeds["a"]] * 2, axis=1)
    for start in (0, MAP_BYTES):
        offsets = {"y": 0, "a": start}
        np.testing.assert_array_equal(concatenation(offsets, feeds, "a", "a"), joined)


def test_parts_at_the_wrong_place_are_refused(floats):
    feeds = {"a": floats(*SHAPE), "b": floats(*SHAPE)}
    # Each lies where the other belongs: whichever is moved first, the other is lost.
    for shift in (0, 4, MAP_BYTES - 4):
        offsets = {"y": 0, "a": MAP_BYTES + shift, "b": shift}
        with pytest.raises(ContractError, match="Concat cannot write 'y' over"):
            concatenation(offsets, feeds, "a", "b")


def test_parts_are_moved_even_where_old_and_new_places_meet(floats):
    names = ("a", "b", "c")
    feeds = {name: floats(*SHAPE) for name in names}
    joined = np.concatenate([feeds[name] for name in names], axis=1)
    for step in (4, MAP_BYTES // 2 + 4, MAP_BYTES, MAP_BYTES + 4):
        for first in (0, 4, MAP_BYTES):
            up = {name: first + n * step for n, name in enumerate(names)}
            if step >= MAP_BYTES:
                result = concatenation({"y": 0} | up, feeds, *names)
                np.testing.assert_array_equal(result, joined)
        for shift in (-step, step):
            down = {name: step + n * MAP_BYTES + shift for n, name in enumerate(names)}
            result = concatenation({"y": step} | down, feeds, *names)
            np.testing.assert_array_equal(result, joined)


@pytest.mark.parametrize("constant_first", [False, True])
def test_a_constant_is_copied_beside_a_part_that_stays(floats, constant_first):
    """A class token in front of patches is such a constant."""
    x, y = (gs.Variable(name, np.float32, list(SHAPE)) for name in ("x", "y"))
    y.shape = [1, 8, 6, 6]
    constant, part = (
        gs.Constant("token", floats(*SHAPE)),
        gs.Variable("t0", np.float32, list(SHAPE)),
    )
    parts = [constant, part] if constant_first else [part, constant]
    nodes = [
        gs.Node("Neg", "n0", {}, [x], [part]),
        gs.Node("Concat", "n1", {"axis": 1}, parts, [y]),
    ]
    imports = [helper.make_opsetid("", 18)]
    graph = gs.Graph(nodes, [x], [y], opset=18, import_domains=imports)
    feeds = {"x": floats(*SHAPE)}
    values = [constant.values, -feeds["x"]]
    joined = np.concatenate(values if constant_first else values[::-1], axis=1)
    offsets = {"x": 2 * MAP_BYTES, "t0": MAP_BYTES * constant_first, "y": 0}
    np.testing.assert_array_equal(run(graph, offsets, feeds), joined)


def test_a_map_written_over_before_it_is_read_shows(feeds):
    graph = chain(("Neg", {}), ("Exp", {}), ("Relu", {}))
    add = gs.Node("Add", "n3", {}, [graph.nodes[0].outputs[0], graph.outputs[0]])
    add.outputs = [gs.Variable("y", np.float32, list(SHAPE))]
    graph.nodes.append(add)
    graph.outputs = add.outputs
    right = np.exp(-feeds["x"]) - feeds["x"]
    apart = {"x": 0, "t0": 0, "t1": MAP_BYTES, "t2": MAP_BYTES, "y": 0}
    np.testing.assert_allclose(run(graph, apart, feeds), right, rtol=1e-5)
    for shift_bytes in (4, MAP_BYTES - 4):
        wrong = apart | {"t2": 2 * MAP_BYTES - shift_bytes, "t1": 3 * MAP_BYTES, "t0": MAP_BYTES}
        assert not np.allclose(run(graph, wrong | {"y": 0}, feeds), right, rtol=1e-5)
