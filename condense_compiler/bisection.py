"""Finding what makes a compiled network differ: compiling again, one step at a time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.memory.arranging import Effort, arrange
from condense_compiler.network import Network
from condense_compiler.network.editing import is_output
from condense_compiler.network.loading import load_selected
from condense_compiler.network.selection import Model, Selection, as_selected, selected_with_dims
from condense_compiler.planned import as_program
from condense_compiler.report.report import Verification
from condense_compiler.report.report_text import difference_text
from condense_compiler.rewriting.contract import Pass
from condense_compiler.targets import Lowered, Placing, Preparing, Target, Verifying
from condense_compiler.verification import random_feeds
from condense_compiler.verification.comparing import Judge
from condense_compiler.verification.first_difference import (
    FirstTensor,
    computed,
    exposing,
    first_of,
)
from condense_compiler.verification.inputs import Feeds
from condense_compiler.verification.original import Original
from condense_compiler.verification.pass_bisection import Culprit, find_pass_that_differs


@dataclass(frozen=True, slots=True)
class Lowering:
    """A target that computes something else than the network that it lowers.

    Attributes:
        target: Its name.
        verification: How the outputs compare.
        operator: The first operator whose result differs; None where only the whole does.
    """

    target: str
    verification: Verification
    operator: FirstTensor | None


Finding = Culprit | Lowering


def bisect(
    model: Model, target: Target, selection: Selection, passes: Sequence[Pass]
) -> Finding | None:
    """Return the first step of a compilation that changes the outputs; None if none does.

    Args:
        model: The model as given.
        target: What it is lowered to.
        selection: What was asked of it.
        passes: The passes, in order.

    Raises:
        InputError: The model cannot be used.
    """
    network = load_selected(model, selection)
    original = Original(as_selected(model, selection))
    if isinstance(target, Preparing):
        prepared = target.prepare(*selected_with_dims(model, selection), passes)
        network, target = prepared.network, prepared.target
        original = Original(network.to_model())
    feeds = random_feeds(network)
    judge = Judge(original, feeds)
    culprit = find_pass_that_differs(network, passes, judge, feeds)
    return culprit or _find_lowering_that_differs(network, target, judge, feeds)


def finding_text(finding: Finding) -> str:
    """Return in one line what changes the outputs."""
    outputs = difference_text(finding.verification)
    if isinstance(finding, Lowering):
        where = f": {_tensor_text(finding.operator)}" if finding.operator else ""
        return f"no pass changes the outputs, the target {finding.target} does ({outputs}){where}"
    text = f"pass {finding.pass_name} changes the outputs ({outputs})"
    if finding.rewrite is None:
        text += f", none of its {finding.rewrites} rewrites by itself"
    else:
        rewrite = finding.rewrite
        text += (
            f"; rewrite {finding.number} of {finding.rewrites}, at node {rewrite.node!r} "
            f"({rewrite.pattern}), is the first that does"
        )
    return text + (f"; {_tensor_text(finding.tensor)}" if finding.tensor else "")


def _tensor_text(tensor: FirstTensor) -> str:
    return (
        f"the first tensor that differs is {tensor.tensor!r} of node {tensor.node!r} "
        f"({tensor.op}), by {tensor.relative_difference:.1e} of its largest magnitude"
    )


def _find_lowering_that_differs(
    network: Network, target: Target, judge: Judge, feeds: Feeds
) -> Lowering | None:
    lowered = _lower(network, target)
    if isinstance(lowered, Verifying):
        verification = lowered.verify(feeds)
    else:
        verification = judge.judge(lowered.run(feeds))
    if verification.passed:
        return None
    operator = None
    if not isinstance(lowered, Verifying):
        operator = _operator_among_all(network, target, feeds)
    if operator is None:
        operator = _operator_by_cutting(network, target, feeds)
    return Lowering(target.name, verification, operator)


def _lower(network: Network, target: Target) -> Lowered:
    found = arrange(network, Effort(order_alone=isinstance(target, Placing)))
    return target.lower(as_program(network, found.sharing, found.placement))


def _operator_among_all(network: Network, target: Target, feeds: Feeds) -> FirstTensor | None:
    """Return the first operator that differs when every result is an output."""
    whole = exposing(network, [tensor.name for tensor in computed(network)])
    try:
        lowered = _lower(whole, target)
    except UnsupportedError:  # a target need not take every tensor as an output
        return None
    return _first_that_differs(whole, lowered, feeds)


def _operator_by_cutting(network: Network, target: Target, feeds: Feeds) -> FirstTensor | None:
    """Return the last operator of the shortest beginning of the network that differs.

    That leaves the target free to compute several operators as one, and to share memory.
    """
    nodes = list(network.graph.nodes)
    good, bad = 0, len(nodes)
    found: FirstTensor | None = None
    while bad - good > 1:
        middle = (good + bad) // 2
        operator = _difference_of_beginning(network, nodes, middle, target, feeds)
        found = operator or found
        good, bad = (good, middle) if operator else (middle, bad)
    return found


def _difference_of_beginning(
    network: Network, nodes: Sequence[gs.Node], count: int, target: Target, feeds: Feeds
) -> FirstTensor | None:
    """Return what differs in the shortest beginning of at least so many operators."""
    for length in range(count, len(nodes)):
        inside = {id(node) for node in nodes[:length]}
        ends = [
            tensor.name
            for node in nodes[:length]
            for tensor in node.outputs
            if tensor.name and _is_needed_outside(network.graph, tensor, inside)
        ]
        beginning = exposing(network, ends)
        try:
            lowered = _lower(beginning, target)
        except UnsupportedError:  # a target need not take every tensor as an output
            continue
        return _first_that_differs(beginning, lowered, feeds)
    return None


def _is_needed_outside(graph: gs.Graph, tensor: gs.Tensor, inside: Collection[int]) -> bool:
    """Tell whether a tensor is an output of the graph, or read by other nodes, or by none."""
    readers = [id(reader) in inside for reader in tensor.outputs]
    return is_output(graph, tensor) or not readers or not all(readers)


def _first_that_differs(network: Network, lowered: Lowered, feeds: Feeds) -> FirstTensor | None:
    if isinstance(lowered, Verifying):
        verification = lowered.verify(feeds)
        last = network.graph.nodes[-1]
        share = verification.relative_difference
        name = last.outputs[0].name
        return None if verification.passed else FirstTensor(name, last.name, last.op, share)
    expected = Original(network.to_model()).run(feeds)
    return first_of(network, expected, lowered.run(feeds))
