"""Scales of feature maps with few significant bits, the same whoever added up the samples.

Calibration runs in floating point, whose last bits differ between versions of ONNX Runtime and
between processors. Rounded up to 8 bits, scales are the same, and ranges at most 0.8 % wider.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

Array = npt.NDArray[Any]

_SIGNIFICANT_BITS = 8


def round_scales(model: onnx.ModelProto, floats: onnx.GraphProto) -> None:
    """Round the scales of feature maps up, in place; zero points and biases follow.

    Args:
        model: A model that ONNX Runtime has just quantised, with integer biases.
        floats: The graph that it was made of, which has the biases in floating point.
    """
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    pairs = {
        (node.input[1], node.input[2])
        for node in model.graph.node
        if node.op_type == "QuantizeLinear" and node.input[0] not in stored
    }
    for scale_name, zero_name in pairs:
        scale, zero = (numpy_helper.to_array(stored[name]) for name in (scale_name, zero_name))
        rounded, limits = _rounded_up(scale), np.iinfo(zero.dtype)
        steps = np.rint(zero * scale.astype(np.float64) / rounded)
        _store(stored[scale_name], rounded.astype(scale.dtype))
        _store(stored[zero_name], np.clip(steps, limits.min, limits.max).astype(zero.dtype))
    given = {tensor.name: tensor for tensor in floats.initializer}
    for bias, factors in _biases(model):
        codes, scale, data, weights = (
            numpy_helper.to_array(stored[name]) for name in (*bias.input[:2], *factors)
        )
        known = given.get(bias.output[0])
        values = codes * scale.astype(np.float64) if known is None else numpy_helper.to_array(known)
        _fit(stored[bias.input[0]], values, np.asarray(data * weights, scale.dtype))
        _store(stored[bias.input[1]], np.asarray(data * weights, scale.dtype))


def _fit(tensor: onnx.TensorProto, values: Array, units: Array) -> None:
    """Write a bias as whole numbers of units."""
    limits, steps = np.iinfo(np.int32), np.zeros(values.shape)
    np.divide(values, units, out=steps, where=np.broadcast_to(units > 0, values.shape))
    _store(tensor, np.clip(np.rint(steps), limits.min, limits.max).astype(np.int32))


def _biases(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, tuple[str, str]]]:
    """Yield what dequantises each bias, and the scales of the layer's data and weights."""
    makers = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        operands = [makers.get(name) for name in node.input[:3]]
        known = [o for o in operands if o is not None and o.op_type == "DequantizeLinear"]
        if len(known) == 3 and node.op_type in ("Conv", "Gemm"):
            yield known[2], (known[0].input[1], known[1].input[1])


def _rounded_up(scale: Array) -> Array:
    fraction, exponent = np.frexp(scale.astype(np.float64))
    whole = np.ceil(np.ldexp(fraction, _SIGNIFICANT_BITS))
    return np.asarray(np.ldexp(whole, exponent - _SIGNIFICANT_BITS))


def _store(tensor: onnx.TensorProto, values: Array) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(values), tensor.name))
