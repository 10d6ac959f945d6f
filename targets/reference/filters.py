"""Filters, packed once for the order in which a convolution reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from condense_compiler.operators.fused import ConvPool
from condense_compiler.targets.reference.kernel import Array


@dataclass(frozen=True, slots=True)
class Product:
    """Wide channels that read the same input channels.

    Attributes:
        source: The input channels.
        rows: The wide channels.
        destination: Where they go in the block.
    """

    source: slice
    rows: Array
    destination: slice


@dataclass(frozen=True, slots=True)
class Block:
    """Output channels that are computed together.

    Their wide channels are ordered by slot: the first member of every group, then the second of
    every group, and so on, so that a reduction combines contiguous pieces.

    Attributes:
        outputs: The output channels.
        products: Together all wide channels of the block.
        rows: Wide channels in order of slot.
        gather: Place of each, in order of slot, in what the products wrote; None where they write
            in order of slot.
    """

    outputs: slice
    products: tuple[Product, ...]
    rows: Array
    gather: Array | None = None


def slot_members(recipe: ConvPool, wide_channels: int) -> Array:
    """Return the wide channel of each slot, (output channels, window)."""
    members = np.array(recipe.members or range(wide_channels), np.intp)
    return members.reshape(-1, recipe.window)


def stays_in_groups(members: Array, group: int, wide_channels: int) -> bool:
    """Tell whether each output channel, in order, pools wide channels of one filter group."""
    if len(members) % group:
        return False
    outputs_group = np.arange(len(members)) // (len(members) // group)
    return bool(np.all(members // (wide_channels // group) == outputs_group[:, None]))


def depthwise_sources(members: Array, wide_per_input: int) -> list[tuple[int, int]] | None:
    """Return first input channel and step for each slot, where each slot reads evenly."""
    inputs = members // wide_per_input
    steps = {1} if len(inputs) == 1 else set(np.diff(inputs, axis=0).ravel().tolist())
    if len(steps) != 1 or min(steps) < 1:
        return None
    return [(int(first), steps.copy().pop()) for first in inputs[0]]


def depthwise_blocks(
    members: Array, sources: Sequence[tuple[int, int]], outputs: int
) -> list[Block]:
    """Split a depthwise convolution into blocks of output channels."""
    found = []
    for low in range(0, len(members), outputs):
        high = min(low + outputs, len(members))
        count = high - low
        products = [
            Product(
                slice(first + low * step, first + (high - 1) * step + 1, step),
                members[low:high, slot],
                slice(slot * count, (slot + 1) * count),
            )
            for slot, (first, step) in enumerate(sources)
        ]
        found.append(Block(slice(low, high), tuple(products), members[low:high].T.ravel()))
    return found


def group_blocks(members: Array, group: int, inputs: int, outputs: int) -> list[Block]:
    """Split a convolution whose pooling stays in its groups into blocks of output channels."""
    found = []
    per_group = len(members) // group
    for number in range(group):
        source = slice(number * inputs, (number + 1) * inputs)
        end = (number + 1) * per_group
        starts = [*range(number * per_group, end, outputs), end]
        for low, high in pairwise(starts):
            rows = members[low:high].T.ravel()
            product = Product(source, rows, slice(0, len(rows)))
            found.append(Block(slice(low, high), (product,), rows))
    return found


def crossing_block(members: Array, group: int, inputs: int, wide_channels: int) -> Block:
    """Return all of a convolution whose pooling crosses its groups as one block."""
    per_group = wide_channels // group
    products = []
    for number in range(group):
        rows = slice(number * per_group, (number + 1) * per_group)
        source = slice(number * inputs, (number + 1) * inputs)
        products.append(Product(source, np.arange(rows.start, rows.stop), rows))
    order = members.T.ravel()
    return Block(slice(0, len(members)), tuple(products), order, gather=order)


def pack(weights: Array, product: Product, inputs: int) -> list[Array]:
    """Return the filters of a product, cut into slices of input channels.

    Each slice is (wide channels, input channels x taps), in the order of the patches: a view of
    the weights where the wide channels follow each other.
    """
    rows = product.rows
    consecutive = bool(np.all(np.diff(rows) == 1))
    chosen = weights[rows[0] : rows[-1] + 1] if consecutive else weights[rows]
    flat = chosen.reshape(len(rows), -1)
    width = inputs * (flat.shape[1] // weights.shape[1])
    return [flat[:, low : low + width] for low in range(0, flat.shape[1], width)]
