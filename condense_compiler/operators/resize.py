"""Resize and Upsample: which pixels each position reads. Source: ONNX operator specification.

Coordinates are in float32, as ONNX Runtime computes them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from condense_compiler.operators.attributes import Array, Spelling
from condense_compiler.operators.definition import (
    ROW_AXIS,
    Definition,
    Kind,
    Moved,
    Operator,
    Rows,
)
from condense_compiler.operators.parts import hull


@dataclass(frozen=True, slots=True)
class ResizedAxis:
    """An axis that changes.

    Attributes:
        size: Its size before.
        result: Its size behind.
        scale: By how much it grows.
    """

    size: int
    result: int
    scale: np.float32

    @property
    def places(self) -> Array:
        """The numbers of the pixels behind."""
        return np.arange(self.result, dtype=np.float32)


def _half_pixel(axis: ResizedAxis) -> Array:
    return (axis.places + np.float32(0.5)) / axis.scale - np.float32(0.5)


def _align_corners(axis: ResizedAxis) -> Array:
    if axis.result == 1:
        return np.zeros(1, np.float32)
    return axis.places * np.float32(axis.size - 1) / np.float32(axis.result - 1)


def _symmetric(axis: ResizedAxis) -> Array:
    adjusted = np.float32(axis.result) / (axis.scale * np.float32(axis.size))
    offset = np.float32(axis.size / 2) * (np.float32(1) - adjusted)
    exact: Array = offset + (axis.places.astype(np.float64) + 0.5) / axis.scale - 0.5
    return exact.astype(np.float32)


_COORDINATES: Mapping[str, Callable[[ResizedAxis], Array]] = {
    "align_corners": _align_corners,
    "asymmetric": lambda axis: axis.places / axis.scale,
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": lambda axis: (
        _half_pixel(axis) if axis.result > 1 else np.zeros(1, np.float32)
    ),
    "tf_half_pixel_for_nn": lambda axis: (axis.places + np.float32(0.5)) / axis.scale,
}

# What ONNX Runtime still takes for a half where floors are preferred.
_NEARLY_HALF = 1e-6

_ROUNDING: Mapping[str, Callable[[Array], Array]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    # In double precision, what is nearly a half does not become one.
    "round_prefer_ceil": lambda x: np.floor(x.astype(np.float64) + 0.5),
    "round_prefer_floor": lambda x: np.ceil(x.astype(np.float64) - (0.5 + _NEARLY_HALF)),
}

# Attributes that ask for what is described nowhere here, and their values that do not.
_PLAIN: Mapping[str, tuple[object, ...]] = {
    "antialias": (0,),
    "exclude_outside": (0,),
    "keep_aspect_ratio_policy": ("stretch",),
}
# Older exporters named the number of axes.
_MODES = {"bilinear": "linear", "trilinear": "linear"}
_DESCRIBED = ("nearest", "linear")


@dataclass(frozen=True, slots=True)
class Resize(Operator):
    """Pixels of other sizes.

    Attributes:
        mode: How a pixel comes from its neighbours: `nearest`, `linear`, ...
        coordinates: How pixels before and behind lie to each other.
        rounding: Which pixel is the nearest; None: the upper one if the map shrinks, else the
            lower one.
        scales: Scale of each axis that has one; None where they are computed at run time.
        is_plain: It asks for nothing that is not described here.
    """

    mode: str
    coordinates: str
    rounding: str | None
    scales: Mapping[int, np.float32] | None
    is_plain: bool

    def moved(self) -> Moved | None:
        """Return what is moved, if every pixel is one that it reads."""
        crops = self.coordinates == "tf_crop_and_resize"
        return Moved(range(1)) if self.mode == "nearest" and not crops else None

    def axes(self) -> dict[int, ResizedAxis] | None:
        """Return the axes that change, by number; None where that is not described."""
        described = self.is_plain and self.mode in _DESCRIBED and self.coordinates in _COORDINATES
        if self.scales is None or not described:
            return None
        if self.data == self.result:  # whatever the scales are
            return {}
        found = {}
        for number, (size, after) in enumerate(zip(self.data, self.result, strict=True)):
            scale = self.scales.get(number, np.float32(after) / np.float32(size))
            if scale != 1 or size != after:
                found[number] = ResizedAxis(size, after, scale)
        return found

    def separate_axes(self) -> int:
        """Return the axes of batch and channels, if they stay."""
        return ROW_AXIS if self.data[:ROW_AXIS] == self.result[:ROW_AXIS] else 0

    def neighbours(self, axis: ResizedAxis) -> tuple[Array, Array | None, Array | None]:
        """Return the pixels that each place reads: the lower, the upper, the upper's weight.

        Of the nearest, there is no upper one.
        """
        coordinates = _COORDINATES[self.coordinates](axis)
        if self.mode == "nearest":
            rounding = self.rounding or ("ceil" if axis.scale < 1 else "floor")
            rounded = _ROUNDING[rounding](coordinates)
            return np.clip(rounded, 0, axis.size - 1).astype(np.intp), None, None
        inside = np.clip(coordinates, 0, axis.size - 1)
        low = inside.astype(np.intp)
        high = np.minimum(low + 1, axis.size - 1)
        # At the border both are the same pixel, which counts in halves: of infinity nothing is
        # taken zero times.
        weights = np.where(low == high, np.float32(0.5), inside - low.astype(np.float32))
        return low, high, weights

    def _rows(self, rows: range) -> Rows | None:
        axes = self.axes()
        if axes is None or len(self.data) <= ROW_AXIS:
            return None
        if ROW_AXIS not in axes:
            return {0: rows}
        low, high, _ = self.neighbours(axes[ROW_AXIS])
        part = slice(rows.start, rows.stop)
        return {0: hull([*low[part].tolist(), *(() if high is None else high[part].tolist())])}


def _resize(given: Spelling) -> Operator:
    # Before opset 11, scales were the only operand, and there were no coordinate modes.
    is_old = given.op == "Upsample" or len(given.node.inputs) == 2
    mode = given.text("mode", "nearest")
    coordinates, rounding = "asymmetric", None
    if not is_old:
        coordinates = given.text("coordinate_transformation_mode", "half_pixel")
        rounding = given.text("nearest_mode", "round_prefer_floor")
    return Resize(
        *given.tensors(),
        mode=_MODES.get(mode, mode),
        coordinates=coordinates,
        rounding=rounding,
        scales=_scales(given, 1 if is_old else 2),
        is_plain=all(given.node.attrs.get(n, known[0]) in known for n, known in _PLAIN.items()),
    )


def _scales(given: Spelling, position: int) -> dict[int, np.float32] | None:
    """Return the scales that are given, by axis; those that sizes give are not among them."""
    values: Array | None = given.node.attrs.get("scales")
    # An input without elements is how some leave it out.
    if values is None and given.has(position) and 0 not in given.shape(position):
        values = given.constant(position)
        if values is None:
            return None
    rank = len(given.shape())
    axes = given.integers("axes") or range(rank)
    each = zip(axes, () if values is None else np.ravel(values), strict=False)
    return {axis % rank: np.float32(value) for axis, value in each}


DEFINITIONS = (
    Definition("Resize", Kind.MOVED, _resize),
    Definition("Upsample", Kind.MOVED, _resize),
)
