"""Runs passes one after the other and holds each to its contract."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import networkx as nx
import onnx
import onnx_graphsurgeon as gs

from condense_compiler.errors import ContractError
from condense_compiler.network import Network
from condense_compiler.network.functions import attach_functions
from condense_compiler.network.resized import scaled_for_inference
from condense_compiler.network.tensors import is_static
from condense_compiler.rewriting.contract import Pass, PassOutcome


@dataclass(frozen=True, slots=True)
class AppliedPass:
    """A pass's name and what it did."""

    name: str
    outcome: PassOutcome


def run_passes(network: Network, passes: Iterable[Pass]) -> list[AppliedPass]:
    """Apply passes in order, in place.

    Raises:
        ContractError: A pass broke its contract; the message names it and those before it.
    """
    applied: list[AppliedPass] = []
    for rewrite in passes:
        before = _structure(network)
        interface = _interface(network)
        outcome = rewrite.apply(network)
        applied.append(AppliedPass(rewrite.name, outcome))
        changed = _structure(network) != before
        if changed != bool(outcome.rewrites):
            claim = "a rewrite" if outcome.rewrites else "no rewrite"
            _fail(applied, f"it reports {claim}, but the network tells otherwise")
        if changed:
            _check(network, interface, applied)
    return applied


def _structure(network: Network) -> tuple[object, ...]:
    """Return what tells two states of a network apart: all but the values of constants."""
    nodes = [
        (
            node.op,
            node.name,
            repr(sorted(node.attrs.items(), key=lambda item: item[0])),
            tuple((tensor.name, id(tensor)) for tensor in node.inputs),
            tuple(_signature(tensor) for tensor in node.outputs),
        )
        for node in network.graph.nodes
    ]
    return _interface(network), nodes


def _interface(network: Network) -> tuple[object, ...]:
    """Return names, types and shapes of the graph's inputs and outputs."""
    graph = network.graph
    return tuple(tuple(map(_signature, tensors)) for tensors in (graph.inputs, graph.outputs))


def _signature(tensor: gs.Tensor) -> tuple[str, str, tuple[object, ...] | None]:
    shape = None if tensor.shape is None else tuple(tensor.shape)
    return tensor.name, str(tensor.dtype), shape


def _check(network: Network, interface: object, applied: Sequence[AppliedPass]) -> None:
    if _interface(network) != interface:
        _fail(applied, "it changed the network's inputs or outputs")
    for node in network.graph.nodes:
        for tensor in node.outputs:
            if not _is_typed(tensor):
                _fail(applied, f"tensor {tensor.name!r} of node {node.name!r} has no type or shape")
    name = _find_ambiguous_name(network.graph)
    if name is not None:
        _fail(applied, f"the name {name!r} is given twice")
    cycle = _find_cycle(network.graph)
    if cycle is not None:
        _fail(applied, f"the graph has a cycle through {cycle!r}")
    try:
        skeleton = network.skeleton(attach_functions)
        onnx.checker.check_model(skeleton)
        skeleton = scaled_for_inference(skeleton, onnx.shape_inference.infer_shapes)
        onnx.shape_inference.infer_shapes(skeleton, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        _fail(applied, f"not valid ONNX: {' '.join(str(error).split())}")


def _is_typed(tensor: gs.Tensor) -> bool:
    return tensor.is_empty() or (tensor.dtype is not None and is_static(tensor.shape))


def _find_ambiguous_name(graph: gs.Graph) -> str | None:
    """Return a name that two nodes have, or two tensors, if there is one."""
    nodes, tensors = {node.name: node for node in graph.nodes}, dict[str, gs.Tensor]()
    for node in graph.nodes:
        if nodes[node.name] is not node:
            return str(node.name)
        for tensor in (*node.inputs, *node.outputs):
            if not tensor.is_empty() and tensors.setdefault(tensor.name, tensor) is not tensor:
                return str(tensor.name)
    return None


def _find_cycle(graph: gs.Graph) -> str | None:
    """Return the name of a node on a cycle, if there is one."""
    edges = nx.DiGraph()
    edges.add_nodes_from(node.name for node in graph.nodes)
    edges.add_edges_from(
        (producer.name, node.name)
        for node in graph.nodes
        for tensor in node.inputs
        for producer in tensor.inputs
    )
    if nx.is_directed_acyclic_graph(edges):
        return None
    return str(nx.find_cycle(edges)[0][0])


def _fail(applied: Sequence[AppliedPass], reason: str) -> None:
    *earlier, last = [step.name for step in applied]
    history = f" (after {', '.join(earlier)})" if earlier else ""
    raise ContractError(f"pass {last!r}{history} broke its contract: {reason}")
