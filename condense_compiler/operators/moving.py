"""Operators that move values without computing new ones. Source: ONNX operator specification."""

from collections.abc import Mapping
from dataclasses import dataclass

from condense_compiler.operators.attributes import Shape, Spelling
from condense_compiler.operators.definition import (
    ROW_AXIS,
    Alias,
    Definition,
    Foreign,
    Kind,
    Moved,
    Operator,
    Parse,
    Rows,
    alone,
)


@dataclass(frozen=True, slots=True)
class Moving(Operator):
    """Any operator that moves values of its first input."""

    def moved(self) -> Moved | None:
        """Return that the first input is moved."""
        return Moved(range(1))


@dataclass(frozen=True, slots=True)
class View(Moving):
    """All elements in their order: Reshape and the like."""

    def aliases(self) -> list[Alias]:
        """Return that the result is the input, under another shape."""
        return [Alias(0, 0, 0)]

    def keeps_input(self) -> bool:
        """Tell whether the shape stays."""
        return self.data == self.result

    def _rows(self, rows: range) -> Rows | None:
        end = ROW_AXIS + 1
        return {0: rows} if self.data[:end] == self.result[:end] else None


@dataclass(frozen=True, slots=True)
class Dropout(View):
    """A Dropout that drops nothing."""

    def moved(self) -> Moved | None:
        """Return nothing: it takes floating-point numbers alone."""
        return None


def _dropout(given: Spelling) -> Operator:
    trains = given.has(2) and (given.is_computed(2) or bool(given.constant(2)))
    return (Foreign if trains else Dropout)(*given.tensors())


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

    def _rows(self, rows: range) -> Rows | None:
        return {0: rows} if self.permutation[ROW_AXIS] == ROW_AXIS else None


def _transpose(given: Spelling) -> Operator:
    rank = len(given.shape())
    permutation = given.integers("perm") or tuple(reversed(range(rank)))
    return Transpose(*given.tensors(), tuple(axis % rank for axis in permutation))


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

    def _rows(self, rows: range) -> Rows | None:
        if self.pads is None:
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
    return Pad(*given.tensors(), given.text("mode", "constant"), around, value)


@dataclass(frozen=True, slots=True)
class Repeat(Moving):
    """Values several times: Expand and Tile."""

    def keeps_input(self) -> bool:
        """Tell whether nothing is repeated."""
        return self.data == self.result

    def _rows(self, rows: range) -> Rows | None:
        if len(self.data) != len(self.result):
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

    def _rows(self, rows: range) -> Rows | None:
        if self.op == "SpaceToDepth":
            return {0: range(rows.start * self.size, rows.stop * self.size)}
        return {0: range(rows.start // self.size, -(-rows.stop // self.size))}


def _blocks(given: Spelling) -> Operator:
    crd = given.text("mode", "DCR") == "CRD"
    return Blocks(*given.tensors(), given.integer("blocksize", 1), crd)


def definitions(parsers: Mapping[str, Parse]) -> tuple[Definition, ...]:
    """Return the definitions of operators that move."""
    each = parsers.items()
    return tuple(Definition(op, Kind.MOVED, parse, keeps_steps=True) for op, parse in each)


DEFINITIONS = definitions(
    {
        "DepthToSpace": _blocks,
        "Dropout": _dropout,
        "Expand": alone(Repeat),
        "Flatten": alone(View),
        "Identity": alone(View),
        "Pad": _pad,
        "Reshape": alone(View),
        "ReverseSequence": alone(Moving),
        "SpaceToDepth": _blocks,
        "Squeeze": alone(View),
        "Tile": alone(Repeat),
        "Transpose": _transpose,
        "Unsqueeze": alone(View),
    }
)
