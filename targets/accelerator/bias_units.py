"""Biases in units that ONNX Runtime's optimiser takes for others."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

_WITH_BIAS = ("Conv", "Gemm")
_RELATIVE_TOLERANCE = 1e-4  # scales are rounded to float32


def has_bias_in_other_units(model: onnx.ModelProto) -> bool:
    """Tell whether a bias is stored in other units than input scale times filter scale.

    The optimiser adds its codes as if it were in those, so that its results are not the model's.
    Layers that share a bias are quantised so.
    """
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        if node.op_type not in _WITH_BIAS or len(node.input) < 3:
            continue
        scales = [_scale(name, producers, stored) for name in node.input]
        known = [scale for scale in scales if scale is not None]
        if len(known) < len(scales):
            continue
        data, filters, bias = known
        if not np.allclose(bias, data * filters, rtol=_RELATIVE_TOLERANCE, atol=0.0):
            return True
    return False


def _scale(
    name: str, producers: Mapping[str, onnx.NodeProto], stored: Mapping[str, onnx.TensorProto]
) -> npt.NDArray[Any] | None:
    """Return the scale that a tensor is dequantised with."""
    node = producers.get(name)
    while node is not None and node.op_type == "Identity":
        node = producers.get(node.input[0])
    if node is None or node.op_type != "DequantizeLinear" or node.input[1] not in stored:
        return None
    return np.asarray(numpy_helper.to_array(stored[node.input[1]])).reshape(-1)
