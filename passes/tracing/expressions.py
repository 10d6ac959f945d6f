"""Element-wise expressions over one tensor, as trees; and their lowering to programs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from condense_compiler.operators.elementwise import INPUT, Instruction, Program

# Identifies a channel of a convolution across the whole network.
ChannelKey = int
ChannelKeys = npt.NDArray[np.int64]

# Operators whose constants are single numbers; others may have one for each channel.
_SCALAR_CONSTANTS = ("Clip",)


@dataclass(frozen=True, slots=True)
class Input:
    """The tensor that the expression is about."""


@dataclass(frozen=True, slots=True)
class Literal:
    """The same number everywhere."""

    value: float


@dataclass(frozen=True)
class Operand:
    """One number for each channel; channels that were never seen have none."""

    values: Mapping[ChannelKey, float]

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.values.items())))

    def gather(self, keys: Iterable[ChannelKey]) -> npt.NDArray[np.float64]:
        """Return the values of the given channels."""
        return np.array([self.values[key] for key in keys], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Apply:
    """An ONNX operator applied to expressions."""

    op: str
    arguments: "tuple[Expression, ...]"
    attributes: tuple[tuple[str, float], ...] = ()


Expression = Input | Literal | Operand | Apply

IDENTITY = Input()


def unify(
    one: Expression, other: Expression, keys: ChannelKeys, other_keys: ChannelKeys
) -> Expression | None:
    """Return the expression that both are, each for its own channels; None if there is none."""
    match one, other:
        case Apply(op, arguments, attributes), Apply(other_op, others, other_attributes):
            if (op, attributes, len(arguments)) != (other_op, other_attributes, len(others)):
                return None
            if op in _SCALAR_CONSTANTS and arguments[1:] != others[1:]:
                return None
            pairs = zip(arguments, others, strict=True)
            parts = [unify(a, b, keys, other_keys) for a, b in pairs]
            known = tuple(part for part in parts if part is not None)
            return Apply(op, known, attributes) if len(known) == len(parts) else None
        case (Literal() | Operand(), Literal() | Operand()) if one != other:
            return _merge(_spread(one, keys), _spread(other, other_keys))
    return one if one == other else None


def _spread(known: Literal | Operand, keys: ChannelKeys) -> Operand:
    return (
        known if isinstance(known, Operand) else Operand(dict.fromkeys(keys.tolist(), known.value))
    )


def _merge(one: Operand, other: Operand) -> Operand | None:
    shared = one.values.keys() & other.values.keys()
    if any(one.values[key] != other.values[key] for key in shared):
        return None
    return Operand({**one.values, **other.values})


def normalise(expression: Apply) -> Expression:
    """Give operators that mean the same one form."""
    match expression:
        case Apply("Pow", (base, Literal(2.0))):
            return Apply("Mul", (base, base))
        case Apply("Pow", (base, Literal(0.5))):
            return Apply("Sqrt", (base,))
        case Apply("Div", (base, Literal() | Operand() as known)) if _all(known, lambda v: v != 0):
            return Apply("Mul", (base, _map(known, lambda v: 1.0 / v)))
        case Apply("Sub", (base, Literal() | Operand() as known)):
            return Apply("Add", (base, _map(known, lambda v: -v)))
        case Apply("Mul" | "Add" as op, (Literal() | Operand() as known, rest)):
            return Apply(op, (rest, known))
    return expression


def _all(known: Literal | Operand, test: Callable[[float], bool]) -> bool:
    values = (known.value,) if isinstance(known, Literal) else known.values.values()
    return all(test(value) for value in values)


def _map(known: Literal | Operand, function: Callable[[float], float]) -> Literal | Operand:
    if isinstance(known, Literal):
        return Literal(function(known.value))
    return Operand({key: function(value) for key, value in known.values.items()})


def lower(
    expression: Expression, keys: Sequence[ChannelKey]
) -> tuple[Program, list[npt.NDArray[np.float64]]]:
    """Return the program of an expression and its operands.

    Args:
        expression: What to compute; subexpressions that occur twice are computed once.
        keys: The channels in the order in which operands list their values.

    Returns:
        The program, and one array with a value for each key for each operand.
    """
    instructions: list[Instruction] = []
    operands: list[npt.NDArray[np.float64]] = []
    names: dict[Expression, str] = {IDENTITY: INPUT}

    def name_of(part: Expression) -> str:
        if part in names:
            return names[part]
        if isinstance(part, Literal):
            return repr(float(part.value))
        if isinstance(part, Operand):
            operands.append(part.gather(keys))
            names[part] = f"${len(operands) - 1}"
            return names[part]
        assert isinstance(part, Apply)
        arguments = tuple(name_of(argument) for argument in part.arguments)
        instructions.append(Instruction(part.op, arguments, part.attributes))
        names[part] = f"%{len(instructions) - 1}"
        return names[part]

    name_of(expression)
    return Program(tuple(instructions)), operands


def compose(outer: Expression, inner: Expression) -> Expression:
    """Return `outer` applied to the result of `inner`."""
    if isinstance(outer, Input):
        return inner
    if not isinstance(outer, Apply):
        return outer
    arguments = tuple(compose(argument, inner) for argument in outer.arguments)
    return Apply(outer.op, arguments, outer.attributes)


def peel_affine(expression: Expression) -> tuple[list[tuple[str, Expression]], Expression]:
    """Split off what is done first, as far as that is multiplying and adding constants.

    In front of a rounding nothing is split off: computed elsewhere, another value may be rounded.

    Returns:
        The steps split off, each ("Mul" or "Add", constant), first step first; and the rest, whose
        input is their result.
    """
    steps: list[tuple[str, Expression]] = []
    rest = expression
    while (step := _innermost_affine(rest)) is not None:
        steps.append(step)
        rest = _replace(rest, Apply(step[0], (IDENTITY, step[1])), IDENTITY)
    if any(user.op == "Round" for user in _users_of_input(rest)):
        return [], expression
    return steps, rest


def _innermost_affine(expression: Expression) -> tuple[str, Expression] | None:
    """Return the affine step that every path from the input goes through first, if there is one."""
    users = set(_users_of_input(expression))
    if len(users) != 1:
        return None
    match users.pop():
        case Apply("Mul" | "Add" as op, (Input(), Literal() | Operand() as known)):
            return op, known
    return None


def _users_of_input(expression: Expression) -> Iterable[Apply]:
    if not isinstance(expression, Apply):
        return
    if IDENTITY in expression.arguments:
        yield expression
    for argument in expression.arguments:
        yield from _users_of_input(argument)


def _replace(expression: Expression, old: Expression, new: Expression) -> Expression:
    if expression == old:
        return new
    if not isinstance(expression, Apply):
        return expression
    arguments = tuple(_replace(argument, old, new) for argument in expression.arguments)
    return Apply(expression.op, arguments, expression.attributes)
