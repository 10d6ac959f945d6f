"""Operators that compute each element on its own, and n-ary reductions of several tensors."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from condense_compiler.operators.elementwise import OPERATORS, UNARY
from condense_compiler.operators.normalisation import BatchNormalization
from condense_compiler.operators.pointwise import Clip, Elementwise
from condense_compiler.operators.product import Einsum
from condense_compiler.passes.tracing.combining import join_members
from condense_compiler.passes.tracing.expressions import (
    IDENTITY,
    Apply,
    Expression,
    Literal,
    Operand,
    lower,
    normalise,
)
from condense_compiler.passes.tracing.ranks import is_rank, summed_ranks, weigh_ranks
from condense_compiler.passes.tracing.rules import Context, Rule
from condense_compiler.passes.tracing.views import View, is_channel_only, simplified

# n-ary operators that reduce where their inputs hold different channels.
JOINING: Mapping[str, str] = {
    "Add": "sum",
    "Max": "max",
    "Mean": "mean",
    "Min": "min",
    "Sum": "sum",
}

Constant = npt.NDArray[np.generic]


def _applied(view: View, op: str, *arguments: Expression, **attributes: float) -> View | None:
    op = "Add" if op == "Sum" else op
    if op not in OPERATORS:  # the mean of two
        return None
    settings = tuple(sorted((name, float(value)) for name, value in attributes.items()))
    step = Apply(op, arguments, settings)
    if view.spatial is not None and not _keeps_order(step, view):
        return None
    result = view.apply(normalise(step))
    return simplified(result) if result is not None else None


def _keeps_order(step: Apply, view: View) -> bool:
    """Tell whether a step behind a spatial max-pooling may as well stand in front of it."""
    arguments = tuple(IDENTITY if part == view.value else part for part in step.arguments)
    program, operands = lower(normalise(replace(step, arguments=arguments)), view.keys())
    return program.is_non_decreasing(operands)


def _unary(context: Context) -> Sequence[View | None]:
    view = context.view()
    operator = context.read(Elementwise)
    if view is None or operator.settings is None:
        return [None]
    return [_applied(view, operator.op, view.value, **operator.settings)]


def _gelu(context: Context) -> Sequence[View | None]:
    view, operator = context.view(), context.read(Elementwise)
    if view is None:
        return [None]
    x = view.value
    if operator.settings is not None:
        return [_applied(view, "Gelu", x)]
    cube = Apply("Mul", (Apply("Mul", (x, x)), x))
    bent = Apply("Add", (x, Apply("Mul", (cube, Literal(0.044715)))))
    gate = Apply("Tanh", (Apply("Mul", (bent, Literal(math.sqrt(2.0 / math.pi)))),))
    half = Apply("Mul", (x, Literal(0.5)))
    return [_applied(view, "Mul", half, Apply("Add", (gate, Literal(1.0))))]


def _clip(context: Context) -> Sequence[View | None]:
    view = context.view()
    lower, upper = context.read(Clip).limits
    if view is None or lower is None or upper is None:
        return [None]
    return [_applied(view, "Clip", view.value, Literal(lower), Literal(upper))]


def _batch_norm(context: Context) -> Sequence[View | None]:
    view = context.view()
    scaling = context.read(BatchNormalization).scaling()
    if view is None or scaling is None or len(view.dims) < 2:
        return [None]
    factor, shift = (values.reshape(-1, *(1,) * (len(view.dims) - 2)) for values in scaling)
    scaled = _with_constant(view, "Mul", factor, 0)
    return [_with_constant(scaled, "Add", shift, 0) if scaled is not None else None]


def _binary(context: Context) -> Sequence[View | None]:
    views = [context.view(index) for index in range(len(context.node.inputs))]
    known = [view for view in views if view is not None]
    if len(known) == len(views) and len(known) != 2:
        return [_join(known, context.node.op)]
    if len(views) != 2:
        return [None]
    if len(known) == 2:
        return [_of_two(known[0], known[1], context.node.op)]
    position = 0 if views[0] is not None else 1
    value = context.constant(1 - position)
    if value is None:
        return [None]
    return [_with_constant(known[0], context.node.op, value, position)]


def _of_two(one: View, other: View, op: str) -> View | None:
    if not one.is_same_place(other):
        return _join([one, other], op)
    nodes = one.nodes | other.nodes
    if one.is_wide:
        return _applied(replace(one, nodes=nodes), op, one.before, other.before)
    if one.before != other.before:
        return None
    return _applied(replace(one, nodes=nodes), op, one.after, other.after)


def _join(views: Sequence[View], op: str) -> View | None:
    if op not in JOINING:
        return None
    if len(views) == 1 and not views[0].is_wide:
        return views[0]
    joined = join_members(views, JOINING[op])
    return simplified(joined) if joined is not None else None


def _with_constant(view: View, op: str, value: Constant, position: int) -> View | None:
    """Apply an operator to a view and a constant; `position` is that of the view."""
    if view.is_ranked:
        factors = _factors(op, value, position)
        weights = _weights_of_ranks(view, factors) if factors is not None else None
        return weigh_ranks(view, weights) if weights is not None else None
    known = _channel_values(view, value)
    if known is None:
        return None
    arguments = (view.value, known) if position == 0 else (known, view.value)
    return _applied(view, op, *arguments)


def _factors(op: str, value: Constant, position: int) -> Constant | None:
    """Return what an operator with a constant multiplies by, if that is all it does."""
    if op == "Mul":
        return value
    if op == "Div" and position == 0 and bool(np.all(value != 0)):
        return np.asarray(1.0 / np.asarray(value, dtype=np.float64))
    return None


def _aligned(view: View, value: Constant) -> Constant | None:
    """Return the constant with as many axes as the view; None where it would enlarge the view."""
    if value.ndim > len(view.dims):
        return None
    aligned = value.reshape((1,) * (len(view.dims) - value.ndim) + value.shape)
    sizes = zip(aligned.shape, view.shape, strict=True)
    return aligned if all(size in (1, whole) for size, whole in sizes) else None


def _channel_values(view: View, value: Constant) -> Literal | Operand | None:
    """Return a constant as one value for each channel; None where it differs between pixels."""
    aligned = _aligned(view, np.asarray(value, dtype=np.float64))
    if aligned is None:
        return None
    if aligned.size == 1 or bool(np.all(aligned == aligned.flat[0])):
        return Literal(float(aligned.flat[0]))
    shape: list[int] = []
    for size, dim in zip(aligned.shape, view.dims, strict=True):
        if size > 1 and not is_channel_only(dim):
            return None
        shape += [axis.size if size > 1 else 1 for axis in dim if axis.kind == "channel"]
    values = np.broadcast_to(aligned.reshape(shape), view.channels.shape[:-1]).reshape(-1)
    operand = dict(zip(view.keys(), values.tolist(), strict=True))
    consistent = all(operand[key] == v for key, v in zip(view.keys(), values, strict=True))
    return Operand(operand) if consistent else None


def _weights_of_ranks(view: View, value: Constant) -> list[float] | None:
    aligned = _aligned(view, np.asarray(value, dtype=np.float64))
    if aligned is None:
        return None
    varying = [dim for size, dim in zip(aligned.shape, view.dims, strict=True) if size > 1]
    if not all(is_rank(dim) for dim in varying):
        return None
    return list(np.broadcast_to(aligned.reshape(-1), len(view.ranks)))


def _prelu(context: Context) -> Sequence[View | None]:
    view, slope = context.view(), context.constant(1)
    if view is None or slope is None or view.is_ranked:
        return [None]
    return [_with_constant(view, "PRelu", slope, 0)]


def _mat_mul(context: Context) -> Sequence[View | None]:
    """Weigh the ranks of sorted groups and sum them: a product with a column of weights."""
    view, column = context.view(), context.constant(1)
    if view is None or column is None or not view.is_ranked or not is_rank(view.dims[-1]):
        return [None]
    if column.shape not in ((len(view.ranks),), (len(view.ranks), 1)):
        return [None]
    weighted = weigh_ranks(view, column.reshape(-1))
    return [summed_ranks(weighted, len(view.dims) - 1, keep=column.ndim == 2)]


def _einsum(context: Context) -> Sequence[View | None]:
    """Weigh and sum the ranks of sorted groups: one letter of the view is that of the weights."""
    view, weights = context.view(), context.constant(1)
    match = re.fullmatch(r"(\w*)(\w)(\w*),\2->\1\3", context.read(Einsum).equation)
    if view is None or weights is None or match is None or not view.is_ranked:
        return [None]
    dim = match.end(1)
    if not is_rank(view.dims[dim]):
        return [None]
    return [summed_ranks(weigh_ranks(view, weights), dim, keep=False)]


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(("Add", "Div", "Max", "Mean", "Min", "Mul", "Pow", "Sub", "Sum"), _binary),
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Einsum": _einsum,
    "Gelu": _gelu,
    "MatMul": _mat_mul,
    "PRelu": _prelu,
}
