"""Element-wise operators on tensors of the integer network: folded into scales and tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator.integer.arithmetic import Array
from condense_compiler.targets.accelerator.integer.building import Builder
from condense_compiler.targets.accelerator.integer.evaluation import evaluate
from condense_compiler.targets.accelerator.integer.network import Convolution
from condense_compiler.targets.accelerator.integer.values import (
    Coded,
    Grid,
    Pairs,
    Parts,
    Raw,
    Value,
)

# What stands for the tensor among the arguments of an operator.
TENSOR = object()

Arguments = Sequence[Any]
DIFFERING_PIXELS = "with constants that differ between pixels"


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
        arguments: Its inputs: `TENSOR`, and constants in float32, one or one for each channel;
            None where an input is left out.
        attributes: Its ONNX attributes.
        name: Of the node, for messages.

    Raises:
        UnsupportedError: The accelerator cannot do that before the sums are rounded.
    """
    if any(np.ndim(a) and np.size(a) != value.shape[0] for a in arguments):
        raise UnsupportedError(f"{name}: {op} {DIFFERING_PIXELS}")
    if isinstance(value, Parts):
        return _apply_to_parts(builder, value, op, arguments, attributes, name)
    if isinstance(value, Raw):
        return _apply_to_sums(builder, value, op, arguments, attributes, name)
    if isinstance(value, Pairs):
        return _apply_to_pairs(value, op, arguments, attributes)
    return _apply_to_codes(value, op, arguments, attributes)


def _apply_to_parts(
    builder: Builder,
    whole: Parts,
    op: str,
    arguments: Arguments,
    attributes: Mapping[str, Any],
    name: str,
) -> Parts:
    """Apply an operator to each part, with its channels' constants."""
    done: list[Any] = []
    first = 0
    for part in whole.parts:
        last = first + part.shape[0]
        own = [a[first:last] if np.ndim(a) else a for a in arguments]
        done.append(apply(builder, part, op, own, attributes, name))
        first = last
    return Parts(tuple(done), whole.shape)


def _apply_to_pairs(
    pairs: Pairs, op: str, arguments: Arguments, attributes: Mapping[str, Any]
) -> Pairs | Coded:
    """Follow the quantisation of a result; ONNX Runtime joins codes and quantises in one step."""
    divides = op == "Div" and arguments[0] is TENSOR and not np.ndim(arguments[1])
    if divides and pairs.divisor is None:
        result = _apply_to_codes(pairs.result, op, arguments, attributes)
        return replace(pairs, divisor=float(arguments[1]), result=result)
    if op == "Round" and pairs.divisor is not None:
        return replace(pairs, rounded=True)
    if op == "Clip" and pairs.rounded:
        return pairs.quantised(int(arguments[1]), int(arguments[2]))
    return _apply_to_codes(pairs.result, op, arguments, attributes)


def _apply_to_codes(
    value: Coded, op: str, arguments: Arguments, attributes: Mapping[str, Any]
) -> Coded:
    operands = [value.values if a is TENSOR else beside_codes(a) for a in arguments]
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
    elif value.grid is not None and value.grid.holds(result):
        grid_after = value.grid
    return replace(value, values=result, grid=grid_after, rounded=False)


def beside_codes(constant: Any) -> Any:
    """Return a constant as one value, or as a column of one for each channel."""
    return constant[:, None] if np.ndim(constant) else constant


def _factor(op: str, arguments: Arguments) -> float | None:
    """Return the constant that an operator multiplies by, if that is all it does."""
    if op == "Mul":
        others = [a for a in arguments if a is not TENSOR]
        return float(others[0]) if len(others) == 1 and not np.ndim(others[0]) else None
    if op == "Div" and arguments[0] is TENSOR and not np.ndim(arguments[1]):
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
    if op == "Clip" and raw.rounded:
        return builder.clip_sums(raw, float(arguments[1]), float(arguments[2]), name)
    rule = None if attributes or raw.rounded else _ON_SUMS.get(op)
    done = rule(raw, arguments) if rule is not None else None
    if done is None:
        raise UnsupportedError(
            f"{name}: {op} of sums that are not quantised first; put a QuantizeLinear and a "
            "DequantizeLinear before it"
        )
    return done


def _constant(arguments: Arguments) -> Array | None:
    """Return the constant of an operator on a tensor and a constant, in float32."""
    others = [a for a in arguments if a is not TENSOR]
    return np.asarray(others[0], np.float32) if len(others) == 1 else None


def _multiply(raw: Raw, arguments: Arguments) -> Raw | None:
    """Scale the sums; what they were divided by before is now part of their units."""
    factor = _constant(arguments)
    if factor is None or np.any(factor <= 0):
        return None
    return _scaled(raw, raw.units / raw.divisor * factor, factor, np.float32(1.0))


def _divide(raw: Raw, arguments: Arguments) -> Raw | None:
    divisor = _constant(arguments)
    if divisor is None or arguments[0] is not TENSOR or divisor.ndim or divisor <= 0:
        return None
    return _scaled(raw, raw.units / raw.divisor, 1 / divisor, np.float32(divisor))


def _scaled(raw: Raw, units: Array, change: Array, divisor: np.float32) -> Raw | None:
    if change.ndim and np.isfinite((raw.lower, raw.upper)).any():
        return None  # limits would differ from channel to channel
    limits = [
        limit if np.isinf(limit) else limit * float(change) for limit in (raw.lower, raw.upper)
    ]
    return replace(
        raw, units=units.astype(raw.units.dtype), divisor=divisor, lower=limits[0], upper=limits[1]
    )


def _add(raw: Raw, arguments: Arguments) -> Raw | None:
    constant = _constant(arguments)
    sums = isinstance(raw.operator, Convolution) and raw.operator.pooling is None
    if not sums or constant is None or not np.isinf((raw.lower, raw.upper)).all():
        return None
    units = (raw.units / raw.divisor).astype(np.float64)
    added = np.divide(constant, units, out=np.zeros_like(units + constant), where=units > 0)
    return replace(raw, bias=raw.bias + added)


def _clip(raw: Raw, arguments: Arguments) -> Raw:
    low, high = (*arguments[1:], None, None)[:2]
    lower = raw.lower if low is None else max(raw.lower, float(low))
    upper = raw.upper if high is None else min(raw.upper, float(high))
    return replace(raw, lower=lower, upper=upper)


_ON_SUMS: Mapping[str, Callable[[Raw, Arguments], Raw | None]] = {
    "Add": _add,
    "Clip": _clip,
    "Div": _divide,
    "Mul": _multiply,
    "Relu": lambda raw, _arguments: replace(raw, lower=max(raw.lower, 0.0)),
    "Round": lambda raw, _arguments: replace(raw, rounded=True),
}
