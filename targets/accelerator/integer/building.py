"""Collect integer operators: quantise sums, apply functions, store maps."""

from dataclasses import dataclass, field, replace

import numpy as np

from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator.integer.arithmetic import (
    CODE_MAX,
    CODE_MIN,
    CODES,
    Array,
    common_fixed_point,
    significand,
)
from condense_compiler.targets.accelerator.integer.compute import L2_FRACTION_BITS
from condense_compiler.targets.accelerator.integer.joining import joining_of
from condense_compiler.targets.accelerator.integer.network import (
    Binary,
    Convolution,
    Lookup,
    Map,
    Operator,
    Scaling,
    SpatialPooling,
    Table,
)
from condense_compiler.targets.accelerator.integer.values import (
    Coded,
    Grid,
    Pairs,
    Parts,
    Raw,
    Value,
    coded,
)
from condense_compiler.targets.accelerator.isa.buffers import BIAS_FRACTION_BITS
from condense_compiler.targets.accelerator.isa.records import Averaging

NOWHERE = Map("", (0, 0, 0), 1.0, 0)  # output of an operator that is still being built
_LARGEST_BIAS = (1 << 31) - 1
_NEARLY_WHOLE = 2.0**-21  # relative: what is left of a whole number after some float32 arithmetic


@dataclass(slots=True)
class Builder:
    """Operators collected so far.

    Attributes:
        operators: In the order in which they run.
        seen_otherwise: Maps of which another one is a view that has other channels.
    """

    operators: list[Operator] = field(default_factory=list)
    seen_otherwise: set[Map] = field(default_factory=set)

    def store(self, value: Value, name: str) -> Map:
        """Return a map that holds a tensor.

        Raises:
            UnsupportedError: The tensor is not quantised.
        """
        if isinstance(value, Parts):
            return self._store_parts(value, name)
        result = coded(value, name)
        grid, table = _grid(result), table_of(result)
        if isinstance(result.base, Map) and table is None:
            if grid.means(result.base) and result.base.shape == result.shape:
                return result.base
            return Map(name, result.shape, grid.scale, grid.zero, result.base)
        output = Map(name, result.shape, grid.scale, grid.zero)
        self._emit(result, table, output, name)
        return output

    def store_base(self, value: Coded, name: str) -> Coded:
        """Store the codes that a tensor is a function of, if they are not; return the function."""
        if isinstance(value.base, Map):
            return value
        output = Map(name, value.shape, 1.0, value.zero)
        self._emit(value, None, output, name)
        return replace(value, base=output)

    def _emit(self, result: Coded, table: Table | None, output: Map, name: str) -> None:
        if isinstance(result.base, Map):
            self.operators.append(Lookup(name, (result.base,), output, table))
            return
        if table is not None and not _may_follow(result):
            source = self.store_base(result, f"{name}/codes").base
            assert isinstance(source, Map)
            self.operators.append(Lookup(name, (source,), output, table))
            return
        pools_channels = isinstance(result.base, SpatialPooling) and result.base.pools_channels()
        if pools_channels and output.parent is not None:  # it writes whole maps alone
            own = Map(f"{output.name}/own", output.shape, output.scale, output.zero)
            self._emit(result, table, own, name)
            self.operators.append(Lookup(f"{name}/copy", (own,), output))
            return
        result.base.output, result.base.table = output.rows() if pools_channels else output, table
        self.operators.append(result.base)

    def _store_parts(self, value: Parts, name: str) -> Map:
        parts = [coded(part, name) for part in value.parts]
        grid = _grid(parts[0])
        if not all(grid.means(part.grid) for part in parts):
            raise UnsupportedError(f"{name}: the parts of a concatenation differ in their scales")
        whole = Map(name, value.shape, grid.scale, grid.zero)
        channel = 0
        for index, part in enumerate(parts):
            self._store_part(part, whole, channel, f"{name}/part{index}")
            channel += part.shape[0]
        return whole

    def _store_part(self, part: Coded, whole: Map, channel: int, name: str) -> None:
        grid, table, base = _grid(part), table_of(part), part.base
        if isinstance(base, Map) and table is None and self._may_move(base, whole):
            base.parent, base.first_channel = whole, channel
            return
        output = Map(name, part.shape, grid.scale, grid.zero, whole, channel)
        self._emit(part, table, output, name)

    def _may_move(self, source: Map, whole: Map) -> bool:
        produced = any(operator.output is source for operator in self.operators)
        if source in self.seen_otherwise:
            return False  # in another map, its channels would not be where the view has them
        return produced and source.parent is None and source.shape[1:] == whole.shape[1:]


def _grid(result: Coded) -> Grid:
    assert result.grid is not None  # the caller has looked
    return result.grid


def _may_follow(result: Coded) -> bool:
    """Tell whether an operator may apply the function: its max-pooling comes last."""
    base = result.base
    if not isinstance(base, Convolution):
        return not result.per_channel
    return base.spatial is None or result.is_increasing()


def table_of(result: Coded) -> Table | None:
    """Return the codes of a quantised tensor as a table; None where they are those of its base."""
    codes = result.codes()
    return None if np.all(codes == CODES) else Table.of(codes)


