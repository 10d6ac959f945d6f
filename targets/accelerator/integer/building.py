"""Collect integer operators: round sums to codes, apply functions, store maps."""

from dataclasses import dataclass, field, replace

import numpy as np

from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator.integer.arithmetic import (
    CODE_MIN,
    CODES,
    Array,
    common_fixed_point,
    significand,
)
from condense_compiler.targets.accelerator.integer.compute import L2_FRACTION_BITS
from condense_compiler.targets.accelerator.integer.joining import Side, joining_of
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
    Parts,
    Raw,
    Shape,
    Value,
    rounded_to,
    steps_of,
    stored,
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

    def clip_sums(self, raw: Raw, lower: float, upper: float, name: str) -> Coded:
        """Turn rounded sums into codes."""
        grid = rounded_to(raw, lower, upper, name)
        low = max(grid.lower, round(max(raw.lower, grid.lower)))
        high = min(grid.upper, round(min(raw.upper, grid.upper)))
        _set_scaling(raw, (grid.zero, low + grid.zero, high + grid.zero), name)
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
            meaning = (coded.grid.scale, zero, coded.shape)
            if (coded.base.scale, coded.base.zero, coded.base.shape) == meaning:
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
        pools_channels = isinstance(coded.base, SpatialPooling) and coded.base.pools_channels()
        if pools_channels and output.parent is not None:  # it writes whole maps alone
            own = Map(f"{output.name}/own", output.shape, output.scale, output.zero)
            self._emit(coded, table, own, name)
            self.operators.append(Lookup(f"{name}/copy", (own,), output))
            return
        coded.base.output, coded.base.table = output.rows() if pools_channels else output, table
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
        if source in self.seen_otherwise:
            return False  # in another map, its channels would not be where the view has them
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
    if not isinstance(base, Convolution):
        return not coded.per_channel
    return base.spatial is None or coded.is_increasing()


def _codes(coded: Coded) -> Table | None:
    """Return the codes that a quantised tensor has; None where they are those of its base."""
    codes = coded.codes()
    return None if np.all(codes == CODES) else Table.of(codes)


def table_of(coded: Coded) -> tuple[Table | None, int]:
    """Return the codes of a quantised tensor as a table, and the code of zero."""
    assert coded.grid is not None
    return _codes(coded), coded.grid.zero


Limits = tuple[int, int, int]  # code of the value zero, smallest code, largest code


def _set_scaling(raw: Raw, limits: Limits, name: str) -> None:
    operator = raw.operator
    if isinstance(operator, Convolution):
        pooled = operator.scaling is not None and operator.pooling is not None
        (_scale_pooled if pooled else _scale_convolution)(operator, raw, limits, name)
    elif isinstance(operator, Binary):
        _scale_joined(operator, raw, limits)
    else:
        assert isinstance(operator, SpatialPooling)
        _scale_average(operator, raw, limits)


def _scale_convolution(operator: Convolution, raw: Raw, limits: Limits, name: str) -> None:
    """Set scaling and bias; both are those of QLinearConv, which divides in 32-bit floating point.

    Raises:
        UnsupportedError: The bias takes more than 32 bits.
    """
    channels = len(operator.weights)
    scales = np.broadcast_to(raw.units / raw.divisor, channels)
    points = [significand(float(scale)) for scale in scales]
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


def _scale_average(operator: SpatialPooling, raw: Raw, limits: Limits) -> None:
    """Set the scaling of QLinearAveragePool, or of QLinearGlobalAveragePool.

    In the latter, the scale of the output times the number of pixels divides.
    """
    if operator.kind == "average":
        operator.averaging = _averaging(raw, limits)
        return
    taps = np.float32(operator.window.kernel_shape[0] * operator.window.kernel_shape[1])
    point = significand(float(raw.units[0] / (raw.divisor * taps)))
    operator.scaling = Scaling((point.multiplier,), (point.shift,), *limits)


def _averaging(raw: Raw, limits: Limits) -> Averaging:
    zero, lower, upper = limits
    on_codes = 0 if raw.form.signed else CODE_MIN
    least = zero if raw.form.on_values else on_codes
    scales = (float(np.float32(raw.units[0])), float(raw.divisor))
    return Averaging(*scales, zero, least, lower, upper, raw.averaged, raw.form.order)


def _scale_pooled(operator: Convolution, raw: Raw, limits: Limits, _name: str) -> None:
    pooling = operator.pooling
    assert pooling is not None
    if pooling.reduction == "average":
        operator.pooling = replace(pooling, averaging=_averaging(raw, limits))
        return
    units = [float(unit) for unit in raw.units / np.float64(raw.divisor)]
    is_root = pooling.reduction == "l2"
    multipliers, shift = common_fixed_point(
        [units[0] / (1 << L2_FRACTION_BITS)] if is_root else units
    )
    operator.pooling = replace(pooling, scaling=Scaling(multipliers, (shift,), *limits))


def _scale_joined(operator: Binary, raw: Raw, limits: Limits) -> None:
    assert raw.joins is not None
    zero, *bounds = limits
    to = Side(float(raw.divisor / raw.units[0]), zero)
    operator.joining = joining_of(raw.joins, to, (bounds[0], bounds[1]))


__all__ = ["NOWHERE", "Array", "Builder", "Grid", "Shape", "quantised", "stored", "table_of"]
