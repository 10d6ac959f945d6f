from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from kit.topology_writer import TopologyWriter, build

from condense_compiler.errors import ContractError
from condense_compiler.network import Network, load_network
from condense_compiler.operators.fused import DOMAIN, OP, ConvPool
from condense_compiler.operators.window import Window
from condense_compiler.passes import DEFAULT_PASSES
from condense_compiler.rewriting import PassOutcome, Refusal, Rewrite, run_passes

REWRITE = PassOutcome((Rewrite("Relu", "something"),))
NOTHING = PassOutcome()


@dataclass(frozen=True)
class Broken:
    """A pass that does something, and says something."""

    change: Callable[[gs.Graph], object]
    outcome: PassOutcome = REWRITE
    name: ClassVar[str] = "broken"

    def apply(self, network: Network) -> PassOutcome:
        """Do it, and say it."""
        self.change(network.graph)
        return self.outcome


@dataclass(frozen=True)
class Idle:
    """A pass that does nothing."""

    name: ClassVar[str] = "idle"

    def apply(self, _network: Network) -> PassOutcome:
        """Do nothing, and say so."""
        return NOTHING


def network() -> Network:
    """Return Conv → Relu → Sigmoid → Tanh, of which the last two are outputs."""

    def write(graph: TopologyWriter) -> Sequence[str]:
        activated = graph.write("Sigmoid", graph.write("Relu", graph.wide()))
        return [activated, graph.write("Tanh", activated)]

    return load_network(build(write))


def find(graph: gs.Graph, op: str) -> gs.Node:
    [node] = [node for node in graph.nodes if node.op == op]
    return node


# What a pass may do to a graph.


def nothing(_graph: gs.Graph) -> None:
    pass


def other_operator(graph: gs.Graph) -> None:
    find(graph, "Relu").op = "Elu"


def other_attribute(graph: gs.Graph) -> None:
    find(graph, "Conv").attrs["kernel_shape"] = [3, 3, 3]


def cycle(graph: gs.Graph) -> None:
    relu, sigmoid = find(graph, "Relu"), find(graph, "Sigmoid")
    relu.op, relu.inputs = "Add", [relu.inputs[0], sigmoid.outputs[0]]


def itself(graph: gs.Graph) -> None:
    relu = find(graph, "Relu")
    relu.op, relu.inputs = "Add", [relu.inputs[0], relu.outputs[0]]


def no_type(graph: gs.Graph) -> None:
    other_operator(graph)
    find(graph, "Elu").outputs[0].dtype = None


def no_shape(graph: gs.Graph) -> None:
    other_operator(graph)
    find(graph, "Elu").outputs[0].shape = None


def symbolic_shape(graph: gs.Graph) -> None:
    other_operator(graph)
    find(graph, "Elu").outputs[0].shape = ("batch", 8, 8, 6)


def wrong_shape(graph: gs.Graph) -> None:
    other_operator(graph)
    find(graph, "Elu").outputs[0].shape = (1, 8, 8, 7)


def wrong_rank(graph: gs.Graph) -> None:
    other_operator(graph)
    find(graph, "Elu").outputs[0].shape = (1, 8, 48)


def wrong_type(graph: gs.Graph) -> None:
    other_operator(graph)
    find(graph, "Elu").outputs[0].dtype = np.float64


