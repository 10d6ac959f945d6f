"""Windows over one axis as windows over two."""

from condense_compiler.errors import UnsupportedError
from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.integer.rows import Rows, needed
from condense_compiler.targets.accelerator.isa.records import LARGEST_WINDOW


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


def check_window(window: Window, pixels: tuple[int, int], name: str) -> None:
    """Refuse a window that the machine's registers do not hold, or that sees padding alone.

    Raises:
        UnsupportedError: It is such a one.
    """
    largest = max(*window.kernel_shape, *window.strides, *window.dilations, *window.pads)
    if largest > LARGEST_WINDOW:
        raise UnsupportedError(f"{name}: a window with {largest:,}, beyond {LARGEST_WINDOW:,}")
    for axis, (size, count) in enumerate(zip(pixels, window.output_shape(pixels), strict=True)):
        if needed(window, Rows(0, count), size, axis).count <= 0:
            raise UnsupportedError(f"{name}: windows that see padding alone")
