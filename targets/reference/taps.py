"""How the taps of a sliding window meet the rows and columns of a map."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from condense_compiler.operators.window import Window

Slices = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some consecutive positions along one axis.

    Attributes:
        first: The first of them.
        count: How many.
    """

    first: int
    count: int

    @property
    def end(self) -> int:
        """The position behind the last."""
        return self.first + self.count


@dataclass(frozen=True, slots=True)
class Tap:
    """One tap of a window: which positions see the map through it, and what they see.

    Attributes:
        index: Number of the tap, last axis fastest.
        positions: Positions that see the map; the others see padding.
        source: What they see of the map, one element for each position.
        margins: The positions that see padding.
    """

    index: int
    positions: Slices
    source: Slices
    margins: tuple[Slices, ...]

    @property
    def full(self) -> bool:
        """Whether no position sees padding."""
        return not self.margins


def needed(window: Window, axis: int, positions: Stretch, size: int) -> Stretch:
    """Return what some positions along an axis read of a map of `size`, without padding."""
    read = window.reads(axis, range(positions.first, positions.end), size)
    return Stretch(read.start, len(read))


def taps(window: Window, positions: tuple[Stretch, ...], source: tuple[Stretch, ...]) -> list[Tap]:
    """Return all taps of a window at some positions, over a part of a map.

    Slices of the map are relative to the part. Taps that see nothing but padding are included,
    with empty slices.
    """
    axes = [
        list(_axis_taps(window, a, p, s))
        for a, (p, s) in enumerate(zip(positions, source, strict=True))
    ]
    found = []
    for index, parts in enumerate(product(*axes)):
        seen = tuple(part[0] for part in parts)
        margins = tuple(_margins(seen, positions))
        found.append(Tap(index, seen, tuple(part[1] for part in parts), margins))
    return found


def _margins(seen: Slices, positions: tuple[Stretch, ...]) -> Iterator[Slices]:
    """Yield what lies beside `seen` along each axis; corners come up twice."""
    whole = [slice(0, part.count) for part in positions]
    for axis, (part, stretch) in enumerate(zip(seen, positions, strict=True)):
        for beside in (slice(0, part.start), slice(part.stop, stretch.count)):
            if beside.stop > beside.start:
                yield (*whole[:axis], beside, *whole[axis + 1 :])


def _axis_taps(
    window: Window, axis: int, positions: Stretch, source: Stretch
) -> Iterator[tuple[slice, slice]]:
    stride = window.strides[axis]
    origin = positions.first * stride - window.pads[axis] - source.first
    for tap in range(window.kernel_shape[axis]):
        start = origin + tap * window.dilations[axis]
        low = min(max(-(start // stride), 0), positions.count)
        high = min(max((source.count - 1 - start) // stride + 1, low), positions.count)
        if high == low:
            yield slice(0, 0), slice(0, 0)
        else:
            begin = start + low * stride
            yield slice(low, high), slice(begin, start + (high - 1) * stride + 1, stride)
