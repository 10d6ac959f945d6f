"""ConvTranspose: each tap of the filters adds a product of matrices to every stride-th pixel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from condense_compiler.operators.convolution import TransposedConvolution
from condense_compiler.operators.window import Window
from condense_compiler.targets.reference.kernel import (
    Array,
    Kernel,
    NodeContext,
    Shape,
    compute_dtype,
    is_float,
)
from condense_compiler.targets.reference.taps import Slices, Stretch, Tap, taps

# Products of a tap are computed in stripes and blocks of channels of this size.
_PRODUCT_BYTES = 1 << 19

_WHOLE = (slice(None), slice(None))  # groups, and channels of each


@dataclass(frozen=True, slots=True)
class _Stripe:
    """Some rows of the input: its pixels, flattened, and where each tap adds them."""

    pixels: slice
    shape: Shape
    taps: Sequence[Tap]


@dataclass(frozen=True, slots=True)
class _Scheme:
    """How a transposed convolution is computed.

    Attributes:
        groups: Groups of the filters.
        outputs: Output channels of a group.
        stripes: Parts of the input, in order.
        blocks: Groups and output channels in them that are computed together.
        dtype: Type of everything.
    """

    groups: int
    outputs: int
    stripes: Sequence[_Stripe]
    blocks: Sequence[tuple[slice, slice]]
    dtype: np.dtype[Any]

    @property
    def buffer_bytes(self) -> int:
        """Room for the largest product."""
        pixels = max(prod(stripe.shape) for stripe in self.stripes)
        return max(map(_channels, self.blocks)) * pixels * self.dtype.itemsize

    def run(self, image: Array, filters: Array, output: Array, scratch: Array) -> None:
        """Add all products to `output`, (channels, pixels...), which holds the bias.

        Args:
            image: Input, (channels, pixels...).
            filters: (taps, groups, output channels of a group, input channels of a group).
            output: Result.
            scratch: Room of `buffer_bytes`.
        """
        inputs = image.reshape(self.groups, -1, prod(image.shape[1:]))
        results = output.reshape(self.groups, self.outputs, *output.shape[1:])
        room = scratch[: self.buffer_bytes].view(self.dtype)
        for stripe in self.stripes:
            for block in self.blocks:
                groups, channels = block
                count = (groups.stop - groups.start, channels.stop - channels.start)
                product = room[: prod(count) * prod(stripe.shape)].reshape(*count, -1)
                for tap in stripe.taps:
                    np.matmul(
                        filters[tap.index, groups, channels],
                        inputs[groups, :, stripe.pixels],
                        out=product,
                    )
                    seen = product.reshape(*count, *stripe.shape)[(*_WHOLE, *tap.positions)]
                    target = results[(groups, channels, *tap.source)]
                    np.add(target, seen, out=target)


def conv_transpose(context: NodeContext) -> Kernel | None:
    """Prepare a transposed convolution of maps of any number of axes."""
    if not is_float(context.dtype()):
        return None
    scheme = _scheme(context)
    packed = [_pack(scheme, value) for value in [context.constant(1)] if value is not None]
    pixel_axes = (1,) * (len(context.shape()) - 2)

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], scratch: Array) -> None:
        filters = packed[0] if packed else _pack(scheme, inputs[1])
        bias = inputs[2].reshape(-1, *pixel_axes) if context.has_input(2) else 0
        np.copyto(outputs[0], bias)
        for image, output in zip(inputs[0], outputs[0], strict=True):
            scheme.run(image, filters, output, scratch)

    packed_bytes = 0 if packed else prod(context.shape(1)) * scheme.dtype.itemsize
    return Kernel(compute, scheme.buffer_bytes, packed_bytes)


def _pack(scheme: _Scheme, filters: Array) -> Array:
    """Return filters, (input channels, output channels of a group, taps...), in order of use."""
    shape = (scheme.groups, -1, scheme.outputs, prod(filters.shape[2:]))
    ordered = filters.reshape(shape).transpose(3, 0, 2, 1)
    return ordered.astype(scheme.dtype, order="C")


def _scheme(context: NodeContext) -> _Scheme:
    operator = context.read(TransposedConvolution)
    groups, outputs = operator.group, context.shape(1)[1]
    dtype = compute_dtype(context.dtype())
    pixels = context.shape()[2:]
    row_bytes = prod(pixels[1:]) * dtype.itemsize
    rows = max(1, _PRODUCT_BYTES // row_bytes)
    stripe_bytes = min(rows, pixels[0]) * row_bytes
    channels = max(1, _PRODUCT_BYTES // stripe_bytes)
    return _Scheme(
        groups=groups,
        outputs=outputs,
        stripes=list(_stripes(operator.window, pixels, context.output_shape()[2:], rows)),
        blocks=list(_blocks(groups, outputs, channels)),
        dtype=dtype,
    )


def _stripes(window: Window, pixels: Shape, results: Shape, rows: int) -> Iterator[_Stripe]:
    """Cut the input into rows. Seen from the result, the input's pixels are the positions."""
    row = prod(pixels[1:])
    target = tuple(Stretch(0, size) for size in results)
    for first in range(0, pixels[0], rows):
        count = min(rows, pixels[0] - first)
        positions = (Stretch(first, count), *(Stretch(0, size) for size in pixels[1:]))
        found = [tap for tap in taps(window, positions, target) if _sees(tap.positions)]
        yield _Stripe(slice(first * row, (first + count) * row), (count, *pixels[1:]), found)


def _sees(positions: Slices) -> bool:
    return all(part.stop > part.start for part in positions)


def _blocks(groups: int, outputs: int, channels: int) -> Iterator[tuple[slice, slice]]:
    """Yield whole groups where they are small, parts of one where it is not."""
    together = max(1, channels // outputs)
    for first in range(0, groups, together):
        for low in range(0, outputs, channels):
            yield (
                slice(first, min(first + together, groups)),
                slice(low, min(low + channels, outputs)),
            )


def _channels(block: tuple[slice, slice]) -> int:
    return prod(part.stop - part.start for part in block)
