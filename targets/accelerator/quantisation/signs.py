"""Feature maps whose codes have a sign, as ones without: the same model, each zero 128 higher.

On x86 processors ONNX Runtime computes layers between codes with a sign partly in floating point,
and those between codes without sign in integers.
"""

import numpy as np
import onnx
from onnx import numpy_helper

_SHIFT = 128
_JOINING = ("QLinearAdd", "QLinearAveragePool", "QLinearMul")


def joins_signed_codes(model: onnx.ModelProto) -> bool:
    """Tell whether operators on codes with a sign round with the zero of their result."""
    signed = {t.name for t in model.graph.initializer if t.data_type == onnx.TensorProto.INT8}
    return any(
        node.op_type in _JOINING and not signed.isdisjoint(node.input) for node in model.graph.node
    )


def without_signs(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose QuantizeLinear and DequantizeLinear have codes without sign.

    Models that read or write codes with a sign are returned as they are.
    """
    ends = (*model.graph.input, *model.graph.output)
    if any(value.type.tensor_type.elem_type == onnx.TensorProto.INT8 for value in ends):
        return model
    shifted = onnx.ModelProto()
    shifted.CopyFrom(model)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    zeros: dict[str, onnx.TensorProto] = {}
    for node in shifted.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or node.input[0] in stored:
            continue
        zero = stored.get(node.input[2]) if len(node.input) > 2 else None
        if zero is None or zero.data_type != onnx.TensorProto.INT8:
            continue
        name = f"{zero.name}/without_sign"
        higher = numpy_helper.to_array(zero).astype(np.int16) + _SHIFT
        zeros[name] = numpy_helper.from_array(higher.astype(np.uint8), name)
        node.input[2] = name
    if zeros:
        del shifted.graph.value_info[:]
    shifted.graph.initializer.extend(zeros.values())
    return shifted
