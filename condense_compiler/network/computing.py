"""Computing an operator whose operands are all constant."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_graphsurgeon as gs
from onnx.reference import ReferenceEvaluator

from condense_compiler.network.export import export_node
from condense_compiler.network.silence import quiet_libraries
from condense_compiler.network.tensors import element_type, is_static

Array = npt.NDArray[Any]
Opsets = Sequence[onnx.OperatorSetIdProto]

_IR_VERSION = 10
# Kinds of element types that ONNX Runtime takes and returns as numpy arrays.
_NUMPY_KINDS = "biuf"
# Operators that give what they read another shape alone.
_VIEWS = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})


def compute(node: gs.Node, opsets: Opsets) -> list[Array | None] | None:
    """Return the outputs of a node whose inputs are constants, as ONNX Runtime computes them.

    Where it has no kernel, as for some types, `onnx.reference` is asked; neither is for another
    shape of the same values.

    Returns:
        A value for each output, None for those without a name; None if nobody can compute them.
    """
    if node.op in _VIEWS and (view := _view(node)) is not None:
        return [view]
    feeds = {tensor.name: np.asarray(tensor.values) for tensor in node.inputs if tensor.name}
    values = _with_onnxruntime(node, feeds, opsets)
    return values if values is not None else compute_with_reference(node, opsets)


def _view(node: gs.Node) -> Array | None:
    """Return the operand in the shape of the result, as far as that is known."""
    values, shape = np.asarray(node.inputs[0].values), node.outputs[0].shape
    return values.reshape(shape) if is_static(shape) and math.prod(shape) == values.size else None


def compute_with_reference(node: gs.Node, opsets: Opsets) -> list[Array | None] | None:
    """Return the outputs of a node whose inputs are constants, as `onnx.reference` has them."""
    feeds = {tensor.name: tensor.values for tensor in node.inputs if tensor.name}
    outputs = [tensor.name for tensor in node.outputs if tensor.name]
    function = onnx.helper.make_function(
        "condense.fold", "fold", list(feeds), outputs, [export_node(node)], opsets
    )
    try:
        with quiet_libraries(), np.errstate(all="ignore"):
            values = ReferenceEvaluator(function).run(None, feeds, {})
    except Exception:  # noqa: BLE001 - the evaluator raises anything; unfolded is always correct
        return None
    if not all(isinstance(value, np.ndarray | np.generic) for value in values):
        return None
    found = dict(zip(outputs, values, strict=True))
    return [np.asarray(found[t.name]) if t.name else None for t in node.outputs]


def _with_onnxruntime(
    node: gs.Node, feeds: Mapping[str, Array], opsets: Opsets
) -> list[Array | None] | None:
    """Return the outputs, or None if ONNX Runtime cannot compute them."""
    import onnxruntime as ort  # noqa: PLC0415 - takes a moment, and few networks need it

    types = {tensor.name: element_type(tensor) for tensor in node.inputs if tensor.name}
    if any(value.dtype.kind not in _NUMPY_KINDS for value in feeds.values()):
        return None
    outputs = [tensor.name for tensor in node.outputs if tensor.name]
    graph = onnx.helper.make_graph(
        [export_node(node)],
        "one_node",
        [
            onnx.helper.make_tensor_value_info(name, types[name], value.shape)
            for name, value in feeds.items()
        ],
        [onnx.ValueInfoProto(name=name) for name in outputs],
    )
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        content = model.SerializeToString()
        session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        found = dict(zip(outputs, session.run(outputs, dict(feeds)), strict=True))
    except Exception:  # noqa: BLE001 - its exceptions share no other base; unfolded is correct
        return None
    wanted = {t.name: t.dtype for t in node.outputs if t.name and t.dtype is not None}
    if any(value.dtype != wanted.get(name, value.dtype) for name, value in found.items()):
        return None  # small types come back as bytes
    return [found[tensor.name] if tensor.name else None for tensor in node.outputs]
