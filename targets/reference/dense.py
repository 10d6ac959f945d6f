"""Matrix products."""

from collections.abc import Sequence
from math import prod

import numpy as np

from condense_compiler.operators.product import Gemm
from condense_compiler.targets.reference.kernel import Array, Kernel, NodeContext, is_float


def matmul(context: NodeContext) -> Kernel | None:
    """Prepare MatMul."""
    if not is_float(context.dtype()):
        return None
    # A vector on either side is a matrix of one row or one column.
    left = (1, *context.shape(0)) if len(context.shape(0)) == 1 else context.shape(0)
    right = (*context.shape(1), 1) if len(context.shape(1)) == 1 else context.shape(1)
    shape = (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        product = outputs[0].reshape(shape)
        np.matmul(inputs[0].reshape(left), inputs[1].reshape(right), out=product)

    return Kernel(compute)


def gemm(context: NodeContext) -> Kernel | None:
    """Prepare Gemm: alpha A B + beta C."""
    if not is_float(context.dtype()):
        return None
    operator = context.read(Gemm)
    alpha, beta, (left, right) = operator.alpha, operator.beta, operator.transposes
    adds = context.has_input(2) and beta != 0

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        a = inputs[0].T if left else inputs[0]
        b = inputs[1].T if right else inputs[1]
        np.matmul(a, b, out=outputs[0])
        if alpha != 1:
            np.multiply(outputs[0], alpha, out=outputs[0])
        if adds:
            np.add(outputs[0], inputs[2] if beta == 1 else inputs[2] * beta, out=outputs[0])

    itemsize = context.dtype().itemsize
    scaled = prod(context.shape(2)) * itemsize if adds and beta != 1 else 0
    return Kernel(compute, temporary_bytes=scaled)
