"""What a tensor of the floating-point network is in integers while operators are collected.

Quantisation stands in the network as Div, Round, Clip, Mul. So a tensor is either `Raw`, sums that
are not yet rounded to codes, or `Coded`, a function of the codes of a map or of an operator that
is still being built, or `Pairs`, two such functions joined, or
`Parts`, the parts of a concatenation.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator.integer.arithmetic import (
    CODE_MAX,
    CODE_MIN,
    CODES,
    Array,
)
from condense_compiler.targets.accelerator.integer.forms import ON_CODES, Form
from condense_compiler.targets.accelerator.integer.joined import combine
from condense_compiler.targets.accelerator.integer.joining import Joins, Side, joining_of
from condense_compiler.targets.accelerator.integer.network import Map, Operator

MOST_STEPS = CODE_MAX - CODE_MIN
_ONE = np.float32(1.0)

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Grid:
    """Values that are whole numbers of steps.

    Attributes:
        lower: Smallest number of steps.
        upper: Largest number of steps.
        scale: Value of one step.
    """

    lower: int
    upper: int
    scale: float

    @property
    def zero(self) -> int:
        """The code of the value zero."""
        fits = self.lower >= CODE_MIN and self.upper <= CODE_MAX
        return 0 if fits else CODE_MIN - self.lower

    def holds(self, values: Array) -> bool:
        """Tell whether values in float32 are all whole numbers of these steps."""
        scale = np.float32(self.scale)
        steps = np.rint(values / scale)
        is_whole = bool(np.all(steps * scale == values))
        return is_whole and self.lower <= steps.min() and steps.max() <= self.upper


@dataclass(frozen=True, slots=True)
class Raw:
    """Sums of an operator, not yet codes.

    Attributes:
        operator: The operator.
        shape: Channels, height, width.
        units: Value of one unit of the sums, in float32, for each channel or rank, or one for all.
        bias: Units to be added, for each channel or one for all.
        divisor: What values are divided by last: the scale of the codes that they become.
        lower: Values are clipped from below.
        upper: Values are clipped from above.
        rounded: They are rounded to whole numbers.
        joins: What they are made of, if they are those of two maps.
        averaged: What they are divided by, if they are values that are averaged.
        form: How ONNX Runtime averages them.
    """

    operator: Operator
    shape: Shape
    units: Array
    bias: Array = field(default_factory=lambda: np.zeros(1))
    divisor: np.float32 = _ONE
    lower: float = -np.inf
    upper: float = np.inf
    rounded: bool = False
    joins: Joins | None = None
    averaged: str = "one"
    form: Form = ON_CODES


@dataclass(frozen=True, slots=True)
class Coded:
    """A function of codes.

    Attributes:
        base: Where the codes are, or the operator that makes them.
        shape: Channels, height, width.
        zero: Code of the value zero in the base.
        values: Value of each of the 256 codes of the base, in float32: (256), or (channels, 256).
        grid: What the values are whole numbers of, if they are rounded.
        rounded: The values are whole numbers, and will be codes once they are clipped.
    """

    base: Map | Operator
    shape: Shape
    zero: int
    values: Array
    grid: Grid | None
    rounded: bool = False

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
        """Return the codes that the values have, once they are quantised."""
        assert self.grid is not None
        steps = np.rint(self.values.astype(np.float64) / self.grid.scale)
        steps = np.where(np.isfinite(steps), steps, 0)
        return np.asarray(np.clip(steps + self.grid.zero, CODE_MIN, CODE_MAX), np.int64)

    def side(self) -> Side:
        """Return what these codes mean."""
        assert self.grid is not None
        return Side(self.grid.scale, self.grid.zero)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Two functions of the same codes, joined but not yet rounded to codes.

    Attributes:
        functions: The functions; their values are codes.
        joins: How they are joined.
        result: What they are together when nothing quantises the result next.
        divisor: The scale of the codes that the values become, once it is known.
        rounded: They are rounded to whole numbers.
    """

    functions: tuple[Coded, Coded]
    joins: Joins
    result: Coded
    divisor: float | None = None
    rounded: bool = False

    @property
    def shape(self) -> Shape:
        """Channels, height, width."""
        return self.result.shape

    def quantised(self, lower: int, upper: int) -> Coded:
        """Return the codes that ONNX Runtime gives, as whole steps from `lower` to `upper`."""
        assert self.divisor is not None
        grid = Grid(lower, upper, 1.0)
        codes = (self.functions[0].codes(), self.functions[1].codes())
        limits = (lower + grid.zero, upper + grid.zero)
        joined = combine(codes, joining_of(self.joins, Side(self.divisor, grid.zero), limits))
        values = (joined - np.float32(grid.zero)).astype(np.float32)
        return replace(self.result, values=values, grid=grid, rounded=False)


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
    lower, upper = CODE_MIN - source.zero, CODE_MAX - source.zero
    values = steps_of(source.zero) * np.float32(source.scale)
    return Coded(source, source.shape, source.zero, values, Grid(lower, upper, source.scale))


def rounded_to(raw: Raw, lower: float, upper: float, name: str) -> Grid:
    """Return the steps that rounded sums are clipped to.

    Raises:
        UnsupportedError: They take more than 8 bits.
    """
    if not (np.isfinite([lower, upper]).all() and 0 < upper - lower <= MOST_STEPS):
        raise UnsupportedError(f"{name}: rounds to {lower:g} … {upper:g}; codes have 8 bits")
    assert raw.rounded
    return Grid(int(lower), int(upper), 1.0)
