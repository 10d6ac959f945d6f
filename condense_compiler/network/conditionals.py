"""Replacing each `If` whose condition is known by the branch that is taken."""

import itertools
from collections.abc import Mapping

import onnx_graphsurgeon as gs

from condense_compiler.errors import InputError


def inline_conditionals(graph: gs.Graph) -> bool:
    """Replace, in place, every `If` with a constant condition by its branch.

    Returns:
        Whether anything was replaced.
    """
    chosen = [node for node in graph.nodes if _has_known_condition(node)]
    for node in chosen:
        _inline(graph, node)
    return bool(chosen)


def _has_known_condition(node: gs.Node) -> bool:
    if node.op != "If" or node.domain or not isinstance(node.inputs[0], gs.Constant):
        return False
    return bool(node.inputs[0].values.size == 1)


def _inline(graph: gs.Graph, node: gs.Node) -> None:
    taken = bool(node.inputs[0].values.reshape(-1)[0])
    branch = node.attrs["then_branch" if taken else "else_branch"]
    if len(branch.outputs) != len(node.outputs):
        raise InputError(
            f"node '{node.name}' (If) has {len(node.outputs)} outputs, but the branch taken has "
            f"{len(branch.outputs)}; export the model again"
        )
    _dissolve(node.attrs["else_branch" if taken else "then_branch"])
    _rename_apart(branch, graph.tensors())
    # An Identity per output is right even where a branch returns a tensor of the outer graph, a
    # constant, or the same tensor twice.
    results = list(node.outputs)
    node.outputs.clear()
    copies = [
        gs.Node("Identity", f"{node.name}_{result.name}", inputs=[value], outputs=[result])
        for value, result in zip(branch.outputs, results, strict=True)
        if result.name
    ]
    node.inputs.clear()
    index = next(i for i, other in enumerate(graph.nodes) if other is node)
    graph.nodes[index : index + 1] = [*branch.nodes, *copies]


def _dissolve(branch: gs.Graph) -> None:
    """Disconnect the operators of a branch: it may share tensors, by name, with the other one."""
    for number, node in enumerate(branch.nodes):
        node.name = f"{node.name}/not taken {number}"  # graphsurgeon removes the first equal one
        for inner in node.attrs.values():
            if isinstance(inner, gs.Graph):
                _dissolve(inner)
        node.inputs.clear()
        node.outputs.clear()


def _rename_apart(branch: gs.Graph, outer: Mapping[str, gs.Tensor]) -> None:
    """Give the tensors that a branch makes names that the outer graph does not use."""
    taken = set(outer)
    for tensor in branch._local_tensors().values():
        if tensor.name not in taken or outer.get(tensor.name) is tensor:
            taken.add(tensor.name)
            continue
        names = (f"{tensor.name}_{i}" for i in itertools.count(1))
        tensor.name = next(name for name in names if name not in taken)
        taken.add(tensor.name)
