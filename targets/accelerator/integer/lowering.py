"""From a network whose quantisation is written as arithmetic to an integer network."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator.integer import convolutions
from condense_compiler.targets.accelerator.integer.arithmetic import CODE_MAX, CODE_MIN
from condense_compiler.targets.accelerator.integer.building import NOWHERE
from condense_compiler.targets.accelerator.integer.collector import (
    Collector,
    Rule,
    channel_constant,
)
from condense_compiler.targets.accelerator.integer.evaluation import evaluate
from condense_compiler.targets.accelerator.integer.forms import Forms
from condense_compiler.targets.accelerator.integer.functions import TENSOR, apply
from condense_compiler.targets.accelerator.integer.joining import JOINING, Joins, Side, joining_of
from condense_compiler.targets.accelerator.integer.network import (
    Binary,
    IntegerNetwork,
    Port,
)
from condense_compiler.targets.accelerator.integer.pools import POOLING_RULES
from condense_compiler.targets.accelerator.integer.values import (
    Coded,
    Pairs,
    Raw,
    Value,
    stored,
)
from condense_compiler.targets.accelerator.integer.views import VIEW_RULES
from condense_compiler.targets.reference.functions import FUNCTIONS


class NodeError(UnsupportedError):
    """A node that the accelerator cannot run.

    Attributes:
        node: The node.
        reason: Why it cannot.
    """

    def __init__(self, node: gs.Node, reason: str) -> None:
        self.node, self.reason = node, reason.removeprefix(f"{node.name}: ")
        super().__init__(
            f"node '{node.name}' ({node.op}): {self.reason}; --allow-fallback runs it on the "
            "reference executor"
        )


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
    collector = Collector({tensor.name for tensor in outputs}, _RULES, forms or {})
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


def _elementwise(collector: Collector, node: gs.Node) -> list[Value]:
    tensors = [t for t in node.inputs if not t.is_empty() and not isinstance(t, gs.Constant)]
    if len(tensors) == 2:
        return [_two_tensors(collector, node, tensors)]
    if tensors[0].name in collector.inputs and tensors[0].name not in collector.values:
        return [collector.quantise_input(node)]
    arguments = [
        TENSOR if tensor is tensors[0] else channel_constant(node, index)
        for index, tensor in enumerate(node.inputs)
    ]
    attributes = {k: v for k, v in node.attrs.items() if isinstance(v, int | float)}
    value = collector.value(tensors[0])
    return [apply(collector.builder, value, node.op, arguments, attributes, node.name)]


def _two_tensors(collector: Collector, node: gs.Node, tensors: list[gs.Tensor]) -> Value:
    first, second = (collector.value(tensor) for tensor in tensors)
    if isinstance(first, Coded) and isinstance(second, Coded) and first.base is second.base:
        return _functions_of_one(collector, node, (first, second))
    if node.op not in JOINING:
        raise UnsupportedError(f"{node.name}: the accelerator has no {node.op} of two maps")
    maps = [collector.map(tensor) for tensor in tensors]
    sides = (Side(maps[0].scale, maps[0].zero), Side(maps[1].scale, maps[1].zero))
    swapped = maps[0].size_bytes < maps[1].size_bytes
    if swapped:
        maps.reverse()
    one_pixel = (maps[0].shape[0], 1, 1)
    if maps[1].shape not in (maps[0].shape, one_pixel):
        raise UnsupportedError(f"{node.name}: {node.op} of {maps[0].shape} and {maps[1].shape}")
    joins = Joins(JOINING[node.op], sides, collector.form(node), swapped)
    operator = Binary(node.name, tuple(maps), NOWHERE)
    if joins.kind in ("max", "min") and sides[0] == sides[1]:
        operator.joining = joining_of(joins, sides[0], (CODE_MIN, CODE_MAX))
        return replace(stored(maps[0]), base=operator)  # the choice is one of codes
    return Raw(operator, maps[0].shape, np.ones(1, np.float32), joins=joins)


def _functions_of_one(collector: Collector, node: gs.Node, functions: tuple[Coded, Coded]) -> Value:
    """Return what an operator makes of two functions of the same codes: another one."""
    first, second = functions
    values = evaluate(node.op, [first.values, second.values], {})
    result = replace(first, values=values, grid=None, rounded=False)
    if node.op not in JOINING or first.grid is None or second.grid is None:
        return result
    joins = Joins(JOINING[node.op], (first.side(), second.side()), collector.form(node))
    return Pairs(functions, joins, result)


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


def _convolution(collector: Collector, node: gs.Node) -> list[Value]:
    return [convolutions.conv(collector.map(node.inputs[0]), node)]


def _dense(collector: Collector, node: gs.Node) -> list[Value]:
    return [convolutions.dense(collector.map(node.inputs[0]), node)]


_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(FUNCTIONS, _elementwise),
    **POOLING_RULES,
    **VIEW_RULES,
    "BatchNormalization": _batch_norm,
    "Conv": _convolution,
    "Gemm": _dense,
    "MatMul": _dense,
}
