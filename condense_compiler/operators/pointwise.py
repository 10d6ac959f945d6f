"""Operators that compute each element on its own. Source: ONNX operator specification."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from condense_compiler.operators.attributes import Shape, Spelling
from condense_compiler.operators.definition import (
    ROW_AXIS,
    Definition,
    Kind,
    Operator,
    Rows,
)
from condense_compiler.operators.elementwise import ATTRIBUTES, UNARY
from condense_compiler.operators.quantising import DEFAULT_AXIS


def broadcast_rows(inputs: Mapping[int, Shape], result: Shape, rows: range) -> Rows | None:
    """Return the rows of maps that are broadcast to the result, each element computed alone."""
    if len(result) <= ROW_AXIS:
        return None
    return {
        index: rows if shape[ROW_AXIS] == result[ROW_AXIS] else range(1)
        for index, shape in inputs.items()
        if len(shape) == len(result)
    }


@dataclass(frozen=True, slots=True)
class Elementwise(Operator):
    """Inputs broadcast to the result.

    Attributes:
        attributes: Those that are given.
    """

    attributes: tuple[tuple[str, object], ...]

    @property
    def settings(self) -> dict[str, float] | None:
        """The attributes as a program holds them; None if it cannot hold one of them."""
        given = {n: v for n, v in self.attributes if (n, v) != ("approximate", "none")}
        numbers = {n: float(v) for n, v in given.items() if isinstance(v, int | float)}
        known = ATTRIBUTES.get(self.op, frozenset())
        return numbers if len(numbers) == len(given) and numbers.keys() <= known else None

    def _rows(self, rows: range) -> Rows | None:
        given = {i: shape for i, shape in enumerate(self.inputs) if shape is not None}
        return broadcast_rows(given, self.result, rows)


@dataclass(frozen=True, slots=True)
class Clip(Elementwise):
    """Values between limits.

    Attributes:
        limits: Lower and upper; infinite where not given, None where computed at run time.
    """

    limits: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Quantising(Operator):
    """QuantizeLinear or DequantizeLinear.

    Attributes:
        axis: Along which there is a scale for each position, if there is more than one.
        block_size: Neighbours along the axis that share a scale; 0 without blocks.
    """

    axis: int
    block_size: int

    def _rows(self, rows: range) -> Rows | None:
        return {0: rows}


def _elementwise(given: Spelling) -> Operator:
    return Elementwise(*given.tensors(), _attributes(given))


def _attributes(given: Spelling) -> tuple[tuple[str, object], ...]:
    return tuple(sorted(given.node.attrs.items()))


def _clip(given: Spelling) -> Operator:
    limits = _limit(given, 1, "min", -inf), _limit(given, 2, "max", inf)
    return Clip(*given.tensors(), _attributes(given), limits)


def _limit(given: Spelling, index: int, name: str, default: float) -> float | None:
    if not given.has(index):
        return given.number(name, default)
    value = given.constant(index)
    return None if value is None else float(value.reshape(()))


def _quantising(given: Spelling) -> Operator:
    axis = given.axis("axis", DEFAULT_AXIS, len(given.shape()))
    return Quantising(*given.tensors(), axis, given.integer("block_size", 0))


_AROUND_ONE = frozenset(
    (
        *("Celu", "Cos", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "Mish", "Selu"),
        *("Sigmoid", "Sin", "Softplus", "Softsign", "Swish", "Tanh"),
    )
)
_NOT_NEGATIVE = frozenset(("Abs", "Exp", "HardSigmoid", "Relu", "Sigmoid", "Softplus"))
_KEEP_STEPS = frozenset(("Clip", "Max", "Min", "Relu"))
_NEUTRAL = {"Add": 0.0, "Div": 1.0, "Mul": 1.0, "Sub": 0.0}
_OTHERS = (
    *("Add", "Cos", "Div", "Max", "Mean", "Min", "Mul", "Pow", "PRelu", "Sin", "Sub", "Sum"),
    "Where",
)


def _definition(op: str) -> Definition:
    return Definition(
        op,
        Kind.ELEMENT_WISE,
        _clip if op == "Clip" else _elementwise,
        around_one=op in _AROUND_ONE,
        keeps_steps=op in _KEEP_STEPS,
        not_negative=op in _NOT_NEGATIVE,
        neutral=_NEUTRAL.get(op),
    )


DEFINITIONS = (
    *map(_definition, (*UNARY, *_OTHERS, "Clip")),
    Definition("Cast", Kind.MOVED, _elementwise),
    Definition("DequantizeLinear", Kind.ELEMENT_WISE, _quantising),
    Definition("QuantizeLinear", Kind.ELEMENT_WISE, _quantising),
)
