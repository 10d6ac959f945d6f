"""QuantizeLinear and DequantizeLinear of constants (ONNX operator specification)."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

Array = npt.NDArray[Any]

DEFAULT_AXIS = 1


def codes_of(values: Array, scale: Array, zero: Array, axis: int = DEFAULT_AXIS) -> Array:
    """Return the codes of values, of the type of `zero`: rounded to even, saturated.

    Args:
        values: Of any shape.
        scale: One, or one for each index along `axis`.
        zero: As many codes of the value zero, 8 bits or fewer.
        axis: Counted from the end if it is negative.
    """
    limits = np.iinfo(zero.dtype)
    steps = np.rint(values / along(scale, axis, values.ndim)) + along(zero, axis, values.ndim)
    return np.asarray(np.clip(steps, limits.min, limits.max), zero.dtype)


def constant_values(tensor: gs.Tensor) -> Array | None:
    """Return the value of a constant, or of a DequantizeLinear of constants; None for others."""
    if isinstance(tensor, gs.Constant):
        return np.asarray(tensor.values)
    makers = [node for node in tensor.inputs if node.op == "DequantizeLinear" and not node.domain]
    given = [input_ for node in makers for input_ in node.inputs if not input_.is_empty()]
    if not given or not all(isinstance(input_, gs.Constant) for input_ in given):
        return None
    codes, scale, *zeros = (np.asarray(input_.values) for input_ in given)
    attrs = makers[0].attrs
    zero = zeros[0] if zeros else np.zeros_like(scale, np.int8)
    return values_of(
        codes, scale, zero, attrs.get("axis", DEFAULT_AXIS), attrs.get("block_size", 0)
    )


def values_of(
    codes: Array, scale: Array, zero: Array, axis: int = DEFAULT_AXIS, block_size: int = 0
) -> Array:
    """Return the values of codes, of the type of `scale`.

    Args:
        codes: Of any shape; 32 bits or fewer.
        scale: One, one for each index along `axis`, or one for each block along it.
        zero: As many codes of the value zero.
        axis: Counted from the end if it is negative.
        block_size: Number of neighbours along `axis` that share a scale; 0 without blocks.
    """
    if block_size:
        size, axis = codes.shape[axis], axis % codes.ndim
        scale, zero = (
            np.repeat(each, block_size, axis).take(range(size), axis) for each in (scale, zero)
        )
    else:
        scale, zero = along(scale, axis, codes.ndim), along(zero, axis, codes.ndim)
    steps = codes.astype(np.int64) - zero.astype(np.int64)
    return np.asarray(steps.astype(scale.dtype) * scale)


def along(parameter: Array, axis: int, rank: int) -> Array:
    """Return a scale or zero in a shape that broadcasts along an axis of a tensor."""
    if parameter.size == 1:
        return parameter.reshape(())
    return parameter.reshape([-1 if i == axis % rank else 1 for i in range(rank)])
