"""Operators that look along axes for one value, or for the largest ones."""

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


@dataclass(frozen=True, slots=True)
class Reduction(Operator):
    """One value for all positions along some axes.

    Attributes:
        axes: The axes, in order, each once; None where they are computed at run time.
        keeps_axes: They stay, with size one.
    """

    axes: Shape | None
    keeps_axes: bool

    def moved(self) -> Moved | None:
        """Return what is moved, if it looks for the largest or smallest value."""
        chooses = self.op in ("ReduceMax", "ReduceMin")
        return Moved(range(1), chooses=True) if chooses else None

    def separate_axes(self) -> int:
        """Return the axes before the first that is reduced."""
        return min(self.axes, default=0) if self.axes is not None else 0

    def _rows(self, rows: range) -> Rows | None:
        if self.axes is None or ROW_AXIS in self.axes:
            return None
        stays = self.keeps_axes or all(axis > ROW_AXIS for axis in self.axes)
        return {0: rows} if stays else None


def _reduction(given: Spelling) -> Operator:
    rank, axes = len(given.shape()), given.integers("axes", 1)
    if axes is None and not given.is_computed(1):
        axes = ()
    if axes is not None:
        reduces_all = not axes and not given.integer("noop_with_empty_axes", 0)
        axes = tuple(range(rank)) if reduces_all else tuple(sorted({a % rank for a in axes}))
    return Reduction(*given.tensors(), axes, bool(given.integer("keepdims", 1)))


@dataclass(frozen=True, slots=True)
class TopK(Operator):
    """The largest or smallest values along an axis, and where they were.

    Attributes:
        axis: The axis.
        count: How many; None where that is computed at run time.
        largest: They are the largest.
        is_sorted: They come in order.
    """

    axis: int
    count: int | None
    largest: bool
    is_sorted: bool


def _top_k(given: Spelling) -> Operator:
    count = given.integers("k", 1)
    return TopK(
        *given.tensors(),
        axis=given.axis("axis", -1, len(given.shape())),
        count=None if count is None else count[0],
        largest=bool(given.integer("largest", 1)),
        is_sorted=bool(given.integer("sorted", 1)),
    )


_POOLING = ("ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum")
_KEEP_STEPS = frozenset({"ReduceMax", "ReduceMean", "ReduceMin"})
_OTHERS = ("ReduceLogSum", "ReduceLogSumExp", "ReduceProd", "ReduceSumSquare")
DEFINITIONS = (
    *(Definition(op, Kind.POOLING, _reduction, keeps_steps=op in _KEEP_STEPS) for op in _POOLING),
    *(Definition(op, Kind.OTHER, _reduction) for op in _OTHERS),
    Definition("TopK", Kind.POOLING, _top_k),
)
