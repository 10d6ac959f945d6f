"""Inferring the type and shape of every tensor of a graph."""

import onnx
import onnx_graphsurgeon as gs
from onnx.shape_inference import InferenceError

from condense_compiler.errors import InputError
from condense_compiler.network.reading import first_line
from condense_compiler.network.tensors import is_static, numpy_type, variables


def all_static(graph: gs.Graph) -> bool:
    """Tell whether every tensor has a type and a shape of integers."""
    return all(t.dtype is not None and is_static(t.shape) for t in variables(graph))


def infer_shapes(skeleton: onnx.ModelProto, *, strict: bool) -> onnx.ModelProto:
    """Run ONNX shape inference.

    Raises:
        InputError: The model contradicts itself (only if `strict`).
    """
    try:
        return onnx.shape_inference.infer_shapes(
            skeleton, check_type=strict, strict_mode=strict, data_prop=True
        )
    except InferenceError as error:
        raise InputError(f"shapes do not fit together: {_cause(error)}") from None
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        raise InputError(f"shapes cannot be inferred: {first_line(error)}") from None


def _cause(error: InferenceError) -> str:
    """Return the line of an inference error that names the node, without its prefix."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines if "node" in line), lines[0] if lines else "no reason")
    return told.removeprefix("[ShapeInferenceError]").strip()


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
