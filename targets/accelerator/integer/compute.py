"""The operators in numpy, on arrays of codes: the definition that every other form must match."""

from collections.abc import Iterable

import numpy as np

from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.integer.arithmetic import (
    Array,
    integer_root,
    look_up,
    requantise,
    scale_sums,
)
from condense_compiler.targets.accelerator.integer.network import (
    ChannelPooling,
    Scaling,
)
from condense_compiler.targets.accelerator.isa.buffers import BIAS_FRACTION_BITS
from condense_compiler.targets.accelerator.isa.records import Averaging

# Sums up to here are exact in 32-bit floating point, whatever the order of their parts.
_SINGLE_LIMIT, _LARGEST_CODE = 1 << 24, 255
_BLOCK_ELEMENTS = 1 << 22
L2_FRACTION_BITS = 8  # of the root of a sum of squares


def accumulate(codes: Array, zero: int, weights: Array, window: Window, group: int) -> Array:
    """Convolve codes (channels, height, width); padding is zero.

    Args:
        codes: The input.
        zero: Its code of the value zero.
        weights: Whole numbers of 9 bits: (wide channels, input channels / group, height, width).
        window: How the filters walk over the pixels.
        group: Groups of channels, as in ONNX.

    Returns:
        Signed 32-bit sums, (wide channels, height, width), without bias.
    """
    channels, *pixels = codes.shape
    height, width = window.output_shape(tuple(pixels))
    wide = weights.shape[0]
    taps = weights.shape[2] * weights.shape[3]
    depth = weights.shape[1] * taps
    largest = (
        np.abs(weights.reshape(wide, depth).astype(np.int64)).sum(axis=1).max() * _LARGEST_CODE
    )
    exact = np.float32 if largest < _SINGLE_LIMIT else np.float64
    padded = pad(codes, zero, window, (height, width))
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


def with_zeros(weights: Array, zeros: Array) -> Array:
    """Return the values of weights, in steps, given what weights of the value zero are."""
    if not zeros.any():
        return weights
    values: Array = weights.astype(np.int16) - zeros.astype(np.int16)[:, None, None, None]
    return values


def pad(codes: Array, zero: int, window: Window, positions: tuple[int, int]) -> Array:
    """Return codes minus their zero, with as much padding as a window reaches; it is zero."""
    top, left = window.pads[:2]
    reach = [window.span(i, count) for i, count in enumerate(positions)]
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
    """Add the bias of each channel, in fixed point, to its sums, and scale them to codes."""
    multipliers = np.array(scaling.multipliers)[:, None, None]
    shifts = np.array(scaling.shifts)[:, None, None]
    whole, fraction = bias >> BIAS_FRACTION_BITS, bias & ((1 << BIAS_FRACTION_BITS) - 1)
    totals = sums + whole.astype(np.int32)[:, None, None]
    if fraction.any():  # 48 bits, which numbers in 64-bit floating point hold
        totals = totals + np.ldexp(fraction, -BIAS_FRACTION_BITS)[:, None, None]
    return _to_codes(totals, multipliers, shifts, scaling)


def scale_to_codes(sums: Array, scaling: Scaling) -> Array:
    """Scale sums to codes, all in the same way."""
    return _to_codes(sums, np.array(scaling.multipliers[0]), np.array(scaling.shifts[0]), scaling)


def _to_codes(sums: Array, multipliers: Array, shifts: Array, scaling: Scaling) -> Array:
    scaled = scale_sums(sums, multipliers, shifts)
    steps = np.clip(scaled, scaling.lower - scaling.zero, scaling.upper - scaling.zero)
    return np.asarray(steps + np.float32(scaling.zero), np.int8)


def pool_channels(codes: Array, pooling: ChannelPooling) -> Array:
    """Reduce each group of consecutive channels to one."""
    groups = codes.reshape(-1, pooling.window, *codes.shape[1:])
    if pooling.reduction == "max":
        return np.asarray(groups.max(axis=1))
    if pooling.reduction == "min":
        return np.asarray(groups.min(axis=1))
    if pooling.averaging is not None:
        return _average_channels(groups, pooling.zero, pooling.averaging)
    assert pooling.scaling is not None
    scaling, shift = pooling.scaling, pooling.scaling.shifts[0]
    limits = (scaling.zero, scaling.lower, scaling.upper)
    values = groups.astype(np.int64) - pooling.zero
    if pooling.reduction == "l2":
        roots = integer_root(np.asarray((values * values).sum(axis=1)) << (2 * L2_FRACTION_BITS))
        return requantise(roots, scaling.multipliers[0], shift, *limits)
    ranked = -np.sort(-values, axis=1)
    factors = np.array(scaling.multipliers, np.int64)[:, None, None]
    return requantise((ranked * factors).sum(axis=1), 1, shift, *limits)


def _average_channels(groups: Array, zero: int, by: Averaging) -> Array:
    members = np.moveaxis(groups, 1, 0).astype(np.float32)
    sums = add_values((member - np.float32(zero) for member in members), by.input_scale)
    return average(sums, np.float32(len(members) if by.divisor == "window" else 1), by)


def add_values(steps: Iterable[Array], scale: float) -> Array:
    """Add values in their order, each of them and each sum rounded to 24 significant bits.

    Args:
        steps: Codes minus their zero, in 32-bit floating point, which rounds so.
        scale: Value of one step.
    """
    values = (step * np.float32(scale) for step in steps)
    sums = next(values)
    for value in values:
        sums += value
    return sums


def average(sums: Array, counts: Array | np.float32, by: Averaging) -> Array:
    """Return the codes of sums, each division and addition rounded to 24 significant bits."""
    steps = sums / counts / np.float32(by.output_scale) + np.float32(by.zero - by.least)
    return np.asarray(np.clip(np.rint(steps) + by.least, by.lower, by.upper), np.int8)


__all__ = [
    "accumulate",
    "add_values",
    "average",
    "look_up",
    "pad",
    "pool_channels",
    "scale_channels",
    "scale_to_codes",
    "with_zeros",
]
