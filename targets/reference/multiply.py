"""The arithmetic of a convolution, for one stripe and one block of channels."""

from collections.abc import Sequence

import numpy as np

from condense_compiler.targets.reference.kernel import Array, Shape
from condense_compiler.targets.reference.taps import Tap


def unfold(source: Array, taps: Sequence[Tap], shape: Shape, patches: Array) -> None:
    """Copy what each tap sees at each pixel.

    Args:
        source: Input channels, (channels, pixels...).
        taps: Taps of the convolution.
        shape: Pixels of the convolution along each axis.
        patches: Result, (channels x taps, pixels).
    """
    by_tap = patches.reshape(len(source), len(taps), *shape).swapaxes(0, 1)
    for tap in taps:
        patch = by_tap[tap.index]
        for margin in tap.margins:
            patch[(slice(None), *margin)] = 0
        seen = source[(slice(None), *tap.source)]
        np.copyto(patch[(slice(None), *tap.positions)], seen, casting="unsafe")


def add_product(filters: Array, patches: Array, target: Array, room: Array | None) -> None:
    """Multiply; with room for the product given, add to `target`, otherwise write to it."""
    if room is None:
        np.matmul(filters, patches, out=target)
        return
    product = room[: target.size].reshape(target.shape)
    np.matmul(filters, patches, out=product)
    np.add(target, product, out=target)


def add_taps(
    source: Array, filters: Array, taps: Sequence[Tap], target: Array, room: Array
) -> None:
    """Convolve each channel with its own filter, one tap after the other.

    Args:
        source: One input channel for each channel of `target`.
        filters: (channels, taps).
        taps: Taps of the convolution.
        target: Result, (channels, pixels...).
        room: Flat scratch of the size of `target`.
    """
    columns = filters.reshape(*filters.shape, *(1,) * (target.ndim - 1))
    ordered = sorted(taps, key=lambda tap: not tap.full)
    if ordered[0].full:
        first = ordered.pop(0)
        seen = source[(slice(None), *first.source)]
        np.multiply(seen, columns[:, first.index], out=target)
    else:
        target.fill(0)
    for tap in ordered:
        sum_ = target[(slice(None), *tap.positions)]
        product = room[: sum_.size].reshape(sum_.shape)
        np.multiply(source[(slice(None), *tap.source)], columns[:, tap.index], out=product)
        np.add(sum_, product, out=sum_)
