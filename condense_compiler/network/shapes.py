"""Inferring the type and shape of every tensor of a graph."""

import re

import onnx
import onnx_graphsurgeon as gs
from onnx.shape_inference import InferenceError

from condense_compiler.errors import InputError
from condense_compiler.network.reading import first_line
from condense_compiler.network.resized import scaled_for_inference
from condense_compiler.network.tensors import is_static, numpy_type, variables


def all_static(graph: gs.Graph) -> bool:
    """Tell whether every tensor has a type and a shape of integers."""
    return all(t.dtype is not None and is_static(t.shape) for t in variables(graph))


def infer_shapes(skeleton: onnx.ModelProto, *, strict: bool) -> onnx.ModelProto:
    """Run ONNX shape inference.

    Raises:
        InputError: The model contradicts itself (only if `strict`).
    """
    follows = _follows_values(skeleton)
    try:
        skeleton = scaled_for_inference(
            skeleton, lambda m: onnx.shape_inference.infer_shapes(m, data_prop=follows)
        )
        return onnx.shape_inference.infer_shapes(
            skeleton, check_type=strict, strict_mode=strict, data_prop=follows
        )
    except InferenceError as error:
        raise InputError(f"shapes do not fit together: {_cause(error)}") from None
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        raise InputError(f"shapes cannot be inferred: {first_line(error)}") from None


# ONNX follows the values of vectors, in case they are shapes, at about 100 bytes for each element.
_LONGEST_VECTOR = 2**16

# How ONNX tells where inference failed, innermost node last.
_PLACE = re.compile(r"\(op_type:(\w+)(?:, node name: ([^\n]*?))?\): (?:\[\w+\] )?(?=[^(])([^\n]*)")


def _follows_values(skeleton: onnx.ModelProto) -> bool:
    """Tell whether inference may follow values: not if that takes memory without bound."""
    types = (value.type.tensor_type for value in skeleton.graph.input)
    vectors = (kind.shape.dim[0].dim_value for kind in types if len(kind.shape.dim) == 1)
    return all(length <= _LONGEST_VECTOR for length in vectors)


def _cause(error: InferenceError) -> str:
    """Return what failed and at which node."""
    places = _PLACE.findall(str(error))
    if not places:
        return first_line(error)
    op, name, reason = places[0]
    return f"node '{name}' ({op}): {reason}"


def annotate(graph: gs.Graph, inferred: onnx.ModelProto) -> None:
    """Copy inferred types and shapes into the tensors of a graph, by name."""
    values = (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output)
    found = {value.name: value.type for value in values}
    for tensor in variables(graph):
        kind = found[tensor.name].WhichOneof("value") if tensor.name in found else None
        if kind is None:
            continue
        tensor.type = kind
        if kind != "tensor_type":
            continue
        known = found[tensor.name].tensor_type
        if known.elem_type:
            tensor.dtype = numpy_type(known.elem_type)
        if known.HasField("shape"):
            tensor.shape = [
                d.dim_value if d.HasField("dim_value") else d.dim_param or None
                for d in known.shape.dim
            ]
