"""What a region computes in 8 bits, if it is one that may become `condense::QLinearConvPool`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.operators.evaluation import evaluate
from condense_compiler.operators.pointwise import Quantising
from condense_compiler.operators.registry import parse_as
from condense_compiler.passes.tracing.codes import (
    CODE_TYPES,
    Quantisation,
    first_quantisation,
    last_dequantisation,
)
from condense_compiler.passes.tracing.expressions import IDENTITY, Expression, compose, lower
from condense_compiler.passes.tracing.quantisation_rules import dequantisation, quantisation
from condense_compiler.passes.tracing.regions import Region
from condense_compiler.passes.tracing.views import View

Array = npt.NDArray[Any]

FIRST_OPSET = 13  # since then, ReduceMax and MaxPool take bytes, and filters have a scale each


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """A convolution of codes.

    Attributes:
        data: The codes that it reads.
        input: What they mean.
        filters: Codes (wide channels, channels / group, kernel...).
        scales: Scale of each filter.
        zeros: Code of zero of each filter.
        bias: For each filter, in units of input scale times filter scale; None if there is none.
    """

    data: gs.Tensor
    input: Quantisation
    filters: Array
    scales: Array
    zeros: Array
    bias: Array | None


@dataclass(frozen=True, slots=True, eq=False)
class QuantisedLayer:
    """A region in terms of codes.

    Attributes:
        convolutions: In the order of the region.
        output: How sums are quantised.
        table: What each code becomes behind, the smallest code first.
        values: Scale and zero of the codes where the region ends in their values; None where it
            ends in codes.
    """

    convolutions: tuple[Convolution, ...]
    output: Quantisation
    table: Array
    values: tuple[float, int] | None


def is_quantised(region: Region) -> bool:
    """Tell whether a region convolves codes; if only its filters are codes, it does not."""
    return any(
        node.op == "QLinearConv"
        or (
            not isinstance(node.inputs[1], gs.Constant)
            and dequantisation(node.inputs[0]) is not None
        )
        for node in region.convolutions.values()
    )


class NotFusableError(Exception):
    """A region in 8 bits may not become one operator; the message is the reason."""


def quantised_layer(region: Region, opset: int) -> QuantisedLayer:
    """Return what a region computes.

    Raises:
        NotFusableError: It may not become one operator.
    """
    reduction = region.view.reduction
    _require(opset >= FIRST_OPSET, f"opset {opset}: codes are pooled from opset {FIRST_OPSET} on")
    _require(reduction in ("max", "min"), f"codes are pooled by max or min, not by {reduction}")
    convolutions = tuple(convolution_of_codes(node) for node in region.convolutions.values())
    first = convolutions[0]
    same = all(part.input == first.input and part.data is first.data for part in convolutions)
    _require(same, "the convolutions read different codes")
    output, before, behind = _split(region.view)
    kept_order = np.diff(_evaluated(before, output, opset)) >= 0
    _require(bool(kept_order.all()), "a larger code may become a smaller one before the pooling")
    codes, values = behind, None
    if region.output.dtype not in CODE_TYPES:
        found = last_dequantisation(behind)
        if found is None:
            raise NotFusableError("the pooled maps are not quantised")
        codes, values = found[2], found[:2]
    elif region.output.dtype != output.dtype:
        raise NotFusableError("the codes before and behind the pooling are of different types")
    return QuantisedLayer(convolutions, output, _table(codes, output, opset), values)


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise NotFusableError(reason)


def _split(view: View) -> tuple[Quantisation, Expression, Expression]:
    """Return how sums are quantised, what is done with codes before pooling, and in all."""
    is_wide = view.before != IDENTITY
    found = first_quantisation(view.before if is_wide else view.after)
    if found is None:
        raise NotFusableError("the maps are not quantised right behind the convolution")
    output, rest = found
    return (output, rest, compose(view.after, rest)) if is_wide else (output, IDENTITY, rest)


def _evaluated(expression: Expression, kind: Quantisation, opset: int) -> Array:
    """Return the value of an expression for each code, the smallest first."""
    program, operands = lower(expression, [])
    _require(not operands, "the codes of different channels become different values")
    limits = np.iinfo(kind.dtype)
    return evaluate(program, np.arange(limits.min, limits.max + 1).astype(np.float32), opset)


def _table(expression: Expression, kind: Quantisation, opset: int) -> Array:
    values, limits = _evaluated(expression, kind, opset), np.iinfo(kind.dtype)
    inside = (values >= limits.min) & (values <= limits.max) & (values == np.rint(values))
    _require(bool(inside.all()), "the pooled maps hold values between codes")
    return values.astype(kind.dtype)


def convolution_of_codes(node: gs.Node) -> Convolution:
    """Return a Conv or QLinearConv as a convolution of codes.

    Raises:
        NotFusableError: It is none.
    """
    parts = _integer_parts(node) if node.op == "QLinearConv" else _dequantised_parts(node)
    _require(parts.input is not None, "the maps that are read have no single scale in 8 bits")
    assert parts.input is not None
    codes = _values(parts.filters)
    _require(codes.dtype in CODE_TYPES, f"the filters are codes of {codes.dtype}")
    zero = np.zeros(1, codes.dtype) if parts.zero is None else _values(parts.zero)
    scales = np.broadcast_to(np.asarray(_values(parts.scale), np.float32).reshape(-1), len(codes))
    zeros = np.broadcast_to(zero.reshape(-1), len(codes))
    bias = _bias(parts.bias, np.float32(parts.input.scale) * scales)
    return Convolution(parts.data, parts.input, codes, scales, zeros, bias)


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """The tensors of a convolution of codes."""

    data: gs.Tensor
    input: Quantisation | None
    filters: gs.Tensor
    scale: gs.Tensor
    zero: gs.Tensor | None
    bias: gs.Tensor | None


def _integer_parts(node: gs.Node) -> _Parts:
    filters, scale, zero = node.inputs[3:6]
    return _Parts(node.inputs[0], quantisation(node, 1), filters, scale, zero, _optional(node, 8))


def _dequantised_parts(node: gs.Node) -> _Parts:
    data, filters = (dequantisation(tensor) for tensor in node.inputs[:2])
    if filters is None:
        raise NotFusableError("only some of the filters are codes")
    if data is None:
        raise NotFusableError("the filters are codes, the maps that they are applied to are not")
    scale = _values(filters.inputs[1])
    for_each_filter = scale.ndim == 1 and parse_as(Quantising, filters).axis == 0
    _require(scale.size == 1 or for_each_filter, "the scales differ within a filter")
    return _Parts(
        data.inputs[0],
        quantisation(data, 1),
        filters.inputs[0],
        filters.inputs[1],
        _optional(filters, 2),
        _optional(node, 2),
    )


def _values(tensor: gs.Tensor) -> Array:
    """Return the value of a constant."""
    _require(isinstance(tensor, gs.Constant), f"the network computes {tensor.name}")
    return np.asarray(tensor.values)


def _optional(node: gs.Node, index: int) -> gs.Tensor | None:
    has_input = index < len(node.inputs) and not node.inputs[index].is_empty()
    return node.inputs[index] if has_input else None


def _bias(tensor: gs.Tensor | None, units: Array) -> Array | None:
    """Return the bias as whole numbers of units."""
    if tensor is None:
        return None
    node = dequantisation(tensor)
    if node is None:
        values = _values(tensor)
        return values if values.dtype == np.int32 else np.rint(values / units).astype(np.int32)
    stored, scale = _values(node.inputs[0]), _values(node.inputs[1])
    if stored.dtype == np.int32 and np.allclose(scale.reshape(-1), units, rtol=1e-6):
        return stored
    zero = _values(node.inputs[2]) if _optional(node, 2) is not None else 0
    steps = stored.astype(np.float64) - zero
    converted: Array = np.rint(steps * scale.reshape(-1) / units).astype(np.int32)
    return converted
