"""Read the sliding window of an ONNX operator from its attributes."""

from condense_compiler.operators.window import Window
from condense_compiler.targets.reference.kernel import NodeContext, Shape


def read_window(context: NodeContext, kernel_shape: Shape) -> Window:
    """Return the window of a convolution or pooling, `auto_pad` resolved."""
    rank = len(kernel_shape)
    ones = (1,) * rank
    strides = tuple(context.attribute("strides", ones))
    dilations = tuple(context.attribute("dilations", ones))
    auto_pad = context.attribute("auto_pad", "NOTSET")
    ceil_mode = bool(context.attribute("ceil_mode", 0))
    pads = tuple(context.attribute("pads", (0,) * (2 * rank)))
    if auto_pad == "VALID":
        pads, ceil_mode = (0,) * (2 * rank), False
    elif auto_pad != "NOTSET":
        pads = _same_pads(context, Window(tuple(kernel_shape), strides, pads, dilations), auto_pad)
        ceil_mode = False
    return Window(tuple(kernel_shape), strides, pads, dilations, ceil_mode)


def takes_away(context: NodeContext, window: Window) -> bool:
    """Tell whether `auto_pad` would need negative padding, which ONNX leaves open."""
    if not context.attribute("auto_pad", "NOTSET").startswith("SAME"):
        return False
    return any(
        -(-size // stride) * stride - stride + dilation * (taps - 1) + 1 < size
        for size, stride, dilation, taps in zip(
            context.shape()[2:],
            window.strides,
            window.dilations,
            window.kernel_shape,
            strict=True,
        )
    )


def _same_pads(context: NodeContext, window: Window, auto_pad: str) -> Shape:
    before, after = [], []
    for axis, size in enumerate(context.shape()[2:]):
        stride = window.strides[axis]
        reach = window.dilations[axis] * (window.kernel_shape[axis] - 1) + 1
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
        small, large = total // 2, total - total // 2
        before.append(small if auto_pad == "SAME_UPPER" else large)
        after.append(large if auto_pad == "SAME_UPPER" else small)
    return (*before, *after)
