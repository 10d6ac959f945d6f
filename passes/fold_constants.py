"""Computes at compile time what does not depend on the network's inputs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.computing import compute
from condense_compiler.network.editing import replace_reads
from condense_compiler.operators.pointwise import Quantising
from condense_compiler.operators.quantising import codes_of
from condense_compiler.operators.registry import parse_as
from condense_compiler.rewriting.contract import PassOutcome, Rewrite

_QUANTISATION = ("DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear")


@dataclass(frozen=True)
class FoldConstants:
    """Replace every operator whose inputs are all constant by its result.

    ONNX Runtime computes them, or `onnx.reference` where it has no kernel; others are left.
    Of quantisation, codes are computed, but their values are not: folding those would undo it.
    """

    name: ClassVar[str] = "fold_constants"

    def apply(self, network: Network) -> PassOutcome:
        """Fold, and remove what is then not used any more."""
        graph = network.graph
        rewrites = [_quantise(node) for node in graph.nodes if _makes_codes(node)]
        graph.cleanup()
        rewrites += [rewrite for node in graph.nodes if (rewrite := _fold(node, graph)) is not None]
        graph.nodes = [node for node in graph.nodes if node.outputs]
        graph.cleanup()
        return PassOutcome(tuple(rewrites))


def _fold(node: gs.Node, graph: gs.Graph) -> Rewrite | None:
    """Put the results in place of what computes them; the node is left without outputs."""
    if node.domain or node.op in _QUANTISATION or not _is_foldable(node):
        return None
    values = compute(node, graph.import_domains)
    if values is None:
        return None
    results = list(node.outputs)
    node.outputs.clear()
    node.inputs.clear()
    for tensor, value in zip(results, values, strict=True):
        if value is not None:
            tensor.to_constant(value)
    return Rewrite(node.name, node.op)


def _makes_codes(node: gs.Node) -> bool:
    """Tell whether a node quantises a constant, with one scale or one for each channel."""
    if node.op != "QuantizeLinear" or node.domain or not _is_foldable(node):
        return False
    plain = not parse_as(Quantising, node).block_size and node.inputs[1].values.ndim <= 1
    return plain and np.dtype(node.outputs[0].dtype) in (np.int8, np.uint8)


def _quantise(node: gs.Node) -> Rewrite:
    """Put the codes in place of what computes them."""
    values, scale, *zeros = (np.asarray(tensor.values) for tensor in node.inputs)
    codes = node.outputs[0]
    zero = zeros[0] if zeros else np.zeros((), codes.dtype)
    stored = codes_of(values, scale, zero, parse_as(Quantising, node).axis)
    replace_reads(codes, gs.Constant(f"{codes.name}/folded", stored))
    return Rewrite(node.name, node.op)


def _is_foldable(node: gs.Node) -> bool:
    return all(isinstance(tensor, gs.Constant) or tensor.is_empty() for tensor in node.inputs)