def quantise(value: Value, grid: Grid, name: str) -> Value:
    """Quantise a tensor; sums become the codes of their operator.

    Raises:
        UnsupportedError: A bias takes more than 32 bits.
    """
    if isinstance(value, Parts):
        parts = (quantise(part, grid, name) for part in value.parts)
        return Parts(tuple(coded(part, name) for part in parts), value.shape)
    if isinstance(value, Coded | Pairs):
        return value.quantised(grid)
    operator, limits = value.operator, _limits(value, grid)
    scale = np.float32(grid.scale)
    if isinstance(operator, Binary):
        assert value.joins is not None
        to = replace(grid, scale=float(scale / value.units[0])).side()
        operator.joining = joining_of(value.joins, to, limits[1:], signed=grid.signed)
    elif isinstance(operator, SpatialPooling):
        _scale_average(operator, value, grid, limits)
    elif isinstance(operator, Convolution) and _is_pooled(operator):
        _scale_pooled(operator, value, grid, limits)
    else:
        assert isinstance(operator, Convolution)
        _scale_convolution(operator, value, scale, limits, name)
    return Coded(operator, value.shape, grid.zero, grid.values(), grid)


def dequantised(value: Value, grid: Grid) -> Value:
    """Return what quantised values mean; what they were quantised from counts no more."""
    if isinstance(value, Coded) and value.grid is not None and not grid.means(value.grid):
        steps = (value.codes() - grid.zero).astype(np.float32)
        return replace(value, values=steps * np.float32(grid.scale), grid=grid)
    return value


Limits = tuple[int, int, int]  # code of the value zero, smallest code, largest code


def _limits(raw: Raw, grid: Grid) -> Limits:
    """Return the codes that sums become at most; values may be limited before."""
    unit = float(1 / np.float32(grid.scale))
    steps = (
        max(raw.lower * unit, CODE_MIN - grid.zero),
        min(raw.upper * unit, CODE_MAX - grid.zero),
    )
    return grid.zero, round(steps[0]) + grid.zero, round(steps[1]) + grid.zero


def _is_pooled(operator: Convolution) -> bool:
    """Tell whether what is quantised is a pooling of codes already."""
    return operator.scaling is not None and operator.pooling is not None


def _scale_convolution(
    operator: Convolution, raw: Raw, scale: np.float32, limits: Limits, name: str
) -> None:
    """Set scaling and bias; both are those of QLinearConv, which divides in 32-bit floating point.

    Raises:
        UnsupportedError: The bias takes more than 32 bits.
    """
    channels = len(operator.weights)
    points = [significand(float(s)) for s in np.broadcast_to(raw.units / scale, channels)]
    multipliers = tuple(point.multiplier for point in points)
    operator.scaling = Scaling(multipliers, tuple(point.shift for point in points), *limits)
    bias = np.broadcast_to(raw.bias, channels)
    if np.any(np.abs(bias) > _LARGEST_BIAS):
        raise UnsupportedError(f"{name}: a bias of more than 32 bits in units of the sums")
    operator.bias = _with_fraction(bias)


def _with_fraction(bias: Array) -> Array:
    """Return a bias in fixed point; whole numbers, which floats only come near to, are kept."""
    whole = np.rint(bias)
    is_whole = np.abs(bias - whole) <= _NEARLY_WHOLE * np.abs(bias)
    exact = np.where(is_whole, whole, bias)
    return np.asarray(np.rint(np.ldexp(exact, BIAS_FRACTION_BITS)), np.int64)


def _scale_average(operator: SpatialPooling, raw: Raw, grid: Grid, limits: Limits) -> None:
    """Set the scaling of QLinearAveragePool, or of QLinearGlobalAveragePool.

    In the latter, the scale of the output times the number of pixels divides.
    """
    if operator.kind == "average":
        operator.averaging = _averaging(raw, grid, limits)
        return
    taps = np.float32(operator.window.kernel_shape[0] * operator.window.kernel_shape[1])
    point = significand(float(raw.units[0] / (np.float32(grid.scale) * taps)))
    operator.scaling = Scaling((point.multiplier,), (point.shift,), *limits)


def _averaging(raw: Raw, grid: Grid, limits: Limits) -> Averaging:
    least = grid.zero if raw.on_values else 0 if grid.signed else CODE_MIN
    scales = (float(np.float32(raw.units[0])), float(np.float32(grid.scale)))
    zero, lower, upper = limits
    return Averaging(*scales, zero, least, lower, upper, raw.averaged)


def _scale_pooled(operator: Convolution, raw: Raw, grid: Grid, limits: Limits) -> None:
    pooling = operator.pooling
    assert pooling is not None
    if pooling.reduction == "average":
        operator.pooling = replace(pooling, averaging=_averaging(raw, grid, limits))
        return
    units = [float(unit) for unit in raw.units / np.float64(np.float32(grid.scale))]
    is_root = pooling.reduction == "l2"
    multipliers, shift = common_fixed_point(
        [units[0] / (1 << L2_FRACTION_BITS)] if is_root else units
    )
    operator.pooling = replace(pooling, scaling=Scaling(multipliers, (shift,), *limits))
