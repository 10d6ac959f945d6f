"""Integer arithmetic of the accelerator: what the executor and the simulator share, bit by bit."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

CODE_MIN, CODE_MAX = -128, 127
CODES = np.arange(CODE_MIN, CODE_MAX + 1)
MULTIPLIER_BITS = 31  # of factors, which are below 2 ** 31: they fit a signed 32-bit register
SIGNIFICANT_BITS = 24  # of what scales sums: as many as a number in 32-bit floating point has
MAX_SHIFT = 62


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """A real factor as `multiplier / 2 ** shift`.

    Attributes:
        multiplier: Below 2 ** 31 in magnitude.
        shift: 0 to 62.
    """

    multiplier: int
    shift: int


def fixed_point(factor: float) -> FixedPoint:
    """Return a factor with 31 significant bits, fewer where it is too small for the shift."""
    if factor == 0.0:
        return FixedPoint(0, 0)
    _, exponent = math.frexp(abs(factor))
    shift = min(max(MULTIPLIER_BITS - exponent, 0), MAX_SHIFT)
    multiplier = round(math.ldexp(factor, shift))
    if abs(multiplier) >= 1 << MULTIPLIER_BITS and shift:  # rounded up to the next power of two
        shift -= 1
        multiplier = round(math.ldexp(factor, shift))
    limit = (1 << MULTIPLIER_BITS) - 1
    return FixedPoint(min(max(multiplier, -limit), limit), shift)


def common_fixed_point(factors: list[float]) -> tuple[tuple[int, ...], int]:
    """Return multipliers that share one shift, the largest factor with 31 significant bits."""
    shift = fixed_point(max(factors, key=abs)).shift
    return tuple(round(math.ldexp(factor, shift)) for factor in factors), shift


def significand(scale: float) -> FixedPoint:
    """Return a number of 32-bit floating point, not negative, as its significand and a shift.

    Scales so small that they make zero of every 32-bit sum become zero, and those so large that
    they saturate all but zero become the largest.
    """
    fraction, exponent = math.frexp(scale)
    shift = SIGNIFICANT_BITS - exponent
    if fraction == 0.0 or shift > MAX_SHIFT:
        return FixedPoint(0, 0)
    if shift < 0:
        return FixedPoint((1 << SIGNIFICANT_BITS) - 1, 0)
    return FixedPoint(round(math.ldexp(fraction, SIGNIFICANT_BITS)), shift)


def scale_sums(sums: Array, multiplier: Array, shift: Array) -> Array:
    """Multiply 32-bit sums by `multiplier / 2 ** shift`, and round to whole numbers.

    Sums and products are rounded to 24 significant bits, halves to even, as is the result. That
    is what numbers in 32-bit floating point do, so those are used.

    Args:
        sums: Signed 32-bit integers, or as many bits with a fraction of 16 more.
        multiplier: Below 2 ** 24, for each sum or for some of them.
        shift: 0 to 62, as many.

    Returns:
        Whole numbers in 32-bit floating point.
    """
    scales = np.ldexp(np.asarray(multiplier, np.float32), -np.asarray(shift, np.int32))
    products: Array = sums.astype(np.float32)
    products *= scales
    return np.rint(products, out=products)


def shift_to_even(values: Array, shift: Array | int) -> Array:
    """Divide by `2 ** shift`, rounding to nearest and halves to even.

    Args:
        values: Signed 64-bit integers.
        shift: 0 to 62, for each value or for all.
    """
    shifts = np.asarray(shift, np.int64)
    quotient: Array = values >> shifts
    remainder = values - (quotient << shifts)
    half = np.where(shifts > 0, np.int64(1) << np.maximum(shifts - 1, 0), np.int64(1))
    quotient += (remainder > half) | ((remainder == half) & ((quotient & 1) == 1))
    return quotient


def requantise(
    values: Array, multiplier: Array | int, shift: Array | int, zero: int, lower: int, upper: int
) -> Array:
    """Scale integers to codes: `clamp(round(values * multiplier / 2 ** shift) + zero)`."""
    scaled = shift_to_even(values.astype(np.int64) * np.asarray(multiplier, np.int64), shift)
    return np.asarray(np.clip(scaled + zero, lower, upper), np.int8)


def look_up(codes: Array, table: Array) -> Array:
    """Replace each code by the entry of a table of 256, the first one for code -128.

    Args:
        codes: Channels first.
        table: (1, 256) for all channels, or (channels, 256).
    """
    entries = codes.astype(np.int16) - CODE_MIN
    if len(table) == 1:
        return np.asarray(table[0][entries])
    rows = entries.reshape(len(table), -1)
    return np.take_along_axis(table, rows, axis=1).reshape(codes.shape)


def integer_root(values: Array) -> Array:
    """Return the largest integers whose squares are not above the values (below 2 ** 62)."""
    root = np.sqrt(values.astype(np.float64)).astype(np.int64)
    root -= root * root > values
    root += (root + 1) * (root + 1) <= values
    return root
