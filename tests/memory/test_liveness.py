from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from kit.cases import quick_cases
from kit.layers import Network as Layers
from kit.models import hydrated
from kit.rewriting import rewrite, symbolic_sizes
from kit.strategies import networks
from kit.topology_writer import GROUPS, IMAGE, TopologyWriter, Write, build

from condense_compiler.memory.buffers import Buffer
from condense_compiler.memory.liveness import feature_map_buffers, largest_working_set
from condense_compiler.memory.order import Order, file_order
from condense_compiler.network import Network, load_network

BYTES = 4


def buffers_of(network: Network) -> dict[str, Buffer]:
    return {buffer.id: buffer for buffer in feature_map_buffers(network, file_order(network))}


def alive_by_hand(network: Network, order: Order) -> dict[str, set[int]]:
    """Return the steps at which each feature map is needed, found step by step.

    At a step a map is needed if it exists by the end of the step, and the step or a later one
    still reads it, or it was just computed, or the caller wants it at the end.
    """
    wanted = {tensor.name for tensor in network.graph.outputs}
    existing = {tensor.name for tensor in network.graph.inputs}
    alive: dict[str, set[int]] = {name: set() for name in existing}
    for step, node in enumerate(order):
        computed = {tensor.name for tensor in node.outputs if tensor.name}
        existing |= computed
        still_read = {tensor.name for later in order[step:] for tensor in later.inputs}
        for name in existing:
            unused_input = step == 0 and name not in computed
            if name in still_read | computed | wanted or unused_input:
                alive.setdefault(name, set()).add(step)
    return alive


def check(network: Network) -> None:
    order = file_order(network)
    buffers = buffers_of(network)
    expected = alive_by_hand(network, order)
    assert buffers.keys() == expected.keys()
    for name, steps in expected.items():
        assert set(range(buffers[name].lower, buffers[name].upper)) == steps, name


@pytest.mark.parametrize("case", list(quick_cases())[::5], ids=lambda case: case.id)
def test_lifetimes_of_the_kit_are_those_found_step_by_step(case: object) -> None:
    model = case.build()  # type: ignore[attr-defined]
    check(load_network(model, symbolic_sizes(model)))
    check(rewrite(model).network)


@settings(max_examples=50, deadline=None)
@given(networks())
def test_lifetimes_of_drawn_networks_are_those_found_step_by_step(network: Layers) -> None:
    check(rewrite(network.build()).network)


@pytest.mark.parametrize("name", ["densenet121", "googlenet", "mixnet_s", "res2net50_14w_8s"])
def test_lifetimes_of_networks_that_branch_are_those_found_step_by_step(name: str) -> None:
    check(load_network(hydrated(name)))


def loaded(write: Write) -> Network:
    return load_network(build(write))


def lifetimes(write: Write) -> dict[str, tuple[int, int]]:
    return {name: (b.lower, b.upper) for name, b in buffers_of(loaded(write)).items()}


def test_maps_live_from_their_operator_to_their_last_reader() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        first = graph.write("Relu", "input")
        second = graph.write("Tanh", first)
        third = graph.write("Sigmoid", second)
        return [graph.write("Abs", graph.write("Add", first, third))]

    assert lifetimes(write) == {
        "input": (0, 1),
        "Relu_output_0": (0, 4),
        "Tanh_output_0": (1, 3),
        "Sigmoid_output_0": (2, 4),
        "Add_output_0": (3, 5),
        "output": (4, 5),
    }


def test_outputs_live_to_the_end_though_they_are_read_before() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        first = graph.write("Relu", "input")
        return [first, graph.write("Abs", graph.write("Tanh", first))]

    assert lifetimes(write)["output"] == (0, 3)


def test_output_that_nobody_reads_lives_to_the_end() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        return [graph.write("Relu", "input"), graph.write("Abs", graph.write("Tanh", "input"))]

    assert lifetimes(write) == {
        "input": (0, 2),
        "output": (0, 3),
        "Tanh_output_0": (1, 3),
        "output_1": (2, 3),
    }


def test_inputs_live_from_the_start_however_late_they_are_read() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        late = graph.input("late", *IMAGE)
        return [graph.write("Add", graph.write("Tanh", graph.write("Relu", "input")), late)]

    assert lifetimes(write)["late"] == (0, 3)


def test_input_that_nobody_reads_is_there_for_the_first_step() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        graph.input("unused", 1, 7)
        return [graph.write("Tanh", graph.write("Relu", "input"))]

    assert lifetimes(write)["unused"] == (0, 1)


def test_output_of_an_operator_that_nobody_reads_has_its_place_for_that_step() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        count = graph.constant([2])
        values, _ = graph.write_many("TopK", "input", count, outputs=2, axis=1)
        return [graph.write("Relu", graph.write("Tanh", values))]

    assert lifetimes(write)["TopK_output_1"] == (0, 1)


def test_what_does_not_depend_on_inputs_is_no_feature_map() -> None:
    """Quantised weights, which are left for the runtime to expand."""

    def write(graph: TopologyWriter) -> Sequence[str]:
        stored = graph.write("Cast", graph.constant([[[[3]]], [[[4]]], [[[5]]]]), to=3)
        zero = graph.write("Cast", graph.constant(0), to=3)
        scale = graph.constant(0.5)
        weights = graph.write("DequantizeLinear", stored, scale, zero)
        graph.inputs["input"] = (1, 1, 4, 4)
        return [graph.write("Relu", graph.write("Conv", "input", weights))]

    network = loaded(write)
    assert "DequantizeLinear" in [node.op for node in network.graph.nodes]
    assert [node.op for node in file_order(network)] == ["Conv", "Relu"]
    assert list(buffers_of(network)) == ["input", "Conv_output_0", "output"]


def test_weights_are_no_feature_maps() -> None:
    assert lifetimes(lambda graph: [graph.wide()]).keys() == {"input", "output"}


def test_map_that_one_operator_reads_twice_is_one_buffer() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = graph.write("Relu", "input")
        return [graph.write("Mul", tensor, tensor)]

    network = loaded(write)
    buffers = feature_map_buffers(network, file_order(network))
    assert [buffer.id for buffer in buffers] == ["input", "Relu_output_0", "output"]
    size = BYTES * 3 * 8 * 6
    assert largest_working_set(file_order(network), buffers) == 2 * size


@pytest.mark.parametrize(
    ("code", "size"), [(1, 4), (10, 2), (11, 8), (3, 1), (9, 1), (7, 8)], ids=str
)
def test_size_and_alignment_are_those_of_the_type(code: int, size: int) -> None:
    network = loaded(
        lambda graph: [graph.write("Cast", graph.write("Cast", "input", to=code), to=1)]
    )
    name = "Cast_output_0" if code != 1 else "input"
    buffer = buffers_of(network)[name]
    assert (buffer.size, buffer.alignment) == (3 * 8 * 6 * size, size)


def test_pooled_layer_stores_its_input_and_output_alone() -> None:
    source = build(lambda graph: [graph.pooled(graph.write("Relu", graph.wide()))])
    given, compiled = load_network(source), rewrite(source).network
    assert list(buffers_of(compiled)) == ["input", "output"]
    assert largest_working_set(
        file_order(compiled), feature_map_buffers(compiled, file_order(compiled))
    ) == BYTES * 8 * 6 * (3 + GROUPS)
    assert len(buffers_of(given)) > 2
