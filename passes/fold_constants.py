"""Computes at compile time what does not depend on the network's inputs."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.silence import quiet_libraries
from condense_compiler.rewriting.contract import PassOutcome, Rewrite


@dataclass(frozen=True)
class FoldConstants:
    """Replace every operator whose inputs are all constant by its result.

    graphsurgeon finds the operators, ONNX Runtime computes them. Quantisation is left in place:
    folding it would undo it.
    """

    name: ClassVar[str] = "fold_constants"

    def apply(self, network: Network) -> PassOutcome:
        """Fold, and remove what is then not used any more."""
        graph = network.graph
        before = [(node, node.op) for node in graph.nodes]
        if not any(_is_foldable(node) for node in graph.nodes):
            return PassOutcome()
        with quiet_libraries(onnxruntime=True):
            graph.fold_constants(fold_shapes=False, error_ok=False)
        graph.cleanup()
        left = {id(node) for node in graph.nodes}
        folded = [(node, op) for node, op in before if id(node) not in left]
        return PassOutcome(tuple(Rewrite(node.name, op) for node, op in folded))


def _is_foldable(node: gs.Node) -> bool:
    return all(isinstance(tensor, gs.Constant) or tensor.is_empty() for tensor in node.inputs)
