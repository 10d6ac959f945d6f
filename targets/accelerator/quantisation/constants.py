"""Constants that QuantizeLinear or DequantizeLinear reads, as ONNX defines these operators."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from condense_compiler.targets.accelerator.quantisation.weights import Codes

Array = npt.NDArray[Any]


def quantised(node: onnx.NodeProto, values: Array, scale: Array, zero: Array) -> Array:
    """Return the codes of a constant, with one scale or one for each index along an axis."""
    limits = np.iinfo(zero.dtype)
    steps = np.rint(values / _along(node, scale, values.ndim)) + _along(node, zero, values.ndim)
    return np.asarray(np.clip(steps, limits.min, limits.max), zero.dtype)


def dequantised(node: onnx.NodeProto, codes: Array, scale: Array, zero: Array) -> Codes:
    """Return a constant of codes."""
    wide = np.int16 if codes.itemsize == 1 else np.int64
    steps = codes.astype(wide) - np.asarray(_along(node, zero, codes.ndim), wide)
    return Codes(steps, scale.astype(np.float32), _axis(node, codes.ndim))


def transposed(node: onnx.NodeProto, codes: Codes) -> Codes:
    """Return a constant of codes with its axes in the order that a Transpose gives them."""
    default = reversed(range(codes.steps.ndim))
    order = next((list(a.ints) for a in node.attribute if a.name == "perm"), list(default))
    return Codes(codes.steps.transpose(order), codes.scale, order.index(codes.axis))


def _along(node: onnx.NodeProto, parameter: Array, rank: int) -> Array:
    """Return a scale or zero so that it broadcasts."""
    if parameter.size == 1:
        return parameter.reshape(())
    axis = _axis(node, rank)
    return parameter.reshape([-1 if i == axis else 1 for i in range(rank)])


def _axis(node: onnx.NodeProto, rank: int) -> int:
    return next((a.i for a in node.attribute if a.name == "axis"), 1) % max(rank, 1)
