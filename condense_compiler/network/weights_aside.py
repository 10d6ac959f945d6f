"""Setting the large constants of a model aside, so that what remains is small.

The checker and shape inference serialise the model they are given, which is slow for large models
and impossible beyond 2 GiB. They run on a skeleton instead: the same model, in which every large
constant is a graph input of its type and shape.
"""

import onnx

from condense_compiler.network.tensors import bytes_of

SMALL_BYTES = 1024
SMALL_INTEGER_BYTES = 64 * 1024  # shapes, indices, axes: inference reads their values
_INTEGERS = frozenset({onnx.TensorProto.INT64, onnx.TensorProto.INT32})
_EXTERNAL = onnx.TensorProto.EXTERNAL

Weights = dict[str, onnx.TensorProto]


def is_large(data_type: int, shape: tuple[int, ...]) -> bool:
    """Tell whether a constant is left out of skeletons."""
    limit = SMALL_INTEGER_BYTES if data_type in _INTEGERS else SMALL_BYTES
    return bytes_of(data_type, shape) > limit


def set_weights_aside(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Weights]:
    """Split a model into a skeleton and its large constants, without copying the latter.

    Initializers that are also declared as inputs stop being inputs: their values are known.

    Returns:
        The skeleton, in which the large constants are the last inputs, and those constants by
        name; they still belong to the model.
    """
    skeleton = _header(model)
    graph = skeleton.graph
    weights: Weights = {}
    for tensor in model.graph.initializer:
        if _stays(tensor):
            graph.initializer.append(tensor)
        else:
            weights[tensor.name] = tensor
    for node in model.graph.node:
        value = _large_constant(node)
        if value is None or node.output[0] in weights:  # the checker refuses the second of a name
            graph.node.append(node)
        else:
            weights[node.output[0]] = value
    initialized = {tensor.name for tensor in model.graph.initializer}
    graph.input.extend(value for value in model.graph.input if value.name not in initialized)
    graph.input.extend(
        onnx.helper.make_tensor_value_info(name, tensor.data_type, tensor.dims)
        for name, tensor in weights.items()
    )
    return skeleton, weights


def _header(model: onnx.ModelProto) -> onnx.ModelProto:
    header = onnx.ModelProto()
    for field, value in model.ListFields():
        if field.name in ("graph", "training_info"):
            continue
        if field.is_repeated:
            getattr(header, field.name).extend(value)
        else:
            setattr(header, field.name, value)
    header.graph.name = model.graph.name or "graph"
    header.graph.doc_string = model.graph.doc_string
    header.graph.output.extend(model.graph.output)
    return header


def _stays(tensor: onnx.TensorProto) -> bool:
    return tensor.data_location != _EXTERNAL and not is_large(tensor.data_type, tuple(tensor.dims))


def _large_constant(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """Return the value of a Constant node if it is to be set aside."""
    if node.op_type != "Constant" or node.domain or len(node.attribute) != 1:
        return None
    attribute = node.attribute[0]
    if attribute.name != "value" or not attribute.HasField("t") or len(node.output) != 1:
        return None
    if _stays(attribute.t):
        return None
    value: onnx.TensorProto = attribute.t
    return value
