"""Which rows of its inputs an operator needs for some rows of its output."""

from dataclasses import dataclass

from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.integer.network import (
    POINT,
    Convolution,
    Operator,
    SpatialPooling,
)

NO_PADS = (0, 0)


@dataclass(frozen=True, slots=True)
class Rows:
    """A range of rows, and the padding in front of and behind it.

    Attributes:
        first: First row.
        last: Row behind the last one.
        pads: Rows of padding in front and behind.
    """

    first: int
    last: int
    pads: tuple[int, int] = NO_PADS

    @property
    def count(self) -> int:
        """Number of rows, without padding."""
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class Stripe:
    """Rows of an operator.

    Attributes:
        outputs: Rows of the output.
        sums: Rows of the convolution, with the padding of the pooling behind it.
        inputs: Rows of the input.
    """

    outputs: Rows
    sums: Rows
    inputs: Rows


def needed(window: Window, rows: Rows, size: int, axis: int = 0) -> Rows:
    """Return the positions along an axis of `size` that some results of a window need."""
    start = rows.first * window.strides[axis] - window.begins[axis]
    end = start + window.span(axis, rows.last - rows.first)
    return Rows(max(start, 0), min(end, size), (max(-start, 0), max(end - size, 0)))


def windows_of(operator: Operator) -> tuple[Window, Window]:
    """Return the window over the input, and that of the pooling behind it."""
    if isinstance(operator, Convolution):
        return operator.window, operator.spatial or POINT
    return (operator.window if isinstance(operator, SpatialPooling) else POINT), POINT


def sums_shape(operator: Operator) -> tuple[int, int]:
    """Return height and width in front of the pooling behind."""
    window, _ = windows_of(operator)
    height, width = window.output_shape(operator.inputs[0].shape[1:])
    return height, width


def stripe_of(operator: Operator, first: int, last: int) -> Stripe:
    """Return what rows `first` to `last` of the output need."""
    window, spatial = windows_of(operator)
    outputs = Rows(first, last)
    sums = needed(spatial, outputs, sums_shape(operator)[0])
    inputs = needed(window, sums, operator.inputs[0].shape[1])
    return Stripe(outputs, sums, inputs)


def columns_of(operator: Operator) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the padding left and right of the input, and of the sums."""
    window, spatial = windows_of(operator)
    width = sums_shape(operator)[1]
    sums = needed(spatial, Rows(0, operator.output.shape[2]), width, 1)
    inputs = needed(window, Rows(0, width), operator.inputs[0].shape[2], 1)
    return inputs.pads, sums.pads


def reads_pixels(stripe: Stripe) -> bool:
    """Tell whether a stripe reads a row at all, and not padding alone."""
    return stripe.inputs.count > 0


def stripes_of(operator: Operator, rows: int) -> list[Stripe]:
    """Cut an operator into stripes of so many rows of its output."""
    height = operator.output.shape[1]
    return [
        stripe_of(operator, first, min(first + rows, height)) for first in range(0, height, rows)
    ]
