"""Element-wise operators on tensors of the integer network: folded into scales and tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator.integer.arithmetic import Array
from condense_compiler.targets.accelerator.integer.building import Builder
from condense_compiler.targets.accelerator.integer.values import Coded, Grid, Parts, Raw, Value
from condense_compiler.targets.reference.functions import FUNCTIONS

# What stands for the tensor among the arguments of an operator.
TENSOR = object()

Arguments = Sequence[Any]


def apply(
    builder: Builder,
    value: Value,
    op: str,
    arguments: Arguments,
    attributes: Mapping[str, Any],
    name: str,
) -> Value:
    """Apply an element-wise operator to a tensor and constants.

    Args:
        builder: Where operators go.
        value: The tensor.
        op: ONNX operator type.
        arguments: Its inputs: `TENSOR`, and scalars; None where an input is left out.
        attributes: Its ONNX attributes.
        name: Of the node, for messages.

    Raises:
        UnsupportedError: The accelerator cannot do that before the sums are rounded.
    """
    if isinstance(value, Parts):
        done = (apply(builder, part, op, arguments, attributes, name) for part in value.parts)
        return Parts(tuple(done), value.shape)  # type: ignore[arg-type]  # no part has parts
    if isinstance(value, Raw):
        return _apply_to_sums(builder, value, op, arguments, attributes, name)
    return _apply_to_codes(value, op, arguments, attributes)


def _apply_to_codes(
    value: Coded, op: str, arguments: Arguments, attributes: Mapping[str, Any]
) -> Coded:
    operands = [value.values if a is TENSOR else a for a in arguments]
    result = evaluate(op, operands, attributes)
    if op == "Round":
        return replace(value, values=result, grid=None, rounded=True)
    if op == "Clip" and value.rounded:
        grid = Grid(int(operands[1]), int(operands[2]), 1.0)
        return replace(value, values=result, grid=grid, rounded=False)
    factor = _factor(op, arguments)
    grid_after = None
    if factor is not None and factor > 0 and value.grid is not None:
        grid_after = replace(value.grid, scale=value.grid.scale * factor)
    return replace(value, values=result, grid=grid_after, rounded=False)


def evaluate(op: str, operands: Sequence[Any], attributes: Mapping[str, Any]) -> Array:
    """Evaluate an element-wise operator on values of all codes, in float32."""
    result = np.empty(256, np.float32)
    typed = [np.float32(o) if np.ndim(o) == 0 and o is not None else o for o in operands]
    with np.errstate(all="ignore"):
        FUNCTIONS[op](result, *typed, **attributes)
    return result


def _factor(op: str, arguments: Arguments) -> float | None:
    """Return the constant that an operator multiplies by, if that is all it does."""
    if op == "Mul":
        others = [a for a in arguments if a is not TENSOR]
        return float(others[0]) if len(others) == 1 else None
    if op == "Div" and arguments[0] is TENSOR and arguments[1] is not TENSOR:
        return 1.0 / float(arguments[1])
    return None


def _apply_to_sums(
    builder: Builder,
    raw: Raw,
    op: str,
    arguments: Arguments,
    attributes: Mapping[str, Any],
    name: str,
) -> Value:
    factor = _factor(op, arguments)
    if factor is not None and factor > 0 and not raw.rounded:
        return replace(
            raw,
            units=raw.units * factor,
            offsets=raw.offsets * factor,
            lower=raw.lower * factor,
            upper=raw.upper * factor,
        )
    if op == "Clip" and raw.rounded:
        return builder.clip_sums(raw, float(arguments[1]), float(arguments[2]), name)
    rule = _ON_SUMS.get(op)
    if rule is None or attributes or raw.rounded:
        raise UnsupportedError(
            f"{name}: {op} of sums that are not quantised first; put a QuantizeLinear and a "
            "DequantizeLinear before it"
        )
    return rule(raw, arguments)


def _clip(raw: Raw, arguments: Arguments) -> Raw:
    low, high = (*arguments[1:], None, None)[:2]
    lower = raw.lower if low is None else max(raw.lower, float(low))
    upper = raw.upper if high is None else min(raw.upper, float(high))
    return replace(raw, lower=lower, upper=upper)


_ON_SUMS: Mapping[str, Callable[[Raw, Arguments], Raw]] = {
    "Clip": _clip,
    "Relu": lambda raw, _arguments: replace(raw, lower=max(raw.lower, 0.0)),
    "Round": lambda raw, _arguments: replace(raw, rounded=True),
}
