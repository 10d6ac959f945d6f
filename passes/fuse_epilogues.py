"""Computes activations inside the operator before them, whose own result is then not stored."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import is_output, position_of, remove_nodes
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.attributes import is_plain
from condense_compiler.operators.epilogue import ADDITIONS, PRODUCERS, add_epilogue
from condense_compiler.operators.fused_elementwise import is_elementwise, program_of
from condense_compiler.operators.program_building import (
    MOST_OPERATORS,
    has_type_of,
    is_programmable,
    maps_read,
    program_of_chain,
)
from condense_compiler.rewriting.contract import PassOutcome, Rewrite


@dataclass(frozen=True)
class FuseEpilogues:
    """Make one operator of a convolution, sum, matrix product or pooling and what follows it.

    What follows are operators that each read nothing but the result before it, element by element.
    A result that anything else reads, or that the network gives, stays.
    """

    name: ClassVar[str] = "fuse_epilogues"

    def apply(self, network: Network) -> PassOutcome:
        """Give every such operator its epilogue."""
        graph = network.graph
        rewrites: list[Rewrite] = []
        for node in list(graph.nodes):
            chain = _chain_behind(graph, node) if _may_have_epilogue(node) else []
            if chain:
                rewrites.append(_replace(graph, node, chain, self.name))
        return PassOutcome(tuple(rewrites))


def _may_have_epilogue(node: gs.Node) -> bool:
    """Tell whether an epilogue can be behind an operator; a bias alone makes no sum of maps."""
    if not is_plain(node) or node.op not in PRODUCERS or len(node.outputs) != 1:
        return False
    return (node.op not in ADDITIONS or len(maps_read(node)) > 1) and [] not in node.attrs.values()


def _chain_behind(graph: gs.Graph, producer: gs.Node) -> list[gs.Node]:
    """Return the longest chain of element-wise operators behind an operator."""
    chain: list[gs.Node] = []
    result, room = producer.outputs[0], MOST_OPERATORS
    while (reader := _next(graph, result)) is not None:
        room -= len(program_of(reader).instructions) if is_elementwise(reader) else 1
        if room < 0:
            break
        chain.append(reader)
        result = reader.outputs[0]
    return chain


def _next(graph: gs.Graph, result: gs.Tensor) -> gs.Node | None:
    """Return the element-wise operator that reads a map, and of all there is alone."""
    readers = {id(reader): reader for reader in result.outputs}
    if len(readers) != 1 or is_output(graph, result):
        return None
    [reader] = readers.values()
    is_element_wise = is_elementwise(reader) or is_programmable(reader)
    alone = is_element_wise and len(maps_read(reader)) == 1
    return reader if alone and has_type_of(reader.outputs[0], result) else None


def _replace(graph: gs.Graph, producer: gs.Node, chain: list[gs.Node], pass_name: str) -> Rewrite:
    """Put one operator in the place of another one and the chain behind it."""
    program, operands = program_of_chain(chain)
    functions = (instruction.op for instruction in program.instructions)
    rewrite = Rewrite(
        producer.name,
        " → ".join((producer.op, *functions)),
        sum(tensor_bytes(node.outputs[0]) for node in (producer, *chain[:-1])),
    )
    result = chain[-1].outputs[0]
    node = add_epilogue(producer, f"{pass_name}/{producer.name}", program, operands)
    position = position_of(graph, producer)
    assert position is not None
    graph.nodes[position] = node
    producer.inputs.clear()
    producer.outputs.clear()
    remove_nodes(graph, chain)
    node.outputs = [result]
    return rewrite
