"""What becomes of two codes: sums, products, maxima and minima of two maps."""

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

from condense_compiler.targets.accelerator.integer.arithmetic import CODE_MIN, CODES, Array
from condense_compiler.targets.accelerator.isa.records import Joining


def combine(codes: tuple[Array, Array], by: Joining) -> Array:
    """Join two maps of signed 8-bit codes; the second has one pixel, or as many as the first."""
    first, second = (np.asarray(each - np.int16(CODE_MIN), np.uint16) for each in codes)
    return np.asarray(np.take(_pairs(by), (first << 8) | second))


@lru_cache(maxsize=16)
def _pairs(by: Joining) -> Array:
    """Return what becomes of each of the 65,536 pairs of codes."""
    steps, to = _FORMULAS[by.kind](by, CODES[:, None], CODES[None, :])
    found = np.clip(np.rint(steps) + np.float32(to), by.lower, by.upper)
    return found.astype(np.int8).reshape(-1)


def _added(by: Joining, outer: Array, inner: Array, factors: tuple[float, float]) -> Array:
    """Add two products, one after the other, to a constant; each sum is rounded once."""
    constant = np.full((), by.numbers[2], np.float64)
    partial = _rounded_sum((inner - by.least) * np.float64(factors[1]), constant)
    return _rounded_sum((outer - by.least) * np.float64(factors[0]), partial.astype(np.float64))


def _rounded_sum(first: Array, second: Array) -> Array:
    """Add, and round once to 24 significant bits.

    The sum in 64-bit floating point, where it is not exact, is made odd in its last bit, so that
    rounding it again cannot meet a tie (Boldo and Melquiond 2008, "Emulation of FMA and correctly
    rounded sums: proved algorithms using rounding to odd").
    """
    total: Array = first + second
    back = total - first
    error = (first - (total - back)) + (second - back)
    is_even = (total.view(np.int64) & 1) == 0
    towards = np.copysign(np.inf, error)
    total = np.where((error != 0) & is_even, np.nextafter(total, towards), total)
    return total.astype(np.float32)


def _values(by: Joining, first: Array, second: Array) -> tuple[Array, Array]:
    zeros, numbers = by.zeros, by.numbers
    return (
        (first - zeros[0]).astype(np.float32) * np.float32(numbers[0]),
        (second - zeros[1]).astype(np.float32) * np.float32(numbers[1]),
    )


def _add(by: Joining, first: Array, second: Array) -> tuple[Array, int]:
    factors = (by.numbers[0], by.numbers[1])
    return _added(by, first, second, factors), by.least


def _add_to_second(by: Joining, first: Array, second: Array) -> tuple[Array, int]:
    factors = (by.numbers[1], by.numbers[0])
    return _added(by, second, first, factors), by.least


def _multiply(by: Joining, first: Array, second: Array) -> tuple[Array, int]:
    products = ((first - by.zeros[0]) * (second - by.zeros[1])).astype(np.float32)
    return products * np.float32(by.numbers[0]) + np.float32(by.zero - by.least), by.least


def _of_values(
    operation: Callable[[Array, Array], Array],
) -> Callable[[Joining, Array, Array], tuple[Array, int]]:
    def formula(by: Joining, first: Array, second: Array) -> tuple[Array, int]:
        result = operation(*_values(by, first, second))
        return result / np.float32(by.numbers[2]), by.zero

    return formula


# Steps, not yet rounded to whole ones, and the code that they count from.
_FORMULAS: Mapping[str, Callable[[Joining, Array, Array], tuple[Array, int]]] = {
    "add": _add,
    "add_to_second": _add_to_second,
    "add_values": _of_values(np.add),
    "max": _of_values(np.maximum),
    "min": _of_values(np.minimum),
    "multiply": _multiply,
    "multiply_values": _of_values(np.multiply),
}
