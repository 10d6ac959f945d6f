"""Biases in other units than those of the sums that they are added to.

Layers that share a bias are quantised so. ONNX Runtime's optimiser adds the codes of such a bias as
if they were in the units of the sums, so that its results are not those of the model.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

_WITH_BIAS = ("Conv", "Gemm")
_RELATIVE_TOLERANCE = 1e-4  # scales are rounded to float32


def layers_with_bias_in_other_units(model: onnx.ModelProto) -> list[str]:
    """Return the layers whose bias has another scale than input scale times filter scale."""
    found = []
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
            found.append(node.name)
    return found


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
