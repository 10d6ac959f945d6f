"""Constants of a quantised network: values, or the codes that they are dequantised from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.operators.quantising import DEFAULT_AXIS, along, codes_of

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Codes:
    """A constant that is dequantised.

    Attributes:
        steps: Codes minus their zero.
        scale: Value of a step, in float32: one, or one for each index along an axis.
        axis: That axis.
        zero: Code of the value zero, with a sign, where there is one for all.
    """

    steps: Array
    scale: Array
    axis: int
    zero: int = 0

    def values(self) -> Array:
        """Return what the codes mean, in float32."""
        scale = along(self.scale, self.axis, self.steps.ndim)
        # Of arrays without axes, numpy makes a number.
        return np.asarray(self.steps.astype(np.float32) * scale, np.float32)


def is_constant(tensor: gs.Tensor) -> bool:
    """Tell whether a tensor is constant, or made of constants by operators that quantise."""
    if isinstance(tensor, gs.Constant):
        return True
    maker = _maker(tensor)
    return maker is not None and all(is_constant(source) for source in _given(maker))


def constant(tensor: gs.Tensor) -> Array | Codes:
    """Return a constant: its codes if it is dequantised, otherwise its values."""
    maker = _maker(tensor)
    if maker is None:
        return np.asarray(tensor.values)
    source = constant(maker.inputs[0])
    if maker.op == "Identity":
        return source
    if maker.op == "Transpose":
        return _transposed(maker, source)
    axis = maker.attrs.get("axis", DEFAULT_AXIS) % max(source_of(source).ndim, 1)
    scale, *zeros = (source_of(constant(given)) for given in _given(maker)[1:])
    if maker.op == "QuantizeLinear":
        zero = zeros[0] if zeros else np.zeros_like(scale, np.uint8)
        return codes_of(source_of(source), scale, zero, axis)
    codes = source_of(source)
    zero = zeros[0] if zeros else np.zeros((), codes.dtype)
    wide = np.int16 if codes.itemsize == 1 else np.int64
    steps = codes.astype(wide) - along(zero.astype(wide), axis, codes.ndim)
    shift = 128 if codes.dtype == np.uint8 else 0
    one = int(zero.reshape(-1)[0]) - shift if zero.size == 1 else 0
    return Codes(steps, scale.astype(np.float32), axis, one)


def source_of(given: Array | Codes) -> Array:
    """Return the values of a constant."""
    return given.values() if isinstance(given, Codes) else given


def values_of(tensor: gs.Tensor) -> Array:
    """Return the values of a constant, dequantised."""
    return source_of(constant(tensor))


_MAKERS = frozenset(["DequantizeLinear", "Identity", "QuantizeLinear", "Transpose"])


def _maker(tensor: gs.Tensor) -> gs.Node | None:
    makers = [] if isinstance(tensor, gs.Constant) else tensor.inputs
    return next((node for node in makers if node.op in _MAKERS and not node.domain), None)


def _given(node: gs.Node) -> list[gs.Tensor]:
    return [tensor for tensor in node.inputs if not tensor.is_empty()]


def _transposed(node: gs.Node, source: Array | Codes) -> Array | Codes:
    rank = source_of(source).ndim
    order = list(node.attrs.get("perm", range(rank)[::-1]))
    if not isinstance(source, Codes):
        return source.transpose(order)
    axis = order.index(source.axis) if source.scale.size > 1 else 0
    return Codes(source.steps.transpose(order), source.scale, axis, source.zero)
