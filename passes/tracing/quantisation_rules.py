"""Operators that quantise."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.operators.attributes import constant_input
from condense_compiler.passes.tracing.codes import CODE_TYPES, Quantisation
from condense_compiler.passes.tracing.rules import Context, Rule
from condense_compiler.passes.tracing.views import View


def quantisation(node: gs.Node, first: int) -> Quantisation | None:
    """Return scale and zero point that stand at inputs `first` and behind.

    Returns:
        None where they are not constant, not the same for all elements, or not of 8 bits.
    """
    scale = constant_input(node, first)
    zero = constant_input(node, first + 1)
    if first + 1 >= len(node.inputs) or node.inputs[first + 1].is_empty():
        codes = node.inputs[0] if node.op == "DequantizeLinear" else node.outputs[0]
        zero = np.zeros((), codes.dtype)
    if scale is None or zero is None or scale.size != 1 or zero.size != 1:
        return None
    if zero.dtype not in CODE_TYPES or scale.dtype != np.float32:
        return None
    return Quantisation(float(scale.reshape(())), int(zero.reshape(())), zero.dtype)


def dequantisation(tensor: gs.Tensor) -> gs.Node | None:
    """Return the DequantizeLinear that computes a tensor; None if something else does."""
    makers = (node for node in tensor.inputs if node.op == "DequantizeLinear" and not node.domain)
    return next(makers, None)


def _quantise(context: Context) -> Sequence[View | None]:
    view, codes = context.view(), quantisation(context.node, 1)
    if view is None or codes is None:
        return [None]
    # Rounding keeps order, so that it may as well stand in front of a spatial max-pooling.
    return [view.apply(codes.codes_of(view.value))]


def _dequantise(context: Context) -> Sequence[View | None]:
    view, codes = context.view(), quantisation(context.node, 1)
    if view is None or codes is None:
        return [None]
    return [view.apply(codes.value_of(view.value))]


def quantised(wide: View, node: gs.Node) -> View | None:
    """Return the view of what a QLinearConv makes of its sums."""
    codes = quantisation(node, 6)
    return wide.apply(codes.codes_of(wide.before)) if codes is not None else None


RULES: Mapping[str, Rule] = {
    "DequantizeLinear": _dequantise,
    "QuantizeLinear": _quantise,
}
