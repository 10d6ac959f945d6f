"""From a network whose quantisation is written as arithmetic to an integer network."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator.integer import convolutions
from condense_compiler.targets.accelerator.integer.collector import (
    Collector,
    Rule,
)
from condense_compiler.targets.accelerator.integer.elementwise import elementwise
from condense_compiler.targets.accelerator.integer.forms import Forms
from condense_compiler.targets.accelerator.integer.functions import TENSOR, apply
from condense_compiler.targets.accelerator.integer.network import (
    IntegerNetwork,
    Port,
)
from condense_compiler.targets.accelerator.integer.pools import POOLING_RULES
from condense_compiler.targets.accelerator.integer.refusals import blaming
from condense_compiler.targets.accelerator.integer.values import (
    Value,
)
from condense_compiler.targets.accelerator.integer.views import VIEW_RULES
from condense_compiler.targets.reference.functions import FUNCTIONS


def lower_part(
    nodes: Sequence[gs.Node],
    inputs: Sequence[gs.Tensor],
    outputs: Sequence[gs.Tensor],
    known: Mapping[str, Port],
    forms: Forms | None = None,
) -> IntegerNetwork:
    """Collect the integer operators of a part of a network.

    Args:
        nodes: The nodes, in their order.
        inputs: Tensors that they read from elsewhere.
        outputs: Tensors that are read elsewhere.
        known: Inputs that are quantised already, with their codes.
        forms: How ONNX Runtime computes operators.

    Raises:
        NodeError: A node does something that the accelerator does not.
    """
    collector = Collector({tensor.name for tensor in outputs}, RULES, forms or {})
    for tensor in inputs:
        collector.inputs[tensor.name] = tuple(tensor.shape)
        if tensor.name in known:
            collector.take_over(tensor.name, known[tensor.name])
    for node in nodes:
        with blaming(node):
            collector.add(node)
    ports: dict[str, Port] = {}
    for tensor in outputs:
        if not tensor.inputs:  # a graph input, or a constant: the caller has it
            continue
        with blaming(tensor.inputs[0]):
            ports[tensor.name] = collector.output(tensor)
    read = {}
    for tensor in inputs:
        readers = [node for node in nodes if any(tensor is source for source in node.inputs)]
        if readers:
            with blaming(readers[0]):
                read[tensor.name] = collector.input_port(tensor.name)
    return IntegerNetwork(tuple(collector.builder.operators), read, ports)


def lower_network(
    graph: gs.Graph, nodes: Iterable[gs.Node], forms: Forms | None = None
) -> IntegerNetwork:
    """Collect integer operators.

    Args:
        graph: The network.
        nodes: Its nodes, in their order.
        forms: How ONNX Runtime computes operators.

    Raises:
        UnsupportedError: A node does something that the accelerator does not.
    """
    return lower_part(list(nodes), graph.inputs, graph.outputs, {}, forms)


def _batch_norm(collector: Collector, node: gs.Node) -> list[Value]:
    """Apply a batch norm as ONNX Runtime computes it: a product and a sum."""
    constants = [t for t in node.inputs[1:] if isinstance(t, gs.Constant)]
    if len(constants) < len(node.inputs) - 1:
        raise UnsupportedError(f"{node.name}: a batch norm whose factors the network computes")
    scale, bias, mean, variance = (np.asarray(c.values, np.float32) for c in constants)
    epsilon = np.float32(node.attrs.get("epsilon", 1e-5))
    factor = scale * (np.float32(1.0) / np.sqrt(variance + epsilon))
    value = collector.value(node.inputs[0])
    for op, constant in (("Mul", factor), ("Add", bias - mean * factor)):
        value = apply(collector.builder, value, op, [TENSOR, constant], {}, node.name)
    return [value]


def _cast(collector: Collector, node: gs.Node) -> list[Value]:
    """Keep values: those of a graph input become codes, those of a graph output come from them."""
    if np.dtype(node.outputs[0].dtype).kind == "f" and not collector.is_unquantised_input(
        node.inputs[0]
    ):
        return [collector.value(node.inputs[0])]
    if node.outputs[0].dtype != np.float32:
        raise UnsupportedError(f"{node.name}: a Cast to other than float32")
    collector.convert_input(node)
    return []


def _convolution(collector: Collector, node: gs.Node) -> list[Value]:
    return [convolutions.conv(collector.map(node.inputs[0]), node)]


def _dense(collector: Collector, node: gs.Node) -> list[Value]:
    return [convolutions.dense(collector.map(node.inputs[0]), node)]


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(FUNCTIONS, elementwise),
    **POOLING_RULES,
    **VIEW_RULES,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Conv": _convolution,
    "Gemm": _dense,
    "MatMul": _dense,
}
