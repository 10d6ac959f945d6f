"""Results that are known although their operands are not: nothing, and masks that drop nothing."""

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network.tensors import is_static
from condense_compiler.operators.attributes import constant_input

_BOOLEAN_MASKS = 10  # the first opset in which Dropout's mask is of truth values
# The first in which ONNX says what the mask of inference is; before, ONNX Runtime gives zeros.
_TRUE_MASKS = 12
_SIZES_ARE_INPUTS = 13  # the first in which Split reads its sizes


def replace_known_results(graph: gs.Graph, opset: int) -> bool:
    """Put constants, in place, for tensors without elements and for masks of Dropout.

    Returns:
        Whether anything was replaced.
    """
    changed = False
    for node in graph.nodes:
        if node.domain:
            continue
        if node.op == "Dropout":
            changed |= _keep_everything(node, opset)
        elif node.op == "Split":
            changed |= _drop_empty_results(node, opset)
        elif node.op == "Concat":
            changed |= _drop_empty_parts(node)
    return changed


def is_empty(tensor: gs.Tensor) -> bool:
    """Tell whether a tensor is known to have no elements."""
    return tensor.dtype is not None and is_static(tensor.shape) and 0 in tensor.shape


def keeps_everything(node: gs.Node) -> bool:
    """Tell whether a Dropout drops nothing: it does not train, or with a ratio of zero."""
    if len(node.inputs) < 3 or not node.inputs[2].name:
        return True
    ratio, training = constant_input(node, 1), constant_input(node, 2)
    if training is None:
        return False
    return not training.any() or (ratio is not None and not ratio.any())


def _keep_everything(node: gs.Node, opset: int) -> bool:
    data = node.inputs[0]
    if not keeps_everything(node) or data.dtype is None or not is_static(data.shape):
        return False
    if len(node.inputs) <= 2 and len(node.outputs) <= 1:
        return False
    result, masks = node.outputs[0], [mask for mask in node.outputs[1:] if mask.name]
    node.inputs = node.inputs[:2]  # training with a ratio of zero is no training
    node.outputs = [result]
    for mask in masks:
        dtype = np.dtype(np.bool_) if opset >= _BOOLEAN_MASKS else data.dtype
        mask.to_constant(np.full(tuple(data.shape), opset >= _TRUE_MASKS, dtype))
    return True


def _drop_empty_results(node: gs.Node, opset: int) -> bool:
    """Leave out the parts of a Split that have no elements."""
    if not all(t.name and t.dtype is not None and is_static(t.shape) for t in node.outputs):
        return False
    empty = [i for i, tensor in enumerate(node.outputs) if is_empty(tensor)]
    if not empty or len(empty) == len(node.outputs):
        return False
    axis = node.attrs.get("axis", 0)
    sizes = [int(t.shape[axis]) for i, t in enumerate(node.outputs) if i not in empty]
    if len(node.outputs[empty[0]].shape) and node.outputs[empty[0]].shape[axis] != 0:
        return False  # another axis has no positions: nothing of it has elements
    for i in reversed(empty):
        tensor = node.outputs[i]
        del node.outputs[i]
        tensor.to_constant(np.empty(tuple(tensor.shape), tensor.dtype))
    node.attrs.pop("num_outputs", None)
    if opset < _SIZES_ARE_INPUTS:
        node.attrs["split"] = sizes
        return True
    constant = gs.Constant(f"{node.outputs[0].name}/sizes", np.array(sizes, np.int64))
    node.inputs = [node.inputs[0], constant]
    return True


def _drop_empty_parts(node: gs.Node) -> bool:
    """Leave out the parts of a Concat that have no elements."""
    kept = [tensor for tensor in node.inputs if not is_empty(tensor)]
    if not kept or len(kept) == len(node.inputs):
        return False
    node.inputs.clear()
    node.inputs.extend(kept)
    return True
