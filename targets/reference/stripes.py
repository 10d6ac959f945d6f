"""Stripes of output rows, and the rows that each needs of the maps before."""

from dataclasses import dataclass
from math import prod

from condense_compiler.operators.fused import ConvPool
from condense_compiler.targets.reference.kernel import Shape
from condense_compiler.targets.reference.pools import Pooling, pooling
from condense_compiler.targets.reference.taps import Stretch, Tap, needed, taps


@dataclass(frozen=True, slots=True)
class Stripe:
    """Some consecutive rows of the output, and what leads to them.

    Attributes:
        output: Rows of the output.
        source: Rows of the input.
        last_row: The row of the input behind all that are read, or on which the output's rows
            come to lie where both start at the same byte.
        shape: Pixels of the convolution along each axis.
        taps: Taps of the convolution, relative to the rows of the input.
        pooling: Spatial pooling of these pixels, if there is one.
    """

    output: Stretch
    source: Stretch
    last_row: int
    shape: Shape
    taps: tuple[Tap, ...]
    pooling: Pooling | None


def output_pixels(recipe: ConvPool, pixels: Shape) -> Shape:
    """Return the output's size along each spatial axis."""
    convolved = recipe.convolution.output_shape(pixels)
    return recipe.spatial.output_shape(convolved) if recipe.spatial else convolved


def stripes(recipe: ConvPool, pixels: Shape, rows: int) -> list[Stripe]:
    """Cut the output into stripes of at most so many rows."""
    total = output_pixels(recipe, pixels)[0]
    return [
        _stripe(recipe, pixels, Stretch(first, min(rows, total - first)))
        for first in range(0, total, rows)
    ]


def pooled_row_elements(recipe: ConvPool, pixels: Shape) -> list[int]:
    """Return the elements that spatial pooling stores between its axes, for each output row."""
    found = _stripe(recipe, pixels, Stretch(0, 1)).pooling
    return [size for (size,) in found.temporaries(1)] if found else []


def _stripe(recipe: ConvPool, pixels: Shape, output: Stretch) -> Stripe:
    window = recipe.convolution
    convolved = window.output_shape(pixels)
    whole = tuple(Stretch(0, size) for size in convolved[1:])
    rows = needed(recipe.spatial, 0, output, convolved[0]) if recipe.spatial else output
    source = needed(window, 0, rows, pixels[0])
    inputs = (source, *(Stretch(0, size) for size in pixels[1:]))
    found = None
    beyond = output_pixels(recipe, pixels)[1:]
    covered = -(-output.end * prod(beyond) // max(prod(pixels[1:]), 1))
    if recipe.spatial:
        positions = (output, *(Stretch(0, size) for size in beyond))
        found = pooling(recipe.spatial, positions, (rows, *whole))
    return Stripe(
        output=output,
        source=source,
        last_row=max(source.end, min(covered, pixels[0])),
        shape=(rows.count, *convolved[1:]),
        taps=tuple(taps(window, (rows, *whole), inputs)),
        pooling=found,
    )
