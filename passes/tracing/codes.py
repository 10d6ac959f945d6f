"""Quantisation as expressions: from values to 8-bit codes, and back (ONNX QuantizeLinear)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from condense_compiler.passes.tracing.expressions import IDENTITY, Apply, Expression, Literal

CODE_TYPES = (np.dtype(np.uint8), np.dtype(np.int8))


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How values are stored in 8 bits.

    Attributes:
        scale: Difference of two neighbouring values.
        zero: The code of zero.
        dtype: Type of the codes: int8 or uint8.
    """

    scale: float
    zero: int
    dtype: np.dtype[Any]

    def codes_of(self, value: Expression) -> Expression:
        """Return the codes of a value."""
        steps = Apply("Round", (Apply("Div", (value, Literal(self.scale))),))
        limits = np.iinfo(self.dtype)
        bounds = (Literal(float(limits.min)), Literal(float(limits.max)))
        return Apply("Clip", (Apply("Add", (steps, Literal(float(self.zero)))), *bounds))

    def value_of(self, codes: Expression) -> Expression:
        """Return the value of codes."""
        steps = Apply("Add", (codes, Literal(float(-self.zero))))
        return Apply("Mul", (steps, Literal(self.scale)))


def first_quantisation(expression: Expression) -> tuple[Quantisation, Expression] | None:
    """Return how the input of an expression is quantised, and what is done with the codes.

    Returns:
        None if the input is used in any other way.
    """
    for part in _parts(expression):
        outermost = outermost_quantisation(part)
        if outermost is not None and outermost[1] == IDENTITY:
            found = outermost[0]
            rest = _replaced(expression, part, IDENTITY)
            unread = _replaced(expression, part, Literal(0.0))
            return (found, rest) if IDENTITY not in _parts(unread) else None
    return None


def last_dequantisation(expression: Expression) -> tuple[float, int, Expression] | None:
    """Return scale and zero of the codes whose values an expression is, and the codes."""
    match expression:
        case Apply("Mul", (Apply("Add", (codes, Literal(shift))), Literal(scale))):
            return scale, int(-shift), codes
    return None


def outermost_quantisation(part: Expression) -> tuple[Quantisation, Expression] | None:
    """Return how an expression quantises last, and what; None if it does not end with that."""
    match part:
        case Apply("Clip", (Apply("Add", (steps, Literal(zero))), Literal(lower), Literal(upper))):
            match steps:
                case Apply("Round", (Apply("Div", (value, Literal(scale))),)):
                    for dtype in CODE_TYPES:
                        if (np.iinfo(dtype).min, np.iinfo(dtype).max) == (lower, upper):
                            return Quantisation(scale, int(zero), dtype), value
    return None


def _parts(expression: Expression) -> Iterator[Expression]:
    yield expression
    if isinstance(expression, Apply):
        for argument in expression.arguments:
            yield from _parts(argument)


def _replaced(expression: Expression, old: Expression, new: Expression) -> Expression:
    if expression == old:
        return new
    if not isinstance(expression, Apply):
        return expression
    arguments = tuple(_replaced(argument, old, new) for argument in expression.arguments)
    return Apply(expression.op, arguments, expression.attributes)
