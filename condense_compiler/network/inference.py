"""Types and shapes of the results of one operator, checked before and behind ONNX's inference.

ONNX's inference is C++ that trusts what it is given: behind a window larger than its map, a shape
becomes negative and the next operator ends the process. So operators are inferred one by one, each
only once its operands are known to be sound.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import onnx
from google.protobuf.message import EncodeError
from onnx.shape_inference import InferenceError

from condense_compiler.errors import InputError
from condense_compiler.limits import limits
from condense_compiler.network.calls import Call, CallOperand
from condense_compiler.network.reading import first_line
from condense_compiler.network.tensors import bytes_of
from condense_compiler.network.traversal import shown
from condense_compiler.network.validity import corrected_shape, find_fault

Types = Mapping[str, onnx.TypeProto]
Values = Mapping[str, onnx.TensorProto]

_FAILURES = (
    InferenceError,
    onnx.checker.ValidationError,
    RuntimeError,
    ValueError,
    EncodeError,
    MemoryError,
)
# How ONNX tells where inference failed, innermost node last.
_PLACE = re.compile(r"\(op_type:(\w+)(?:, node name: ([^\n]*?))?\): (?:\[\w+\] )?(?=[^(])([^\n]*)")
_KIND = re.compile(r"^\[\w+\] ")


def infer_results(
    node: onnx.NodeProto,
    types: Types,
    values: Values,
    opsets: Mapping[str, int],
    attributes: Mapping[str, Any] | None = None,
) -> dict[str, onnx.TypeProto]:
    """Return the types of a node's results, as far as they can be inferred.

    Args:
        node: The node; not a call of a function.
        types: Types of its operands.
        values: Those of its operands that are known and small.
        opsets: Versions of the operator sets by domain.
        attributes: The node's attributes by name, if the caller has them at hand.

    Raises:
        InputError: The node is not valid for these operands, or a result is above a limit.
    """
    opset = opsets[node.domain]
    call = None
    if not node.domain:
        call = _call(node, types, values, opset, attributes)
        fault = find_fault(call)
        if fault is not None:
            raise InputError(f"{shown(node)}: {fault}")
    try:
        results = _infer(node, types, values, opsets)
    except _FAILURES as error:
        raise InputError(f"shapes do not fit together: {shown(node)}: {_reason(error)}") from None
    shape = None if call is None else corrected_shape(call)
    if shape is not None and node.output[0] in results:
        kind = results[node.output[0]].tensor_type
        results[node.output[0]] = onnx.helper.make_tensor_type_proto(kind.elem_type, shape)
    for name, result in results.items():
        _check_result(node, name, result)
    return results


def _call(
    node: onnx.NodeProto,
    types: Types,
    values: Values,
    opset: int,
    attributes: Mapping[str, Any] | None,
) -> Call:
    if attributes is None:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    operands = tuple(
        CallOperand(
            name, types[name].tensor_type.elem_type, static_shape(types[name]), values.get(name)
        )
        if name in types
        else None
        for name in node.input
    )
    return Call(node.op_type, opset, attributes, operands, len(node.output))


def static_shape(kind: onnx.TypeProto) -> tuple[int, ...] | None:
    """Return the shape of a tensor type, if all sizes are known."""
    if not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    return tuple(d.dim_value for d in dims) if all(d.HasField("dim_value") for d in dims) else None


def _infer(
    node: onnx.NodeProto, types: Types, values: Values, opsets: Mapping[str, int]
) -> dict[str, onnx.TypeProto]:
    schema = _schema(node.op_type, opsets[node.domain], node.domain)
    imports = _imports(tuple(opsets.items()))
    if schema.has_type_and_shape_inference_function:
        return onnx.shape_inference.infer_node_outputs(
            schema, node, dict(types), dict(values), opset_imports=imports
        )
    return _infer_body(node, types, values, imports)


@lru_cache(1024)
def _schema(op: str, opset: int, domain: str) -> onnx.defs.OpSchema:
    return onnx.defs.get_schema(op, opset, domain)


@lru_cache(16)
def _imports(opsets: tuple[tuple[str, int], ...]) -> list[onnx.OperatorSetIdProto]:
    return [onnx.helper.make_opsetid(domain, version) for domain, version in opsets]


def _infer_body(
    node: onnx.NodeProto, types: Types, values: Values, imports: Sequence[onnx.OperatorSetIdProto]
) -> dict[str, onnx.TypeProto]:
    """Infer an operator that ONNX defines by a function alone: as a model of one node."""
    inputs = [onnx.ValueInfoProto(name=n, type=types[n]) for n in dict.fromkeys(node.input) if n]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    constants = [onnx.TensorProto.FromString(v.SerializeToString()) for v in values.values()]
    for name, constant in zip(values, constants, strict=True):
        constant.name = name
    graph = onnx.helper.make_graph([node], "call", inputs, outputs, constants)
    model = onnx.helper.make_model(graph, opset_imports=list(imports))
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    return {value.name: value.type for value in inferred.graph.output}


def _reason(error: BaseException) -> str:
    """Return why inference failed, without what the caller knows: the node."""
    places = _PLACE.findall(str(error))
    return places[0][2] if places else _KIND.sub("", first_line(error))


def _check_result(node: onnx.NodeProto, name: str, kind: onnx.TypeProto) -> None:
    shape = [d.dim_value for d in kind.tensor_type.shape.dim if d.HasField("dim_value")]
    if min(shape, default=0) < 0:
        raise InputError(
            f"{shown(node)}: nothing is left of output '{name}': its shape would be {shape}; "
            "use larger maps, or smaller windows or cuts"
        )
    element_type = kind.tensor_type.elem_type
    if element_type and element_type != onnx.TensorProto.STRING:
        place = f"{shown(node)}: output '{name}' of shape {shape}"
        limits().check("tensor_bytes", bytes_of(element_type, shape), place)
