"""Computes at compile time what does not depend on the network's inputs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import replace_reads
from condense_compiler.network.silence import quiet_libraries
from condense_compiler.operators.quantising import DEFAULT_AXIS, codes_of
from condense_compiler.rewriting.contract import PassOutcome, Rewrite


@dataclass(frozen=True)
class FoldConstants:
    """Replace every operator whose inputs are all constant by its result.

    graphsurgeon finds the operators, ONNX Runtime computes them. Of quantisation, codes are
    computed, but their values are not: folding those would undo it.
    """

    name: ClassVar[str] = "fold_constants"

    def apply(self, network: Network) -> PassOutcome:
        """Fold, and remove what is then not used any more."""
        graph = network.graph
        rewrites = [_quantise(node) for node in graph.nodes if _makes_codes(node)]
        graph.cleanup()
        before = [(node, node.op) for node in graph.nodes]
        if not any(_is_foldable(node) for node in graph.nodes):
            return PassOutcome(tuple(rewrites))
        try:
            with quiet_libraries(onnxruntime=True):
                graph.fold_constants(fold_shapes=False, error_ok=False)
        except Exception:  # noqa: BLE001 - of types without a kernel; unfolded is always correct
            return PassOutcome(tuple(rewrites))
        graph.cleanup()
        left = {id(node) for node in graph.nodes}
        folded = [(node, op) for node, op in before if id(node) not in left]
        rewrites += [Rewrite(node.name, op) for node, op in folded]
        return PassOutcome(tuple(rewrites))


def _makes_codes(node: gs.Node) -> bool:
    """Tell whether a node quantises a constant, with one scale or one for each channel."""
    if node.op != "QuantizeLinear" or node.domain or not _is_foldable(node):
        return False
    plain = not node.attrs.get("block_size", 0) and node.inputs[1].values.ndim <= 1
    return plain and np.dtype(node.outputs[0].dtype) in (np.int8, np.uint8)


def _quantise(node: gs.Node) -> Rewrite:
    """Put the codes in place of what computes them."""
    values, scale, *zeros = (np.asarray(tensor.values) for tensor in node.inputs)
    codes = node.outputs[0]
    zero = zeros[0] if zeros else np.zeros((), codes.dtype)
    stored = codes_of(values, scale, zero, node.attrs.get("axis", DEFAULT_AXIS))
    replace_reads(codes, gs.Constant(f"{codes.name}/folded", stored))
    return Rewrite(node.name, node.op)


def _is_foldable(node: gs.Node) -> bool:
    return all(isinstance(tensor, gs.Constant) or tensor.is_empty() for tensor in node.inputs)
