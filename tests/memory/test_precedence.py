"""What lies in one place, one after the other, because edges or a known order say so."""

import random

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.nested import nested_unet
from kit.random_graphs import random_graphs
from onnx import helper, numpy_helper

import condense_compiler as cc
from condense_compiler.memory.order import Order, file_order
from condense_compiler.memory.order_first import sharing_in_order
from condense_compiler.memory.placement import place
from condense_compiler.memory.precedence import Precedence
from condense_compiler.memory.relaxation import relaxed_problem
from condense_compiler.memory.scheduler import find_order
from condense_compiler.memory.sharing import resolve_sharing
from condense_compiler.network import load_network


@pytest.mark.parametrize("skips_first", [True, False])
@pytest.mark.parametrize("widths", [[4, 4], [3, 6, 6], [5, 5, 10, 10], [2, 4, 8, 8, 8]], ids=str)
def test_nested_networks_need_no_more_than_their_bound(
    widths: list[int], skips_first: bool
) -> None:
    model = nested_unet(widths, skips_first=skips_first)
    report = cc.compile(model, target_options={"poison": "true"}).report
    assert report.after.arena_bytes == report.after.lower_bound_bytes
    assert report.verification is not None
    assert report.verification.passed


def test_weights_that_operators_compute_have_no_place_in_the_order() -> None:
    model = nested_unet([3, 4, 4])
    graph = model.graph
    for number, tensor in enumerate(list(graph.initializer)):
        codes = np.ones(tensor.dims, np.int8)
        graph.initializer.append(numpy_helper.from_array(codes, f"codes{number}"))
        graph.initializer.remove(tensor)
        inputs = [f"codes{number}", "scale"]
        graph.node.insert(0, helper.make_node("DequantizeLinear", inputs, [tensor.name]))
    graph.initializer.append(numpy_helper.from_array(np.float32(0.1), "scale"))
    report = cc.compile(model, verify_outputs=False).report
    assert report.after.arena_bytes <= report.before.arena_bytes


def in_some_order(order: Order, rng: random.Random) -> list[int]:
    """Return the operators in a random order in which they can run."""
    made = {tensor.name for node in order for tensor in node.outputs}
    left, done, numbers = list(range(len(order))), set(), []
    while left:
        ready = [
            number
            for number in left
            if all(t.name in done or t.name not in made for t in order[number].inputs)
        ]
        numbers.append(rng.choice(ready))
        left.remove(numbers[-1])
        done |= {tensor.name for tensor in order[numbers[-1]].outputs}
    return numbers


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(random_graphs(), st.randoms(use_true_random=False))
def test_what_is_shared_in_one_order_can_be_placed(
    model: onnx.ModelProto, rng: random.Random
) -> None:
    network = load_network(model)
    order = file_order(network)
    steps = [(number,) for number in in_some_order(order, rng)]
    sharing, busy = sharing_in_order(network, order, steps)
    placed = place(sharing, busy)  # which is checked
    problem = relaxed_problem(network, order)
    assert problem is not None
    assert placed.plan.arena_bytes >= find_order(problem).lower_bound_bytes


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(random_graphs(), st.randoms(use_true_random=False))
def test_what_is_gone_in_every_order_is_gone_in_any(
    model: onnx.ModelProto, rng: random.Random
) -> None:
    network = load_network(model)
    order = file_order(network)
    precedence = Precedence(order, network.graph.outputs)
    in_order = precedence.in_steps([(number,) for number in in_some_order(order, rng)])
    written = {t.name: (t, n) for n, node in enumerate(order) for t in node.outputs}
    for tensor, writer in written.values():
        for before in range(len(order)):
            if precedence.is_gone(tensor, writer, before):
                assert in_order(tensor, writer, before)
    steps = [(number,) for number in in_some_order(order, rng)]
    sharing = resolve_sharing(network, order)
    place(sharing, [step for step in steps if step[0] not in sharing.idle])
