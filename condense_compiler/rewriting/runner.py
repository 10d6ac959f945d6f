"""Runs passes one after the other and holds each to its contract."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import networkx as nx
import onnx
import onnx_graphsurgeon as gs

from condense_compiler.errors import ContractError
from condense_compiler.network import Network
from condense_compiler.rewriting.contract import Pass, PassOutcome


@dataclass(frozen=True, slots=True)
class AppliedPass:
    """A pass's name and what it did."""

    name: str
    outcome: PassOutcome


Signature = tuple[tuple[str, str, tuple[int, ...]], ...]


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


def _structure(network: Network) -> list[tuple[object, ...]]:
    """Return what tells two states of a network apart: operators, attributes, connections."""
    return [
        (
            node.op,
            node.name,
            repr(sorted(node.attrs.items(), key=lambda item: item[0])),
            tuple((tensor.name, id(tensor)) for tensor in node.inputs),
            tuple(tensor.name for tensor in node.outputs),
        )
        for node in network.graph.nodes
    ]


def _interface(network: Network) -> list[tuple[Signature, ...]]:
    """Return names, types and shapes of the graph's inputs and outputs."""
    graph = network.graph
    return [
        tuple((t.name, str(t.dtype), tuple(t.shape)) for t in tensors)  # type: ignore[misc]
        for tensors in (graph.inputs, graph.outputs)
    ]


def _check(network: Network, interface: object, applied: Sequence[AppliedPass]) -> None:
    if _interface(network) != interface:
        _fail(applied, "it changed the network's inputs or outputs")
    for node in network.graph.nodes:
        for tensor in node.outputs:
            if not _is_typed(tensor):
                _fail(applied, f"tensor {tensor.name!r} of node {node.name!r} has no type or shape")
    cycle = _find_cycle(network.graph)
    if cycle:
        _fail(applied, f"the graph has a cycle through {cycle!r}")
    try:
        skeleton = network.skeleton()
        onnx.checker.check_model(skeleton)
        inferred = onnx.shape_inference.infer_shapes(skeleton, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        _fail(applied, f"not valid ONNX: {str(error).strip().splitlines()[0]}")
    _check_shapes(network, inferred, applied)


def _is_typed(tensor: gs.Tensor) -> bool:
    if tensor.is_empty():
        return True
    return tensor.dtype is not None and all(isinstance(size, int) for size in tensor.shape)


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


def _check_shapes(
    network: Network, inferred: onnx.ModelProto, applied: Sequence[AppliedPass]
) -> None:
    """Compare every recorded shape with what ONNX infers."""
    recorded = network.graph.tensors()
    for info in inferred.graph.value_info:
        tensor = recorded.get(info.name)
        shape = [dim.dim_value for dim in info.type.tensor_type.shape.dim if dim.dim_value]
        comparable = isinstance(tensor, gs.Variable) and len(shape) == len(tensor.shape)
        if comparable and shape != list(tensor.shape):
            _fail(applied, f"tensor {info.name!r} is {shape}, not {list(tensor.shape)}")


def _fail(applied: Sequence[AppliedPass], reason: str) -> None:
    *earlier, last = [step.name for step in applied]
    history = f" (after {', '.join(earlier)})" if earlier else ""
    raise ContractError(f"pass {last!r}{history} broke its contract: {reason}")
