"""Prepare QLinearConv and condense::QLinearConvPool: sums of codes, exact in float64."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from numpy.lib.stride_tricks import sliding_window_view

from condense_compiler.operators.channel_pooling import FusedConvolution
from condense_compiler.operators.convolution import Convolution
from condense_compiler.operators.fused import ConvPool
from condense_compiler.operators.on_codes import own_attributes
from condense_compiler.operators.quantized import INPUTS
from condense_compiler.operators.window import Window
from condense_compiler.targets.reference.kernel import Array, Kernel, NodeContext, Shape

# Elements of a stripe of unfolded input: 4 MiB.
_STRIPE_ELEMENTS = 512 * 1024
_OUTPUT = INPUTS.index("y_scale")


def qlinear_conv(context: NodeContext) -> Kernel | None:
    """Prepare a convolution: pooling over windows of one channel."""
    operator = context.read(Convolution)
    return _kernel(context, ConvPool(operator.window, operator.group, "max", 1))


def convolution_on_codes(context: NodeContext) -> Kernel | None:
    """Prepare a convolution as `condense::OnCodes`: the inputs of QLinearConv in another order."""
    node = context.node
    *operands, y_scale, y_zero = node.inputs
    before, added = operands[:_OUTPUT], operands[_OUTPUT : _OUTPUT + 1]
    inputs = [*before, y_scale, y_zero, *added]
    attributes = own_attributes(node)
    return qlinear_conv(
        replace(context, node=gs.Node("QLinearConv", node.name, attributes, inputs, node.outputs))
    )


def qlinear_conv_pool(context: NodeContext) -> Kernel | None:
    """Prepare a convolution with pooling."""
    return _kernel(context, context.read(FusedConvolution).recipe)


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """A layer whose tensors are known.

    Attributes:
        recipe: What it computes.
        filters: Filters without their zero points, (groups, filters of a group, products).
        bias: (wide channels, 1).
        scales: From sums to steps of the output, float32, (wide channels, 1).
        input_zero: Code of zero of the input.
        output_zero: Code of zero of the output.
        table: What each code becomes behind the pooling, by its bits; None if it stays.
    """

    recipe: ConvPool
    filters: Array
    bias: Array
    scales: Array
    input_zero: int
    output_zero: int
    table: Array | None

    def run(self, image: Array, output: Array) -> None:
        """Compute the codes of one image."""
        window = self.recipe.convolution
        padded = np.pad(
            image.astype(np.float64) - self.input_zero,
            [(0, 0), *_pads(window, window.output_shape(image.shape[1:]), image.shape[1:])],
        )
        pixels = window.output_shape(image.shape[1:])
        taps = _windows(padded, window, pixels)
        wide = np.empty((self.filters.shape[0] * self.filters.shape[1], *pixels), output.dtype)
        for rows in _stripes(pixels, image.shape[0] * prod(window.kernel_shape)):
            sums = self._sums(taps[:, rows])
            wide[:, rows] = self._codes(sums, output.dtype).reshape(wide[:, rows].shape)
        pooled = self._pooled(wide)
        np.copyto(
            output,
            pooled if self.recipe.spatial is None else _max_pool(pooled, self.recipe.spatial),
        )

    def _sums(self, taps: Array) -> Array:
        """Return the sums of a stripe: (wide channels, pixels)."""
        rank = len(self.recipe.convolution.kernel_shape)
        rest = taps.shape[1:]
        columns = np.moveaxis(taps, range(1 + rank, 1 + 2 * rank), range(1, 1 + rank))
        columns = columns.reshape(self.recipe.group, -1, prod(rest[:rank]))
        sums: Array = np.matmul(self.filters, columns).reshape(len(self.bias), -1) + self.bias
        return sums

    def _codes(self, sums: Array, dtype: np.dtype[Any]) -> Array:
        # As ONNX Runtime scales: in float32, halves to the even code.
        steps = np.rint(sums.astype(np.float32) * self.scales) + self.output_zero
        limits = np.iinfo(dtype)
        codes: Array = np.clip(steps, limits.min, limits.max).astype(dtype)
        return codes

    def _pooled(self, wide: Array) -> Array:
        recipe = self.recipe
        slots = wide[list(recipe.members)] if recipe.members else wide
        groups = slots.reshape(-1, recipe.window, *wide.shape[1:])
        pooled: Array = groups.max(axis=1) if recipe.reduction == "max" else groups.min(axis=1)
        return pooled if self.table is None else self.table[pooled.view(np.uint8)]


def _kernel(context: NodeContext, recipe: ConvPool) -> Kernel | None:
    known = [context.constant(index) for index in range(1, len(context.node.inputs))]
    missing = [
        context.has_input(index) and value is None for index, value in enumerate(known, start=1)
    ]
    if any(missing):
        return None
    layer = _layer(recipe, known)

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        for image, output in zip(inputs[0], outputs[0], strict=True):
            layer.run(image, output)

    return Kernel(compute, temporary_bytes=_temporary_bytes(context.shape()[1:], layer))


def _layer(recipe: ConvPool, known: Sequence[Array | None]) -> _Layer:
    values = dict(zip((*INPUTS[1:], "table"), [*known, *[None] * len(INPUTS)], strict=False))
    filters, zero = values["w"], values["w_zero_point"]
    assert filters is not None and zero is not None  # noqa: PT018 - both are required inputs
    x_scale, w_scale, y_scale = (values[n] for n in ("x_scale", "w_scale", "y_scale"))
    per_filter = (-1, *(1,) * (filters.ndim - 1))
    centred = filters.astype(np.float64) - zero.astype(np.float64).reshape(per_filter)
    bias = np.zeros(1) if values["B"] is None else values["B"].astype(np.float64)
    assert w_scale is not None  # required, too
    scales = x_scale * w_scale.reshape(-1) / y_scale
    wide = len(filters)
    return _Layer(
        recipe,
        centred.reshape(recipe.group, wide // recipe.group, -1),
        np.broadcast_to(bias, wide).reshape(-1, 1),
        np.broadcast_to(scales.astype(np.float32), wide).reshape(-1, 1),
        int(np.asarray(values["x_zero_point"]).reshape(())),
        int(np.asarray(values["y_zero_point"]).reshape(())),
        values["table"],
    )


def _pads(window: Window, positions: Shape, pixels: Shape) -> list[tuple[int, int]]:
    """Return the padding before and behind each axis, so that every position has its taps."""
    pads = []
    for axis, (count, size) in enumerate(zip(positions, pixels, strict=True)):
        before, behind = window.begins[axis], window.ends[axis]
        pads.append((before, max(behind, window.span(axis, count) - before - size)))
    return pads


def _windows(padded: Array, window: Window, positions: Shape) -> Array:
    """Return the taps of each position: (channels, positions..., taps...)."""
    rank = len(positions)
    axes = tuple(range(1, 1 + rank))
    everywhere = sliding_window_view(padded, window.reaches, axes)
    starts = [slice(None, n * s, s) for n, s in zip(positions, window.strides, strict=True)]
    return everywhere[(slice(None), *starts, *(slice(None, None, d) for d in window.dilations))]


def _stripes(pixels: Shape, products: int) -> Iterator[slice]:
    row = prod(pixels[1:]) * products
    step = max(1, _STRIPE_ELEMENTS // max(row, 1))
    return (slice(start, start + step) for start in range(0, pixels[0], step))


def _max_pool(pooled: Array, window: Window) -> Array:
    pixels = pooled.shape[1:]
    positions = window.output_shape(pixels)
    lowest = np.iinfo(pooled.dtype).min
    pads = [(0, 0), *_pads(window, positions, pixels)]
    taps = _windows(np.pad(pooled, pads, constant_values=lowest), window, positions)
    result: Array = taps.max(axis=tuple(range(1 + len(pixels), taps.ndim)))
    return result


def _temporary_bytes(image: Shape, layer: _Layer) -> int:
    window = layer.recipe.convolution
    pixels = window.output_shape(image[1:])
    products = image[0] * prod(window.kernel_shape)
    stripe = max(_STRIPE_ELEMENTS, prod(pixels[1:]) * products) // products + 1
    padded = image[0] * prod(
        n + sum(p) for n, p in zip(image[1:], _pads(window, pixels, image[1:]), strict=True)
    )
    wide = len(layer.bias)
    codes = 3 * wide * prod(pixels)
    return 8 * (2 * padded + stripe * products + 4 * wide * stripe) + codes
