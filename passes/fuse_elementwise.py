"""Makes one operator of element-wise operators that start from one map and meet again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import is_output, remove_nodes
from condense_compiler.operators.fused_elementwise import elementwise_node
from condense_compiler.operators.program_building import (
    MOST_OPERATORS,
    has_type_of,
    is_programmable,
    maps_read,
    program_of_region,
)
from condense_compiler.rewriting.contract import PassOutcome, Rewrite


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
    if not is_programmable(last) or len(maps_read(last)) < 2:
        return None
    nodes, result = [last], last.outputs[0]
    while len(sources := _sources(nodes)) > 1:
        # All that reads the latest of the maps comes behind it, so is known by now.
        latest = max(sources, key=lambda tensor: _position(tensor, positions))
        if len(nodes) == MOST_OPERATORS or not _is_inside(graph, latest, nodes, result):
            return None
        nodes.insert(0, latest.inputs[0])
    return _Region(tuple(nodes), sources[0]) if has_type_of(sources[0], result) else None


def _position(tensor: gs.Tensor, positions: Mapping[int, int]) -> int:
    return positions.get(id(tensor.inputs[0]), -1) if tensor.inputs else -1


def _sources(nodes: list[gs.Node]) -> list[gs.Tensor]:
    """Return the maps that operators read and none of them writes."""
    written = {id(node.outputs[0]) for node in nodes}
    read = {id(tensor): tensor for node in nodes for tensor in maps_read(node)}
    return [tensor for key, tensor in read.items() if key not in written]


def _is_inside(graph: gs.Graph, tensor: gs.Tensor, nodes: list[gs.Node], result: gs.Tensor) -> bool:
    """Tell whether a map is computed element by element, and read by these operators alone."""
    members = {id(node) for node in nodes}
    return bool(
        len(tensor.inputs) == 1
        and is_programmable(tensor.inputs[0])
        and has_type_of(tensor, result)
        and not is_output(graph, tensor)
        and all(id(reader) in members for reader in tensor.outputs)
    )


def _replace(graph: gs.Graph, region: _Region, pass_name: str) -> Rewrite:
    """Put one operator in the place of a region."""
    last, result = region.nodes[-1], region.result
    name = f"{pass_name}/{last.name}"
    program, operands = program_of_region(region.nodes, region.source)
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
