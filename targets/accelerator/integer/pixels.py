"""Pooling of pixels in numpy, on arrays of codes (channels, height, width)."""

from collections.abc import Iterator

import numpy as np

from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.integer.arithmetic import CODE_MIN, Array
from condense_compiler.targets.accelerator.integer.compute import (
    add_values,
    average,
    pad,
    scale_to_codes,
)
from condense_compiler.targets.accelerator.integer.network import Scaling
from condense_compiler.targets.accelerator.isa.records import Averaging


def pool_pixels(codes: Array, window: Window) -> Array:
    """Return the largest code of each window; padding is smaller than every code."""
    height, width = window.output_shape(codes.shape[1:])
    largest = np.full((len(codes), height, width), CODE_MIN, np.int16)
    for part in _taps(
        pad(codes, CODE_MIN, window, (height, width)) + CODE_MIN, window, height, width
    ):
        np.maximum(largest, part, out=largest)
    return largest.astype(np.int8)


def sum_pixels(codes: Array, zero: int, window: Window, scaling: Scaling) -> Array:
    """Return the scaled sum of each window; padding counts as zero."""
    height, width = window.output_shape(codes.shape[1:])
    sums = np.zeros((len(codes), height, width), np.int32)
    for part in _taps(pad(codes, zero, window, (height, width)), window, height, width):
        sums += part
    return scale_to_codes(sums, scaling)


def average_pixels(codes: Array, zero: int, window: Window, by: Averaging) -> Array:
    """Return the average of each window; padding is zero.

    Its values are added row by row, or each column from the top down, and then the columns.
    """
    height, width = window.output_shape(codes.shape[1:])
    steps = pad(codes, zero, window, (height, width)).astype(np.float32)
    taps = list(_taps(steps, window, height, width))
    if by.order == "rows":
        sums = add_values(taps, by.input_scale)
    else:
        columns = window.kernel_shape[1]
        parts = [add_values(taps[x::columns], by.input_scale) for x in range(columns)]
        sums = add_values(parts, 1.0)
    return average(sums, _counts(codes.shape[1:], window, by.divisor), by)


def _counts(pixels: tuple[int, ...], window: Window, divisor: str) -> Array:
    """Return what each sum is divided by."""
    height, width = window.output_shape(pixels)
    if divisor != "present":
        taps = window.kernel_shape[0] * window.kernel_shape[1]
        return np.array(taps if divisor == "window" else 1, np.float32)
    present = pad(np.ones((1, *pixels), np.int8), 0, window, (height, width))
    counts = np.zeros((1, height, width), np.float32)
    for part in _taps(present, window, height, width):
        counts += part
    return counts


def _taps(padded: Array, window: Window, height: int, width: int) -> Iterator[Array]:
    """Yield, row by row, what each tap of the window sees at all its positions."""
    step_y, step_x = window.strides
    for y in range(window.kernel_shape[0]):
        for x in range(window.kernel_shape[1]):
            top, left = y * window.dilations[0], x * window.dilations[1]
            bottom, right = top + (height - 1) * step_y + 1, left + (width - 1) * step_x + 1
            yield padded[:, top:bottom:step_y, left:right:step_x]
