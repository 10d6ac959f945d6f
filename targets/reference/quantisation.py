"""Prepare QuantizeLinear and DequantizeLinear of whole tensors and of channels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from condense_compiler.operators.pointwise import Quantising
from condense_compiler.targets.element_types import numpy_dtype
from condense_compiler.targets.reference.blocks import Block, block_elements, blocks
from condense_compiler.targets.reference.kernel import Array, Kernel, NodeContext, Shape

_CODES = frozenset({"int8", "uint8", "int16", "uint16"})


def quantize(context: NodeContext) -> Kernel | None:
    """Prepare the way to integers: round(x / scale) + zero, halves to even, saturated."""
    dtype = numpy_dtype(context.node.outputs[0])
    if dtype.name not in _CODES or not _is_plain(context, context.dtype()):
        return None
    shape, limits = context.shape(), np.iinfo(dtype)

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        scale, zero = _parameters(context, inputs)
        for block in blocks(shape):
            steps = np.rint(inputs[0][block] / scale[_within(scale, block)])
            steps += zero[_within(zero, block)]
            np.copyto(outputs[0][block], steps.clip(limits.min, limits.max), casting="unsafe")

    return Kernel(compute, temporary_bytes=_temporary_bytes(shape))


def dequantize(context: NodeContext) -> Kernel | None:
    """Prepare the way back: (x - zero) * scale."""
    if context.dtype().kind not in "iu" or not _is_plain(
        context, numpy_dtype(context.node.outputs[0])
    ):
        return None
    shape = context.shape()

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        scale, zero = _parameters(context, inputs)
        for block in blocks(shape):
            steps = (inputs[0][block] - zero[_within(zero, block)]).astype(np.float32)
            np.multiply(steps, scale[_within(scale, block)], out=outputs[0][block])

    return Kernel(compute, temporary_bytes=_temporary_bytes(shape))


def _is_plain(context: NodeContext, value_dtype: np.dtype[Any]) -> bool:
    """Tell whether numbers are float32, with one scale for all or for each channel."""
    along_channels = len(context.shape(1)) <= 1 and not context.read(Quantising).block_size
    return along_channels and context.dtype(1) == np.float32 and value_dtype == np.float32


def _parameters(context: NodeContext, inputs: Sequence[Array]) -> tuple[Array, Array]:
    """Return scale and zero point in a shape that lies along the channels."""
    scale = inputs[1]
    zero = inputs[2] if context.has_input(2) else np.zeros((), np.int8)
    rank = len(context.shape())
    shape = [1] * rank
    if scale.size > 1:
        shape[context.read(Quantising).axis] = scale.size
    wide = np.broadcast_to(zero, scale.shape).astype(np.int64)
    return scale.reshape(shape), wide.reshape(shape)


def _within(values: Array, block: Block) -> Block:
    """Return the part of channel parameters that belongs to a block."""
    pairs = zip(values.shape, block, strict=False)  # a number has no axis
    return tuple(part if size > 1 else slice(None) for size, part in pairs)


def _temporary_bytes(shape: Shape) -> int:
    return 2 * np.dtype(np.float64).itemsize * block_elements(shape)
