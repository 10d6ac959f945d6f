"""Constants that QuantizeLinear or DequantizeLinear reads, as ONNX defines these operators."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from condense_compiler.operators.quantising import DEFAULT_AXIS, along, codes_of
from condense_compiler.targets.accelerator.quantisation.weights import Codes

Array = npt.NDArray[Any]


def quantised(node: onnx.NodeProto, values: Array, scale: Array, zero: Array) -> Array:
    """Return the codes of a constant, with one scale or one for each index along an axis."""
    return codes_of(values, scale, zero, _axis(node, values.ndim))


def dequantised(node: onnx.NodeProto, codes: Array, scale: Array, zero: Array) -> Codes:
    """Return a constant of codes."""
    wide = np.int16 if codes.itemsize == 1 else np.int64
    axis = _axis(node, codes.ndim)
    steps = codes.astype(wide) - np.asarray(along(zero, axis, codes.ndim), wide)
    return Codes(steps, scale.astype(np.float32), axis)


def transposed(node: onnx.NodeProto, codes: Codes) -> Codes:
    """Return a constant of codes with its axes in the order that a Transpose gives them."""
    default = reversed(range(codes.steps.ndim))
    order = next((list(a.ints) for a in node.attribute if a.name == "perm"), list(default))
    return Codes(codes.steps.transpose(order), codes.scale, order.index(codes.axis))


def _axis(node: onnx.NodeProto, rank: int) -> int:
    axis = next((a.i for a in node.attribute if a.name == "axis"), DEFAULT_AXIS)
    return axis % max(rank, 1)
