"""Reductions that name an axis twice: ONNX Runtime reduces it once, others stumble."""

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.operators.attributes import Spelling

_AXES_INPUT = 1


def drop_repeated_axes(node: gs.Node) -> None:
    """Make a reduction, in place, name each of its axes once."""
    if node.domain or not node.op.startswith("Reduce") or not node.inputs:
        return
    shape = node.inputs[0].shape
    given = node.attrs.get("axes")
    axes = _axes(node)
    if shape is None or not axes or any(not -len(shape) <= axis < len(shape) for axis in axes):
        return
    once = list(dict.fromkeys(axis % len(shape) for axis in axes))
    if len(once) == len(axes):
        return
    if given is not None:
        node.attrs["axes"] = once
    else:
        name = f"{node.inputs[_AXES_INPUT].name}/{node.name or node.outputs[0].name}"
        node.inputs[_AXES_INPUT] = gs.Constant(name, np.array(once, np.int64))


def _axes(node: gs.Node) -> tuple[int, ...] | None:
    if "axes" not in node.attrs:
        operand = node.inputs[_AXES_INPUT] if len(node.inputs) > _AXES_INPUT else None
        if not isinstance(operand, gs.Constant) or operand.dtype != np.int64:
            return None
        if len(operand.shape) != 1:
            return None
    elif not isinstance(node.attrs["axes"], list):
        return None
    return Spelling(node).integers("axes", _AXES_INPUT)
