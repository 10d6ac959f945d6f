"""Pooling of pixels. Source: ONNX operator specification."""

import math
from dataclasses import dataclass

from condense_compiler.operators.attributes import Shape, Spelling
from condense_compiler.operators.definition import (
    ROW_AXIS,
    Definition,
    Kind,
    Moved,
    Operator,
    Rows,
)
from condense_compiler.operators.window import Window, window_of


@dataclass(frozen=True, slots=True)
class Pool(Operator):
    """Each position becomes the maximum, mean or norm of its window.

    Attributes:
        window: How it walks.
        counts_padding: An average counts the padding.
        by_column: Places of maxima are numbered by column.
        power: Of the norm.
        takes_away: `auto_pad` asks for negative padding, which ONNX leaves open.
    """

    window: Window
    counts_padding: bool
    by_column: bool
    power: int
    takes_away: bool

    def moved(self) -> Moved | None:
        """Return what is moved, if it takes maxima and is not asked for their places."""
        alone = self.op == "MaxPool" and not any(self.outputs[1:])
        return Moved(range(1), chooses=True) if alone else None

    def _rows(self, rows: range) -> Rows | None:
        return {0: self.window.reads(0, rows, self.data[ROW_AXIS])}

    def separate_axes(self) -> int:
        """Return the axes of batch and channels."""
        return ROW_AXIS

    def looked_at(self) -> int:
        """Return the elements that all windows cover."""
        return math.prod(self.window.kernel_shape) * math.prod(self.result)


@dataclass(frozen=True, slots=True)
class GlobalPool(Operator):
    """One value for each channel.

    Attributes:
        power: Of the norm.
    """

    power: int

    @property
    def axes(self) -> Shape:
        """The axes of the pixels."""
        return tuple(range(ROW_AXIS, len(self.data)))

    def separate_axes(self) -> int:
        """Return the axes of batch and channels."""
        return ROW_AXIS


def _pool(given: Spelling) -> Operator:
    pixels = given.shape()[ROW_AXIS:]
    window = window_of(given, given.integers("kernel_shape") or (), pixels)
    same = given.text("auto_pad", "NOTSET").startswith("SAME")
    return Pool(
        *given.tensors(),
        window,
        counts_padding=bool(given.integer("count_include_pad", 0)),
        by_column=bool(given.integer("storage_order", 0)),
        power=given.integer("p", 2),
        takes_away=same and any(window.missing(i, size) < 0 for i, size in enumerate(pixels)),
    )


def _global(given: Spelling) -> Operator:
    return GlobalPool(*given.tensors(), given.integer("p", 2))


_KEEP_STEPS = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"})
_PARSERS = {
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"), _global),
}
DEFINITIONS = tuple(
    Definition(op, Kind.POOLING, parse, keeps_steps=op in _KEEP_STEPS)
    for op, parse in _PARSERS.items()
)
