"""Operators that move values without computing new ones. Source: ONNX operator specification."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from condense_compiler.operators.attributes import Array, Shape, Spelling
from condense_compiler.operators.definition import (
    ROW_AXIS,
    Alias,
    Definition,
    Foreign,
    Kind,
    Moved,
    Operator,
    Rows,
    tensors,
)


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
class Moving(Operator):
    """Any operator that moves values of its first input."""

    def moved(self) -> Moved | None:
        """Return that the first input is moved."""
        return Moved(range(1))

    def has_rows(self) -> bool:
        """Tell whether input and output have axes of rows."""
        return len(self.data) > ROW_AXIS and len(self.result) > ROW_AXIS


@dataclass(frozen=True, slots=True)
class View(Moving):
    """All elements in their order: Reshape and the like."""

    def aliases(self) -> list[Alias]:
        """Return that the result is the input, under another shape."""
        return [Alias(0, 0, 0)]

    def keeps_input(self) -> bool:
        """Tell whether the shape stays."""
        return self.data == self.result

    def rows(self, rows: range, output: int = 0) -> Rows | None:
        """Return the same rows, if the shape up to them stays."""
        end = ROW_AXIS + 1
        stays = self.has_rows() and self.data[:end] == self.result[:end] and not output
        return {0: rows} if stays else None


@dataclass(frozen=True, slots=True)
class Dropout(View):
    """A Dropout that drops nothing."""

    def moved(self) -> Moved | None:
        """Return nothing: it takes floating-point numbers alone."""
        return None


def _dropout(given: Spelling) -> Operator:
    trains = given.has(2) and (given.is_computed(2) or bool(given.constant(2)))
    return (Foreign if trains else Dropout)(*tensors(given))


@dataclass(frozen=True, slots=True)
class Transpose(Moving):
    """Axes in another order.

    Attributes:
        permutation: The axis of the input at each axis of the output.
    """

    permutation: Shape

    def aliases(self) -> list[Alias]:
        """Return that the result is the input, if only axes of size one change places."""
        moved = [axis for axis in self.permutation if self.data[axis] > 1]
        return [Alias(0, 0, 0)] if moved == sorted(moved) else []

    def keeps_input(self) -> bool:
        """Tell whether the shape stays, too."""
        return self.data == self.result and bool(self.aliases())

    def rows(self, rows: range, output: int = 0) -> Rows | None:
        """Return the same rows, if that axis stays where it is."""
        stays = self.has_rows() and self.permutation[ROW_AXIS] == ROW_AXIS and not output
        return {0: rows} if stays else None


def _transpose(given: Spelling) -> Operator:
    rank = len(given.shape())
    permutation = given.integers("perm") or tuple(reversed(range(rank)))
    return Transpose(*tensors(given), tuple(axis % rank for axis in permutation))


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

    def rows(self, rows: range, output: int = 0) -> Rows | None:
        """Return the rows that are taken."""
        if self.taken is None or not self.has_rows() or output:
            return None
        return {0: hull(self.taken[ROW_AXIS][rows.start : rows.stop])}


def _slice(given: Spelling) -> Operator:
    names = ("starts", "ends", "axes", "steps")
    starts, ends, axes, steps = (given.integers(n, i) for i, n in enumerate(names, 1))
    common = tensors(given)
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
    common = tensors(given)
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

    def rows(self, rows: range, output: int = 0) -> Rows | None:
        """Return the same rows of each map, or those that a map contributes."""
        if not self.has_rows() or output:
            return None
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
    return Concat(*tensors(given), axis, sizes)


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

    def rows(self, rows: range, output: int = 0) -> Rows | None:
        """Return the same rows, or those that are gathered."""
        if self.indices is None or not self.has_rows() or output:
            return None
        if self.axis > ROW_AXIS or (self.axis < ROW_AXIS and self.indices.ndim == 1):
            return {0: rows}
        if self.axis < ROW_AXIS or self.indices.ndim != 1:
            return None
        return {0: hull(self.indices[rows.start : rows.stop].tolist())}


def _gather(given: Spelling) -> Operator:
    shape, indices = given.shape(), given.constant(1)
    axis = given.axis("axis", 0, len(shape))
    return Gather(*tensors(given), axis, None if indices is None else indices % max(shape[axis], 1))


@dataclass(frozen=True, slots=True)
class GatherND(Moving):
    """Parts by their position along the first axes.

    Attributes:
        batch_axes: Axes before those that are looked at.
    """

    batch_axes: int


def _gather_nd(given: Spelling) -> Operator:
    return GatherND(*tensors(given), given.integer("batch_dims", 0))


@dataclass(frozen=True, slots=True)
class Pad(Moving):
    """A map with a border around it, or without what negative pads take away.

    Attributes:
        mode: What the border holds: `constant`, `edge`, `reflect` or `wrap`.
        pads: Before and behind each axis; None where they are computed at run time.
        value: The constant; None where it is computed at run time.
    """

    mode: str
    pads: tuple[tuple[int, int], ...] | None
    value: float | None

    def moved(self) -> Moved | None:
        """Return that a value comes along."""
        return Moved(range(1), fill=2)

    def keeps_input(self) -> bool:
        """Tell whether the border is empty."""
        return self.pads is not None and not any(map(any, self.pads))

    def rows(self, rows: range, output: int = 0) -> Rows | None:
        """Return the rows inside; all where a border shows some of them."""
        if self.pads is None or not self.has_rows() or output:
            return None
        size, (before, behind) = self.data[ROW_AXIS], self.pads[ROW_AXIS]
        if self.mode != "constant" and (before > 0 or behind > 0):
            return None
        first, end = (min(max(row - before, 0), size) for row in (rows.start, rows.stop))
        return {0: range(first, end)}


def _pad(given: Spelling) -> Operator:
    rank, pads = len(given.shape()), given.integers("pads", 1)
    around = None
    if pads is not None and not given.is_computed(3):
        axes = given.integers("axes", 3) or tuple(range(rank))
        by_axis = {axis % rank: (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes)}
        around = tuple(by_axis.get(axis, (0, 0)) for axis in range(rank))
    value: float | None = given.number("value", 0.0)
    if given.has(2):
        constant = given.constant(2)
        value = None if constant is None else float(constant.reshape(()))
    return Pad(*tensors(given), given.text("mode", "constant"), around, value)


@dataclass(frozen=True, slots=True)
class Repeat(Moving):
    """Values several times: Expand and Tile."""

    def keeps_input(self) -> bool:
        """Tell whether nothing is repeated."""
        return self.data == self.result

    def rows(self, rows: range, output: int = 0) -> Rows | None:
        """Return the same rows where they are not repeated, or the only one."""
        if not self.has_rows() or len(self.data) != len(self.result) or output:
            return None
        size = self.data[ROW_AXIS]
        if size == self.result[ROW_AXIS]:
            return {0: rows}
        return {0: range(1)} if size == 1 else None


@dataclass(frozen=True, slots=True)
class Blocks(Moving):
    """Channels become pixels, or pixels channels: DepthToSpace and SpaceToDepth.

    Attributes:
        size: Pixels of a block along each axis.
        by_column: Channels are numbered by block last (`CRD`).
    """

    size: int
    by_column: bool

    def rows(self, rows: range, output: int = 0) -> Rows | None:
        """Return the rows of blocks, or the rows in them."""
        if output:
            return None
        if self.op == "SpaceToDepth":
            return {0: range(rows.start * self.size, rows.stop * self.size)}
        return {0: range(rows.start // self.size, -(-rows.stop // self.size))}


def _blocks(given: Spelling) -> Operator:
    crd = given.text("mode", "DCR") == "CRD"
    return Blocks(*tensors(given), given.integer("blocksize", 1), crd)


def _moving(given: Spelling) -> Operator:
    return Moving(*tensors(given))


def _view(given: Spelling) -> Operator:
    return View(*tensors(given))


def _repeat(given: Spelling) -> Operator:
    return Repeat(*tensors(given))


_PARSERS = {
    "Concat": _concat,
    "DepthToSpace": _blocks,
    "Dropout": _dropout,
    "Expand": _repeat,
    "Flatten": _view,
    "Gather": _gather,
    "GatherElements": _moving,
    "GatherND": _gather_nd,
    "Identity": _view,
    "Pad": _pad,
    "Reshape": _view,
    "ReverseSequence": _moving,
    "Slice": _slice,
    "SpaceToDepth": _blocks,
    "Split": _split,
    "Squeeze": _view,
    "Tile": _repeat,
    "Transpose": _transpose,
    "Unsqueeze": _view,
}
DEFINITIONS = tuple(
    Definition(op, Kind.MOVED, parse, keeps_steps=op != "Dropout") for op, parse in _PARSERS.items()
)
