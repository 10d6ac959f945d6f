"""The operators in numpy, on arrays of codes: the definition that every other form must match."""

import numpy as np

from condense_compiler.operators.fused import Window
from condense_compiler.targets.accelerator.integer.arithmetic import (
    CODE_MIN,
    Array,
    integer_root,
    look_up,
    requantise,
    shift_to_even,
)
from condense_compiler.targets.accelerator.integer.network import ChannelPooling, Scaling

# Products of codes sum exactly in a floating-point type with this many bits of significand.
_SINGLE_LIMIT, _LARGEST_CODE, _LARGEST_WEIGHT = 1 << 24, 255, 128
_BLOCK_ELEMENTS = 1 << 22
L2_FRACTION_BITS = 8  # of the root of a sum of squares


def accumulate(codes: Array, zero: int, weights: Array, window: Window, group: int) -> Array:
    """Convolve codes (channels, height, width); padding is zero.

    Returns:
        Signed 32-bit sums, (wide channels, height, width), without bias.
    """
    channels, *pixels = codes.shape
    height, width = window.output_shape(tuple(pixels))
    wide = weights.shape[0]
    taps = weights.shape[2] * weights.shape[3]
    depth = weights.shape[1] * taps
    exact = np.float32 if depth * _LARGEST_CODE * _LARGEST_WEIGHT < _SINGLE_LIMIT else np.float64
    padded = _pad(codes, zero, window, height, width)
    result = np.empty((wide, height, width), np.int32)
    rows = max(1, _BLOCK_ELEMENTS // max(1, width * channels * taps))
    filters = weights.reshape(group, wide // group, depth).astype(exact)
    for first in range(0, height, rows):
        last = min(first + rows, height)
        columns = _columns(padded, window, weights.shape[2:], (first, last, width), exact)
        columns = columns.reshape(group, depth, -1)
        sums = np.matmul(filters, columns)
        result[:, first:last] = sums.reshape(wide, last - first, width)
    return result


def _pad(codes: Array, zero: int, window: Window, height: int, width: int) -> Array:
    top, left = window.pads[:2]
    reach = [
        (count - 1) * window.strides[i] + window.dilations[i] * (window.kernel_shape[i] - 1) + 1
        for i, count in enumerate((height, width))
    ]
    padded = np.zeros((codes.shape[0], *reach), np.int16)
    part = codes[:, : reach[0] - top, : reach[1] - left].astype(np.int16) - zero
    padded[:, top : top + part.shape[1], left : left + part.shape[2]] = part
    return padded


def _columns(
    padded: Array,
    window: Window,
    kernel: tuple[int, ...],
    extent: tuple[int, int, int],
    dtype: type[np.floating],
) -> Array:
    first, last, width = extent
    columns = np.empty((padded.shape[0], *kernel, last - first, width), dtype)
    step_y, step_x = window.strides
    for y in range(kernel[0]):
        for x in range(kernel[1]):
            top = first * step_y + y * window.dilations[0]
            left = x * window.dilations[1]
            bottom, right = top + (last - first - 1) * step_y + 1, left + (width - 1) * step_x + 1
            columns[:, y, x] = padded[:, top:bottom:step_y, left:right:step_x]
    return columns


def scale_channels(sums: Array, bias: Array, scaling: Scaling) -> Array:
    """Scale the sums of each channel to codes, its bias added."""
    multipliers = np.array(scaling.multipliers, np.int64)[:, None, None]
    shifts = np.array(scaling.shifts, np.int64)[:, None, None]
    scaled = shift_to_even(sums * multipliers + bias[:, None, None], shifts)
    return np.asarray(np.clip(scaled + scaling.zero, scaling.lower, scaling.upper), np.int8)


def pool_channels(codes: Array, pooling: ChannelPooling) -> Array:
    """Reduce each group of consecutive channels to one."""
    groups = codes.reshape(-1, pooling.window, *codes.shape[1:])
    if pooling.reduction == "max":
        return np.asarray(groups.max(axis=1))
    if pooling.reduction == "min":
        return np.asarray(groups.min(axis=1))
    assert pooling.scaling is not None
    values = groups.astype(np.int64) - pooling.zero
    if pooling.reduction == "l2":
        squares = np.asarray((values * values).sum(axis=1))
        return _finish(integer_root(squares << (2 * L2_FRACTION_BITS)), pooling.scaling)
    if pooling.ranked:
        values = -np.sort(-values, axis=1)
    factors = np.array(pooling.scaling.multipliers, np.int64)[:, None, None]
    return _finish((values * factors).sum(axis=1), pooling.scaling, scaled=True)


def _finish(values: Array, scaling: Scaling, *, scaled: bool = False) -> Array:
    multiplier = 1 if scaled else scaling.multipliers[0]
    limits = (scaling.zero, scaling.lower, scaling.upper)
    return requantise(values, multiplier, scaling.shifts[0], *limits)


def pool_pixels(codes: Array, window: Window) -> Array:
    """Return the largest code of each window; padding is smaller than every code."""
    stacked = _windows(codes, window, CODE_MIN)
    return np.asarray(stacked.max(axis=0)).astype(np.int8)


def average_pixels(codes: Array, zero: int, window: Window, scaling: Scaling) -> Array:
    """Return the scaled sum of each window; padding counts as zero."""
    stacked = _windows(codes, window, zero)
    return _finish(stacked.astype(np.int64).sum(axis=0) - zero * len(stacked), scaling)


def _windows(codes: Array, window: Window, padding: int) -> Array:
    height, width = window.output_shape(codes.shape[1:])
    padded = _pad(codes, padding, window, height, width) + padding
    columns = _columns(padded, window, window.kernel_shape, (0, height, width), np.float32)
    taps = window.kernel_shape[0] * window.kernel_shape[1]
    return np.moveaxis(columns.reshape(len(codes), taps, height, width), 1, 0)


_JOINED = {"add": np.add, "max": np.maximum, "min": np.minimum}


def combine(kind: str, codes: tuple[Array, Array], zeros: tuple[int, int], by: Scaling) -> Array:
    """Return the scaled sum, product, maximum or minimum of two maps.

    The second map has one pixel, or as many as the first.
    """
    first = codes[0].astype(np.int64) - zeros[0]
    second = codes[1].astype(np.int64) - zeros[1]
    limits = (by.zero, by.lower, by.upper)
    if kind == "multiply":
        return requantise(first * second, by.multipliers[0], by.shifts[0], *limits)
    sums = _JOINED[kind](first * by.multipliers[0], second * by.multipliers[1])
    return np.asarray(
        np.clip(shift_to_even(sums, by.shifts[0]) + by.zero, by.lower, by.upper), np.int8
    )


__all__ = [
    "accumulate",
    "average_pixels",
    "combine",
    "look_up",
    "pool_channels",
    "pool_pixels",
    "scale_channels",
]
