"""Recover the integers behind weights that were multiplied by a scale for each filter."""

import numpy as np

from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator.integer.arithmetic import CODE_MAX, CODE_MIN, Array

_LARGEST = 128
_LARGEST_WHOLE = 255  # codes without sign whose zero is one of them
_TOLERANCE_STEPS = 2e-3  # what arithmetic in float32 may do to 127 steps, and a margin
_SCALE_OF_ZEROS = 2.0**-20  # free: small, so that a bias behind it keeps its precision


def split_scales(weights: Array, name: str) -> tuple[Array, Array]:
    """Return integers of 9 bits and a scale for each filter, whose product the weights are.

    Where the weights are whole numbers already, the scales are one. Otherwise, the integers have
    no common factor: so weights of fewer bits come out as such.

    Raises:
        UnsupportedError: The weights are no multiples of a scale.
    """
    if np.all(np.abs(weights) <= _LARGEST_WHOLE) and np.array_equal(weights, np.rint(weights)):
        return weights.astype(np.int16), np.ones(len(weights))
    rows = weights.reshape(len(weights), -1).astype(np.float64)
    largest = np.abs(rows).max(axis=1, initial=0.0)
    scales = np.where(largest > 0, largest, _SCALE_OF_ZEROS)
    missing = largest > 0
    for steps in (127, *range(1, 127), _LARGEST):  # 127 is what quantisation usually leaves
        candidates = np.flatnonzero(missing)
        if not candidates.size:
            break
        scaled = rows[candidates] * (steps / largest[candidates])[:, None]
        fits = np.abs(scaled - np.rint(scaled)).max(axis=1) < _TOLERANCE_STEPS * steps / _LARGEST
        found = candidates[fits]
        scales[found] = largest[found] / steps
        missing[found] = False
    if missing.any():
        raise UnsupportedError(
            f"{name}: the weights of filter {int(np.flatnonzero(missing)[0])} are not quantised to "
            "8 bits or fewer"
        )
    integers = np.rint(rows / scales[:, None])
    integers /= np.maximum(np.gcd.reduce(integers.astype(np.int64), axis=1), 1)[:, None]
    squares = (integers * integers).sum(axis=1)
    scales = np.where(squares > 0, (rows * integers).sum(axis=1) / np.maximum(squares, 1), scales)
    return integers.astype(np.int16).reshape(weights.shape), scales


def split_zeros(integers: Array, name: str) -> tuple[Array, Array]:
    """Return signed 8-bit weights, and for each filter what a weight of the value zero is.

    Raises:
        UnsupportedError: The weights of a filter span more than 8 bits.
    """
    rows = integers.reshape(len(integers), -1)
    low, high = rows.min(axis=1, initial=0), rows.max(axis=1, initial=0)
    if np.any(high - low > CODE_MAX - CODE_MIN):
        raise UnsupportedError(f"{name}: the weights of a filter span more than 8 bits")
    zeros = np.minimum(CODE_MAX - high, 0) + np.maximum(CODE_MIN - low, 0)
    shifted = rows + zeros[:, None]
    return shifted.astype(np.int8).reshape(integers.shape), zeros.astype(np.int8)


def bits_needed(weights: Array) -> int:
    """Return 1, 2, 4 or 8: as many bits as hold all the weights; one bit is +1 or -1."""
    if np.all(np.abs(weights) == 1):
        return 1
    low, high = int(weights.min(initial=0)), int(weights.max(initial=0))
    return next(bits for bits in (2, 4, 8) if -(1 << (bits - 1)) <= low and high < 1 << (bits - 1))


def merge_groups(weights: Array, group: int, merged: int) -> tuple[Array, int]:
    """Return filters in fewer groups; what a filter did not read before has weights of zero.

    Args:
        weights: (wide channels, input channels / group, height, width).
        group: Groups of channels, as in ONNX.
        merged: How many of them become one.
    """
    if merged == 1:
        return weights, group
    wide, depth = weights.shape[:2]
    of_group = wide // group
    result = np.zeros((wide, depth * merged, *weights.shape[2:]), weights.dtype)
    for number in range(group):
        filters, first = slice(number * of_group, (number + 1) * of_group), number % merged * depth
        result[filters, first : first + depth] = weights[filters]
    return result, group // merged
