"""Layers with quantised weights as layers of whole numbers, scaled and shifted behind.

    Conv with values of the weights  →  Conv with codes of the weights, Mul by scales, Add of a bias

So lowering finds codes and scales exactly as they were, and scales as ONNX Runtime does: in 32-bit
floating point, input scale times weight scale, then divided by the output scale.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

Array = npt.NDArray[Any]

_BIAS_TOLERANCE = 1e-5  # relative, between the scale of a bias and that of the sums
# Units of a bias up to which 32-bit floating point keeps it well enough to find it again.
_MOST_IN_ONE_PART = 1 << 22


@dataclass(frozen=True, slots=True)
class Codes:
    """A constant that is dequantised.

    Attributes:
        steps: Codes minus their zero.
        scale: Value of a step, in float32: one, or one for each index along an axis.
        axis: That axis.
    """

    steps: Array
    scale: Array
    axis: int

    def values(self) -> Array:
        """Return what the codes mean."""
        shape = [-1 if i == self.axis else 1 for i in range(self.steps.ndim)]
        scale = self.scale.reshape(shape) if self.scale.size > 1 else self.scale.reshape(())
        return self.steps.astype(np.float64) * scale.astype(np.float64)


@dataclass(frozen=True, slots=True)
class Layer:
    """How a node reads its weights.

    Attributes:
        output_axis: Axis of the weights along which output channels lie.
        scale_shape: Shape in which a value for each output channel is multiplied with the output.
    """

    output_axis: int
    scale_shape: tuple[int, ...]


def layer_of(node: onnx.NodeProto, weights: Codes) -> Layer | None:
    """Return how a node reads its weights; None if their scales cannot be applied behind it."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    rank = weights.steps.ndim
    if node.op_type == "Conv":
        layer = Layer(0, (1, -1, *(1,) * (rank - 2)))
    elif node.op_type == "MatMul" and rank == 2:
        layer = Layer(1, (1, -1))
    elif node.op_type == "Gemm" and rank == 2 and _is_plain(attributes):
        layer = Layer(0 if attributes.get("transB", 0) else 1, (1, -1))
    else:
        return None
    return layer if weights.scale.size == 1 or weights.axis == layer.output_axis else None


def _is_plain(attributes: dict[str, Any]) -> bool:
    return bool(attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0)


def bias_parts(bias: Codes | Array, unit: Array | None) -> list[Array]:
    """Return a bias as constants to be added one after the other, in float32.

    Args:
        bias: Its codes, or its values.
        unit: Value of one unit of the sums, if it is known.
    """
    values = _bias_values(bias, unit) if isinstance(bias, Codes) else bias.astype(np.float64)
    first = values.astype(np.float32)
    if unit is None or np.all(np.abs(values) <= _MOST_IN_ONE_PART * unit.astype(np.float64)):
        return [first]
    return [first, (values - first).astype(np.float32)]


def _bias_values(bias: Codes, unit: Array | None) -> Array:
    """Return the values of a bias; where its scale is that of the sums, exactly so."""
    if unit is not None and np.allclose(bias.scale, unit, rtol=_BIAS_TOLERANCE, atol=0.0):
        return bias.steps.astype(np.float64) * unit.astype(np.float64)
    return bias.values()
