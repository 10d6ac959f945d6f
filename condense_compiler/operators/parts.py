"""Operators that take parts of maps, or put maps together. Source: ONNX operator specification."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from condense_compiler.operators.attributes import Array, Shape, Spelling
from condense_compiler.operators.definition import (
    ROW_AXIS,
    Alias,
    Moved,
    Operator,
    Rows,
    alone,
)
from condense_compiler.operators.moving import Moving, definitions


def is_outermost(shape: Sequence[int], axis: int) -> bool:
    """Tell whether positions along an axis are whole stretches of memory."""
    return math.prod(shape[:axis]) == 1


def hull(positions: Iterable[int]) -> range:
    """Return the smallest range that holds some positions."""
    found = list(positions)
    return range(min(found), max(found) + 1) if found else range(0)


def as_slice(positions: range) -> slice:
    """Return a slice that takes some positions."""
    stop = positions.stop if positions.stop >= 0 else None
    return slice(positions.start, stop, positions.step)


@dataclass(frozen=True, slots=True)
class Slice(Moving):
    """Some positions along each axis.

    Attributes:
        taken: The positions, by axis; None where they are computed at run time.
    """

    taken: tuple[range, ...] | None

    def aliases(self) -> list[Alias]:
        """Return that a slice is a stretch of the input, if it is one."""
        if self.taken is None or any(taken.step != 1 for taken in self.taken):
            return []
        changed = [axis for axis, taken in enumerate(self.taken) if len(taken) < self.data[axis]]
        if not changed:
            return [Alias(0, 0, 0)]
        axis = changed[0]
        if len(changed) > 1 or not is_outermost(self.data, axis):
            return []
        return [Alias(0, 0, self.taken[axis].start * math.prod(self.data[axis + 1 :]))]

    def channels(self) -> range | None:
        """Return consecutive channels, if nothing else is left out."""
        if self.taken is None or len(self.data) < ROW_AXIS:
            return None
        channels = self.taken[1]
        others = [t == range(n) for t, n in zip(self.taken, self.data, strict=True)]
        return channels if channels.step == 1 and all((*others[:1], *others[2:])) else None

    def keeps_input(self) -> bool:
        """Tell whether all positions are taken, in their order."""
        whole = [range(size) for size in self.data]
        return self.taken is not None and list(self.taken) == whole

    def _rows(self, rows: range) -> Rows | None:
        if self.taken is None:
            return None
        return {0: hull(self.taken[ROW_AXIS][rows.start : rows.stop])}


def _slice(given: Spelling) -> Operator:
    names = ("starts", "ends", "axes", "steps")
    starts, ends, axes, steps = (given.integers(n, i) for i, n in enumerate(names, 1))
    common = given.tensors()
    if starts is None or ends is None or given.is_computed(3) or given.is_computed(4):
        return Slice(*common, None)
    shape = given.shape()
    taken = [range(size) for size in shape]
    each = zip(axes or range(len(starts)), starts, ends, steps or (1,) * len(starts), strict=True)
    for axis, start, end, step in each:
        taken[axis] = range(shape[axis])[start:end:step]
    return Slice(*common, tuple(taken))


@dataclass(frozen=True, slots=True)
class Split(Moving):
    """Parts along an axis, one output for each.

    Attributes:
        axis: The axis.
        sizes: Positions in each part.
    """

    axis: int
    sizes: Shape

    @property
    def parts(self) -> tuple[range, ...]:
        """The positions of each part along the axis."""
        return _consecutive(self.sizes)

    def aliases(self) -> list[Alias]:
        """Return that the parts follow each other in the input, if the axis allows that."""
        if not is_outermost(self.data, self.axis):
            return []
        inner = math.prod(self.data[self.axis + 1 :])
        given = [index for index, shape in enumerate(self.outputs) if shape is not None]
        return [Alias(0, index, self.parts[index].start * inner) for index in given]

    def rows(self, rows: range, output: int = 0) -> Rows | None:
        """Return the same rows, counted from where the part starts."""
        if len(self.data) <= ROW_AXIS:
            return None
        start = self.parts[output].start if self.axis == ROW_AXIS else 0
        return {0: range(rows.start + start, rows.stop + start)}


def _split(given: Spelling) -> Operator:
    axis = given.axis("axis", 0, len(given.shape()))
    common = given.tensors()
    sizes = given.integers("split", 1) or [tensor.shape[axis] for tensor in given.node.outputs]
    return Split(*common, axis, tuple(sizes))


@dataclass(frozen=True, slots=True)
class Concat(Moving):
    """Maps one behind the other along an axis.

    Attributes:
        axis: The axis.
        sizes: Positions of each map.
    """

    axis: int
    sizes: Shape

    @property
    def parts(self) -> tuple[range, ...]:
        """The positions of each map along the axis of the result."""
        return _consecutive(self.sizes)

    def moved(self) -> Moved | None:
        """Return that all inputs are moved."""
        return Moved(range(len(self.inputs)))

    def aliases(self) -> list[Alias]:
        """Return that the inputs follow each other in the result, if the axis allows that."""
        if not is_outermost(self.result, self.axis):
            return []
        inner = math.prod(self.result[self.axis + 1 :])
        return [Alias(index, 0, -part.start * inner) for index, part in enumerate(self.parts)]

    def keeps_input(self) -> bool:
        """Tell whether there is but one map."""
        return len(self.inputs) == 1

    def _rows(self, rows: range) -> Rows | None:
        if self.axis != ROW_AXIS:
            return dict.fromkeys(range(len(self.inputs)), rows)
        return {
            index: range(
                *sorted(min(max(row - part.start, 0), len(part)) for row in (rows.start, rows.stop))
            )
            for index, part in enumerate(self.parts)
        }


def _concat(given: Spelling) -> Operator:
    axis = given.axis("axis", 1, len(given.result()))
    sizes = tuple(given.shape(index)[axis] for index in range(len(given.node.inputs)))
    return Concat(*given.tensors(), axis, sizes)


def _consecutive(sizes: Sequence[int]) -> tuple[range, ...]:
    ends = accumulate(sizes)
    return tuple(range(end - size, end) for size, end in zip(sizes, ends, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Gather(Moving):
    """Positions along an axis, by number.

    Attributes:
        axis: The axis.
        indices: The positions, none of them negative; None where they are computed at run time.
    """

    axis: int
    indices: Array | None

    def aliases(self) -> list[Alias]:
        """Return that a single position along an outermost axis is a stretch of the input."""
        if self.indices is None or self.indices.size != 1:
            return []
        if not is_outermost(self.data, self.axis):
            return []
        inner = math.prod(self.data[self.axis + 1 :])
        return [Alias(0, 0, int(self.indices.flat[0]) * inner)]

    def _rows(self, rows: range) -> Rows | None:
        if self.indices is None:
            return None
        if self.axis > ROW_AXIS or (self.axis < ROW_AXIS and self.indices.ndim == 1):
            return {0: rows}
        if self.axis < ROW_AXIS or self.indices.ndim != 1:
            return None
        return {0: hull(self.indices[rows.start : rows.stop].tolist())}


def _gather(given: Spelling) -> Operator:
    shape, indices = given.shape(), given.constant(1)
    axis = given.axis("axis", 0, len(shape))
    return Gather(
        *given.tensors(), axis, None if indices is None else indices % max(shape[axis], 1)
    )


@dataclass(frozen=True, slots=True)
class GatherND(Moving):
    """Parts by their position along the first axes.

    Attributes:
        batch_axes: Axes before those that are looked at.
    """

    batch_axes: int


def _gather_nd(given: Spelling) -> Operator:
    return GatherND(*given.tensors(), given.integer("batch_dims", 0))


DEFINITIONS = definitions(
    {
        "Concat": _concat,
        "Gather": _gather,
        "GatherElements": alone(Moving),
        "GatherND": _gather_nd,
        "Slice": _slice,
        "Split": _split,
    }
)
