"""Rows of an input that are set aside, because a result is written over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from condense_compiler.operators.fused import ConvPool
from condense_compiler.targets.reference.kernel import Array, Shape
from condense_compiler.targets.reference.stripes import Stripe, output_pixels


@dataclass(frozen=True, slots=True)
class SetAside:
    """How much of the input of a convolution has to be set aside.

    Attributes:
        channels: Input channels; the taps of a depthwise convolution read one for each of the
            wide channels that are computed at a time.
        rows: Rows of the input.
        row_elements: Elements of an input row of one channel.
        step: Rows of the input from one output row to the next.
        reach: Rows of the input that one output row reads.
        before: Rows of padding before the first row.
        same_planes: A plane of the output is as large as a plane of the input. If not, a plane
            has to be finished before the next one that lies next to it is begun.
        longer_rows: A row of the output is longer than a row of the input.
    """

    channels: int
    rows: int
    row_elements: int
    step: int
    reach: int
    before: int
    same_planes: bool
    longer_rows: bool

    def rows_for(self, rows: int) -> int:
        """Return the input rows that some output rows read or are written over, at most."""
        if self.longer_rows:
            return self.rows
        return min(self.rows, max((rows - 1) * self.step + self.reach, rows + self.before))

    def elements_moved(self, rows: int, channels: int) -> int:
        """Return the elements that one stripe leaves to the next, at most."""
        left = self.rows if self.longer_rows else max(self.reach - self.step, self.before)
        return channels * min(self.rows_for(rows), max(left, 0)) * self.row_elements

    def elements(self, rows: int, channels: int) -> int:
        """Return the elements that are set aside for some output rows."""
        return channels * self.rows_for(rows) * self.row_elements


def setting_aside(recipe: ConvPool, channels: int, pixels: Shape) -> SetAside:
    """Return what has to be set aside of an input of a convolution."""
    window, spatial = recipe.convolution, recipe.spatial
    step, before = window.strides[0], window.pads[0]
    reach = window.reach(0)
    if spatial is not None:
        reach, before = reach + (spatial.reach(0) - 1) * step, before + spatial.pads[0] * step
        step *= spatial.strides[0]
    output = output_pixels(recipe, pixels)
    return SetAside(
        channels=channels,
        rows=pixels[0],
        row_elements=prod(pixels[1:]),
        step=step,
        reach=reach,
        before=before,
        same_planes=output == pixels,
        longer_rows=prod(output[1:]) > prod(pixels[1:]),
    )


class RowsAside:
    """The rows of some input channels, from the first that the current stripe reads."""

    def __init__(self, rows: Array, parts: Sequence[tuple[slice, Array]]) -> None:
        """Begin with no rows.

        Args:
            rows: Room for the rows, (channels, rows, pixels...).
            parts: What is set aside: channels of `rows`, and their planes in the input.
        """
        self._rows = rows
        self._parts = parts
        self._first = 0
        self._end = 0

    def advance(self, stripe: Stripe) -> Array:
        """Return the rows that a stripe reads; it may be written over the input afterwards."""
        first, end = stripe.source.first, stripe.last_row
        known = max(self._end - first, 0)
        if known and first > self._first:
            start = first - self._first
            self._rows[:, :known] = self._rows[:, start : start + known]
        begin = first + known
        for channels, planes in self._parts:
            room = self._rows[channels, known : end - first]
            np.copyto(room, planes[:, begin:end], casting="unsafe")
        self._first, self._end = first, end
        return self._rows[:, : stripe.source.count]
