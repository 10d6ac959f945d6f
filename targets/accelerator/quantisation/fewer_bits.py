"""Weights of 4, 2 or 1 bit: the published fixed-point forms, in a model that is quantised."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

Array = npt.NDArray[np.float64]
Stored = Mapping[str, onnx.TensorProto]
WEIGHT_BITS = (8, 4, 2, 1)
_TERNARY_THRESHOLD = 0.7  # of the mean magnitude (Li and Liu, Ternary Weight Networks, 2016)


def _four_bits(rows: Array) -> tuple[Array, Array]:
    scales = np.abs(rows).max(axis=1) / 7.0
    return np.clip(np.rint(rows / np.where(scales > 0, scales, 1.0)[:, None]), -7, 7), scales


def _two_bits(rows: Array) -> tuple[Array, Array]:
    magnitude = np.abs(rows)
    kept = magnitude > _TERNARY_THRESHOLD * magnitude.mean(axis=1, keepdims=True)
    scales = (magnitude * kept).sum(axis=1) / np.maximum(kept.sum(axis=1), 1)
    return np.sign(rows) * kept, scales


def _one_bit(rows: Array) -> tuple[Array, Array]:
    return np.where(rows < 0, -1.0, 1.0), np.abs(rows).mean(axis=1)


_FORMS: Mapping[int, Callable[[Array], tuple[Array, Array]]] = {
    4: _four_bits,
    2: _two_bits,
    1: _one_bit,
}


def reduce_weights(model: onnx.ModelProto, bits: int) -> None:
    """Replace the weights of every filter of a quantised model by ones of fewer bits.

    Their scales change, and with them the units of the biases.
    """
    if bits not in _FORMS:
        return
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    reduced: set[str] = set()
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            weights = numpy_helper.to_array(stored[node.input[0]])
            if weights.dtype == np.int8 and weights.ndim >= 2:
                reduced |= _reduce(node, stored, bits)
    makers = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        operands = [makers.get(name) for name in node.input[:3]]
        known = [o for o in operands if o is not None and o.op_type == "DequantizeLinear"]
        if len(known) == 3 and known[1].output[0] in reduced:
            _fit_bias(known[0], known[1], known[2], stored)


def _reduce(node: onnx.NodeProto, stored: Stored, bits: int) -> set[str]:
    """Replace the codes and scales of weights; return the name of their values if it was done."""
    weights = numpy_helper.to_array(stored[node.input[0]])
    scales = numpy_helper.to_array(stored[node.input[1]])
    if scales.ndim == 0:
        return set()
    axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
    by_filter = np.moveaxis(weights, axis, 0)
    rows = by_filter.reshape(len(by_filter), -1) * scales[:, None].astype(np.float64)
    codes, reduced = _FORMS[bits](rows)
    reduced = np.where(reduced > 0, reduced, 1.0).astype(scales.dtype)
    codes = np.moveaxis(codes.reshape(by_filter.shape), 0, axis).astype(np.int8)
    stored[node.input[0]].CopyFrom(numpy_helper.from_array(codes, node.input[0]))
    stored[node.input[1]].CopyFrom(numpy_helper.from_array(reduced, node.input[1]))
    return {node.output[0]}


def _fit_bias(
    data: onnx.NodeProto, weights: onnx.NodeProto, bias: onnx.NodeProto, stored: Stored
) -> None:
    """Write a bias in units of the sums, which have the scales of data times weights."""
    codes, old, scale, by_filter = (
        numpy_helper.to_array(stored[name])
        for name in (*bias.input[:2], data.input[1], weights.input[1])
    )
    new = scale * by_filter
    fitted = np.rint(codes * old.astype(np.float64) / new.astype(np.float64))
    limits = np.iinfo(np.int32)
    fitted = np.clip(fitted, limits.min, limits.max).astype(np.int32)
    stored[bias.input[0]].CopyFrom(numpy_helper.from_array(fitted, bias.input[0]))
    stored[bias.input[1]].CopyFrom(numpy_helper.from_array(new, bias.input[1]))
