"""What shares memory, what runs when and what lies where, chosen together."""

import random
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.models import BRANCHING, hydrated
from kit.random_graphs import random_graphs
from onnx import helper, numpy_helper

import condense_compiler as cc
from condense_compiler.memory.arranging import Effort, arrange, arrange_plainly
from condense_compiler.memory.order import file_order
from condense_compiler.memory.placement import place
from condense_compiler.memory.planner import plan
from condense_compiler.memory.relaxation import relaxed_problem
from condense_compiler.memory.scheduler import (
    Accumulation,
    Order,
    OrderProblem,
    StoredMap,
    find_order,
    loads_of,
)
from condense_compiler.memory.scheduling import order_problem, schedule
from condense_compiler.memory.sharing import Shared, resolve_sharing
from condense_compiler.memory.tidying import tidied
from condense_compiler.network import Network, load_network
from condense_compiler.passes import DEFAULT_PASSES
from condense_compiler.report.measure import measure_given
from condense_compiler.rewriting.contract import PassOutcome, Rewrite
from condense_compiler.rewriting.runner import run_passes

CHECKS = list(HealthCheck)


@pytest.mark.parametrize(
    ("name", "most_bytes"),
    [("dpn48b", 376_832), ("selecsls42", 2_064_384), ("unetpp", 688_128)],
)
def test_branches_into_concatenations_need_no_more_than_their_load(
    name: str, most_bytes: int
) -> None:
    report = cc.compile(
        hydrated(name, BRANCHING),
        verify_outputs=name != "dpn48b",
        target_options={"poison": "true"},
    ).report
    assert report.after.arena_bytes == report.after.lower_bound_bytes <= most_bytes
    assert report.verification is None or report.verification.passed


