"""Sliding-window maximum and sum, one axis after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from condense_compiler.operators.window import Window
from condense_compiler.targets.reference.kernel import Array, Shape
from condense_compiler.targets.reference.taps import Stretch, Tap, taps


@dataclass(frozen=True, slots=True)
class AxisPool:
    """A sliding window along one axis.

    Attributes:
        axis: The axis of the array, channels included.
        taps: Its taps.
    """

    axis: int
    taps: Sequence[Tap]

    def run(self, source: Array, target: Array, combine: np.ufunc, identity: object) -> None:
        """Combine all that each position sees."""
        full = [tap for tap in self.taps if tap.full]
        partial = [tap for tap in self.taps if not tap.full]
        if len(full) >= 2:
            combine(self._see(source, full[0]), self._see(source, full[1]), out=target)
        elif full:
            np.copyto(target, self._see(source, full[0]))
        else:
            target.fill(identity)
        before = (slice(None),) * self.axis
        for tap in (*full[2:], *partial):
            seen = target[(*before, tap.positions[0])]
            combine(seen, self._see(source, tap), out=seen)

    def _see(self, source: Array, tap: Tap) -> Array:
        return source[(*(slice(None),) * self.axis, tap.source[0])]


@dataclass(frozen=True, slots=True)
class Pooling:
    """A sliding window over some positions of a map, separated into its axes.

    Attributes:
        passes: One for each axis along which the window does anything, the first axis first.
        shapes: Shape behind each pass, without channels.
    """

    passes: tuple[AxisPool, ...]
    shapes: tuple[Shape, ...]

    def temporaries(self, channels: int) -> list[Shape]:
        """Return the shapes of the arrays that `run` needs, each used by every second pass."""
        shapes = self.shapes[:-1]
        sizes = [max((prod(s) for s in shapes[i::2]), default=0) for i in (0, 1)]
        return [(channels * size,) for size in sizes if size]

    def run(
        self,
        source: Array,
        target: Array,
        temporaries: Sequence[Array],
        combine: np.ufunc,
        identity: object,
    ) -> None:
        """Pool `source`, (channels, pixels...), into `target`."""
        if not self.passes:
            np.copyto(target, source)
            return
        channels = len(source)
        for number, axis_pool in enumerate(self.passes[:-1]):
            shape = (channels, *self.shapes[number])
            result = temporaries[number % 2].reshape(-1)[: prod(shape)].reshape(shape)
            axis_pool.run(source, result, combine, identity)
            source = result
        self.passes[-1].run(source, target, combine, identity)


def pooling(window: Window, positions: tuple[Stretch, ...], source: tuple[Stretch, ...]) -> Pooling:
    """Separate a window over a part of a map into its axes."""
    passes, shapes = [], []
    shape = [part.count for part in source]
    for axis in range(len(shape)):
        single = axis_window(window, axis)
        if (
            single.kernel_shape == (1,)
            and positions[axis] == source[axis]
            and single.strides == (1,)
        ):
            continue
        shape[axis] = positions[axis].count
        passes.append(AxisPool(axis + 1, taps(single, (positions[axis],), (source[axis],))))
        shapes.append(tuple(shape))
    return Pooling(tuple(passes), tuple(shapes))


def axis_window(window: Window, axis: int) -> Window:
    """Return the part of a window that walks along one axis."""
    rank = len(window.kernel_shape)
    return Window(
        (window.kernel_shape[axis],),
        (window.strides[axis],),
        (window.pads[axis], window.pads[axis + rank]),
        (window.dilations[axis],),
        window.ceil_mode,
    )


def lowest(dtype: np.dtype[Any]) -> Any:
    """Return the value that no maximum keeps."""
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf
