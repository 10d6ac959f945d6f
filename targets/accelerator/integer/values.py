"""What a tensor is in integers while operators are collected.

A tensor is either `Raw`, sums that are not yet quantised, or `Coded`, a function of the codes of a
map or of an operator that is still being built, or `Pairs`, two such functions joined, or `Parts`,
the parts of a concatenation. Quantised values and what they mean are the same `Coded`.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from condense_compiler.errors import UnsupportedError
from condense_compiler.passes.tracing.codes import Quantisation
from condense_compiler.targets.accelerator.integer.arithmetic import (
    CODE_MAX,
    CODE_MIN,
    CODES,
    Array,
)
from condense_compiler.targets.accelerator.integer.joined import combine
from condense_compiler.targets.accelerator.integer.joining import Joins, Side, joining_of
from condense_compiler.targets.accelerator.integer.network import Map, Operator

Shape = tuple[int, int, int]
_UNSIGNED_SHIFT = 128  # from quantised values without sign to the same with one


@dataclass(frozen=True, slots=True)
class Grid:
    """Values that are whole numbers of steps, quantised to signed 8 bits.

    Attributes:
        scale: Value of one step, a number in 32-bit floating point.
        zero: The signed code of the value zero.
        signed: The network holds these codes with a sign; otherwise each 128 higher.
    """

    scale: float
    zero: int
    signed: bool = False

    @classmethod
    def of(cls, quantisation: Quantisation) -> "Grid":
        """Return how values are quantised, in signed codes."""
        signed = quantisation.dtype == np.int8
        return cls(
            quantisation.scale, quantisation.zero - (0 if signed else _UNSIGNED_SHIFT), signed
        )

    def means(self, other: "Grid | Map | None") -> bool:
        """Tell whether codes mean the same values on another grid, or in a map."""
        return other is not None and (self.scale, self.zero) == (other.scale, other.zero)

    def values(self) -> Array:
        """Return the value of each code, the smallest first, in float32."""
        return steps_of(self.zero) * np.float32(self.scale)

    def quantised(self, values: Array) -> Array:
        """Return values as QuantizeLinear and DequantizeLinear leave them, in float32."""
        steps = np.rint(values / np.float32(self.scale))
        return np.clip(steps, CODE_MIN - self.zero, CODE_MAX - self.zero) * np.float32(self.scale)

    def codes(self, values: Array) -> Array:
        """Return the signed codes of values."""
        steps = np.rint(values.astype(np.float64) / self.scale)
        steps = np.where(np.isfinite(steps), steps, 0)
        return np.asarray(np.clip(steps + self.zero, CODE_MIN, CODE_MAX), np.int64)

    def holds(self, values: Array) -> bool:
        """Tell whether values in float32 all lie on this grid."""
        return bool(np.array_equal(self.quantised(values), values))

    def side(self) -> Side:
        """Return what the codes mean to an operator that joins two maps."""
        return Side(self.scale, self.zero)


@dataclass(frozen=True, slots=True)
class Raw:
    """Sums of an operator, not yet quantised.

    Attributes:
        operator: The operator.
        shape: Channels, height, width.
        units: Value of one unit of the sums, in float32, for each channel or rank, or one for all.
        bias: Units to be added, for each channel or one for all.
        lower: Values are clipped from below.
        upper: Values are clipped from above.
        joins: What they are made of, if they are those of two maps.
        averaged: What they are divided by, if they are values that are averaged.
        on_values: Averages are rounded as values, not as codes.
    """

    operator: Operator
    shape: Shape
    units: Array
    bias: Array = field(default_factory=lambda: np.zeros(1))
    lower: float = -np.inf
    upper: float = np.inf
    joins: Joins | None = None
    averaged: str = "one"
    on_values: bool = False

    @property
    def is_limited(self) -> bool:
        """Tell whether values are clipped."""
        return bool(np.isfinite((self.lower, self.upper)).any())


@dataclass(frozen=True, slots=True)
class Coded:
    """A function of codes.

    Attributes:
        base: Where the codes are, or the operator that makes them.
        shape: Channels, height, width.
        zero: Code of the value zero in the base.
        values: Value of each of the 256 codes of the base, in float32: (256), or (channels, 256).
        grid: How the values are quantised, if they are.
    """

    base: Map | Operator
    shape: Shape
    zero: int
    values: Array
    grid: Grid | None

    @property
    def per_channel(self) -> bool:
        """Tell whether each channel has a function of its own."""
        return self.values.ndim > 1

    def is_increasing(self) -> bool:
        """Tell whether a larger code never has a smaller value."""
        return bool(np.all(np.diff(self.values) >= 0))

    def with_shape(self, shape: Shape) -> "Coded":
        """Return the same values under another shape."""
        return replace(self, shape=shape)

    def codes(self) -> Array:
        """Return the codes of the values, which are quantised."""
        assert self.grid is not None
        return self.grid.codes(self.values)

    def quantised(self, grid: Grid) -> "Coded":
        """Return the values quantised; those that are so already do not change."""
        if grid.means(self.grid):
            return replace(self, grid=grid)
        return replace(self, values=grid.quantised(self.values), grid=grid)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Two functions of the same codes, joined but not yet quantised.

    Attributes:
        functions: The functions, which are quantised.
        joins: How they are joined.
        result: What they are together when nothing quantises the result next.
    """

    functions: tuple[Coded, Coded]
    joins: Joins
    result: Coded

    @property
    def shape(self) -> Shape:
        """Channels, height, width."""
        return self.result.shape

    def quantised(self, grid: Grid) -> Coded:
        """Return the quantised result: codes are joined, and rounded once."""
        codes = (self.functions[0].codes(), self.functions[1].codes())
        joining = joining_of(self.joins, grid.side(), (CODE_MIN, CODE_MAX), signed=grid.signed)
        steps = combine(codes, joining).astype(np.float32) - np.float32(grid.zero)
        return replace(self.result, values=steps * np.float32(grid.scale), grid=grid)


@dataclass(frozen=True, slots=True)
class Parts:
    """Tensors one behind the other, along the channels."""

    parts: tuple[Raw | Coded, ...]
    shape: Shape


Value = Raw | Coded | Pairs | Parts


def steps_of(zero: int) -> Array:
    """Return the number of steps of each code, in float32."""
    return (CODES - zero).astype(np.float32)


def stored(source: Map) -> Coded:
    """Return the tensor that a map holds."""
    grid = Grid(source.scale, source.zero)
    return Coded(source, source.shape, source.zero, grid.values(), grid)


def coded(value: Value, name: str) -> Coded:
    """Return a tensor that is known to be quantised.

    Raises:
        UnsupportedError: It is not.
    """
    if not isinstance(value, Coded) or value.grid is None:
        raise UnsupportedError(f"{name}: its result is not quantised")
    return value
