"""Resizing by scales: how many pixels there are, where size times scale is nearly a whole number.

ONNX Runtime multiplies in single precision, as PyTorch does when it exports: ten pixels times 1.3
are 13. The shape inference of ONNX multiplies the rounded scale exactly and finds 12.
"""

import numpy as np

from condense_compiler.network.calls import Call, Shape

_FIRST_WITH_REGION = 11  # of Resize: from there on the region of interest stands before the scales


def pixels(size: int, scale: float) -> int:
    """Return the pixels that ONNX Runtime makes of some along an axis."""
    return int(np.float32(size) * np.float32(scale))


def resized_shape(call: Call) -> Shape | None:
    """Return the shape of what a Resize or Upsample makes by scales, None if it has none."""
    position = 2 if call.op == "Resize" and call.opset >= _FIRST_WITH_REGION else 1
    shape = call.shape(0)
    given = call.attributes.get("scales")
    scales = given if given is not None else call.values(position)
    if shape is None or scales is None or not len(scales):
        return None
    axes = call.integers("axes") or list(range(len(shape)))
    if len(axes) != len(scales):
        return None  # inference says what is wrong
    sizes = list(shape)
    for axis, scale in zip(axes, scales, strict=True):
        sizes[axis] = pixels(shape[axis], float(scale))
    return tuple(sizes)
