"""Shapes that follow from constants, where ONNX's own inference does not say so."""

from collections.abc import Callable, Mapping

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network.tensors import is_static
from condense_compiler.operators.attributes import constant_input

Shapes = Callable[[gs.Node], list[int] | None]


def complete_shape(node: gs.Node) -> bool:
    """Give a node's result the shape that can be known; tell whether it had none."""
    rule = None if node.domain else _RULES.get(node.op)
    if rule is None or not node.inputs or not is_static(node.inputs[0].shape):
        return False
    result = node.outputs[0]
    if result.is_empty() or is_static(result.shape):
        return False
    shape = rule(node)
    if shape is None:
        return False
    result.shape, result.dtype = shape, node.inputs[0].dtype
    return True


def _same(node: gs.Node) -> list[int]:
    return list(node.inputs[0].shape)


def _compressed(node: gs.Node) -> list[int] | None:
    """Compress: as many positions along an axis, or elements, as a constant condition names."""
    condition, shape = constant_input(node, 1), list(node.inputs[0].shape)
    if condition is None:
        return None
    kept = int(np.count_nonzero(condition))
    if "axis" not in node.attrs:
        return [kept]
    shape[node.attrs["axis"] % len(shape)] = kept
    return shape


def _unpooled(node: gs.Node) -> list[int] | None:
    """MaxUnpool: the constant `output_shape`."""
    asked = constant_input(node, 2)
    return None if asked is None else [int(size) for size in asked.reshape(-1)]


_RULES: Mapping[str, Shapes] = {
    "Compress": _compressed,
    "GroupNormalization": _same,
    "MaxUnpool": _unpooled,
}
