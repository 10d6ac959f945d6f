"""Removes operators that do nothing."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import bypass
from condense_compiler.network.tensors import element_type
from condense_compiler.operators.attributes import constant_input
from condense_compiler.operators.definition import Kind
from condense_compiler.operators.registry import definition_of, parse
from condense_compiler.rewriting.contract import PassOutcome, Rewrite


@dataclass(frozen=True)
class CleanUp:
    """Remove operators whose result is their input: Identity, Dropout, full slices and the like."""

    name: ClassVar[str] = "clean_up"

    def apply(self, network: Network) -> PassOutcome:
        """Connect the readers of each such operator to its input."""
        rewrites = [
            Rewrite(node.name, node.op)
            for node in list(network.graph.nodes)
            if _does_nothing(node) and bypass(network.graph, node, node.inputs[0])
        ]
        network.graph.cleanup()
        return PassOutcome(tuple(rewrites))


def _does_nothing(node: gs.Node) -> bool:
    """Tell whether a node returns its first input."""
    if node.op == "Cast" and not node.domain:
        return element_type(node.inputs[0]) == element_type(node.outputs[0])
    definition = definition_of(node)
    if definition.kind is Kind.MOVED:
        return parse(node).keeps_input()
    return definition.neutral is not None and _is_neutral(node, definition.neutral)


def _is_neutral(node: gs.Node, neutral: float) -> bool:
    """Tell whether the second operand leaves the first as it is."""
    constant = constant_input(node, 1)
    keeps_shape = tuple(node.inputs[0].shape) == tuple(node.outputs[0].shape)
    return constant is not None and bool(np.all(constant == neutral)) and keeps_shape
