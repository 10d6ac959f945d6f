"""Two maps joined as ONNX Runtime joins them, code for code.

ONNX Runtime computes in 32-bit floating point: what it does to each of the 65,536 pairs of codes
is known before anything runs. So the factors of the accelerator, which computes in whole numbers,
are chosen such that every pair is rounded to the same code.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from condense_compiler.targets.accelerator.integer.arithmetic import (
    CODE_MIN,
    CODES,
    Array,
    common_fixed_point,
)
from condense_compiler.targets.accelerator.integer.compute import combine
from condense_compiler.targets.accelerator.integer.network import Scaling

# ONNX operators that join two maps, and what they do.
JOINING = {"Add": "add", "Max": "max", "Min": "min", "Mul": "multiply", "Sub": "subtract"}

# What the accelerator's unit does for each of these.
UNITS = {kind: "add" if kind == "subtract" else kind for kind in JOINING.values()}

_MOST_SHIFT = 30  # so that one, shifted, is an offset of 32 bits
_ZERO_BEFORE_ROUNDING = ("add", "multiply")
# What is tried where a pair is rounded otherwise, in steps of the result.
_TRIED_OFFSETS = tuple(sign * 2.0**-e for e in (21, 20, 19, 18, 17) for sign in (1, -1))
_TRIED_SLOPES = (0.0, *(sign * 2.0**-e for e in (20, 19, 18) for sign in (1, -1)))
_NEAR = 2.0**-12  # of a step: pairs that the above could round otherwise are nearer to a tie


@dataclass(frozen=True, slots=True)
class Side:
    """How a map means its codes.

    Attributes:
        scale: Value of one step.
        zero: Code of the value zero.
    """

    scale: float
    zero: int


@dataclass(frozen=True, slots=True)
class Joins:
    """Two maps that an operator joins.

    Attributes:
        kind: add, subtract, multiply, max or min.
        sides: What their codes mean, in the order in which the ONNX operator reads them.
        signed: ONNX Runtime's codes have a sign, as those here; else they count from 0 to 255.
        swapped: The accelerator's operator reads them the other way round.
    """

    kind: str
    sides: tuple[Side, Side]
    signed: bool = False
    swapped: bool = False

    def as_stored(self, codes: Array | int) -> Array:
        """Return codes as ONNX Runtime has them."""
        return np.asarray(codes if self.signed else np.asarray(codes) - CODE_MIN)


@dataclass(frozen=True, slots=True)
class Joined:
    """How the accelerator joins two maps.

    Attributes:
        scaling: Its factors.
        offset: What it adds before it shifts.
        differing_pairs: Pairs of codes that are rounded otherwise than by ONNX Runtime.
    """

    scaling: Scaling
    offset: int
    differing_pairs: int


def codes_of(joins: Joins, to: Side, codes: tuple[Array, Array]) -> Array:
    """Return the codes that ONNX Runtime gives to pairs of codes, before they are limited.

    Args:
        joins: The operator.
        to: What the results mean.
        codes: Arrays that broadcast, in the order in which the ONNX operator reads them.
    """
    return _FORMULAS[joins.kind](joins, to, codes)


def join(joins: Joins, to: Side, limits: tuple[int, int]) -> Joined:
    """Return factors with which the accelerator joins two maps as ONNX Runtime does."""
    pairs = (CODES[:, None], CODES[None, :])
    expected = np.clip(codes_of(joins, to, pairs), *limits)
    factors, offset = _exact_factors(joins, to)
    # Where the zero is added before rounding, halves are even with it: only its parity counts.
    odd = int(joins.as_stored(to.zero)) % 2 if joins.kind in _ZERO_BEFORE_ROUNDING else 0
    scaled_to = (to.zero - odd, *limits)
    best = _rounded(factors, offset + odd, scaled_to)
    missed = _differing(joins, best, pairs, expected)
    if missed:
        near = _near_ties(joins, to)
        some, wanted = (CODES[near[0]], CODES[near[1]]), expected[near]
        tries = (_rounded(f, o + odd, scaled_to) for f, o in _around(factors, offset))
        best = min((best, *tries), key=lambda tried: _differing(joins, tried, some, wanted))
        missed = _differing(joins, best, pairs, expected)
    multipliers = best.scaling.multipliers
    in_order = multipliers[::-1] if joins.swapped else multipliers
    return Joined(replace(best.scaling, multipliers=in_order), best.offset, missed)


def _differing(joins: Joins, tried: Joined, codes: tuple[Array, Array], expected: Array) -> int:
    zeros = (joins.sides[0].zero, joins.sides[1].zero)
    found = combine(UNITS[joins.kind], codes, zeros, tried.scaling, tried.offset)
    return int(np.count_nonzero(found != expected))


def _exact_factors(joins: Joins, to: Side) -> tuple[list[float], float]:
    """Return the factors that ONNX Runtime multiplies codes by, and what it adds besides."""
    if joins.kind == "multiply":
        return [float(_product_ratio(joins, to))], 0.0
    ratios = [float(ratio) for ratio in _ratios(joins, to)]
    if joins.kind == "subtract":
        return [ratios[0], -ratios[1]], 0.0
    if joins.kind != "add":
        return ratios, 0.0
    zeros = [int(joins.as_stored(side.zero)) for side in joins.sides]
    exact = int(joins.as_stored(to.zero)) - ratios[0] * zeros[0] - ratios[1] * zeros[1]
    return ratios, float(_constant_part(joins, to)) - exact


def _rounded(factors: list[float], offset: float, to: tuple[int, int, int]) -> Joined:
    multipliers, shift = common_fixed_point(factors)
    if shift > _MOST_SHIFT:
        shift = _MOST_SHIFT
        multipliers = tuple(round(math.ldexp(factor, shift)) for factor in factors)
    return Joined(Scaling(multipliers, (shift,), *to), round(math.ldexp(offset, shift)), 0)


def _around(factors: list[float], offset: float) -> list[tuple[list[float], float]]:
    changes = product((0.0, *_TRIED_OFFSETS), *[_TRIED_SLOPES] * len(factors))
    return [
        ([f + c / 256 for f, c in zip(factors, slopes, strict=True)], offset + shift)
        for shift, *slopes in changes
    ]


def _near_ties(joins: Joins, to: Side) -> tuple[Array, ...]:
    """Return the pairs whose result lies next to the middle between two codes."""
    values = [(CODES - side.zero) * side.scale for side in joins.sides]
    results = _OPERATIONS[joins.kind].outer(*values) / to.scale
    return np.nonzero(np.abs(results - np.floor(results) - 0.5) < _NEAR)


def _ratios(joins: Joins, to: Side) -> tuple[np.float32, np.float32]:
    scale, (first, second) = np.float32(to.scale), joins.sides
    return np.float32(first.scale) / scale, np.float32(second.scale) / scale


def _product_ratio(joins: Joins, to: Side) -> np.float32:
    scales = np.float32(joins.sides[0].scale) * np.float32(joins.sides[1].scale)
    return np.float32(scales / np.float32(to.scale))


def _constant_part(joins: Joins, to: Side) -> np.float32:
    """Return what QLinearAdd adds to every pair; one product of it is not rounded."""
    zeros = [np.float32(joins.as_stored(side.zero)) for side in joins.sides]
    ratios = _ratios(joins, to)
    exact = np.float64(ratios[0]) * np.float64(zeros[0])
    both = np.float32(exact + np.float64(ratios[1] * zeros[1]))
    return np.float32(np.float32(joins.as_stored(to.zero)) - both)


def _fused(codes: Array, ratio: np.float32, addend: Array) -> Array:
    """Multiply and add with one rounding to 32-bit floating point."""
    exact = codes.astype(np.float64) * np.float64(ratio) + addend.astype(np.float64)
    return exact.astype(np.float32)


def _add(joins: Joins, to: Side, codes: tuple[Array, Array]) -> Array:
    """QLinearAdd: `first * ratio + (second * ratio' + constant)`, each sum rounded once."""
    first, second = (joins.as_stored(held) for held in codes)
    ratios = _ratios(joins, to)
    partial = _fused(second, ratios[1], np.asarray(_constant_part(joins, to)))
    return _as_here(joins, _fused(first, ratios[0], partial))


def _multiply(joins: Joins, to: Side, codes: tuple[Array, Array]) -> Array:
    """QLinearMul: the product of the steps, times a ratio, plus the zero, each rounded."""
    first, second = (held - side.zero for held, side in zip(codes, joins.sides, strict=True))
    scaled = (first * second).astype(np.float32) * _product_ratio(joins, to)
    return _as_here(joins, scaled + np.float32(joins.as_stored(to.zero)))


def _as_here(joins: Joins, results: Array) -> Array:
    """Round to codes as they are here, with a sign."""
    rounded = np.rint(results).astype(np.int64)
    return rounded if joins.signed else rounded + CODE_MIN


def _of_values(joins: Joins, to: Side, codes: tuple[Array, Array]) -> Array:
    """Return the codes of an operator on values, whose result is quantised again."""
    values = [
        (held - side.zero).astype(np.float32) * np.float32(side.scale)
        for held, side in zip(codes, joins.sides, strict=True)
    ]
    results: Array = np.rint(_OPERATIONS[joins.kind](*values) / np.float32(to.scale))
    return results.astype(np.int64) + to.zero


_OPERATIONS: Mapping[str, np.ufunc] = {
    "add": np.add,
    "max": np.maximum,
    "min": np.minimum,
    "multiply": np.multiply,
    "subtract": np.subtract,
}

_FORMULAS: Mapping[str, Callable[[Joins, Side, tuple[Array, Array]], Array]] = {
    "add": _add,
    "max": _of_values,
    "min": _of_values,
    "multiply": _multiply,
    "subtract": _of_values,
}
