"""Windows over one axis as windows over two."""

from condense_compiler.errors import UnsupportedError
from condense_compiler.operators.fused import Window


def over_two_axes(window: Window, name: str) -> Window:
    """Return a window over one axis, or two, as one over two: a map with one axis is one row.

    Raises:
        UnsupportedError: It goes over more.
    """
    axes = len(window.kernel_shape)
    if axes > 2:
        raise UnsupportedError(f"{name}: a window over {axes} axes")
    if axes == 2:
        return window
    before, after = window.pads
    return Window(
        (1, *window.kernel_shape),
        (1, *window.strides),
        (0, before, 0, after),
        (1, *window.dilations),
        window.ceil_mode,
    )
