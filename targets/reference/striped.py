"""Run a convolution stripe by stripe and block by block, in scratch of a fixed layout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from condense_compiler.operators.fused import ConvPool
from condense_compiler.targets.reference.filters import Block, pack
from condense_compiler.targets.reference.kernel import Array, Layout, Shape
from condense_compiler.targets.reference.multiply import add_product, add_taps, unfold
from condense_compiler.targets.reference.pools import lowest
from condense_compiler.targets.reference.programs import BoundProgram, bind
from condense_compiler.targets.reference.reductions import REDUCTIONS
from condense_compiler.targets.reference.setting_aside import RowsAside
from condense_compiler.targets.reference.stripes import Stripe

# Flat arrays in scratch, by name.
Room = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class PackedBlock:
    """A block of channels with its constants in the order in which they are read."""

    block: Block
    filters: Sequence[Sequence[Array]]
    bias: Array | None
    before: BoundProgram
    after: BoundProgram


@dataclass(frozen=True, slots=True)
class StripedConvolution:
    """How a convolution is computed: everything but the values of its tensors.

    Attributes:
        recipe: What is computed.
        dtype: Type in which it is computed.
        direct: The input is multiplied where it lies: a filter of one tap.
        depthwise: Taps are added one by one.
        stores_wide: The wide map goes to scratch rather than straight to the output.
        after_last: The program `after` runs behind spatial pooling, where that is the same.
        accumulates: The result is added to what the output holds.
        rows_aside: Rows of the input that are set aside at a time, because the output is written
            over them; 0 where it is not.
        inputs: Input channels that are unfolded into patches at a time.
        blocks: Channels that are computed together.
        stripes: Rows that are computed together.
        layout: Arrays in scratch.
        temporary_bytes: Temporaries beside the arrays.
    """

    recipe: ConvPool
    dtype: np.dtype[Any]
    direct: bool
    depthwise: bool
    stores_wide: bool
    after_last: bool
    accumulates: bool
    rows_aside: int
    inputs: int
    blocks: Sequence[Block]
    stripes: Sequence[Stripe]
    layout: Layout
    temporary_bytes: int

    def pack(
        self, weights: Array, bias: Array | None, operands: Sequence[Array]
    ) -> list[PackedBlock]:
        """Bring filters and operands into the order in which they are read."""
        weights = weights.astype(self.dtype, copy=False)
        count = self.recipe.before.operand_count()
        before = bind(self.recipe.before, operands[:count], self.dtype)
        after = bind(self.recipe.after, operands[count:], self.dtype)
        column = None if bias is None else bias.astype(self.dtype).reshape(-1, 1)
        return [
            PackedBlock(
                block,
                [pack(weights, product, self.inputs) for product in block.products],
                None if column is None else column[block.rows],
                before.select(block.rows),
                after.select(np.arange(block.outputs.start, block.outputs.stop)),
            )
            for block in self.blocks
        ]

    def run(
        self, image: Array, output: Array, packed: Sequence[PackedBlock], scratch: Array
    ) -> None:
        """Compute one batch item."""
        room = {name: self.layout.take(scratch, name) for name in self.layout.places}
        if self.depthwise:
            # Each block is finished before the next: no output channel lies on later inputs.
            for part in packed:
                self._run_blocks(image, output, [part], room)
        else:
            self._run_blocks(image, output, packed, room)

    def _run_blocks(
        self, image: Array, output: Array, packed: Sequence[PackedBlock], room: Room
    ) -> None:
        aside = self._set_aside(image, packed[0].block, room) if self.rows_aside else None
        for stripe in self.stripes:
            if aside is not None:
                source = aside.advance(stripe)
            else:
                source = image[:, stripe.source.first : stripe.source.end]
            rows = output[:, stripe.output.first : stripe.output.end]
            unfolded: slice | None = None
            for part in packed:
                target = rows[part.block.outputs]
                wide = target
                if self.stores_wide:
                    wide = carve(room, "wide", (len(part.block.rows), *stripe.shape))
                if self.depthwise:
                    self._convolve_depthwise(part, stripe, source, wide, room)
                else:
                    unfolded = self._convolve(part, stripe, source, wide, room, unfolded)
                self._finish(part, stripe, wide, target, room)

    def _set_aside(self, image: Array, block: Block, room: Room) -> RowsAside:
        if not self.depthwise:
            rows = carve(room, "aside", (len(image), self.rows_aside, *image.shape[2:]))
            return RowsAside(rows, [(slice(None), image)])
        rows = carve(room, "aside", (len(block.rows), self.rows_aside, *image.shape[2:]))
        parts = [(product.destination, image[product.source]) for product in block.products]
        return RowsAside(rows, parts)

    def _convolve_depthwise(
        self, part: PackedBlock, stripe: Stripe, source: Array, wide: Array, room: Room
    ) -> None:
        for product, filters in zip(part.block.products, part.filters, strict=True):
            channels = source[product.destination if self.rows_aside else product.source]
            target = wide[product.destination]
            add_taps(channels, filters[0], stripe.taps, target, room["partial"])

    def _convolve(
        self,
        part: PackedBlock,
        stripe: Stripe,
        source: Array,
        wide: Array,
        room: Room,
        unfolded: slice | None,
    ) -> slice | None:
        """Compute the wide channels of a block; return the input channels left unfolded."""
        flat = wide.reshape(len(wide), -1)
        for product, filters in zip(part.block.products, part.filters, strict=True):
            channels = source[product.source]
            target = flat[product.destination]
            if self.direct:
                np.matmul(filters[0], channels.reshape(len(channels), -1), out=target)
                continue
            for number, piece in enumerate(filters):
                patches = carve(room, "patches", (piece.shape[1], target.shape[1]))
                if len(filters) > 1 or product.source != unfolded:
                    begin = number * self.inputs
                    slices = channels[begin : begin + self.inputs]
                    unfold(slices, stripe.taps, stripe.shape, patches)
                    unfolded = product.source
                product_room = carve(room, "partial", target.shape) if number else None
                add_product(piece, patches, target, product_room)
        return unfolded

    def _finish(
        self, part: PackedBlock, stripe: Stripe, wide: Array, target: Array, room: Room
    ) -> None:
        """Turn the wide channels of a block into output channels."""
        flat = wide.reshape(len(wide), -1)
        if part.block.gather is not None:
            ordered = carve(room, "gathered", flat.shape)
            flat = np.take(flat, part.block.gather, axis=0, out=ordered, mode="clip")
        if part.bias is not None:
            np.add(flat, part.bias, out=flat)
        part.before.run(flat)
        pooled = self._reduce(flat, room)
        if not self.after_last:
            part.after.run(pooled)
        if self.stores_wide:
            self._store(part, stripe, pooled.reshape(-1, *stripe.shape), target, room)

    def _reduce(self, flat: Array, room: Room) -> Array:
        window = self.recipe.window
        if window == 1 and self.recipe.reduction in ("max", "min", "mean", "sum"):
            return flat
        slots = flat.reshape(window, len(flat) // window, -1)
        exchanged = carve(room, "exchanged", slots[0].shape) if "exchanged" in room else flat[:0]
        REDUCTIONS[self.recipe.reduction](slots, self.recipe.rank_weights, exchanged)
        pooled: Array = slots[0]
        return pooled

    def _store(
        self, part: PackedBlock, stripe: Stripe, values: Array, target: Array, room: Room
    ) -> None:
        """Pool spatially, and write or add to the output."""
        if stripe.pooling is not None:
            result = carve(room, "result", target.shape) if "result" in room else target
            temporaries = [
                carve(room, f"pooled{number}", shape)
                for number, shape in enumerate(stripe.pooling.temporaries(len(values)))
            ]
            stripe.pooling.run(values, result, temporaries, np.maximum, lowest(values.dtype))
            values = result
        if self.after_last:
            part.after.run(values.reshape(len(values), -1))
        if self.accumulates:
            np.add(target, values, out=target, casting="unsafe")
        elif values is not target:
            np.copyto(target, values, casting="unsafe")


def carve(room: Room, name: str, shape: Shape) -> Array:
    """Return the beginning of a flat array in scratch, in a shape."""
    return room[name][: prod(shape)].reshape(shape)
