"""What a network must be for this compiler to work on it; each rule refuses with a reason."""

from typing import NoReturn

import onnx
import onnx_graphsurgeon as gs

from condense_compiler.errors import InputError, UnsupportedError
from condense_compiler.network.cutting import advice, cut_at
from condense_compiler.network.known_results import keeps_everything
from condense_compiler.network.own_calls import is_own
from condense_compiler.network.tensors import element_type, is_static, type_name, variables
from condense_compiler.network.traversal import all_nodes, shown
from condense_compiler.operators.fused import DOMAIN as CONDENSE_DOMAIN

CONTROL_FLOW = {
    "If": "its condition is only known at run time",
    "Loop": "loops are not supported",
    "Scan": "loops are not supported",
}
RANDOM = frozenset(
    {
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)
_ATTRIBUTES = onnx.AttributeProto
_UNSUPPORTED_ATTRIBUTES = {
    _ATTRIBUTES.SPARSE_TENSOR: "a sparse tensor",
    _ATTRIBUTES.SPARSE_TENSORS: "sparse tensors",
    _ATTRIBUTES.TENSORS: "a list of tensors",
    _ATTRIBUTES.GRAPHS: "a list of graphs",
    _ATTRIBUTES.TYPE_PROTO: "a type",
    _ATTRIBUTES.TYPE_PROTOS: "types",
}
_NOT_FEATURE_MAPS = frozenset({onnx.TensorProto.STRING, onnx.TensorProto.UNDEFINED})


def check_operators(model: onnx.ModelProto) -> None:
    """Refuse operators that nobody defines, and attributes that the graph cannot carry."""
    versions = {entry.domain: entry.version for entry in model.opset_import}
    defined = {(function.domain, function.name) for function in model.functions}
    made = {name for node in model.graph.node for name in node.output}
    for node in all_nodes(model):
        if node.domain == "ai.onnx":
            node.domain = ""
        known = (node.domain, node.op_type) in defined
        if not known and not (node.domain == CONDENSE_DOMAIN and is_own(node.op_type)):
            _require_schema(node, versions, made)
        for attribute in node.attribute:
            if attribute.type in _UNSUPPORTED_ATTRIBUTES:
                raise UnsupportedError(
                    f"{shown(node)}: attribute '{attribute.name}' is "
                    f"{_UNSUPPORTED_ATTRIBUTES[attribute.type]}, which is not supported"
                )


def _require_schema(node: onnx.NodeProto, versions: dict[str, int], made: set[str]) -> None:
    """Refuse an operator that ONNX does not define.

    Args:
        node: A node of the operator.
        versions: The version of each operator set.
        made: Tensors that nodes of the main graph make, where the network may be cut.
    """
    version, reads = versions.get(node.domain, 1), [name for name in node.input if name in made]
    operator = f"operator '{node.op_type}' of domain '{node.domain or 'ai.onnx'}'"
    try:
        schema = onnx.defs.get_schema(node.op_type, version, node.domain)
    except onnx.defs.SchemaError:
        raise UnsupportedError(
            f"{shown(node)}: {operator} is not known in version {version}; "
            f"export the model with standard operators only{cut_at(reads)}"
        ) from None
    if schema.deprecated:
        raise UnsupportedError(
            f"{shown(node)}: {operator} is no longer part of version {version}; "
            "export the model again"
        )


def refuse_first_unknown(graph: gs.Graph) -> NoReturn:
    """Refuse a graph for the first tensor whose type or shape is not known."""
    _check_nodes_and_tensors(graph)
    raise UnsupportedError("some shapes are not known before the network runs")


def check_network(graph: gs.Graph) -> None:
    """Refuse what is not a static, deterministic graph of tensors."""
    if not graph.inputs:
        raise InputError("the model has no inputs: everything in it is constant")
    if not graph.outputs:
        raise InputError("the model has no outputs")
    _check_nodes_and_tensors(graph)


def _check_nodes_and_tensors(graph: gs.Graph) -> None:
    try:
        _check_nodes(graph)
        for tensor in variables(graph):
            _check_tensor(tensor)
    except UnsupportedError as error:
        hint = advice(graph, lambda node: _refusal(node) is not None)
        raise UnsupportedError(f"{error}{hint}") from None


def _check_nodes(graph: gs.Graph) -> None:
    known: set[int] = set()  # what depends on constants alone is computed when compiling
    for node in graph.nodes:
        read = [tensor for tensor in node.inputs if tensor.name]
        if all(isinstance(tensor, gs.Constant) or id(tensor) in known for tensor in read):
            known.update(id(tensor) for tensor in node.outputs)
            if node.op == "BatchNormalization":
                continue
        reason = _refusal(node)
        if reason is not None:
            raise UnsupportedError(f"node '{node.name}' ({node.op}): {reason}")


def _refusal(node: gs.Node) -> str | None:
    if node.domain:
        return None
    if node.op in CONTROL_FLOW:
        return CONTROL_FLOW[node.op]
    if node.op in RANDOM:
        return "draws random numbers, so no result can be verified; remove it before exporting"
    if _trains(node):
        return "is in training mode; export the model in inference mode"
    return None


def _trains(node: gs.Node) -> bool:
    if node.op == "BatchNormalization":
        outputs = sum(bool(tensor.name) for tensor in node.outputs)
        return bool(node.attrs.get("training_mode", 0)) or outputs > 1
    return node.op == "Dropout" and not keeps_everything(node)


def _check_tensor(tensor: gs.Variable) -> None:
    place = f"tensor '{tensor.name}'"
    if tensor.inputs:
        place += f", output of node '{tensor.inputs[0].name}' ({tensor.inputs[0].op})"
    if tensor.type != "tensor_type":
        kind = (tensor.type or "unknown type").removesuffix("_type").replace("_", " ")
        raise UnsupportedError(f"{place}: is a {kind}; only tensors are supported")
    if tensor.dtype is None:
        raise UnsupportedError(f"{place}: its element type cannot be inferred")
    if element_type(tensor) in _NOT_FEATURE_MAPS:
        raise UnsupportedError(
            f"{place}: element type {type_name(element_type(tensor))} is not supported"
        )
    if not is_static(tensor.shape):
        raise UnsupportedError(
            f"{place}: its shape is not known before the network runs; only static shapes are "
            "supported"
        )
    if 0 in tensor.shape:
        raise UnsupportedError(f"{place}: has no elements (shape {tuple(tensor.shape)})")
