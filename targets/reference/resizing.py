"""Resize and Upsample: nearest and linear, separated into the axes that change."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from condense_compiler.targets.reference.kernel import (
    Array,
    Kernel,
    NodeContext,
    Shape,
    compute_dtype,
    is_float,
)

# What comes before the axes that change is computed in blocks of this size.
_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class _Axis:
    """An axis that changes. Coordinates are in float32, as ONNX Runtime computes them.

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


def _half_pixel(axis: _Axis) -> Array:
    return (axis.places + np.float32(0.5)) / axis.scale - np.float32(0.5)


def _align_corners(axis: _Axis) -> Array:
    if axis.result == 1:
        return np.zeros(1, np.float32)
    return axis.places * np.float32(axis.size - 1) / np.float32(axis.result - 1)


def _symmetric(axis: _Axis) -> Array:
    adjusted = np.float32(axis.result) / (axis.scale * np.float32(axis.size))
    offset = np.float32(axis.size / 2) * (np.float32(1) - adjusted)
    exact: Array = offset + (axis.places.astype(np.float64) + 0.5) / axis.scale - 0.5
    return exact.astype(np.float32)


_COORDINATES: Mapping[str, Callable[[_Axis], Array]] = {
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

# Attributes that ask for what only ONNX Runtime does here, and their values that do not.
_PLAIN: Mapping[str, tuple[object, ...]] = {
    "antialias": (0,),
    "exclude_outside": (0,),
    "keep_aspect_ratio_policy": ("stretch",),
}


@dataclass(frozen=True, slots=True)
class _Pass:
    """A pass along one axis of (lead, before, axis, behind): `weights` of `high`, rest of `low`."""

    axis: int
    low: Array
    high: Array | None = None
    weights: Array | None = None

    def run(self, source: Array, target: Array) -> None:
        """Write `target`; both are (lead, axes...)."""
        np.take(source, self.low, axis=self.axis, out=target, mode="clip")
        if self.high is None or self.weights is None:
            return
        weights = self.weights.astype(target.dtype).reshape(
            -1, *(1,) * (target.ndim - self.axis - 1)
        )
        target *= 1 - weights
        far = np.take(source, self.high, axis=self.axis)
        far *= weights
        target += far


def resize(context: NodeContext) -> Kernel | None:
    """Prepare Resize or Upsample."""
    mode = _mode(context)
    plain = all(context.attribute(name, ok[0]) in ok for name, ok in _PLAIN.items())
    if mode is None or not plain or (mode == "linear" and not is_float(context.dtype())):
        return None
    axes = _axes(context)
    coordinates = _COORDINATES.get(_coordinate_mode(context))
    if axes is None or coordinates is None:
        return None
    first = min(axes, default=len(context.shape()) - 1)
    passes = [
        _pass(context, mode, axis, coordinates(axis), number - first + 1)
        for number, axis in axes.items()
    ]
    return _in_blocks(context, first, passes)


def _mode(context: NodeContext) -> str | None:
    mode = context.attribute("mode", "nearest")
    # Older exporters named the number of axes.
    mode = {"bilinear": "linear", "trilinear": "linear"}.get(mode, mode)
    return mode if mode in ("nearest", "linear") else None


def _is_old(context: NodeContext) -> bool:
    """Tell whether the operator has no coordinate modes yet."""
    return bool(context.node.op == "Upsample" or context.opset < 11)


def _coordinate_mode(context: NodeContext) -> str:
    if _is_old(context):
        return "asymmetric"
    return str(context.attribute("coordinate_transformation_mode", "half_pixel"))


def _axes(context: NodeContext) -> dict[int, _Axis] | None:
    """Return the axes that change, by number; None where scales are only known at run time."""
    shape, result = context.shape(), context.output_shape()
    scales = _scales(context)
    if scales is None:
        return None
    if shape == result:  # whatever the scales are
        return {}
    found = {}
    for number, (size, after) in enumerate(zip(shape, result, strict=True)):
        scale = scales.get(number, np.float32(after) / np.float32(size))
        if scale != 1 or size != after:
            found[number] = _Axis(size, after, scale)
    return found


def _scales(context: NodeContext) -> dict[int, np.float32] | None:
    """Return the scales that are given, by axis; those that sizes give are not among them."""
    if "scales" in context.node.attrs:
        return dict(enumerate(map(np.float32, context.node.attrs["scales"])))
    position = 1 if _is_old(context) else 2
    if _is_given(context, position):
        values = context.constant(position)
        if values is None:
            return None
        axes = context.attribute("axes", range(len(context.shape())))
        rank = len(context.shape())
        return {axis % rank: np.float32(v) for axis, v in zip(axes, values.ravel(), strict=True)}
    return {}


def _is_given(context: NodeContext, position: int) -> bool:
    """Tell whether an input is there and not empty, which is how some leave it out."""
    return context.has_input(position) and prod(context.shape(position)) > 0


def _pass(context: NodeContext, mode: str, axis: _Axis, coordinates: Array, number: int) -> _Pass:
    if mode == "nearest":
        return _Pass(number, _nearest(context, axis, coordinates))
    inside = np.clip(coordinates, 0, axis.size - 1)
    low = inside.astype(np.intp)
    high = np.minimum(low + 1, axis.size - 1)
    # At the border both are the same pixel, which counts in halves: of infinity nothing is taken
    # zero times.
    weights = np.where(low == high, np.float32(0.5), inside - low.astype(np.float32))
    return _Pass(number, low, high, weights)


def _nearest(context: NodeContext, axis: _Axis, coordinates: Array) -> Array:
    if _is_old(context):
        rounded = np.ceil(coordinates) if axis.scale < 1 else np.floor(coordinates)
    else:
        rounding = context.attribute("nearest_mode", "round_prefer_floor")
        rounded = _ROUNDING[rounding](coordinates)
    return np.clip(rounded, 0, axis.size - 1).astype(np.intp)


def _in_blocks(context: NodeContext, first: int, passes: Sequence[_Pass]) -> Kernel:
    """Return a kernel that runs the passes one after the other, a block of leading axes a time."""
    dtype = compute_dtype(context.dtype()) if is_float(context.dtype()) else context.dtype()
    shapes = [context.shape()[first:]]
    for step in passes:
        shape = list(shapes[-1])
        shape[step.axis - 1] = len(step.low)
        shapes.append(tuple(shape))
    lead = prod(context.shape()[:first])
    count = max(1, _BLOCK_BYTES // max(prod(shape) * dtype.itemsize for shape in shapes))

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        source = inputs[0].reshape(lead, *shapes[0])
        target = outputs[0].reshape(lead, *shapes[-1])
        for low in range(0, lead, count):
            _run(passes, shapes, source[low : low + count], target[low : low + count])

    held = _elements_held(shapes, linear=any(step.high is not None for step in passes))
    return Kernel(compute, temporary_bytes=min(count, lead) * held * dtype.itemsize)


def _run(passes: Sequence[_Pass], shapes: Sequence[Shape], block: Array, target: Array) -> None:
    if not passes:
        np.copyto(target, block)
        return
    for step, shape in zip(passes, shapes[1:], strict=True):
        last = step is passes[-1]
        result: Array = target if last else np.empty((len(block), *shape), block.dtype)
        step.run(block, result)
        block = result


def _elements_held(shapes: Sequence[Shape], *, linear: bool) -> int:
    """Return the elements of the temporaries of one item, at most."""
    sizes = [prod(shape) for shape in shapes]
    held: list[Any] = [before + behind * (1 + linear) for before, behind in pairwise(sizes)]
    return int(max(held, default=0))
