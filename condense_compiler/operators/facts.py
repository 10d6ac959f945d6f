"""What the compiler knows about each ONNX operator; an unknown one gets the safe answer."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from condense_compiler.operators.epilogue import has_epilogue, producer_of
from condense_compiler.operators.fused import ConvPool, is_conv_pool
from condense_compiler.operators.fused_elementwise import program_of
from condense_compiler.operators.quantized import FILTERS, is_quantized_conv_pool


def _no_macs(_node: gs.Node) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class OperatorFacts:
    """Facts about one operator type.

    Attributes:
        macs: Multiply-accumulate operations that a node of it does.
        around_one: Small results are differences of numbers around one, so that their last bits
            are those of one: a sigmoid of -20 is right to 1e-7, not to seven digits.
        keeps_steps: Results are some of what it reads, or means of it, so that what is read in
            steps of a size comes out no farther apart.
    """

    macs: Callable[[gs.Node], int] = _no_macs
    around_one: bool = False
    keeps_steps: bool = False


def _convolution_macs(node: gs.Node) -> int:
    filters = node.inputs[1].shape
    return int(math.prod(node.outputs[0].shape) * math.prod(filters[1:]))


def _transposed_convolution_macs(node: gs.Node) -> int:
    return int(math.prod(node.inputs[0].shape) * math.prod(node.inputs[1].shape[1:]))


def _conv_pool_macs(node: gs.Node) -> int:
    position = FILTERS if is_quantized_conv_pool(node) else 1
    data, filters = node.inputs[0].shape, node.inputs[position].shape
    recipe = ConvPool.from_attributes(node.attrs)
    pixels = math.prod(recipe.convolution.output_shape(tuple(data[2:])))
    return int(data[0] * pixels * math.prod(filters))


def _gemm_macs(node: gs.Node) -> int:
    depth = node.inputs[0].shape[0 if node.attrs.get("transA", 0) else 1]
    return int(math.prod(node.outputs[0].shape) * depth)


def _matrix_product_macs(node: gs.Node) -> int:
    return int(math.prod(node.outputs[0].shape) * node.inputs[0].shape[-1])


_AROUND_ONE = (
    *("Celu", "Cos", "Elu", "Erf", "GRU", "Gelu", "HardSigmoid", "HardSwish", "LSTM"),
    *("LogSoftmax", "Mish", "RNN", "Selu", "Sigmoid", "Sin", "Softmax", "Softplus", "Softsign"),
    *("Swish", "Tanh"),
)
_KEEPS_STEPS = (
    *("AveragePool", "Clip", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather"),
    *("GlobalAveragePool", "GlobalMaxPool", "Identity", "Max", "MaxPool", "Min", "Pad"),
    *("ReduceMax", "ReduceMean", "ReduceMin", "Relu", "Reshape", "Slice", "SpaceToDepth"),
    *("Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
)

FACTS: Mapping[str, OperatorFacts] = {
    **{op: OperatorFacts(around_one=True) for op in _AROUND_ONE},
    **{op: OperatorFacts(keeps_steps=True) for op in _KEEPS_STEPS},
    "Conv": OperatorFacts(macs=_convolution_macs),
    "ConvInteger": OperatorFacts(macs=_convolution_macs),
    "ConvTranspose": OperatorFacts(macs=_transposed_convolution_macs),
    "Gemm": OperatorFacts(macs=_gemm_macs),
    "MatMul": OperatorFacts(macs=_matrix_product_macs),
    "MatMulInteger": OperatorFacts(macs=_matrix_product_macs),
    "QLinearConv": OperatorFacts(
        macs=lambda node: math.prod(node.outputs[0].shape) * math.prod(node.inputs[3].shape[1:])
    ),
}

_CONV_POOL = OperatorFacts(macs=_conv_pool_macs)
_UNKNOWN = OperatorFacts()


def facts_of(node: gs.Node) -> OperatorFacts:
    """Return the facts about a node's operator."""
    if is_conv_pool(node) or is_quantized_conv_pool(node):
        return _CONV_POOL
    if has_epilogue(node):
        return _with_epilogue(node)
    if node.domain not in (None, "", "ai.onnx"):
        return _UNKNOWN
    return FACTS.get(node.op, _UNKNOWN)


def _with_epilogue(node: gs.Node) -> OperatorFacts:
    producer, functions = facts_of(producer_of(node)), program_of(node).instructions
    return OperatorFacts(
        macs=lambda node: producer.macs(producer_of(node)),
        around_one=any(FACTS.get(each.op, _UNKNOWN).around_one for each in functions),
    )
