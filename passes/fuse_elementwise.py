"""Makes one operator of element-wise operators that start from one map and meet again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs
from onnx import TensorProto

from condense_compiler.network import Network
from condense_compiler.network.editing import is_output, remove_nodes
from condense_compiler.network.tensors import element_type
from condense_compiler.operators.attributes import is_plain
from condense_compiler.operators.elementwise import (
    INPUT,
    OPERATORS,
    Instruction,
    Program,
)
from condense_compiler.operators.fused_elementwise import elementwise_node
from condense_compiler.operators.pointwise import Elementwise
from condense_compiler.operators.registry import parse_as
from condense_compiler.rewriting.contract import PassOutcome, Rewrite

_FLOATS = (TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE)
_MOST_OPERATORS = 32  # of one program; longer ones would need too much scratch


@dataclass(frozen=True)
class FuseElementwise:
    """Let `x * f(x)` written out, such as SiLU, GELU, Mish and HardSwish, need what `f(x)` needs.

    A chain of operators that each read one map stays as it is: they write over each other anyway.
    """

    name: ClassVar[str] = "fuse_elementwise"

    def apply(self, network: Network) -> PassOutcome:
        """Replace every such region that has no other way in or out."""
        graph = network.graph
        positions = {id(node): number for number, node in enumerate(graph.nodes)}
        rewrites: list[Rewrite] = []
        fused: set[int] = set()
        for node in reversed(list(graph.nodes)):
            region = None if id(node) in fused else _find_region(graph, node, positions)
            if region is not None:
                fused |= {id(member) for member in region.nodes}
                rewrites.append(_replace(graph, region, self.name))
        return PassOutcome(tuple(reversed(rewrites)))


@dataclass(frozen=True, slots=True)
class _Region:
    """Operators in their order, and the one map that they read."""

    nodes: tuple[gs.Node, ...]
    source: gs.Tensor

    @property
    def result(self) -> gs.Tensor:
        """What the last operator writes."""
        return self.nodes[-1].outputs[0]


def _find_region(graph: gs.Graph, last: gs.Node, positions: Mapping[int, int]) -> _Region | None:
    """Return the smallest region that ends with a node where several ways meet."""
    if not _is_elementwise(last) or len(_maps(last)) < 2:
        return None
    nodes, result = [last], last.outputs[0]
    while len(sources := _sources(nodes)) > 1:
        # All that reads the latest of the maps comes behind it, so is known by now.
        latest = max(sources, key=lambda tensor: _position(tensor, positions))
        if len(nodes) == _MOST_OPERATORS or not _is_inside(graph, latest, nodes, result):
            return None
        nodes.insert(0, latest.inputs[0])
    return _Region(tuple(nodes), sources[0]) if _has_type_of(sources[0], result) else None


def _position(tensor: gs.Tensor, positions: Mapping[int, int]) -> int:
    return positions.get(id(tensor.inputs[0]), -1) if tensor.inputs else -1


def _maps(node: gs.Node) -> list[gs.Tensor]:
    """Return the maps that an operator reads, each once."""
    read = [t for t in node.inputs if not isinstance(t, gs.Constant) and not t.is_empty()]
    return list({id(tensor): tensor for tensor in read}.values())


def _sources(nodes: list[gs.Node]) -> list[gs.Tensor]:
    """Return the maps that operators read and none of them writes."""
    written = {id(node.outputs[0]) for node in nodes}
    read = {id(tensor): tensor for node in nodes for tensor in _maps(node)}
    return [tensor for key, tensor in read.items() if key not in written]


def _is_inside(graph: gs.Graph, tensor: gs.Tensor, nodes: list[gs.Node], result: gs.Tensor) -> bool:
    """Tell whether a map is computed element by element, and read by these operators alone."""
    members = {id(node) for node in nodes}
    return bool(
        len(tensor.inputs) == 1
        and _is_elementwise(tensor.inputs[0])
        and _has_type_of(tensor, result)
        and not is_output(graph, tensor)
        and all(id(reader) in members for reader in tensor.outputs)
    )


def _has_type_of(tensor: gs.Tensor, other: gs.Tensor) -> bool:
    return bool(
        tuple(tensor.shape) == tuple(other.shape) and element_type(tensor) == element_type(other)
    )


def _is_elementwise(node: gs.Node) -> bool:
    """Tell whether a program can hold an operator."""
    if not is_plain(node) or node.op not in OPERATORS or len(node.outputs) != 1:
        return False
    result = node.outputs[0]
    return (
        element_type(result) in _FLOATS
        and _attributes(node) is not None
        and all(_fits(tensor, result) for tensor in node.inputs if not tensor.is_empty())
        and not any(tensor.is_empty() for tensor in node.inputs[:1])
    )


def _attributes(node: gs.Node) -> tuple[tuple[str, float], ...] | None:
    """Return the attributes as a program holds them; None if it cannot hold one of them."""
    settings = parse_as(Elementwise, node).settings
    return None if settings is None else tuple(settings.items())


def _fits(tensor: gs.Tensor, result: gs.Tensor) -> bool:
    """Tell whether an input has the shape of the result, or is a constant spread over it."""
    shape = tuple(result.shape)
    if not isinstance(tensor, gs.Constant):
        return _has_type_of(tensor, result)
    try:
        return np.broadcast_shapes(tuple(tensor.shape), shape) == shape
    except ValueError:
        return False


def _replace(graph: gs.Graph, region: _Region, pass_name: str) -> Rewrite:
    """Put one operator in the place of a region."""
    last, result = region.nodes[-1], region.result
    name = f"{pass_name}/{last.name}"
    program, operands = _program(region, name)
    node = elementwise_node(name, program, region.source, operands)
    graph.nodes[graph.nodes.index(last)] = node
    pattern = " → ".join(member.op for member in region.nodes)
    rewrite = Rewrite(region.nodes[0].name, pattern)
    for member in region.nodes:
        member.inputs.clear()
        member.outputs.clear()
    remove_nodes(graph, region.nodes)
    node.outputs = [result]
    return rewrite


def _program(region: _Region, name: str) -> tuple[Program, list[gs.Constant]]:
    """Return the program of a region and the constants that are no single numbers."""
    names = {id(region.source): INPUT}
    operands: list[gs.Constant] = []

    def argument(tensor: gs.Tensor) -> str:
        if id(tensor) in names:
            return names[id(tensor)]
        assert isinstance(tensor, gs.Constant)
        values = np.asarray(tensor.values)
        if values.size == 1 and element_type(tensor) == element_type(region.source):
            return repr(float(values.reshape(())))
        operands.append(gs.Constant(f"{name}/operand{len(operands)}", values))
        names[id(tensor)] = f"${len(operands) - 1}"
        return names[id(tensor)]

    instructions: list[Instruction] = []
    for number, node in enumerate(region.nodes):
        arguments = tuple(argument(tensor) for tensor in _given(node))
        instructions.append(Instruction(node.op, arguments, _attributes(node) or ()))
        names[id(node.outputs[0])] = f"%{number}"
    return Program(tuple(instructions)), operands


def _given(node: gs.Node) -> Iterator[gs.Tensor]:
    """Yield the inputs of an operator, a limit of Clip that is left out being infinite."""
    for index, tensor in enumerate(node.inputs):
        if not tensor.is_empty():
            yield tensor
        elif index < len(node.inputs) - 1:
            yield gs.Constant("", np.array(-np.inf, node.outputs[0].dtype))
