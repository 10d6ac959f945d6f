"""Walking ONNX models: every node, every tensor, those in subgraphs and functions included."""

from collections.abc import Iterable, Iterator

import onnx


def all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Yield every node of the graph, its subgraphs, and the functions."""
    yield from nodes_within(model.graph.node)
    for function in model.functions:
        yield from nodes_within(function.node)


def shown(node: onnx.NodeProto) -> str:
    """Return what messages call a node: by its name, else by its first output."""
    return f"node '{node.name or next(iter(node.output), '')}' ({node.op_type})"


def main_tensors(graph: onnx.GraphProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Yield the constants of the main graph with the names that nodes read them by."""
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        for tensor in _attribute_tensors(node):
            yield next(iter(node.output), ""), tensor


def nested_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield the constants in subgraphs and functions."""
    for node in model.graph.node:
        yield from _subgraph_tensors(node)
    for function in model.functions:
        for node in function.node:
            yield from _attribute_tensors(node)
            yield from _subgraph_tensors(node)


def reads(node: onnx.NodeProto) -> Iterator[str]:
    """Yield the tensors that a node reads, those read by its subgraphs from outside included."""
    yield from (name for name in node.input if name)
    for graph in subgraphs(node):
        yield from _reads_from_outside(graph)


def nodes_within(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yield nodes and those in their subgraphs."""
    for node in nodes:
        yield node
        for graph in subgraphs(node):
            yield from nodes_within(graph.node)


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs that a node has as attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g


def _attribute_tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t


def _subgraph_tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for graph in subgraphs(node):
        yield from graph.initializer
        for inner in graph.node:
            yield from _attribute_tensors(inner)
            yield from _subgraph_tensors(inner)


def _reads_from_outside(graph: onnx.GraphProto) -> Iterator[str]:
    own = {value.name for value in graph.input} | {value.name for value in graph.initializer}
    own |= {name for node in graph.node for name in node.output}
    for node in graph.node:
        yield from (name for name in reads(node) if name not in own)
    yield from (value.name for value in graph.output if value.name not in own)
