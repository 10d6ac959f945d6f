"""Writes codes with a sign as codes without."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import is_output
from condense_compiler.operators.attributes import constant_input
from condense_compiler.rewriting.contract import PassOutcome, Rewrite

_SHIFT = 128

# Inputs at which the code of zero stands: of the codes that an operator writes, or reads first.
_ZERO_WRITTEN = {"QLinearConv": 7, "QuantizeLinear": 2}
_ZERO_READ = {"DequantizeLinear": 2, "QLinearConv": 2}
# Operators to which codes mean nothing but their order.
_MOVING = (
    *("Concat", "Flatten", "Identity", "MaxPool", "Reshape", "Slice", "Squeeze"),
    *("Split", "Transpose", "Unsqueeze"),
)


@dataclass(frozen=True)
class DropSigns:
    """Raise each code by 128, and the code that means zero.

    Values stay what they are. On x86, runtimes have their fast kernels for codes without sign.
    """

    name: ClassVar[str] = "drop_signs"

    def apply(self, network: Network) -> PassOutcome:
        """Change all maps of codes whose writers and readers can follow."""
        maps = _followed(network.graph)
        nodes = [
            node
            for node in network.graph.nodes
            if any(id(tensor) in maps for tensor in (*node.inputs, *node.outputs))
        ]
        for node in nodes:
            for index in _zeros(node, maps):
                _raise_zero(node, index)
        for tensor in maps.values():
            tensor.dtype = np.dtype(np.uint8)
        makers = (tensor.inputs[0] for tensor in maps.values())
        return PassOutcome(tuple(Rewrite(node.name, node.op) for node in makers))


def _followed(graph: gs.Graph) -> dict[int, gs.Tensor]:
    """Return the maps, by their identity, whose codes may change."""
    maps = {
        id(tensor): tensor
        for node in graph.nodes
        for tensor in node.outputs
        if not tensor.is_empty() and tensor.dtype == np.int8 and not is_output(graph, tensor)
    }
    while True:
        kept = {
            key: tensor
            for key, tensor in maps.items()
            if all(_can_follow(node, maps) for node in (*tensor.inputs, *tensor.outputs))
        }
        if len(kept) == len(maps):
            return kept
        maps = kept


def _can_follow(node: gs.Node, maps: dict[int, gs.Tensor]) -> bool:
    """Tell whether an operator computes the same when these maps change."""
    if node.domain:
        return False
    reads = [index for index, tensor in enumerate(node.inputs) if id(tensor) in maps]
    writes = all(id(tensor) in maps for tensor in node.outputs)
    if node.op in _MOVING:
        data = range(len(node.inputs)) if node.op == "Concat" else range(1)
        return writes and reads == list(data)
    if node.op == "QLinearConv" and not (writes and reads == [0]):
        return False
    if node.op == "DequantizeLinear" and reads != [0]:
        return False
    zeros = list(_zeros(node, maps))
    return bool(zeros) and all(_is_signed(constant_input(node, index)) for index in zeros)


def _zeros(node: gs.Node, maps: dict[int, gs.Tensor]) -> Iterator[int]:
    """Yield the inputs at which the code of zero of such maps stands."""
    if node.op in _ZERO_READ and id(node.inputs[0]) in maps:
        yield _ZERO_READ[node.op]
    if node.op in _ZERO_WRITTEN and id(node.outputs[0]) in maps:
        yield _ZERO_WRITTEN[node.op]


def _is_signed(zero: object) -> bool:
    return isinstance(zero, np.ndarray) and zero.dtype == np.int8


def _raise_zero(node: gs.Node, index: int) -> None:
    zero = constant_input(node, index)
    assert zero is not None  # such nodes do not follow
    higher = np.asarray(zero.astype(np.int16) + _SHIFT, np.uint8)
    node.inputs[index] = gs.Constant(f"{DropSigns.name}/{node.name}/{index}", higher)
