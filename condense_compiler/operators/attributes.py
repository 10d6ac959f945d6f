"""Reading what ONNX operators are told, as attributes or as inputs, whether given or not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.operators.fused import Window

# Convolutions that may be fused, and at which input their filters stand.
FILTERS_INPUT = {"Conv": 1, "QLinearConv": 3}

_SAME = ("SAME_UPPER", "SAME_LOWER")


def constant_input(node: gs.Node, index: int) -> npt.NDArray[Any] | None:
    """Return the value of a constant input; None where it is absent or computed at run time."""
    if index >= len(node.inputs) or not isinstance(node.inputs[index], gs.Constant):
        return None
    return np.asarray(node.inputs[index].values)


def int_list(node: gs.Node, attribute: str, index: int) -> list[int] | None:
    """Return a list that older operator versions have as attribute, newer ones as input."""
    if attribute in node.attrs:
        return [int(value) for value in np.atleast_1d(node.attrs[attribute])]
    value = constant_input(node, index)
    return [int(item) for item in np.atleast_1d(value)] if value is not None else None


def convolution_window(node: gs.Node) -> Window:
    """Return the window of a Conv or QLinearConv, with its pads as numbers."""
    filters = node.inputs[FILTERS_INPUT[node.op]]
    kernel = node.attrs.get("kernel_shape") or filters.shape[2:]
    return _window(node, tuple(kernel))


def pooling_window(node: gs.Node) -> Window:
    """Return the window of MaxPool, AveragePool or LpPool."""
    return _window(node, tuple(node.attrs["kernel_shape"]))


def _window(node: gs.Node, kernel: tuple[int, ...]) -> Window:
    ones = (1,) * len(kernel)
    window = Window(
        kernel_shape=kernel,
        strides=tuple(node.attrs.get("strides", ones)),
        pads=tuple(node.attrs.get("pads", (0, 0) * len(kernel))),
        dilations=tuple(node.attrs.get("dilations", ones)),
        ceil_mode=bool(node.attrs.get("ceil_mode", 0)),
    )
    mode = _text(node.attrs.get("auto_pad", "NOTSET"))
    if mode == "NOTSET":
        return window
    pads = (0, 0) * len(kernel)
    if mode in _SAME:
        pads = same_pads(window, node.inputs[0].shape[2:], upper=mode == "SAME_UPPER")
    return Window(kernel, window.strides, pads, window.dilations, window.ceil_mode)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def same_pads(window: Window, pixels: Sequence[int], upper: bool) -> tuple[int, ...]:
    """Return the pads for ceil(size / stride) positions; an odd one goes to the end if `upper`.

    Source: ONNX operator specification, `auto_pad`.
    """
    begins, ends = [], []
    for axis, size in enumerate(pixels):
        stride = window.strides[axis]
        reach = window.dilations[axis] * (window.kernel_shape[axis] - 1) + 1
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
        small, large = total // 2, total - total // 2
        begins.append(small if upper else large)
        ends.append(large if upper else small)
    return (*begins, *ends)