def branching(rng: random.Random) -> onnx.ModelProto:
    """Return a network whose branches read each other and meet in concatenations, some twice."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    maps = {"x": rng.randint(1, 6)}
    for number in range(rng.randint(4, 14)):
        result, source = f"t{number}", rng.choice(list(maps)[-4:])
        kind = rng.random()
        if kind < 0.4:
            channels = rng.randint(1, 8)
            weights = np.random.default_rng(number).standard_normal((channels, maps[source], 1, 1))
            constants.append(numpy_helper.from_array(weights.astype(np.float32), f"w{number}"))
            nodes.append(helper.make_node("Conv", [source, f"w{number}"], [result]))
            maps[result] = channels
        elif kind < 0.65:
            nodes.append(helper.make_node(rng.choice(["Relu", "Tanh"]), [source], [result]))
            maps[result] = maps[source]
        else:
            parts = [rng.choice(list(maps)) for _ in range(rng.randint(2, 5))]
            nodes.append(helper.make_node("Concat", parts, [result], axis=1))
            maps[result] = sum(maps[part] for part in parts)
    read = {name for node in nodes for name in node.input}
    pixels = [rng.randint(1, 5), rng.randint(1, 5)]
    values = {n: helper.make_tensor_value_info(n, 1, [1, c, *pixels]) for n, c in maps.items()}
    outputs = [value for name, value in values.items() if name not in read]
    graph = helper.make_graph(nodes, "branching", [values["x"]], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("block", range(4))
def test_branching_networks_never_need_more_than_as_given(block: int) -> None:
    for seed in range(block * 15, (block + 1) * 15):
        model = branching(random.Random(seed))  # noqa: S311 - cases, not secrets
        report = cc.compile(model, target_options={"poison": "true"}).report
        assert report.after.arena_bytes <= report.before.arena_bytes, seed
        assert report.verification is not None, seed
        assert report.verification.passed, seed


def _sample(shared: tuple[Shared, ...], rng: random.Random) -> frozenset[Shared]:
    share = rng.choice([0.2, 0.5, 1.0])
    return frozenset(each for each in shared if rng.random() < share)


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(random_graphs(), st.randoms(use_true_random=False))
def test_no_choice_needs_less_than_the_bound_of_all(
    model: onnx.ModelProto, rng: random.Random
) -> None:
    network = load_network(model)
    order = file_order(network)
    problem = relaxed_problem(network, order)
    assert problem is not None
    bound = find_order(problem).lower_bound_bytes
    shared = resolve_sharing(network, order).shared
    for _ in range(4):
        sharing = resolve_sharing(network, order, _sample(shared, rng))
        scheduled = schedule(sharing)
        assert scheduled.peak_bytes >= bound
        assert place(sharing, scheduled.steps).plan.arena_bytes >= bound


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(random_graphs(), st.randoms(use_true_random=False))
def test_a_tidied_order_runs_and_has_no_larger_peak(
    model: onnx.ModelProto, rng: random.Random
) -> None:
    network = load_network(model)
    order = file_order(network)
    shared = resolve_sharing(network, order).shared
    sharing = resolve_sharing(network, order, _sample(shared, rng))
    problem = order_problem(sharing, [n for n in range(len(order)) if n not in sharing.idle])
    found = find_order(problem)
    tidy = tidied(problem, found)
    place(sharing, schedule(sharing, tidy=True).steps)  # checks the order
    loads = loads_of(problem, tidy.steps)
    assert max(loads, default=0) <= found.peak_bytes
    assert sum(loads) <= sum(loads_of(problem, found.steps))


@settings(max_examples=40, deadline=None, suppress_health_check=CHECKS)
@given(random_graphs())
def test_the_order_of_the_file_needs_no_more_than_as_given(model: onnx.ModelProto) -> None:
    network = load_network(model)
    given_bytes = plan(measure_given(network).buffers).arena_bytes
    assert arrange_plainly(network, Effort()).arena_bytes <= given_bytes


def test_an_input_that_nobody_reads_makes_way() -> None:
    """Of a Split whose other parts are unread, and of an input beside the network."""
    text = """
        <ir_version: 8, opset_import: ["" : 13]>
        net (float[1,1,3,4] x, float[2,6,3,4] z, float[7] u)
            => (float[2,12,3,4] y, float[1,1,1,4] p)
        <int64[3] sizes = {1, 1, 1}>
        { p, q, r = Split <axis = 2> (x, sizes)  y = Concat <axis = 1> (z, z) }
    """
    report = cc.compile(onnx.parser.parse_model(text), target_options={"poison": "true"}).report
    assert report.after.arena_bytes <= report.before.arena_bytes
    assert report.verification is not None
    assert report.verification.passed


class Spoiling:
    """A pass that stores every map three times."""

    name: ClassVar[str] = "spoiling"

    def apply(self, network: Network) -> PassOutcome:
        """Write `relu(x)` as a concatenation of three, and take a part of that."""
        graph, rewrites = network.graph, []
        for node in [node for node in graph.nodes if node.op == "Relu"]:
            result = node.outputs[0]
            shape: list[Any] = list(result.shape)
            new = gs.Variable(f"{result.name}/new", result.dtype, shape)
            wide = gs.Variable(
                f"{result.name}/wide", result.dtype, [shape[0], 3 * shape[1], *shape[2:]]
            )
            node.outputs = [new]
            join = gs.Node("Concat", f"{node.name}/join", {"axis": 1}, [new] * 3, [wide])
            bounds = [gs.Constant(f"{node.name}/{n}", np.array([v])) for n, v in _slice(shape[1])]
            part = gs.Node("Slice", f"{node.name}/part", {}, [wide, *bounds], [result])
            place = graph.nodes.index(node) + 1
            graph.nodes[place:place] = [join, part]
            rewrites.append(Rewrite(node.name, "Relu"))
        return PassOutcome(tuple(rewrites))


def _slice(channels: int) -> list[tuple[str, int]]:
    return [("start", channels), ("end", 2 * channels), ("axis", 1)]


def test_a_pass_that_makes_the_arena_larger_is_left_out() -> None:
    model = branching(random.Random(7))  # noqa: S311 - a case, not a secret
    network = load_network(model)
    given_bytes = plan(measure_given(network).buffers).arena_bytes
    run_passes(network, [*DEFAULT_PASSES, Spoiling()])
    assert arrange(network, Effort()).arena_bytes > given_bytes
    report = cc.compile(model, passes=[*DEFAULT_PASSES, Spoiling()]).report
    assert report.after.arena_bytes <= report.before.arena_bytes
    assert "spoiling" not in report.rewrites
    assert report.verification is not None
    assert report.verification.passed


def test_only_what_no_choice_can_avoid_is_called_minimal() -> None:
    network = load_network(branching(random.Random(14)))  # noqa: S311 - a case, not a secret
    run_passes(network, DEFAULT_PASSES)
    found = arrange(network, Effort())
    tied = resolve_sharing(network, file_order(network))
    alone = schedule(tied)
    assert alone.peak_bytes == alone.lower_bound_bytes > found.arena_bytes
    assert not found.scheduled.proves(found.arena_bytes)
    assert replace(found.scheduled, lower_bound_bytes=found.arena_bytes).proves(found.arena_bytes)


def test_what_a_pair_adds_to_is_not_moved_behind_it() -> None:
    """Operator 1 reads the map that 2 and 3 add to; nobody is in a hurry for its result."""
    maps = (
        StoredMap(8, None, (1, 3), kept=False),
        StoredMap(8, None, (2,), kept=False),
        StoredMap(20, 1, (4,), kept=False),
        StoredMap(8, 2, (3,), kept=False),
        StoredMap(8, 3, (4,), kept=False),
        StoredMap(1, 4, (), kept=True),
        StoredMap(1, 0, (4,), kept=False),
    )
    pair = Accumulation(2, 3, (0,), 8)
    problem = OrderProblem(5, ((),) * 5, maps, accumulations=(pair,))
    steps = ((0,), (1,), (2, 3), (4,))
    order = Order(steps, max(loads_of(problem, steps)), 0, optimal=False)
    assert tidied(problem, order).steps == steps
