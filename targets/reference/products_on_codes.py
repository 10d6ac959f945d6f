"""Prepare matrix products of codes: values exist for a block of either matrix at a time."""

from collections.abc import Iterator, Sequence

import numpy as np

from condense_compiler.operators.channel_pooling import OnCodes
from condense_compiler.operators.on_codes import plain_inputs
from condense_compiler.targets.reference.codes import Operand, operand, store
from condense_compiler.targets.reference.kernel import Array, Kernel, NodeContext

# Elements of a block of either matrix: 256 KiB of float64, which holds products of codes exactly.
_BLOCK_ELEMENTS = 32 * 1024


def product_on_codes(context: NodeContext) -> Kernel:
    """Prepare Gemm or MatMul."""
    operator = context.read(OnCodes)
    is_gemm, transposed = operator.inner == "Gemm", operator.transposes
    alpha, beta = operator.alpha, operator.beta

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        left, right, *added = _terms(context, inputs)
        left, right = (
            term.transposed() if is_gemm and turn else term
            for term, turn in zip(_matrices(left, right), transposed, strict=True)
        )
        batch = np.broadcast_shapes(left.codes.shape[:-2], right.codes.shape[:-2])
        left, right = (t.spread((*batch, *t.codes.shape[-2:])) for t in (left, right))
        result = outputs[0].reshape((*batch, left.codes.shape[-2], right.codes.shape[-1]))
        bias = added[0].spread(result.shape) if added else None
        for index in np.ndindex(*batch):
            for rows, columns in _blocks(result.shape[-2:], left.codes.shape[-1]):
                part = (*index, rows, columns)
                first = left.values((*index, rows, slice(None)), np.float64)
                sums = first @ right.values((*index, slice(None), columns), np.float64)
                sums *= alpha
                if bias is not None:
                    sums += beta * bias.values(part, np.float64)
                store(result[part], sums.astype(np.float32), inputs)

    depth = context.shape()[0 if is_gemm and transposed[0] else -1]
    return Kernel(compute, temporary_bytes=8 * (2 * max(_BLOCK_ELEMENTS, depth) + _BLOCK_ELEMENTS))


def _terms(context: NodeContext, inputs: Sequence[Array]) -> list[Operand]:
    """Return both sides, and what is added; constants that are no codes mean themselves."""
    axes = context.read(OnCodes).operand_axes
    one, none = np.ones((), np.float32), np.zeros((), np.float32)
    return [
        *(operand(inputs, index, axes) for index in range(context.read(OnCodes).operands)),
        *(Operand(inputs[index], one, none) for index in plain_inputs(context.node)),
    ]


def _matrices(left: Operand, right: Operand) -> tuple[Operand, Operand]:
    """Return both sides; a vector is a matrix of one row or one column."""
    if left.codes.ndim == 1:
        left = left.reshaped((1, left.codes.size))
    if right.codes.ndim == 1:
        right = right.reshaped((right.codes.size, 1))
    return left, right


def _blocks(shape: tuple[int, ...], depth: int) -> Iterator[tuple[slice, slice]]:
    """Yield parts of a product for which blocks of the limit, or one row or column, are enough."""
    step = max(1, min(_BLOCK_ELEMENTS // max(depth, 1), int(_BLOCK_ELEMENTS**0.5)))
    for row in range(0, shape[0], step):
        for column in range(0, shape[1], step):
            yield slice(row, row + step), slice(column, column + step)
