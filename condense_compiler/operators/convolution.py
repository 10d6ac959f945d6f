"""Convolutions, as they are and transposed. Source: ONNX operator specification."""

import math
from dataclasses import dataclass

from condense_compiler.operators.attributes import Shape, Spelling
from condense_compiler.operators.definition import (
    ROW_AXIS,
    Definition,
    Kind,
    Operator,
    Rows,
)
from condense_compiler.operators.window import Window, window_of

# Convolutions that may be fused, and at which input their filters stand.
FILTERS_INPUT = {"Conv": 1, "QLinearConv": 3}


@dataclass(frozen=True, slots=True)
class Convolution(Operator):
    """A convolution of maps of any number of axes.

    Attributes:
        window: How it walks.
        group: Groups of channels.
        filters: Shape of the filters.
    """

    window: Window
    group: int
    filters: Shape

    def macs(self) -> int:
        """Return one for each tap of each filter at each position, padding included."""
        return math.prod(self.result) * math.prod(self.filters[1:])

    def _rows(self, rows: range) -> Rows | None:
        return {0: self.window.reads(0, rows, self.data[ROW_AXIS])}


@dataclass(frozen=True, slots=True)
class TransposedConvolution(Operator):
    """Each pixel adds the filters to the result.

    Attributes:
        window: How the convolution walks over the result of which this is the transposed.
        group: Groups of channels.
    """

    window: Window
    group: int

    def macs(self) -> int:
        """Return one for each tap of each filter at each pixel of the input."""
        filters = self.inputs[1] or ()
        return math.prod(self.data) * math.prod(filters[1:])

    def _rows(self, rows: range) -> Rows | None:
        stride, size = self.window.strides[0], self.data[ROW_AXIS]
        first = -(-(rows.start + self.window.begins[0] - self.window.reach(0) + 1) // stride)
        last = (rows.stop - 1 + self.window.begins[0]) // stride
        start = min(max(first, 0), size)
        return {0: range(start, max(min(last + 1, size), start))}


def _convolution(given: Spelling) -> Operator:
    filters = given.shape(FILTERS_INPUT.get(given.op, 1))
    window = window_of(given, filters[2:], given.shape()[2:])
    return Convolution(*given.tensors(), window, given.integer("group", 1), filters)


def _transposed(given: Spelling) -> Operator:
    kernel = given.shape(1)[2:]
    ones, zeros = (1,) * len(kernel), (0,) * len(kernel)
    window = Window(
        kernel,
        given.integers("strides") or ones,
        given.integers("pads") or zeros * 2,
        given.integers("dilations") or ones,
    )
    mode, begins = given.text("auto_pad", "NOTSET"), window.begins
    if given.gives("output_shape") or mode.startswith("SAME"):
        added = given.integers("output_padding") or zeros
        sizes = zip(given.shape()[2:], given.result()[2:], added, strict=True)
        excess = [
            max(window.span(axis, size) + more - result, 0)
            for axis, (size, result, more) in enumerate(sizes)
        ]
        # The odd one goes behind for SAME_UPPER and before otherwise.
        begins = tuple((total + (mode != "SAME_UPPER")) // 2 for total in excess)
    elif mode == "VALID":
        begins = zeros
    # What goes behind is told by the shape of the result.
    window = Window(kernel, window.strides, (*begins, *zeros), window.dilations)
    return TransposedConvolution(*given.tensors(), window, given.integer("group", 1))


DEFINITIONS = (
    *(
        Definition(op, Kind.CONVOLUTION, _convolution)
        for op in ("Conv", "ConvInteger", "QLinearConv")
    ),
    Definition("ConvTranspose", Kind.CONVOLUTION, _transposed),
)
