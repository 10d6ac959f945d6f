"""From a network whose quantisation is written as arithmetic to an integer network."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator.integer import convolutions
from condense_compiler.targets.accelerator.integer.building import NOWHERE
from condense_compiler.targets.accelerator.integer.collector import Collector, Rule, scalar_constant
from condense_compiler.targets.accelerator.integer.functions import TENSOR, apply, evaluate
from condense_compiler.targets.accelerator.integer.network import (
    Binary,
    IntegerNetwork,
    Port,
)
from condense_compiler.targets.accelerator.integer.pools import POOLING_RULES
from condense_compiler.targets.accelerator.integer.values import (
    Coded,
    Raw,
    Value,
)
from condense_compiler.targets.accelerator.integer.views import VIEW_RULES
from condense_compiler.targets.reference.functions import FUNCTIONS


class NodeError(UnsupportedError):
    """A node that the accelerator cannot run."""

    def __init__(self, node: gs.Node, reason: str) -> None:
        super().__init__(reason)
        self.node = node


def lower_part(
    nodes: Sequence[gs.Node],
    inputs: Sequence[gs.Tensor],
    outputs: Sequence[gs.Tensor],
    known: Mapping[str, Port],
) -> IntegerNetwork:
    """Collect the integer operators of a part of a network.

    Args:
        nodes: The nodes, in their order.
        inputs: Tensors that they read from elsewhere.
        outputs: Tensors that are read elsewhere.
        known: Inputs that are quantised already, with their codes.

    Raises:
        NodeError: A node does something that the accelerator does not.
    """
    collector = Collector({tensor.name for tensor in outputs}, _RULES)
    for tensor in inputs:
        collector.inputs[tensor.name] = tuple(tensor.shape)
        if tensor.name in known:
            collector.take_over(tensor.name, known[tensor.name])
    for node in nodes:
        with _blaming(node):
            collector.add(node)
    ports: dict[str, Port] = {}
    for tensor in outputs:
        with _blaming(tensor.inputs[0]):
            ports[tensor.name] = collector.output(tensor)
    read = {}
    for tensor in inputs:
        with _blaming(next(node for node in nodes if tensor in node.inputs)):
            read[tensor.name] = collector.input_port(tensor.name)
    return IntegerNetwork(tuple(collector.builder.operators), read, ports)


@contextmanager
def _blaming(node: gs.Node) -> Iterator[None]:
    try:
        yield
    except UnsupportedError as error:
        raise NodeError(node, str(error)) from None


def lower_network(graph: gs.Graph, nodes: Iterable[gs.Node]) -> IntegerNetwork:
    """Collect integer operators.

    Raises:
        UnsupportedError: A node does something that the accelerator does not.
    """
    return lower_part(list(nodes), graph.inputs, graph.outputs, {})


def _elementwise(collector: Collector, node: gs.Node) -> list[Value]:
    tensors = [t for t in node.inputs if not t.is_empty() and not isinstance(t, gs.Constant)]
    if len(tensors) == 2:
        return [_two_tensors(collector, node, tensors)]
    if tensors[0].name in collector.inputs and tensors[0].name not in collector.values:
        return [collector.quantise_input(node)]
    arguments = [
        TENSOR if tensor is tensors[0] else scalar_constant(node, index)
        for index, tensor in enumerate(node.inputs)
    ]
    attributes = {k: v for k, v in node.attrs.items() if isinstance(v, int | float)}
    value = collector.value(tensors[0])
    return [apply(collector.builder, value, node.op, arguments, attributes, node.name)]


_KINDS = {"Add": "add", "Max": "max", "Min": "min", "Mul": "multiply", "Sub": "add"}


def _two_tensors(collector: Collector, node: gs.Node, tensors: list[gs.Tensor]) -> Value:
    values = [collector.value(tensor) for tensor in tensors]
    first, second = values
    if isinstance(first, Coded) and isinstance(second, Coded) and first.base is second.base:
        result = evaluate(node.op, [first.values, second.values], {})
        return replace(first, values=result, grid=None, rounded=False)
    if node.op not in _KINDS:
        raise UnsupportedError(f"{node.name}: the accelerator has no {node.op} of two maps")
    maps = [collector.map(tensor) for tensor in tensors]
    sign = -1.0 if node.op == "Sub" else 1.0
    units = np.array([maps[0].scale, sign * maps[1].scale])
    if node.op == "Mul":
        units = np.array([maps[0].scale * maps[1].scale])
    if maps[0].size_bytes < maps[1].size_bytes:
        maps.reverse()
        units = units[::-1]
    one_pixel = (maps[0].shape[0], 1, 1)
    if maps[1].shape not in (maps[0].shape, one_pixel):
        raise UnsupportedError(f"{node.name}: {node.op} of {maps[0].shape} and {maps[1].shape}")
    operator = Binary(node.name, tuple(maps), NOWHERE, kind=_KINDS[node.op])
    return Raw(operator, maps[0].shape, units)


def _convolution(collector: Collector, node: gs.Node) -> list[Value]:
    return [convolutions.conv(collector.map(node.inputs[0]), node)]


def _dense(collector: Collector, node: gs.Node) -> list[Value]:
    return [convolutions.dense(collector.map(node.inputs[0]), node)]


_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(FUNCTIONS, _elementwise),
    **POOLING_RULES,
    **VIEW_RULES,
    "Conv": _convolution,
    "Gemm": _dense,
    "MatMul": _dense,
}