def fused_operator_of_wrong_shape(graph: gs.Graph) -> None:
    """Pool eight channels by two, and call the result five."""
    window = Window((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
    conv = find(graph, "Conv")
    conv.op, conv.domain = OP, DOMAIN
    conv.attrs = ConvPool(window, 1, "max", 2).to_attributes()
    for op in ("ConvPool", "Relu", "Sigmoid", "Tanh"):
        find(graph, op).outputs[0].shape = (1, 4, 8, 6)
    conv.outputs[0].shape = (1, 5, 8, 6)
    graph.outputs[0].shape = graph.outputs[1].shape = (1, 8, 8, 6)


def output_left_out(graph: gs.Graph) -> None:
    graph.outputs.pop()
    graph.cleanup()


def output_list_shortened(graph: gs.Graph) -> None:
    graph.outputs.pop()


def output_renamed(graph: gs.Graph) -> None:
    graph.outputs[0].name = "renamed"


def input_added(graph: gs.Graph) -> None:
    graph.inputs.append(gs.Variable("another", np.float32, (1,)))


def input_reshaped(graph: gs.Graph) -> None:
    other_operator(graph)
    graph.inputs[0].shape = (1, 3, 9, 6)


def unknown_operator(graph: gs.Graph) -> None:
    find(graph, "Relu").op = "Rleu"


def unknown_attribute(graph: gs.Graph) -> None:
    find(graph, "Relu").attrs["slope"] = 0.1


def input_missing(graph: gs.Graph) -> None:
    find(graph, "Relu").inputs.clear()


def read_before_computed(graph: gs.Graph) -> None:
    graph.nodes.reverse()


def nobody_computes_it(graph: gs.Graph) -> None:
    graph.nodes.remove(find(graph, "Relu"))


def weights_that_do_not_fit(graph: gs.Graph) -> None:
    filters = np.zeros((7, 3, 3, 3), np.float32)
    find(graph, "Conv").inputs[1] = gs.Constant("filters", filters)


def two_tensors_of_one_name(graph: gs.Graph) -> None:
    conv = find(graph, "Conv")
    conv.inputs[1] = gs.Constant("twice", np.ones((8, 3, 3, 3), np.float32))
    conv.inputs[2] = gs.Constant("twice", np.ones(8, np.float32))


def two_nodes_of_one_name(graph: gs.Graph) -> None:
    other_operator(graph)
    find(graph, "Elu").name = find(graph, "Sigmoid").name


BROKEN: dict[str, tuple[Callable[[gs.Graph], None], str]] = {
    function.__name__: (function, reason)
    for function, reason in (
        (nothing, "reports a rewrite"),
        (other_attribute, "not valid ONNX"),
        (cycle, "cycle"),
        (itself, "cycle"),
        (no_type, "no type or shape"),
        (no_shape, "no type or shape"),
        (symbolic_shape, "no type or shape"),
        (wrong_shape, "(6) vs (7)"),
        (wrong_rank, "(4) vs (3)"),
        (fused_operator_of_wrong_shape, "(4) vs (5)"),
        (wrong_type, "not valid ONNX"),
        (output_left_out, "inputs or outputs"),
        (output_list_shortened, "inputs or outputs"),
        (output_renamed, "inputs or outputs"),
        (input_added, "inputs or outputs"),
        (input_reshaped, "inputs or outputs"),
        (unknown_operator, "not valid ONNX"),
        (unknown_attribute, "not valid ONNX"),
        (input_missing, "not valid ONNX"),
        (read_before_computed, "not valid ONNX"),
        (nobody_computes_it, "not valid ONNX"),
        (weights_that_do_not_fit, "not valid ONNX"),
        (two_tensors_of_one_name, "'twice'"),
        (two_nodes_of_one_name, "'Sigmoid'"),
    )
}


@pytest.mark.parametrize(("change", "reason"), BROKEN.values(), ids=BROKEN)
def test_broken_pass_is_caught(change: Callable[[gs.Graph], None], reason: str) -> None:
    with pytest.raises(ContractError) as error:
        run_passes(network(), [Broken(change)])
    message = str(error.value)
    assert message.startswith("pass 'broken' broke its contract: ")
    assert reason in message
    assert len(message.splitlines()) == 1


UNTOLD = {
    function.__name__: function
    for function in (
        other_operator,
        other_attribute,
        output_list_shortened,
        output_renamed,
        input_added,
        input_reshaped,
        read_before_computed,
        weights_that_do_not_fit,
        no_type,
        wrong_shape,
    )
}


@pytest.mark.parametrize("change", UNTOLD.values(), ids=UNTOLD)
def test_rewrite_that_is_not_told_is_caught(change: Callable[[gs.Graph], None]) -> None:
    with pytest.raises(ContractError, match="reports no rewrite"):
        run_passes(network(), [Broken(change, NOTHING)])


def test_message_names_the_passes_before() -> None:
    with pytest.raises(ContractError, match=r"pass 'broken' \(after idle, idle\) broke"):
        run_passes(network(), [Idle(), Idle(), Broken(cycle)])


def test_refusals_alone_are_no_rewrite() -> None:
    refusal = PassOutcome(refusals=(Refusal("Conv", "for a reason"),))
    [applied] = run_passes(network(), [Broken(nothing, refusal)])
    assert applied.outcome == refusal


def test_outcomes_come_in_the_order_of_the_passes() -> None:
    applied = run_passes(network(), [Idle(), Broken(other_operator), Idle()])
    assert [step.name for step in applied] == ["idle", "broken", "idle"]
    assert [bool(step.outcome.rewrites) for step in applied] == [False, True, False]


def test_default_passes_keep_the_contract_twice_in_a_row() -> None:
    loaded = network()
    run_passes(loaded, [*DEFAULT_PASSES, *DEFAULT_PASSES])
    assert [tensor.name for tensor in loaded.graph.outputs] == ["output", "output_1"]
