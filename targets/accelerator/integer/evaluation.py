"""Element-wise operators on the values of all codes."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

from condense_compiler.targets.accelerator.integer.arithmetic import Array
from condense_compiler.targets.reference.functions import FUNCTIONS

# Functions that libraries approximate: only ONNX Runtime itself gives the very values it gives.
_APPROXIMATED = frozenset(
    ["Celu", "Elu", "Erf", "Exp", "Gelu", "Log", "Mish", "Selu", "Sigmoid", "Softplus", "Tanh"]
)
_OPSET, _IR_VERSION = 20, 9


def evaluate(op: str, operands: Sequence[Any], attributes: Mapping[str, Any]) -> Array:
    """Evaluate an element-wise operator on values of all codes, in float32.

    Args:
        op: ONNX operator type.
        operands: Values of codes, (256) or (channels, 256), and constants, one or (channels, 1);
            None where an input is left out.
        attributes: Its ONNX attributes.
    """
    shape = np.broadcast_shapes(*(np.shape(o) for o in operands))
    typed = [None if o is None else _in_shape(np.asarray(o, np.float32), shape) for o in operands]
    if op in _APPROXIMATED:
        session = _session(op, tuple(sorted(attributes.items())))
        return np.asarray(session.run(None, {"x": typed[0]})[0])
    result = np.empty(shape, np.float32)
    with np.errstate(all="ignore"):
        FUNCTIONS[op](result, *typed, **attributes)
    return result


def _in_shape(operand: Array, shape: tuple[int, ...]) -> Array:
    return np.broadcast_to(operand, shape) if operand.ndim else operand


@cache
def _session(op: str, attributes: tuple[tuple[str, Any], ...]) -> ort.InferenceSession:
    """Return a session for one operator with one input."""
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["y"], **dict(attributes))],
        op,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    opsets = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
