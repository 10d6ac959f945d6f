"""Two maps joined: by which numbers the accelerator does to their codes what ONNX Runtime does.

ONNX Runtime computes in 32-bit floating point, whose numbers have 24 significant bits; so does the
unit that joins two maps (`joined.combine`), in the same steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from condense_compiler.targets.accelerator.integer.arithmetic import CODE_MIN
from condense_compiler.targets.accelerator.isa.records import Joining

# ONNX operators that join two maps, and what they do.
JOINING = {
    "Add": "add",
    "Max": "max",
    "Min": "min",
    "Mul": "multiply",
    "Sub": "subtract",
    "Sum": "add",
}
# Those that join values: there is no operator on codes for them.
_ON_VALUES_ALONE = frozenset(["Sum"])

Limits = tuple[int, int]  # smallest code, largest code


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
        on_values: Values are joined, which are then quantised; not codes.
        swapped: The accelerator's operator reads them the other way round.
    """

    kind: str
    sides: tuple[Side, Side]
    on_values: bool = False
    swapped: bool = False

    @classmethod
    def of(cls, op: str, sides: tuple[Side, Side], *, swapped: bool = False) -> "Joins":
        """Return how an ONNX operator joins two maps."""
        return cls(JOINING[op], sides, op in _ON_VALUES_ALONE, swapped)


@dataclass(frozen=True, slots=True)
class _Result:
    """What the codes of a result mean, their limits, and the code that counts as 0."""

    side: Side
    limits: Limits
    least: int


Rule = Callable[[Joins, _Result], Joining]


def joining_of(joins: Joins, to: Side, limits: Limits, *, signed: bool = False) -> Joining:
    """Return how the accelerator joins two maps.

    Args:
        joins: The operator.
        to: What the results mean.
        limits: Of the results.
        signed: The network holds the codes of the results with a sign.
    """
    rules = _ON_VALUES if joins.on_values else _ON_CODES
    return rules[joins.kind](joins, _Result(to, limits, 0 if signed else CODE_MIN))


def _joining(kind: str, joins: Joins, numbers: tuple[np.float32, ...], to: _Result) -> Joining:
    """Return a joining, given its numbers in the order in which the ONNX operator reads maps."""
    first, second, third = (float(number) for number in numbers)
    zeros = (joins.sides[0].zero, joins.sides[1].zero)
    if joins.swapped:
        first, second, zeros = second, first, zeros[::-1]
    return Joining(kind, (first, second, third), zeros, to.least, to.side.zero, *to.limits)


def _add(joins: Joins, to: _Result) -> Joining:
    """QLinearAdd: `first * ratio + (second * ratio' + constant)`, each sum rounded once."""
    scale, zeros = np.float32(to.side.scale), [np.float32(s.zero - to.least) for s in joins.sides]
    ratios = [np.float32(side.scale) / scale for side in joins.sides]
    # One of the two products is not rounded before it is added.
    exact = np.float64(ratios[0]) * np.float64(zeros[0])
    both = np.float32(exact + np.float64(ratios[1] * zeros[1]))
    constant = np.float32(to.side.zero - to.least) - both
    kind = "add_to_second" if joins.swapped else "add"
    return _joining(kind, joins, (*ratios, constant), to)


def _multiply(joins: Joins, to: _Result) -> Joining:
    """QLinearMul: the product of the steps, times a ratio, plus the zero, each rounded."""
    scales = [np.float32(side.scale) for side in joins.sides]
    ratio = scales[0] * scales[1] / np.float32(to.side.scale)
    return _joining("multiply", joins, (ratio, ratio, np.float32(1.0)), to)


def _of_values(kind: str, sign: int = 1) -> Rule:
    """Return the rule of an operator on values, whose result is quantised again.

    Args:
        kind: What is done to values.
        sign: By which those of the second map are multiplied first.
    """

    def rule(joins: Joins, to: _Result) -> Joining:
        first, second = (np.float32(side.scale) for side in joins.sides)
        numbers = (first, np.float32(sign) * second, np.float32(to.side.scale))
        return _joining(kind, joins, numbers, to)

    return rule


_ON_VALUES: Mapping[str, Rule] = {
    "add": _of_values("add_values"),
    "max": _of_values("max"),
    "min": _of_values("min"),
    "multiply": _of_values("multiply_values"),
    "subtract": _of_values("add_values", sign=-1),
}

_ON_CODES: Mapping[str, Rule] = {**_ON_VALUES, "add": _add, "multiply": _multiply}
