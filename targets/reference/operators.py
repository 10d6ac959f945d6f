"""The table of operators: who computes what."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from condense_compiler.errors import ContractError
from condense_compiler.operators import fused, quantized
from condense_compiler.operators.aliasing import accumulates
from condense_compiler.operators.fused_elementwise import ELEMENTWISE_OP
from condense_compiler.operators.on_codes import ON_CODES_OP
from condense_compiler.operators.standardising import STANDARDISING
from condense_compiler.targets.reference import elementwise, layout
from condense_compiler.targets.reference.convolution import conv, conv_pool
from condense_compiler.targets.reference.dense import gemm, matmul
from condense_compiler.targets.reference.fallback import compute_elsewhere
from condense_compiler.targets.reference.kernel import (
    HALF_TYPES,
    Array,
    Builder,
    Kernel,
    NodeContext,
)
from condense_compiler.targets.reference.normalisation import lrn, reduction
from condense_compiler.targets.reference.not_finite import (
    asking_onnxruntime,
    has_nan,
    is_not_finite,
)
from condense_compiler.targets.reference.on_codes import on_codes
from condense_compiler.targets.reference.padding import pad
from condense_compiler.targets.reference.pooling import (
    average_pool,
    global_average_pool,
    global_max_pool,
    max_pool,
)
from condense_compiler.targets.reference.quantisation import dequantize, quantize
from condense_compiler.targets.reference.quantised_convolution import (
    qlinear_conv,
    qlinear_conv_pool,
)
from condense_compiler.targets.reference.resizing import resize
from condense_compiler.targets.reference.softmax import hardmax, log_softmax, softmax
from condense_compiler.targets.reference.standardisation import lp_normalize, standardise
from condense_compiler.targets.reference.transposed_convolution import conv_transpose


def widened(builder: Builder) -> Builder:
    """Compute in float32, and round once, what is given in a type of too few digits."""

    def build(context: NodeContext) -> Kernel | None:
        kernel = builder(context)
        if kernel is None or context.dtype().name not in HALF_TYPES:
            return kernel

        def compute(inputs: Sequence[Array], outputs: Sequence[Array], scratch: Array) -> None:
            wide = [_widen(value) for value in inputs]
            results = [np.empty(output.shape, np.float32) for output in outputs]
            kernel.compute(wide, results, scratch)
            for output, result in zip(outputs, results, strict=True):
                np.copyto(output, result, casting="unsafe")

        tensors = (*context.node.inputs, *context.node.outputs)
        copies = sum(prod(tensor.shape) for tensor in tensors if tensor.name) * 4
        temporary_bytes = 2 * kernel.temporary_bytes + copies
        return replace(kernel, compute=compute, temporary_bytes=temporary_bytes)

    return build


def _widen(value: Array) -> Array:
    return value.astype(np.float32) if value.dtype.name in HALF_TYPES else value


_STANDARD: Mapping[str, Builder] = {
    **dict.fromkeys(STANDARDISING, widened(standardise)),
    **elementwise.BUILDERS,
    **layout.BUILDERS,
    "AveragePool": widened(average_pool),
    "Conv": conv,
    "ConvTranspose": widened(conv_transpose),
    "DequantizeLinear": dequantize,
    "Gemm": widened(gemm),
    "GlobalAveragePool": widened(global_average_pool),
    "GlobalMaxPool": asking_onnxruntime(has_nan, global_max_pool),
    "Hardmax": asking_onnxruntime(has_nan, hardmax),
    "LRN": asking_onnxruntime(is_not_finite, widened(lrn)),
    "LogSoftmax": asking_onnxruntime(is_not_finite, widened(log_softmax)),
    "LpNormalization": widened(lp_normalize),
    "MatMul": widened(matmul),
    "MaxPool": asking_onnxruntime(has_nan, max_pool),
    "Pad": pad,
    "QLinearConv": qlinear_conv,
    "QuantizeLinear": quantize,
    "ReduceMax": asking_onnxruntime(has_nan, reduction(np.max)),
    "ReduceMean": widened(reduction(np.mean, floats_only=True)),
    "ReduceMin": asking_onnxruntime(has_nan, reduction(np.min)),
    "ReduceProd": widened(reduction(np.prod)),
    "ReduceSum": widened(reduction(np.sum)),
    "Resize": widened(resize),
    "Softmax": widened(softmax),
    "Upsample": widened(resize),
}

BUILDERS: Mapping[tuple[str, str], Builder] = {
    (fused.DOMAIN, fused.OP): conv_pool,
    (fused.DOMAIN, quantized.QUANTIZED_OP): qlinear_conv_pool,
    (fused.DOMAIN, ELEMENTWISE_OP): elementwise.program,
    (fused.DOMAIN, ON_CODES_OP): lambda context: on_codes(context, _STANDARD),
    **{("", op): builder for op, builder in _STANDARD.items()},
}


def kernel_for(context: NodeContext) -> Kernel:
    """Return what computes a node: numpy where the table has it, others where it has not.

    Raises:
        ContractError: The result is to be added in place, which the operator cannot do.
        UnsupportedError: Nobody can compute it.
    """
    if context.accumulates and not accumulates(context.node):
        raise ContractError(f"node {context.node.name!r}: {context.node.op} cannot add in place")
    domain = context.node.domain or ""
    builder = BUILDERS.get(("" if domain == "ai.onnx" else domain, context.node.op))
    kernel = builder(context) if builder else None
    return kernel or compute_elsewhere(context)
