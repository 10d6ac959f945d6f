"""Networks in other floating-point types, computed in float32; their ends keep their types."""

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import TensorProto, helper

from condense_compiler.network import Network
from condense_compiler.network.export import constants
from condense_compiler.network.tensors import element_type, variables

# Types that become float32, in which the accelerator's scales and values are.
_OTHER_FLOATS = frozenset((TensorProto.BFLOAT16, TensorProto.DOUBLE, TensorProto.FLOAT16))
_TYPE_ATTRIBUTES = ("dtype", "output_dtype", "to")

Types = Mapping[str, int]  # ONNX element types by name


def use_single_precision(network: Network) -> Types:
    """Make all values of a network float32, in place, that are of another floating-point type.

    Returns:
        The types that graph inputs and outputs had, of those that have another one now.
    """
    graph = network.graph
    ends = {
        tensor.name: element_type(tensor)
        for tensor in (*graph.inputs, *graph.outputs)
        if element_type(tensor) in _OTHER_FLOATS
    }
    for constant in constants(graph):
        if element_type(constant) in _OTHER_FLOATS:
            constant.values = _in_single(constant)
    for tensor in variables(graph):
        if element_type(tensor) in _OTHER_FLOATS:
            tensor.dtype = np.dtype(np.float32)
    for node in graph.nodes:
        for name in _TYPE_ATTRIBUTES:
            if node.attrs.get(name) in _OTHER_FLOATS:
                node.attrs[name] = int(TensorProto.FLOAT)
    return ends


def _in_single(constant: gs.Constant) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return a constant in float32; what is too large for it becomes its largest value."""
    limit = np.finfo(np.float32).max
    values = np.asarray(constant.values).astype(np.float64)
    finite = np.where(np.isfinite(values), np.clip(values, -limit, limit), values)
    return finite.astype(np.float32)


def give_ends_types(model: onnx.ModelProto, types: Types) -> None:
    """Convert at the ends of a model, in place, from and to the types that it had there."""
    graph = model.graph
    renamed: dict[str, str] = {}
    before: list[onnx.NodeProto] = []
    behind: list[onnx.NodeProto] = []
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    for value, nodes in [(v, before) for v in graph.input] + [(v, behind) for v in graph.output]:
        if value.name not in types:
            continue
        is_input = nodes is before
        value.type.tensor_type.elem_type = types[value.name]
        if value.name in renamed:  # an output that is an input
            continue
        single = _free(f"{value.name}/single", taken)
        renamed[value.name] = single
        to = TensorProto.FLOAT if is_input else types[value.name]
        ends = (value.name, single) if is_input else (single, value.name)
        nodes.append(helper.make_node("Cast", [ends[0]], [ends[1]], name=single, to=to))
    for tensor in graph.initializer:  # one that is an output
        tensor.name = renamed.get(tensor.name, tensor.name)
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    nodes = [*before, *graph.node, *behind]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    taken.add(name)
    return name
