"""What holds of windows that walk over maps: convolutions and pools.

Each check returns what is wrong, or None. ONNX Runtime is the judge: what it computes passes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from condense_compiler.limits import limits
from condense_compiler.network.calls import Call, Shape
from condense_compiler.operators.window import Window

_LARGEST = 2**31  # sizes beyond are 64-bit accidents
AUTO_PADS = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
_SAME = AUTO_PADS[1:3]
_MOST_BEHIND = 2  # pixels behind the last window up to which ONNX Runtime pads nothing
_MOST_POOLED_AXES = 3  # of ONNX Runtime's kernels


@dataclass(frozen=True, slots=True)
class Windows:
    """A window and the pixels that it walks over; its pads count without `auto_pad` alone."""

    window: Window
    pixels: Shape
    auto_pad: str

    def padded(self, axis: int) -> int:
        """Return the pixels of the padded map."""
        if self.auto_pad in _SAME:
            return max(self.pixels[axis], self.window.reach(axis))
        if self.auto_pad == "VALID":
            return self.pixels[axis]
        return self.pixels[axis] + self.window.begins[axis] + self.window.ends[axis]


def windows_of(call: Call, pixels: Shape, kernel: Sequence[int]) -> Windows:
    """Return how the windows of a call walk; its lists must have the right lengths."""
    ones = [1] * len(pixels)
    window = Window(
        kernel_shape=tuple(kernel),
        strides=tuple(call.integers("strides") or ones),
        pads=tuple(call.integers("pads") or [0, 0] * len(pixels)),
        dilations=tuple(call.integers("dilations") or ones),
    )
    return Windows(window, pixels, call.text("auto_pad", "NOTSET"))


def _list_fault(call: Call, axes: int) -> str | None:
    """Check lengths and ranges of the lists among the attributes."""
    for name, length, smallest in (
        ("kernel_shape", axes, 1),
        ("strides", axes, 1),
        ("dilations", axes, 1),
        ("pads", 2 * axes, 0),
        ("output_padding", axes, 0),
        ("output_shape", axes, 0),
    ):
        numbers = call.integers(name)
        if not numbers:
            continue
        if len(numbers) != length:
            return f"{name} {numbers} has {len(numbers)} entries; {axes} spatial axes need {length}"
        if min(numbers) < smallest or max(numbers) > _LARGEST:
            return f"{name} {numbers}: each must be from {smallest} to 2^31"
    mode = call.text("auto_pad", "NOTSET")
    if mode not in AUTO_PADS:
        return f"auto_pad '{mode}' does not exist; there are {', '.join(AUTO_PADS)}"
    return None


def _fit_fault(windows: Windows, slack: Sequence[int]) -> str | None:
    """Check that windows are no larger than padded maps by more than some slack."""
    for axis in range(len(windows.pixels)):
        padded, reach = windows.padded(axis), windows.window.reach(axis)
        if reach - padded > slack[axis]:
            return (
                f"its window spans {reach} pixels of spatial axis {axis}, but the padded map has "
                f"{padded}; use larger maps or more padding"
            )
    return None


def _same_fault(windows: Windows) -> str | None:
    """Check that auto_pad asks for no negative padding, which ONNX Runtime shares out oddly."""
    for axis, size in enumerate(windows.pixels):
        behind = -windows.window.missing(axis, size)
        if windows.auto_pad in _SAME and behind > _MOST_BEHIND:
            return "auto_pad with strides beyond the window asks for negative padding; write pads"
    return None


def _padding_fault(call: Call, windows: Windows, channels: int) -> str | None:
    """Check the padded map against the limit: kernels may store it."""
    padded = math.prod(windows.padded(axis) for axis in range(len(windows.pixels)))
    operand = call.operand(0)
    name = "" if operand is None else operand.name
    limits().check("tensor_bytes", 4 * channels * padded, f"'{name}', padded for a {call.op}")
    return None


def _filters_fault(call: Call, shape: Shape, weights: Shape) -> str | None:
    """Check what convolutions of both directions ask of their attributes and filters."""
    if len(shape) != len(weights) or len(shape) < 3:
        return f"a map of shape {[*shape]} and filters of shape {[*weights]} do not fit together"
    fault = _list_fault(call, len(shape) - 2) or _kernel_fault(call, weights)
    if fault:
        return fault
    if call.text("auto_pad", "NOTSET") != "NOTSET" and call.integers("pads"):
        return "has both auto_pad and pads; keep one of them"
    return None


def _group_fault(shape: Shape, weights: Shape, group: int) -> str:
    return (
        f"a map of {shape[1]} channels, filters of shape {[*weights]} and group {group} do not "
        "fit together"
    )


def convolution(call: Call, filters: int = 1, bias: int = 2) -> str | None:
    """Check a Conv or its kin."""
    shape, weights = call.shape(0), call.shape(filters)
    if shape is None or weights is None:
        return None
    fault = _filters_fault(call, shape, weights)
    if fault:
        return fault
    group = int(call.attributes.get("group", 1))
    if group < 1 or shape[1] != weights[1] * group or weights[0] % group:
        return _group_fault(shape, weights, group)
    windows = windows_of(call, shape[2:], weights[2:])
    fault = _fit_fault(windows, [0] * (len(shape) - 2)) or _same_fault(windows)
    fault = fault or _padding_fault(call, windows, shape[0] * shape[1])
    return fault or vector_fault(call, bias, "bias", weights[0])


def convolution_of_codes(call: Call) -> str | None:
    """Check a QLinearConv."""
    weights = call.shape(3)
    fault = convolution(call, filters=3, bias=8)
    if fault or weights is None:
        return fault
    for index, name in ((1, "scale of x"), (2, "zero point of x"), (6, "scale"), (7, "zero point")):
        fault = fault or vector_fault(call, index, name, 1)
    for index, name in ((4, "scale of the filters"), (5, "zero point of the filters")):
        fault = fault or vector_fault(call, index, name, 1, weights[0])
    return fault


def transposed_convolution(call: Call) -> str | None:
    """Check a ConvTranspose."""
    shape, weights = call.shape(0), call.shape(1)
    if shape is None or weights is None:
        return None
    fault = _filters_fault(call, shape, weights)
    if fault:
        return fault
    group = int(call.attributes.get("group", 1))
    if group < 1 or shape[1] != weights[0] or shape[1] % group:
        return _group_fault(shape, weights, group)
    windows = windows_of(call, shape[2:], weights[2:])
    return _spread_fault(call, windows) or vector_fault(call, 2, "bias", weights[1] * group)


def _spread_fault(call: Call, windows: Windows) -> str | None:
    """Check what a ConvTranspose is told about the size of its result."""
    padding = call.integers("output_padding") or [0] * len(windows.pixels)
    asked = call.integers("output_shape")
    for axis, size in enumerate(windows.pixels):
        stride, dilation = windows.window.strides[axis], windows.window.dilations[axis]
        if padding[axis] >= max(stride, dilation):
            return (
                f"output_padding {padding[axis]} of spatial axis {axis} must be less than stride "
                f"or dilation, {max(stride, dilation)}"
            )
        spread = windows.window.span(axis, size) + padding[axis]
        if asked and not 0 < asked[axis] < spread + stride:
            return f"output_shape {asked} asks for more than the {spread} pixels of axis {axis}"
        limits().check("tensor_bytes", 4 * spread, f"a {call.op} of {size} pixels")
    return None


def _kernel_fault(call: Call, weights: Shape) -> str | None:
    kernel = call.integers("kernel_shape")
    if kernel and tuple(kernel) != weights[2:]:
        return f"kernel_shape {kernel} is not that of the filters, {[*weights[2:]]}"
    return None


def pool(call: Call) -> str | None:
    """Check a pool with windows."""
    shape = call.shape(0)
    kernel = call.integers("kernel_shape")
    if shape is None:
        return None
    axes = len(shape) - 2
    if not 1 <= axes <= _MOST_POOLED_AXES:
        return f"pools a map of shape {[*shape]}; it must have from 3 to 5 axes"
    if not kernel:
        return "has no kernel_shape"
    fault = _list_fault(call, axes)
    if fault:
        return fault
    windows = windows_of(call, shape[2:], kernel)
    if windows.auto_pad == "NOTSET":
        pads = [*windows.window.pads]
        if any(pad >= kernel[i % axes] for i, pad in enumerate(pads)):
            return f"pads {pads} must be less than the kernel, {kernel}"
    taps = math.prod(kernel)
    limits().check("window_taps", taps, f"'{call.op}' with a kernel of {kernel}")
    fault = _dilation_fault(windows) or _overhang_fault(windows)
    return fault or _rounding_fault(call) or _power_fault(call)


def _rounding_fault(call: Call) -> str | None:
    mode = call.attributes.get("ceil_mode", 0)
    return f"ceil_mode {mode} does not exist; it is 0 or 1" if mode not in (0, 1) else None


def _dilation_fault(windows: Windows) -> str | None:
    if windows.auto_pad in _SAME and max(windows.window.dilations) > 1:
        return "auto_pad with dilations: ONNX and ONNX Runtime take it differently; write pads"
    return None


def _overhang_fault(windows: Windows) -> str | None:
    # ONNX Runtime computes a single window that hangs over by less than a stride.
    axes = len(windows.pixels)
    slack = [0] * axes if windows.auto_pad in _SAME else [s - 1 for s in windows.window.strides]
    return _fit_fault(windows, slack)


def _power_fault(call: Call) -> str | None:
    power = call.attributes.get("p", 2)
    return f"p {power} is not supported; it must be positive" if power < 1 else None


def vector_fault(call: Call, index: int, name: str, *lengths: int) -> str | None:
    """Check that an operand is a vector of one of some lengths; a number counts as one of 1."""
    operand = call.operand(index)
    if operand is None or operand.shape is None:
        return None
    shape = operand.shape
    if (len(shape) == 1 or (not shape and 1 in lengths)) and math.prod(shape) in lengths:
        return None
    wanted = " or ".join(str(length) for length in dict.fromkeys(lengths))
    return f"{name} '{operand.name}' has shape {[*shape]}; it must be one axis of {wanted}"
