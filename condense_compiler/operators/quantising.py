"""QuantizeLinear of constants (ONNX operator specification)."""

from typing import Any

import numpy as np
import numpy.typing as npt

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


def along(parameter: Array, axis: int, rank: int) -> Array:
    """Return a scale or zero in a shape that broadcasts along an axis of a tensor."""
    if parameter.size == 1:
        return parameter.reshape(())
    return parameter.reshape([-1 if i == axis % rank else 1 for i in range(rank)])
