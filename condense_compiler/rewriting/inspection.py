"""What a pass changed, and whether the network is still one: looked at where it changed alone."""

from collections.abc import Iterable
from dataclasses import dataclass

import networkx as nx
import onnx
import onnx_graphsurgeon as gs

from condense_compiler.errors import InputError
from condense_compiler.network import Network
from condense_compiler.network.inference import static_shape
from condense_compiler.network.shapes import ShapeInference, versions
from condense_compiler.network.tensors import element_type, is_static

Signature = tuple[str, object, tuple[object, ...] | None]


@dataclass(frozen=True, slots=True)
class Structure:
    """A state of a network: all but the values of constants.

    Attributes:
        interface: Names, types and shapes of the graph's inputs and outputs.
        nodes: What each node is, reads and makes, in order.
    """

    interface: tuple[tuple[Signature, ...], ...]
    nodes: tuple[object, ...]


def structure_of(network: Network) -> Structure:
    """Return what tells two states of a network apart."""
    graph = network.graph
    nodes = tuple(
        (
            node.op,
            node.name,
            repr(sorted(node.attrs.items(), key=lambda item: item[0])) if node.attrs else "",
            tuple((tensor.name, id(tensor)) for tensor in node.inputs),
            tuple(_signature(tensor) for tensor in node.outputs),
        )
        for node in graph.nodes
    )
    interface = tuple(tuple(map(_signature, ts)) for ts in (graph.inputs, graph.outputs))
    return Structure(interface, nodes)


def _signature(tensor: gs.Tensor) -> Signature:
    return tensor.name, tensor.dtype, None if tensor.shape is None else tuple(tensor.shape)


def find_breach(network: Network, before: Structure, after: Structure) -> str | None:
    """Return how a changed network breaks the contract, or None.

    Args:
        network: The network.
        before: Its state before the pass, which kept the contract.
        after: Its state now.
    """
    if after.interface != before.interface:
        return "it changed the network's inputs or outputs"
    graph = network.graph
    known = set(before.nodes)
    changed = [node for node, now in zip(graph.nodes, after.nodes, strict=True) if now not in known]
    return (
        _untyped(changed)
        or _ambiguous_name(graph)
        or _disorder(graph)
        or _invalid(graph, [*changed, *_readers(changed)])
    )


def _untyped(nodes: Iterable[gs.Node]) -> str | None:
    for node in nodes:
        for tensor in node.outputs:
            typed = tensor.dtype is not None and is_static(tensor.shape)
            if not typed and not tensor.is_empty():
                return f"tensor {tensor.name!r} of node {node.name!r} has no type or shape"
    return None


def _ambiguous_name(graph: gs.Graph) -> str | None:
    """Look for a name that two nodes have, or two tensors."""
    nodes, tensors = dict[str, gs.Node](), dict[str, gs.Tensor]()
    for node in graph.nodes:
        if nodes.setdefault(node.name, node) is not node:
            return f"the name {node.name!r} is given twice"
        for tensor in (*node.inputs, *node.outputs):
            if tensor.name and tensors.setdefault(tensor.name, tensor) is not tensor:
                return f"the name {tensor.name!r} is given twice"
    return None


def _disorder(graph: gs.Graph) -> str | None:
    """Look for a tensor that is read before it is made, or that nothing makes."""
    made = {id(tensor) for tensor in graph.inputs}
    for node in graph.nodes:
        for tensor in node.inputs:
            ready = id(tensor) in made or isinstance(tensor, gs.Constant) or not tensor.name
            if ready:
                continue
            name = _name_on_cycle(graph)
            if name is not None:
                return f"the graph has a cycle through {name!r}"
            return f"not valid ONNX: node {node.name!r} reads {tensor.name!r} before it is made"
        made.update(id(tensor) for tensor in node.outputs)
    missing = (t.name for t in graph.outputs if id(t) not in made and not _is_constant(t))
    name = next(missing, None)
    return None if name is None else f"not valid ONNX: nothing makes the output {name!r}"


def _is_constant(tensor: gs.Tensor) -> bool:
    return isinstance(tensor, gs.Constant)


def _name_on_cycle(graph: gs.Graph) -> str | None:
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


def _readers(nodes: Iterable[gs.Node]) -> list[gs.Node]:
    readers = (reader for node in nodes for tensor in node.outputs for reader in tensor.outputs)
    return list({id(reader): reader for reader in readers}.values())


def _invalid(graph: gs.Graph, nodes: Iterable[gs.Node]) -> str | None:
    """Look for a node that ONNX refuses, or whose results are not as the network says."""
    inference = ShapeInference(versions(graph.import_domains))
    own = {id(node) for node in graph.nodes}
    for node in {id(node): node for node in nodes if id(node) in own}.values():
        try:
            results = inference.results(node) or {}
        except (InputError, onnx.defs.SchemaError) as error:
            return f"not valid ONNX: {' '.join(str(error).split())}"
        for tensor in node.outputs:
            if tensor.name in results:
                fault = _contradiction(node, tensor, results[tensor.name])
                if fault is not None:
                    return f"not valid ONNX: {fault}"
    return None


def _contradiction(node: gs.Node, tensor: gs.Tensor, kind: onnx.TypeProto) -> str | None:
    place = f"tensor {tensor.name!r} of node {node.name!r}"
    found = kind.tensor_type.elem_type
    if found and found != element_type(tensor):
        return f"{place} is of type ({found}) vs ({element_type(tensor)})"
    shape = static_shape(kind)
    if shape is None or shape == tuple(tensor.shape):
        return None
    if len(shape) != len(tensor.shape):
        return f"{place} has as many axes as ({len(shape)}) vs ({len(tensor.shape)})"
    pairs = zip(shape, tensor.shape, strict=True)
    one, other = next((a, b) for a, b in pairs if a != b)
    return f"{place} has a size of ({one}) vs ({other})"
