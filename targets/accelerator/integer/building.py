"""Collect integer operators: round sums to codes, apply functions, store maps."""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator.integer.arithmetic import (
    CODE_MAX,
    CODE_MIN,
    Array,
    common_fixed_point,
    fixed_point_with,
)
from condense_compiler.targets.accelerator.integer.compute import L2_FRACTION_BITS
from condense_compiler.targets.accelerator.integer.network import (
    Binary,
    ChannelPooling,
    Convolution,
    Lookup,
    Map,
    Operator,
    Scaling,
    SpatialPooling,
    Table,
)
from condense_compiler.targets.accelerator.integer.values import (
    CODES,
    Coded,
    Grid,
    Parts,
    Raw,
    Shape,
    Value,
    rounded_to,
    steps_of,
    stored,
)

NOWHERE = Map("", (0, 0, 0), 1.0, 0)  # output of an operator that is still being built


@dataclass(slots=True)
class Builder:
    """Operators collected so far, in the order in which they run."""

    operators: list[Operator] = field(default_factory=list)

    def clip_sums(self, raw: Raw, lower: float, upper: float, name: str) -> Coded:
        """Turn rounded sums into codes."""
        grid = rounded_to(raw, lower, upper, name)
        low = max(grid.lower, round(max(raw.lower, grid.lower)))
        high = min(grid.upper, round(min(raw.upper, grid.upper)))
        _set_scaling(raw, (grid.zero, low + grid.zero, high + grid.zero))
        return Coded(raw.operator, raw.shape, grid.zero, steps_of(grid.zero), grid)

    def store(self, value: Value, name: str) -> Map:
        """Return a map that holds a tensor.

        Raises:
            UnsupportedError: The tensor is not quantised.
        """
        if isinstance(value, Parts):
            return self._store_parts(value, name)
        coded = quantised(value, name)
        assert coded.grid is not None
        table, zero = _codes(coded), coded.grid.zero
        if isinstance(coded.base, Map) and table is None:
            if (coded.base.scale, coded.base.shape) == (coded.grid.scale, coded.shape):
                return coded.base
            return Map(name, coded.shape, coded.grid.scale, zero, coded.base)
        output = Map(name, coded.shape, coded.grid.scale, zero)
        self._emit(coded, table, output, name)
        return output

    def store_base(self, value: Coded, name: str) -> Coded:
        """Store the codes that a tensor is a function of, if they are not; return the function."""
        if isinstance(value.base, Map):
            return value
        output = Map(name, value.shape, 1.0, value.zero)
        self._emit(value, None, output, name)
        return replace(value, base=output)

    def _emit(self, coded: Coded, table: Table | None, output: Map, name: str) -> None:
        if isinstance(coded.base, Map):
            self.operators.append(Lookup(name, (coded.base,), output, table))
            return
        if table is not None and not _may_follow(coded):
            source = self.store_base(coded, f"{name}/codes").base
            assert isinstance(source, Map)
            self.operators.append(Lookup(name, (source,), output, table))
            return
        coded.base.output, coded.base.table = output, table
        self.operators.append(coded.base)

    def _store_parts(self, value: Parts, name: str) -> Map:
        parts = [quantised(part, name) for part in value.parts]
        grids = {part.grid for part in parts}
        if len(grids) > 1:
            raise UnsupportedError(f"{name}: the parts of a concatenation differ in their scales")
        grid = parts[0].grid
        assert grid is not None
        whole = Map(name, value.shape, grid.scale, grid.zero)
        channel = 0
        for index, part in enumerate(parts):
            self._store_part(part, whole, channel, f"{name}/part{index}")
            channel += part.shape[0]
        return whole

    def _store_part(self, part: Coded, whole: Map, channel: int, name: str) -> None:
        assert part.grid is not None
        table, base = _codes(part), part.base
        if isinstance(base, Map) and table is None and self._may_move(base, whole):
            base.parent, base.first_channel = whole, channel
            return
        output = Map(name, part.shape, part.grid.scale, part.grid.zero, whole, channel)
        self._emit(part, table, output, name)

    def _may_move(self, source: Map, whole: Map) -> bool:
        produced = any(operator.output is source for operator in self.operators)
        return produced and source.parent is None and source.shape[1:] == whole.shape[1:]


def quantised(value: Value, name: str) -> Coded:
    """Return a tensor that is known to be whole numbers of a step.

    Raises:
        UnsupportedError: It is not.
    """
    if not isinstance(value, Coded) or value.grid is None:
        raise UnsupportedError(f"{name}: its result is not quantised")
    return value


def _may_follow(coded: Coded) -> bool:
    """Tell whether an operator may apply the function: its max-pooling comes last."""
    base = coded.base
    return not (isinstance(base, Convolution) and base.spatial) or coded.is_increasing()


def _codes(coded: Coded) -> Table | None:
    """Return the codes that a quantised tensor has; None where they are those of its base."""
    assert coded.grid is not None
    steps = np.rint(coded.values.astype(np.float64) / coded.grid.scale)
    steps = np.where(np.isfinite(steps), steps, 0)
    codes = np.clip(steps + coded.grid.zero, CODE_MIN, CODE_MAX).astype(int)
    return None if np.array_equal(codes, CODES) else Table(tuple(codes.tolist()))


def table_of(coded: Coded) -> tuple[Table | None, int]:
    """Return the codes of a quantised tensor as a table, and the code of zero."""
    assert coded.grid is not None
    return _codes(coded), coded.grid.zero


def _set_scaling(raw: Raw, limits: tuple[int, int, int]) -> None:
    operator, units = raw.operator, [float(unit) for unit in np.atleast_1d(raw.units)]
    if isinstance(operator, Convolution) and _awaits_pooling(operator):
        assert operator.pooling is not None
        operator.pooling = replace(
            operator.pooling, scaling=_pooling_scaling(operator.pooling, units, limits)
        )
    elif isinstance(operator, Convolution):
        factors = list(map(fixed_point_with, units, raw.offsets.tolist()))
        multipliers = tuple(factor.multiplier for factor in factors)
        operator.scaling = Scaling(multipliers, tuple(f.shift for f in factors), *limits)
        biases = [round(math.ldexp(o, f.shift)) for o, f in zip(raw.offsets, factors, strict=True)]
        operator.bias = np.array(biases, np.int64)
    else:
        assert isinstance(operator, Binary | SpatialPooling)
        operator.scaling = _common(units, limits)


def _awaits_pooling(operator: Convolution) -> bool:
    return operator.scaling is not None and operator.pooling is not None


def _pooling_scaling(
    pooling: ChannelPooling, units: list[float], limits: tuple[int, int, int]
) -> Scaling:
    if pooling.reduction == "l2":
        return _common([units[0] / (1 << L2_FRACTION_BITS)], limits)
    return _common(units, limits)


def _common(units: list[float], limits: tuple[int, int, int]) -> Scaling:
    multipliers, shift = common_fixed_point(units)
    return Scaling(multipliers, (shift,), *limits)


__all__ = ["NOWHERE", "Array", "Builder", "Grid", "Shape", "quantised", "stored", "table_of"]
