"""Computing the small values that shapes depend on: what is constant, or a shape, or an index.

Large constants are left alone here; folding those is the business of a pass.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from condense_compiler.network import acceptance
from condense_compiler.network.computing import compute, compute_with_reference
from condense_compiler.network.known_results import is_empty
from condense_compiler.network.tensors import element_type, is_static
from condense_compiler.network.weights_aside import is_large

# Folding a random draw would freeze it; folding control flow needs more than its inputs.
_NOT_FOLDED = acceptance.RANDOM | acceptance.CONTROL_FLOW.keys()

# Results may be far larger than operands: computed only once their size is known to be small.
_GROWING = frozenset(
    {
        "CenterCropPad",
        "Col2Im",
        "ConstantOfShape",
        "Expand",
        "OneHot",
        "Pad",
        "Range",
        "Resize",
        "Tile",
        "Upsample",
    }
)

# What shapes are computed with, and `onnx.reference` does as everybody: no session is needed.
_PLAIN = frozenset(
    {
        *("Add", "And", "Cast", "Concat", "ConstantOfShape", "Equal", "Expand", "Gather"),
        *("Greater", "Identity", "Less", "Max", "Min", "Mul", "NonZero", "Not", "Or", "Range"),
        *("ReduceProd", "Reshape", "Slice", "Split", "Squeeze", "Sub", "Transpose", "Unsqueeze"),
        "Where",
    }
)

_INTEGERS = frozenset(
    {
        onnx.TensorProto.BOOL,
        onnx.TensorProto.INT8,
        onnx.TensorProto.INT16,
        onnx.TensorProto.INT32,
        onnx.TensorProto.INT64,
        onnx.TensorProto.UINT8,
        onnx.TensorProto.UINT16,
        onnx.TensorProto.UINT32,
        onnx.TensorProto.UINT64,
    }
)


def fold(graph: gs.Graph, *, integers_only: bool) -> bool:
    """Replace, in place, every small tensor whose value is known by a constant.

    Args:
        graph: The graph, whose tensors have types and shapes as far as they are known.
        integers_only: Compute integers and booleans alone, which is what most shapes need.

    Returns:
        Whether anything was replaced.
    """
    changed = [fold_node(node, graph, integers_only=integers_only) for node in graph.nodes]
    return drop_folded(graph) if any(changed) else False


def fold_node(node: gs.Node, graph: gs.Graph, *, integers_only: bool) -> bool:
    """Make constants of a node's outputs, if they are known, small and wanted.

    The node then has no outputs any more; `drop_folded` takes it out of the graph.
    """
    values = _values_of(node, graph.import_domains, integers_only)
    if values is None:
        return False
    for tensor, value in zip(list(node.outputs), values, strict=True):
        if tensor.name:
            tensor.to_constant(value)
    node.outputs.clear()
    node.inputs.clear()  # or it would still count as a reader
    return True


def drop_folded(graph: gs.Graph) -> bool:
    """Take the nodes that were folded out of a graph; tell whether there were any."""
    before = len(graph.nodes)
    graph.nodes = [node for node in graph.nodes if node.outputs]
    return len(graph.nodes) != before


def _values_of(
    node: gs.Node, opsets: Sequence[onnx.OperatorSetIdProto], integers_only: bool
) -> list[Any] | None:
    """Return the values of a node's outputs, or None if they are not known or not wanted."""
    if node.domain or node.op in _NOT_FOLDED or not node.outputs:
        return None
    named = [tensor for tensor in node.outputs if tensor.name]
    if named and all(map(is_empty, named)):
        return [np.empty(tuple(t.shape), t.dtype) if t.name else None for t in node.outputs]
    special = _SPECIAL.get(node.op)
    if special is not None:
        value = special(node)
        return None if value is None else [value]
    return _evaluate(node, opsets) if _is_foldable(node, integers_only) else None


def _is_foldable(node: gs.Node, integers_only: bool) -> bool:
    """Tell whether the operands of a node are known, and its results wanted and small."""
    inputs, outputs = ([t for t in tensors if t.name] for tensors in (node.inputs, node.outputs))
    if not all(isinstance(tensor, gs.Constant) for tensor in inputs):
        return False
    if integers_only and not all(element_type(tensor) in _INTEGERS for tensor in outputs):
        return False
    if node.op in _GROWING and not all(is_static(tensor.shape) for tensor in outputs):
        return False
    return not any(_is_big(tensor) for tensor in (*inputs, *outputs))


def _is_big(tensor: gs.Tensor) -> bool:
    if tensor.dtype is None or not is_static(tensor.shape):
        return False
    return is_large(element_type(tensor), tuple(tensor.shape))


def _evaluate(node: gs.Node, opsets: Sequence[onnx.OperatorSetIdProto]) -> list[Any] | None:
    return (compute_with_reference if node.op in _PLAIN else compute)(node, opsets)


def _constant(node: gs.Node) -> Any:
    """Return what a Constant node holds, still lazy if it is a tensor."""
    name, value = next(iter(node.attrs.items()), ("", None))
    if isinstance(value, gs.Constant):
        return value._values
    dtype = _CONSTANT_TYPES.get(name)
    return None if dtype is None else np.array(value, dtype)


_CONSTANT_TYPES = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def _shape(node: gs.Node) -> Any:
    """Return the slice of a shape that Shape asks for, if that much of the shape is known."""
    shape = node.inputs[0].shape
    if shape is None:
        return None
    asked = shape[node.attrs.get("start", 0) : node.attrs.get("end")]
    return np.array(asked, np.int64) if is_static(asked) else None


def _size(node: gs.Node) -> Any:
    shape = node.inputs[0].shape
    return np.array(math.prod(shape), np.int64) if is_static(shape) else None


_SPECIAL: dict[str, Callable[[gs.Node], Any]] = {
    "Constant": _constant,
    "Shape": _shape,
    "Size": _size,
}
