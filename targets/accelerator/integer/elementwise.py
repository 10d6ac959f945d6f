"""Element-wise operators: functions of one map, two maps joined, the largest of several."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator.integer.arithmetic import CODE_MAX, CODE_MIN
from condense_compiler.targets.accelerator.integer.building import NOWHERE, quantise
from condense_compiler.targets.accelerator.integer.collector import (
    Collector,
    channel_constant,
    next_grid,
)
from condense_compiler.targets.accelerator.integer.constants import Codes, constant, is_constant
from condense_compiler.targets.accelerator.integer.evaluation import evaluate
from condense_compiler.targets.accelerator.integer.functions import TENSOR, apply, beside_codes
from condense_compiler.targets.accelerator.integer.joining import JOINING, Joins, Side, joining_of
from condense_compiler.targets.accelerator.integer.network import Binary, Map
from condense_compiler.targets.accelerator.integer.values import (
    Coded,
    Grid,
    Pairs,
    Raw,
    Value,
    stored,
)

_CHOOSING = frozenset(("Max", "Min"))
# Operators that join the codes of a map and of a constant.
_WITH_CONSTANT_CODES = frozenset(("Add", "Mul"))


def elementwise(collector: Collector, node: gs.Node) -> list[Value]:
    """Lower an element-wise operator.

    Raises:
        UnsupportedError: The accelerator does not join these maps so.
    """
    tensors = [t for t in node.inputs if not t.is_empty() and not is_constant(t)]
    if not tensors:
        raise UnsupportedError(f"{node.name}: {node.op} of constants alone")
    if len(tensors) == 1:
        return [_function(collector, node, tensors[0])]
    values = [collector.value(tensor) for tensor in tensors]
    functions = _functions_of_one_map(values)
    if functions:
        return [_combined(node, functions)]
    if len(node.inputs) == 2 and node.op in JOINING:
        return [_joined(collector, node, tensors)]
    if node.op in _CHOOSING:
        return [_chosen(collector, node, tensors)]
    raise UnsupportedError(f"{node.name}: the accelerator has no {node.op} of {len(tensors)} maps")


def _attributes(node: gs.Node) -> dict[str, Any]:
    return {k: v for k, v in node.attrs.items() if isinstance(v, int | float | str)}


def _function(collector: Collector, node: gs.Node, tensor: gs.Tensor) -> Value:
    arguments = [
        TENSOR if each is tensor else channel_constant(node, index)
        for index, each in enumerate(node.inputs)
    ]
    value = collector.value(tensor)
    if tensor.name in collector.codes and isinstance(value, Coded) and value.grid is not None:
        arguments = [_meant(each, value.grid, tensor) for each in arguments]
    result = apply(value, node.op, arguments, _attributes(node), node.name)
    codes = _joined_codes(node)
    if codes and isinstance(value, Coded) and value.grid and isinstance(result, Coded):
        return _joined_with_constant(node, value, arguments, result, codes)
    return result


def _meant(limit: Any, grid: Grid, tensor: gs.Tensor) -> Any:
    """Return what a limit of quantised values means."""
    if limit is TENSOR or limit is None:
        return limit
    shift = 0 if tensor.dtype == np.int8 else 128
    return np.float32(int(limit) - shift - grid.zero) * np.float32(grid.scale)


def _joined_codes(node: gs.Node) -> Codes | None:
    """Return the codes that a map is joined with, one operator on both; None for values."""
    given = [constant(tensor) for tensor in node.inputs if is_constant(tensor)]
    codes = given[0] if node.op in _WITH_CONSTANT_CODES and len(given) == 1 else None
    return codes if isinstance(codes, Codes) and codes.scale.size == 1 else None


def _joined_with_constant(
    node: gs.Node, value: Coded, arguments: Sequence[Any], result: Coded, codes: Codes
) -> Value:
    """Return a map joined with a constant of codes, as codes are joined."""
    operand = next(each for each in arguments if each is not TENSOR)
    values = np.broadcast_to(beside_codes(operand), np.shape(result.values))
    grid = Grid(float(codes.scale.reshape(())), codes.zero)
    other = replace(value, values=np.asarray(values, np.float32), grid=grid)
    functions = (value, other)
    if np.ndim(operand) and arguments[0] is not TENSOR:  # one alone, it always comes second
        functions = (other, value)
    return _pairs(node.op, functions, result)


def _pairs(op: str, functions: tuple[Coded, Coded], result: Coded) -> Value:
    """Return two quantised functions of the same codes, joined."""
    first, second = (function.grid for function in functions)
    if first is None or second is None:
        return result
    return Pairs(functions, Joins.of(op, (first.side(), second.side())), result)


def _functions_of_one_map(values: Sequence[Value]) -> list[Coded]:
    """Return values that are functions of the same codes; none if they are not."""
    coded = [value for value in values if isinstance(value, Coded)]
    same = len(coded) == len(values) and all(each.base is coded[0].base for each in coded)
    return coded if same else []


def _combined(node: gs.Node, functions: Sequence[Coded]) -> Value:
    """Return what an operator makes of functions of the same codes: another one."""
    first, waiting = functions[0], iter(functions)
    operands = [
        beside_codes(channel_constant(node, index))
        if tensor.is_empty() or is_constant(tensor)
        else next(waiting).values
        for index, tensor in enumerate(node.inputs)
    ]
    values = evaluate(node.op, operands, _attributes(node))
    result = replace(first, values=values, grid=None)
    if len(node.inputs) == len(functions) == 2 and node.op in JOINING:
        return _pairs(node.op, (first, functions[1]), result)
    return result


def _joined(collector: Collector, node: gs.Node, tensors: Sequence[gs.Tensor]) -> Value:
    maps = [collector.map(tensor) for tensor in tensors]
    sides = (Side(maps[0].scale, maps[0].zero), Side(maps[1].scale, maps[1].zero))
    swapped = maps[0].size_bytes < maps[1].size_bytes
    if swapped:
        maps.reverse()
    joins = Joins.of(node.op, sides, swapped=swapped)
    if joins.kind in ("max", "min") and sides[0] == sides[1]:
        return _choice_of_codes(node, joins, maps)
    operator = Binary(node.name, tuple(maps), NOWHERE)
    _check_shapes(node, maps)
    return Raw(operator, maps[0].shape, np.ones(1, np.float32), joins=joins)


def _check_shapes(node: gs.Node, maps: Sequence[Map]) -> None:
    one_pixel = (maps[0].shape[0], 1, 1)
    if maps[1].shape not in (maps[0].shape, one_pixel):
        raise UnsupportedError(f"{node.name}: {node.op} of {maps[0].shape} and {maps[1].shape}")


def _choice_of_codes(node: gs.Node, joins: Joins, maps: Sequence[Map]) -> Coded:
    """Return the larger or smaller codes of two maps that mean them alike."""
    _check_shapes(node, maps)
    operator = Binary(node.name, tuple(maps), NOWHERE)
    operator.joining = joining_of(joins, joins.sides[0], (CODE_MIN, CODE_MAX))
    return replace(stored(maps[0]), base=operator)


def _chosen(collector: Collector, node: gs.Node, tensors: Sequence[gs.Tensor]) -> Value:
    """Return the largest or smallest of several maps and constants, two by two.

    Rounding never decreases: the choice among rounded values is the rounded choice. So each map is
    quantised as the result is next, and the codes are chosen from.
    """
    grid = next_grid(node.outputs[0])
    if grid is None:
        raise UnsupportedError(
            f"{node.name}: {node.op} of {len(node.inputs)} operands whose result is not quantised"
        )
    limits = [
        channel_constant(node, index)
        for index, tensor in enumerate(node.inputs)
        if is_constant(tensor)
    ]
    maps: list[Map] = []
    for number, tensor in enumerate(tensors):
        value = quantise(collector.value(tensor), grid, node.name)
        for limit in () if number else limits:
            value = apply(value, node.op, [TENSOR, limit], {}, node.name)
            value = quantise(value, grid, node.name)
        maps.append(collector.builder.store(value, f"{node.name}/operand{number}"))
    maps.sort(key=lambda each: -each.size_bytes)
    side = Side(maps[0].scale, maps[0].zero)
    joins = Joins.of(node.op, (side, side))
    chosen: Coded = stored(maps[0])
    for number, other in enumerate(maps[1:]):
        largest = collector.builder.store(chosen, f"{node.name}/chosen{number}")
        chosen = _choice_of_codes(node, joins, (largest, other))
    return chosen
