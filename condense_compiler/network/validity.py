"""What must hold of each operator beyond what ONNX's inference checks: one table.

ONNX Runtime is the judge: what it refuses to compute is a fault, what it computes is none. Each
check returns what is wrong, or None; operands of which nothing is known pass.
"""

from collections.abc import Mapping
from functools import partial

from condense_compiler.network.calls import Call, Shape
from condense_compiler.network.resized import resized_shape
from condense_compiler.network.validity_checks import (
    Check,
    axis_of,
    batch_norm,
    blocks,
    broadcasts,
    choice,
    gathering,
    group_norm,
    layer_norm,
    local_response,
    matrix_product,
    norm_power,
    one_hot,
    padding,
    per_channel,
    quantisation,
    rank,
    recurrent,
    reshaping,
    resizing,
    scalar,
    transposition,
)
from condense_compiler.network.validity_windows import (
    convolution,
    convolution_of_codes,
    pool,
    transposed_convolution,
)


def find_fault(call: Call) -> str | None:
    """Return what is wrong with a call, or None."""
    for index in LISTS.get(call.op, ()):
        shape = call.shape(index)
        if shape is not None and len(shape) > 1:
            return f"input {index} has shape {[*shape]}; it must be a list, of one axis"
    for check in CHECKS.get(call.op, ()):
        fault = check(call)
        if fault:
            return fault
    return None


def corrected_shape(call: Call) -> Shape | None:
    """Return the shape of the first result where ONNX's inference gives another, or None."""
    if call.op in ("Resize", "Upsample"):
        return resized_shape(call)
    if call.op == "ConvTranspose" and call.integers("output_shape"):
        shape, weights = call.shape(0), call.shape(1)
        if shape is not None and weights is not None:
            channels = weights[1] * int(call.attributes.get("group", 1))
            return (shape[0], channels, *(call.integers("output_shape") or ()))
    return None


_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
_GLOBAL_POOLS = ("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool")
_RESIZE_MODES = ("nearest", "linear", "cubic")

# Inputs that are lists of numbers.
LISTS: Mapping[str, tuple[int, ...]] = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Pad": (1, 3),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
    **{f"Reduce{name}": (1,) for name in _REDUCTIONS},
}

CHECKS: Mapping[str, tuple[Check, ...]] = {
    "AveragePool": (pool,),
    "BatchNormalization": (batch_norm,),
    "Clip": (scalar("min", 1), scalar("max", 2)),
    "Conv": (convolution,),
    "ConvInteger": (partial(convolution, bias=9),),
    "ConvTranspose": (transposed_convolution,),
    "CumSum": (axis_of(operand=1),),
    "DepthToSpace": (
        rank(4, 4),
        partial(blocks, axes=(1,), power=2),
        choice("mode", "DCR", "CRD"),
    ),
    "DequantizeLinear": (quantisation,),
    "Gather": (axis_of(), gathering),
    "GatherElements": (axis_of(),),
    "Gemm": (matrix_product,),
    "GroupNormalization": (rank(3), group_norm),
    "GRU": (partial(recurrent, 3),),
    "InstanceNormalization": (rank(3), per_channel("scale", 1), per_channel("bias", 2)),
    "LayerNormalization": (axis_of(), layer_norm),
    "LpNormalization": (axis_of(), norm_power),
    "LpPool": (pool,),
    "LRN": (rank(4), local_response),
    "LSTM": (partial(recurrent, 4),),
    "MaxPool": (pool,),
    "OneHot": (axis_of(above=1), one_hot),
    "Pad": (choice("mode", "constant", "reflect", "edge", "wrap"), padding),
    "PRelu": (broadcasts("slope", 1),),
    "QLinearConv": (convolution_of_codes,),
    "QuantizeLinear": (quantisation,),
    "Reshape": (reshaping,),
    "Resize": (choice("mode", *_RESIZE_MODES), resizing),
    "RNN": (partial(recurrent, 1),),
    "SpaceToDepth": (rank(4, 4), partial(blocks, axes=(2, 3), power=1)),
    "Split": (axis_of(),),
    "TopK": (axis_of(),),
    "Transpose": (transposition,),
    "Upsample": (choice("mode", "nearest", "linear"), resizing),
    **{f"Reduce{name}": (axis_of("axes", operand=1),) for name in _REDUCTIONS},
    **{name: (rank(3),) for name in _GLOBAL_POOLS},
}
