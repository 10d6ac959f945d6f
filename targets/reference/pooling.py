"""Spatial pooling operators."""

from collections.abc import Sequence
from math import prod
from typing import Any, Literal

import numpy as np

from condense_compiler.operators.pooling import GlobalPool, Pool
from condense_compiler.operators.window import Window
from condense_compiler.targets.reference.kernel import (
    Array,
    Kernel,
    Layout,
    NodeContext,
    compute_dtype,
    is_float,
)
from condense_compiler.targets.reference.pools import axis_window, lowest, pooling
from condense_compiler.targets.reference.taps import Stretch, taps

# Channels are pooled in blocks whose temporaries stay in the cache.
_TEMPORARY_BYTES = 1 << 18


def max_pool(context: NodeContext) -> Kernel | None:
    """Prepare MaxPool."""
    pool = context.read(Pool)
    if pool.takes_away:
        return None
    if any(pool.outputs[1:]):
        return _max_pool_with_positions(context, pool)
    return _pooling(context, pool.window, context.dtype(), np.maximum)


def _max_pool_with_positions(context: NodeContext, operator: Pool) -> Kernel:
    """Prepare MaxPool that also tells where in the input, flattened, each maximum was."""
    pixels = context.shape()[2:]
    order: Literal["C", "F"] = "F" if operator.by_column else "C"
    numbers = np.arange(prod(pixels)).reshape(pixels, order=order)
    positions = tuple(Stretch(0, size) for size in context.output_shape()[2:])
    found = taps(operator.window, positions, tuple(Stretch(0, size) for size in pixels))
    identity = lowest(context.dtype())

    def pool(image: Array, output: Array, places: Array) -> None:
        output.fill(identity)
        for tap in found:
            seen, best, place = image[tap.source], output[tap.positions], places[tap.positions]
            better = seen > best
            np.copyto(best, seen, where=better)
            np.copyto(place, numbers[tap.source], where=better)

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        outputs[1].fill(0)
        for batch, channel in np.ndindex(*context.shape()[:2]):
            places = outputs[1][batch, channel]
            pool(inputs[0][batch, channel], outputs[0][batch, channel], places)
            places += (batch * context.shape()[1] + channel) * numbers.size

    return Kernel(compute, temporary_bytes=prod(context.output_shape()[2:]))


def average_pool(context: NodeContext) -> Kernel | None:
    """Prepare AveragePool."""
    if not is_float(context.dtype()):
        return None
    operator = context.read(Pool)
    if operator.takes_away:
        return None
    dtype = compute_dtype(context.dtype())
    counts = _counts(context, operator).astype(dtype)
    pool = _pooling(context, operator.window, dtype, np.add)

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], scratch: Array) -> None:
        pool.compute(inputs, outputs, scratch)
        np.divide(outputs[0], counts, out=outputs[0])

    return Kernel(compute, pool.buffer_bytes)


def _pooling(
    context: NodeContext, window: Window, dtype: np.dtype[Any], combine: np.ufunc
) -> Kernel:
    identity = lowest(dtype) if combine is np.maximum else 0
    channels = context.shape()[1]
    positions = tuple(Stretch(0, size) for size in context.output_shape()[2:])
    pool = pooling(window, positions, tuple(Stretch(0, size) for size in context.shape()[2:]))
    # A last pass from temporaries writes over nothing that it reads; the only pass would.
    through = 0 in context.overwrites and len(pool.passes) == 1
    plane = context.output_shape()[2:]
    channel_elements = sum(prod(shape) for shape in pool.temporaries(1)) + through * prod(plane)
    channel_bytes = channel_elements * dtype.itemsize
    step = max(1, min(channels, _TEMPORARY_BYTES // max(channel_bytes, 1)))
    arrays = {str(number): (shape, dtype) for number, shape in enumerate(pool.temporaries(step))}
    if through:
        arrays["result"] = ((step, *plane), dtype)
    layout = Layout.of(arrays)

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], scratch: Array) -> None:
        temporaries = [layout.take(scratch, name) for name in layout.places]
        for image, output in zip(inputs[0], outputs[0], strict=True):
            for low in range(0, channels, step):
                part = slice(low, low + step)
                target = temporaries[-1][: len(output[part])] if through else output[part]
                pool.run(image[part], target, temporaries, combine, identity)
                if through:
                    np.copyto(output[part], target)

    return Kernel(compute, layout.buffer_bytes)


def _counts(context: NodeContext, pool: Pool) -> Array:
    """Return how many elements each position averages."""
    counts = np.ones((), np.int64)
    for axis, size in enumerate(context.shape()[2:]):
        single = axis_window(pool.window, axis)
        source = Stretch(0, size)
        if pool.counts_padding:
            # Padding counts like the map; what lies beyond it, in `ceil_mode`, does not.
            source = Stretch(-single.pads[0], size + sum(single.pads))
        positions = Stretch(0, context.output_shape()[2 + axis])
        seen = np.zeros(positions.count, np.int64)
        for tap in taps(single, (positions,), (source,)):
            seen[tap.positions[0]] += 1
        counts = counts[..., None] * seen
    return counts


def global_max_pool(context: NodeContext) -> Kernel:
    """Prepare GlobalMaxPool."""
    axes = context.read(GlobalPool).axes

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        np.max(inputs[0], axis=axes, keepdims=True, out=outputs[0])

    return Kernel(compute)


def global_average_pool(context: NodeContext) -> Kernel | None:
    """Prepare GlobalAveragePool."""
    if not is_float(context.dtype()):
        return None
    axes = context.read(GlobalPool).axes

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        np.mean(inputs[0], axis=axes, keepdims=True, out=outputs[0])

    return Kernel(compute)
