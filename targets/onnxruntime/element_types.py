"""Keeps the bodies of fused operators on numbers that the native kernels do not compute with."""

import onnx
from onnx import FunctionProto, NodeProto, TensorProto

from condense_compiler.operators.fused import DOMAIN, OP

_FILTERS = 1
BODY_OP = "ConvPoolBody"  # no kernel has this name, so the function of this name runs


def keep_bodies(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with such operators renamed; the model itself if it has none."""
    if not any(_is_other(node, _types(model)) for node in model.graph.node):
        return model
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    types, overloads = _types(changed), set()
    for node in changed.graph.node:
        if _is_other(node, types):
            node.op_type = BODY_OP
            overloads.add(node.overload)
    bodies = [f for f in changed.functions if f.name == OP and f.overload in overloads]
    for body in bodies:
        copy = FunctionProto()
        copy.CopyFrom(body)
        copy.name = BODY_OP
        changed.functions.append(copy)
    return changed


def _types(model: onnx.ModelProto) -> dict[str, int]:
    return {tensor.name: tensor.data_type for tensor in model.graph.initializer}


def _is_other(node: NodeProto, types: dict[str, int]) -> bool:
    is_fused = (node.domain, node.op_type) == (DOMAIN, OP)
    return is_fused and types.get(node.input[_FILTERS], TensorProto.FLOAT) != TensorProto.FLOAT
