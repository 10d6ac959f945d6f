"""Element-wise operators on tensors of the integer network: folded into scales and tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator.integer.arithmetic import Array
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
    value: Value, op: str, arguments: Arguments, attributes: Mapping[str, Any], name: str
) -> Value:
    """Apply an element-wise operator to a tensor and constants.

    Args:
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
        return _apply_to_parts(value, op, arguments, attributes, name)
    if isinstance(value, Raw):
        return _apply_to_sums(value, op, arguments, attributes, name)
    if isinstance(value, Pairs):
        value = value.result
    return _apply_to_codes(value, op, arguments, attributes)


def _apply_to_parts(
    whole: Parts, op: str, arguments: Arguments, attributes: Mapping[str, Any], name: str
) -> Parts:
    """Apply an operator to each part, with its channels' constants."""
    done: list[Any] = []
    first = 0
    for part in whole.parts:
        last = first + part.shape[0]
        own = [a[first:last] if np.ndim(a) else a for a in arguments]
        done.append(apply(part, op, own, attributes, name))
        first = last
    return Parts(tuple(done), whole.shape)


def _apply_to_codes(
    value: Coded, op: str, arguments: Arguments, attributes: Mapping[str, Any]
) -> Coded:
    operands = [value.values if a is TENSOR else beside_codes(a) for a in arguments]
    result = evaluate(op, operands, attributes)
    return replace(value, values=result, grid=_grid_after(value.grid, op, arguments, result))


def _grid_after(grid: Grid | None, op: str, arguments: Arguments, result: Array) -> Grid | None:
    """Return the grid that results lie on: the same one, or one of steps a few times as large."""
    if grid is None:
        return None
    constant = _constant(arguments) if op in ("Mul", "Div") else None
    if constant is not None and not constant.ndim and constant > 0 and arguments[0] is TENSOR:
        factor = float(constant) if op == "Mul" else 1.0 / float(constant)
        return replace(grid, scale=grid.scale * factor)
    return grid if grid.holds(result) else None


def beside_codes(constant: Any) -> Any:
    """Return a constant as one value, or as a column of one for each channel."""
    return constant[:, None] if np.ndim(constant) else constant


def _apply_to_sums(
    raw: Raw, op: str, arguments: Arguments, attributes: Mapping[str, Any], name: str
) -> Value:
    rule = None if attributes else _ON_SUMS.get(op)
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
    """Scale the sums, and the bias and limits with them."""
    factor = _constant(arguments)
    if factor is None or np.any(factor <= 0) or (factor.ndim and raw.is_limited):
        return None  # limits would differ from channel to channel
    lower, upper = (
        limit if np.isinf(limit) else limit * float(factor) for limit in (raw.lower, raw.upper)
    )
    units = (raw.units * factor).astype(raw.units.dtype)
    return replace(raw, units=units, lower=lower, upper=upper)


def _divide(raw: Raw, arguments: Arguments) -> Raw | None:
    divisor = _constant(arguments)
    if divisor is None or arguments[0] is not TENSOR or divisor.ndim or divisor <= 0:
        return None
    return _multiply(raw, (TENSOR, 1 / divisor))


def _add(raw: Raw, arguments: Arguments) -> Raw | None:
    constant = _constant(arguments)
    sums = isinstance(raw.operator, Convolution) and raw.operator.pooling is None
    if not sums or constant is None or raw.is_limited:
        return None
    units = raw.units.astype(np.float64)
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
}
