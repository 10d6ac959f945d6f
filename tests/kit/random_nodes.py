"""Random nodes of operators that have kernels of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from onnx import helper

Array = npt.NDArray[Any]
Draw = st.DrawFn


@dataclass(frozen=True)
class Case:
    """A node, what it is fed with, and its constants.

    Attributes:
        op: Operator type.
        attributes: Its attributes.
        feeds: Values of the first inputs.
        constants: Values of the others, by name; a name of `_` and a number is left out.
        opset: Version of the operators.
    """

    op: str
    attributes: Mapping[str, Any]
    feeds: Mapping[str, Array]
    constants: Mapping[str, Array] = field(default_factory=dict)
    opset: int = 20
    outputs: int = 1

    def node(self) -> Any:
        """Return the node."""
        names = [name if name[0] != "_" else "" for name in (*self.feeds, *self.constants)]
        outputs = [f"y{number}" for number in range(self.outputs)]
        return helper.make_node(self.op, names, outputs, **self.attributes)

    def given(self) -> dict[str, Array]:
        """Return the constants that are not left out."""
        return {name: value for name, value in self.constants.items() if name[0] != "_"}


def numbers(draw: Draw, *shape: int, dtype: Any = np.float32) -> Array:
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    if np.dtype(dtype).kind in "iu":
        return generator.integers(0, 100, shape).astype(dtype)
    return np.asarray(generator.standard_normal(shape), dtype)


def sizes(draw: Draw, rank: int, largest: int) -> tuple[int, ...]:
    return tuple(draw(st.integers(1, largest)) for _ in range(rank))


@st.composite
def transposed_convolutions(draw: Draw) -> Case:
    rank = draw(st.integers(1, 3))
    kernel = sizes(draw, rank, 4)
    strides, dilations = sizes(draw, rank, 3), sizes(draw, rank, 2)
    group = draw(st.sampled_from([1, 2, 3]))
    inputs, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    pixels = tuple(draw(st.integers(1, 6)) for _ in range(rank))
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    attributes: dict[str, Any] = {"strides": strides, "dilations": dilations, "group": group}
    added = [draw(st.integers(0, s - 1)) for s in strides]
    full = [(n - 1) * s + r for n, s, r in zip(pixels, strides, reach, strict=True)]
    way = draw(st.sampled_from(["pads", "SAME_UPPER", "SAME_LOWER", "VALID", "output_shape"]))
    if way == "pads":
        before = [draw(st.integers(0, (n - 1) // 2)) for n in full]
        behind = [draw(st.integers(0, (n - 1) // 2)) for n in full]
        attributes |= {"pads": [*before, *behind], "output_padding": added}
    elif way == "output_shape":
        attributes["output_shape"] = [draw(st.integers(max(1, n - 3), n + 1)) for n in full]
        attributes["auto_pad"] = draw(st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER"]))
    else:
        attributes["auto_pad"] = way
    x = numbers(draw, draw(st.integers(1, 2)), group * inputs, *pixels)
    constants = {"w": numbers(draw, group * inputs, outputs, *kernel)}
    if draw(st.booleans()):
        constants["b"] = numbers(draw, group * outputs)
    return Case("ConvTranspose", attributes, {"x": x}, constants, draw(st.sampled_from([11, 22])))


SCALES = st.sampled_from([0.25, 0.3, 0.5, 0.6, 0.9, 1.0, 1.1, 1.3, 1.7, 2.0, 2.6, 3.0])


@st.composite
def resizings(draw: Draw) -> Case:
    mode = draw(st.sampled_from(["nearest", "linear"]))
    x = numbers(draw, *sizes(draw, 2, 3), *(draw(st.integers(4, 11)) for _ in range(2)))
    scales = np.array([1, 1, draw(SCALES), draw(SCALES)], np.float32)
    attributes: dict[str, Any] = {"mode": mode}
    opset = draw(st.sampled_from([7, 9, 10, 11, 13, 18, 19]))
    if opset == 7:
        return Case("Upsample", {**attributes, "scales": np.maximum(scales, 1)}, {"x": x}, {}, 7)
    if opset == 9:
        return Case("Upsample", attributes, {"x": x}, {"s": np.maximum(scales, 1)}, 9)
    if opset == 10:
        return Case("Resize", attributes, {"x": x}, {"s": scales}, 10)
    modes = ["align_corners", "asymmetric", "half_pixel", "pytorch_half_pixel"]
    modes += ["half_pixel_symmetric"] if opset == 19 else []
    modes += ["tf_half_pixel_for_nn"] if opset == 11 else []
    attributes["coordinate_transformation_mode"] = draw(st.sampled_from(modes))
    if mode == "nearest":
        x = draw(st.sampled_from([x, x.astype(np.float16), (50 * x).astype(np.int8)]))
        rounding = ["ceil", "floor", "round_prefer_ceil", "round_prefer_floor"]
        attributes["nearest_mode"] = draw(st.sampled_from(rounding))
    pixels = np.array([*x.shape[:2], *sizes(draw, 2, 20)])
    by_sizes = {"_roi": x, "_scales": x, "n": pixels}
    given = draw(st.sampled_from([{"_roi": x, "s": scales}, by_sizes]))
    if opset == 11:  # neither could be left out yet
        empty = {"r": np.empty(0, np.float32)}
        given = empty | ({"s": np.empty(0, np.float32)} if "n" in given else {}) | given
        given = {name: value for name, value in given.items() if name[0] != "_"}
    return Case("Resize", attributes, {"x": x}, given, opset)


@st.composite
def pads(draw: Draw) -> Case:
    shape = tuple(draw(st.integers(3, 6)) for _ in range(draw(st.integers(1, 4))))
    mode = draw(st.sampled_from(["constant", "edge", "reflect", "wrap"]))
    lowest = -1 if mode == "constant" else 0
    values = [draw(st.integers(lowest, 2)) for _ in range(2 * len(shape))]
    x = numbers(draw, *shape, dtype=draw(st.sampled_from([np.float32, np.int32, np.uint8])))
    if draw(st.booleans()) and x.dtype == np.float32 and mode != "wrap":
        return Case("Pad", {"mode": mode, "pads": values, "value": 0.5}, {"x": x}, {}, 9)
    constants = {"p": np.array(values)}
    if mode == "constant" and draw(st.booleans()):
        constants["v"] = np.asarray(3, x.dtype)
    elif draw(st.booleans()):
        axis = draw(st.integers(-len(shape), len(shape) - 1))
        constants = {"p": np.array(values[:2]), "_v": x, "a": np.array([axis])}
    return Case("Pad", {"mode": mode}, {"x": x}, constants, 19)


@st.composite
def normalisations(draw: Draw) -> Case:
    op = draw(st.sampled_from(["Hardmax", "LogSoftmax", "Softmax"]))
    shape = sizes(draw, draw(st.integers(1, 4)), 7)
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    x = numbers(draw, *shape) * np.float32(draw(st.sampled_from([1, 100, 1e4])))
    return Case(op, {"axis": axis}, {"x": x}, {}, draw(st.sampled_from([7, 11, 12, 13, 20])))


@st.composite
def poolings(draw: Draw) -> Case:
    op = draw(st.sampled_from(["AveragePool", "MaxPool"]))
    rank = draw(st.integers(1, 3))
    kernel, strides = sizes(draw, rank, 4), sizes(draw, rank, 3)
    way = draw(st.sampled_from(["pads", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    # With SAME, ONNX Runtime pads as if there were no dilations, and gives back a smaller map.
    dilations = sizes(draw, rank, 1 if way.startswith("SAME") else 2)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    pixels = tuple(draw(st.integers(r, r + 6)) for r in reach)
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": strides}
    attributes["dilations"] = dilations
    if way == "pads":
        attributes["pads"] = [draw(st.integers(0, k - 1)) for _ in range(2) for k in kernel]
        attributes["ceil_mode"] = draw(st.integers(0, 1))
    else:
        attributes["auto_pad"] = way
    if op == "AveragePool":
        attributes["count_include_pad"] = draw(st.integers(0, 1))
    x = numbers(draw, *sizes(draw, 2, 3), *pixels)
    outputs = draw(st.integers(1, 2)) if op == "MaxPool" else 1
    return Case(op, attributes, {"x": x}, {}, 22, outputs)


@st.composite
def rearrangements(draw: Draw) -> Case:
    block = draw(st.integers(1, 3))
    batch, channels, rows, columns = sizes(draw, 4, 3)
    dtype = draw(st.sampled_from([np.float32, np.float16, np.uint8]))
    if draw(st.booleans()):
        x = numbers(draw, batch, channels, rows * block, columns * block).astype(dtype)
        return Case("SpaceToDepth", {"blocksize": block}, {"x": x}, {}, 13)
    x = numbers(draw, batch, channels * block**2, rows, columns).astype(dtype)
    mode = draw(st.sampled_from(["CRD", "DCR"]))
    return Case("DepthToSpace", {"blocksize": block, "mode": mode}, {"x": x}, {}, 13)


@st.composite
def reductions(draw: Draw) -> Case:
    op = draw(st.sampled_from(["Max", "Mean", "Min", "Prod", "Sum"]))
    shape = sizes(draw, draw(st.integers(1, 4)), 5)
    axes = draw(st.sets(st.integers(0, len(shape) - 1)))
    kept = {"keepdims": draw(st.integers(0, 1))}
    x = numbers(draw, *shape)
    if draw(st.booleans()):
        listed = {"axes": sorted(axes)} if axes else {}
        return Case(f"Reduce{op}", kept | listed, {"x": x}, {}, 11)
    given = {"a": np.array(sorted(axes))} if axes else {}
    return Case(f"Reduce{op}", kept, {"x": x}, given, 20)


CASES: Mapping[str, st.SearchStrategy[Case]] = {
    "convolutions": transposed_convolutions(),
    "normalisations": normalisations(),
    "pads": pads(),
    "poolings": poolings(),
    "rearrangements": rearrangements(),
    "reductions": reductions(),
    "resizings": resizings(),
}
