"""Inferring the type and shape of every tensor of a graph."""

from collections.abc import Callable, Iterable, Mapping

import onnx
import onnx_graphsurgeon as gs

from condense_compiler.errors import InputError
from condense_compiler.limits import limits
from condense_compiler.network.calls import small_value
from condense_compiler.network.export import DEFAULT_DOMAINS, export_node
from condense_compiler.network.inference import infer_results
from condense_compiler.network.own_calls import infer_own_call
from condense_compiler.network.tensors import (
    bytes_of,
    element_type,
    is_static,
    numpy_type,
    variables,
)
from condense_compiler.operators.fused import DOMAIN as CONDENSE_DOMAIN

_TENSOR = "tensor_type"


def all_static(graph: gs.Graph) -> bool:
    """Tell whether every tensor has a type and a shape of integers."""
    return all(t.dtype is not None and is_static(t.shape) for t in variables(graph))


def versions(imports: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    """Return the versions of operator sets by domain, the default one under one name."""
    return {"" if o.domain in DEFAULT_DOMAINS else o.domain: o.version for o in imports}


class ShapeInference:
    """Inference along a graph: each tensor's type is found once, where it is made.

    Attributes:
        opsets: Versions of the operator sets by domain.
    """

    def __init__(self, opsets: Mapping[str, int]) -> None:
        self.opsets = opsets
        self._types: dict[str, onnx.TypeProto] = {}
        self._computed: set[str] = set()
        self._computed_bytes = 0

    def infer(self, node: gs.Node) -> None:
        """Infer the results of a node and note them in its output tensors.

        Raises:
            InputError: The node is not valid for its operands, or a result is above a limit.
        """
        results = self.results(node)
        for tensor in node.outputs:
            if tensor.name in results:
                self._note(node, tensor, results[tensor.name])
        if node.op != "Constant" and all(map(self._is_computed, node.inputs)):
            self._count_computed(node)

    def _is_computed(self, tensor: gs.Tensor) -> bool:
        """Tell whether a tensor depends on constants alone."""
        return not tensor.name or isinstance(tensor, gs.Constant) or tensor.name in self._computed

    def _count_computed(self, node: gs.Node) -> None:
        """Count what is computed from constants alone, which passes may store."""
        for tensor in node.outputs:
            if tensor.name and tensor.dtype is not None and is_static(tensor.shape):
                self._computed.add(tensor.name)
                self._computed_bytes += bytes_of(element_type(tensor), tensor.shape)
        place = f"node '{node.name}' ({node.op}) and what else depends on constants alone"
        limits().check("constant_bytes", self._computed_bytes, place)

    def results(self, node: gs.Node) -> dict[str, onnx.TypeProto]:
        """Return the types of a node's results; nothing where those of its operands are not known.

        Raises:
            InputError: The node is not valid for its operands, or a result is above a limit.
        """
        types: dict[str, onnx.TypeProto] = {}
        values: dict[str, onnx.TensorProto] = {}
        for tensor in node.inputs:
            if not tensor.name:
                continue
            kind = self._type(tensor)
            if kind is None:
                return {}
            types[tensor.name] = kind
            value = small_value(tensor, kind.tensor_type.elem_type)
            if value is not None:
                values[tensor.name] = value
        if node.domain == CONDENSE_DOMAIN:
            return infer_own_call(node, types, values, self.opsets)
        if (node.domain or "") not in self.opsets:
            return {}
        return infer_results(export_node(node), types, values, self.opsets, node.attrs)

    def _type(self, tensor: gs.Tensor) -> onnx.TypeProto | None:
        """Return the type of a tensor; constants and inputs tell theirs themselves."""
        found = self._types.get(tensor.name)
        if found is not None and isinstance(tensor, gs.Variable):
            return found
        if tensor.dtype is None:
            return None
        kind = onnx.helper.make_tensor_type_proto(element_type(tensor), tensor.shape)
        self._types[tensor.name] = kind
        return kind

    def _note(self, node: gs.Node, tensor: gs.Tensor, kind: onnx.TypeProto) -> None:
        which = kind.WhichOneof("value")
        if which is None or not isinstance(tensor, gs.Variable):
            return
        self._types[tensor.name] = kind
        tensor.type = which
        if which != _TENSOR:
            return
        if not kind.tensor_type.HasField("shape"):
            del self._types[tensor.name]  # what others know of its shape counts
        found = kind.tensor_type
        if found.elem_type:
            dtype = numpy_type(found.elem_type)
            if tensor.dtype is not None and element_type(tensor) != found.elem_type:
                raise InputError(
                    f"node '{node.name}' ({node.op}): output '{tensor.name}' is declared "
                    f"{tensor.dtype}, but is computed as {dtype}; export the model again"
                )
            tensor.dtype = dtype
        if found.HasField("shape"):
            tensor.shape = [
                d.dim_value if d.HasField("dim_value") else d.dim_param or None
                for d in found.shape.dim
            ]


def infer_graph(
    graph: gs.Graph, visit: Callable[[ShapeInference, gs.Node], None]
) -> InputError | None:
    """Infer along a graph, whose nodes are in topological order.

    Args:
        graph: The graph; its tensors get types and shapes.
        visit: Infers a node, and may replace its results by constants.

    Returns:
        The first contradiction, if there was one; it may go away once more is folded.
    """
    inference = ShapeInference(versions(graph.import_domains))
    for tensor in graph.inputs:
        _check_input(tensor)
    failure: InputError | None = None
    for node in graph.nodes:
        try:
            visit(inference, node)
        except InputError as error:
            failure = failure or error
    return failure


def _check_input(tensor: gs.Tensor) -> None:
    """Give an input the numpy type of its elements; refuse one above the limit.

    Raises:
        InputError: It is too large.
    """
    if tensor.dtype is None or not is_static(tensor.shape):
        return
    data_type = element_type(tensor)
    if data_type == onnx.TensorProto.UNDEFINED:
        return
    tensor.dtype = numpy_type(data_type)
    place = f"input '{tensor.name}' of shape {[*tensor.shape]}"
    limits().check("tensor_bytes", bytes_of(data_type, tensor.shape), place)
