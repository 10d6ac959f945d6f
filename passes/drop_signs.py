"""Writes codes with a sign as codes without."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import is_output
from condense_compiler.operators.attributes import constant_input
from condense_compiler.operators.definition import Moved
from condense_compiler.operators.registry import moved
from condense_compiler.rewriting.contract import PassOutcome, Rewrite

_SHIFT = 128

# Inputs at which the code of zero stands: of the codes that an operator writes, or reads first.
_ZERO_WRITTEN = {"QLinearConv": 7, "QuantizeLinear": 2}
_ZERO_READ = {"DequantizeLinear": 2, "QLinearConv": 2}


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
                _raise_constant(node, index)
            facts = moved(node)
            if facts is not None and facts.fill is not None:
                _raise_fill(node, facts.fill)
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
    facts = moved(node)
    if facts is not None:
        return writes and reads == list(facts.inputs) and _has_known_fill(node, facts)
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


def _has_known_fill(node: gs.Node, facts: Moved) -> bool:
    return facts.fill is None or not _is_given(node, facts.fill) or _is_constant(node, facts.fill)


def _is_given(node: gs.Node, index: int) -> bool:
    return index < len(node.inputs) and not node.inputs[index].is_empty()


def _is_constant(node: gs.Node, index: int) -> bool:
    return constant_input(node, index) is not None


def _raise_constant(node: gs.Node, index: int) -> None:
    constant = constant_input(node, index)
    assert constant is not None  # such nodes do not follow
    node.inputs[index] = _raised(constant, f"{DropSigns.name}/{node.name}/{index}")


def _raise_fill(node: gs.Node, index: int) -> None:
    """Raise the code that is put where there is none: 0 unless the node says otherwise."""
    if _is_given(node, index):
        _raise_constant(node, index)
        return
    node.inputs += [gs.Variable.empty() for _ in range(index + 1 - len(node.inputs))]
    node.inputs[index] = _raised(np.zeros((), np.int8), f"{DropSigns.name}/{node.name}/{index}")


def _raised(codes: npt.NDArray[Any], name: str) -> gs.Constant:
    return gs.Constant(name, np.asarray(codes.astype(np.int16) + _SHIFT, np.uint8))
