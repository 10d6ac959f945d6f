"""Walk over an array in small blocks, so that temporaries stay small and in the cache."""

from collections.abc import Iterator
from itertools import product
from math import prod
from types import EllipsisType

from condense_compiler.targets.reference.kernel import Shape

# Elements of a block: 32 KiB of float32.
BLOCK_ELEMENTS = 8 * 1024

Block = tuple[slice | EllipsisType, ...]


def blocks(shape: Shape, limit: int = BLOCK_ELEMENTS) -> Iterator[Block]:
    """Yield the indices of blocks that cover an array, each of at most `limit` elements."""
    axis = len(shape)
    while axis > 0 and prod(shape[axis - 1 :]) <= limit:
        axis -= 1
    if axis == 0:
        yield (slice(None),) * len(shape) or (...,)  # which gives an array, not a number
        return
    step = max(1, limit // prod(shape[axis:]))
    leading = ([slice(i, i + 1) for i in range(size)] for size in shape[: axis - 1])
    stretches = (slice(i, i + step) for i in range(0, shape[axis - 1], step))
    whole = [[slice(None)]] * (len(shape) - axis)
    yield from product(*leading, stretches, *whole)


def block_elements(shape: Shape, limit: int = BLOCK_ELEMENTS) -> int:
    """Return the number of elements of the largest block of an array."""
    return min(prod(shape), limit)
