"""Arithmetic and traffic of an ordered network."""

import math
from collections.abc import Iterable

import onnx_graphsurgeon as gs

from condense_compiler.memory.order import Order
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.epilogue import producer_of
from condense_compiler.operators.facts import facts_of


def total_macs(order: Order) -> int:
    """Return the multiply-accumulate operations of one run."""
    return sum(facts_of(node).macs(node) for node in order)


def total_operations(nodes: Iterable[gs.Node]) -> int:
    """Return the operations of one run: multiply-accumulates, and what pools look at."""
    return sum(facts_of(node).macs(node) + _looked_at(node) for node in nodes)


def _looked_at(node: gs.Node) -> int:
    """Return the elements that the windows of a pool cover, all results together."""
    kernel = node.attrs.get("kernel_shape")
    if not producer_of(node).op.endswith("Pool") or not kernel or not node.outputs:
        return 0
    return int(math.prod(kernel) * math.prod(node.outputs[0].shape))


def total_traffic_bytes(order: Order) -> int:
    """Return the bytes that operators read and write, run one by one.

    Each operator reads its inputs, weights included, and writes its outputs, each tensor once.
    """
    return sum(node_traffic_bytes(node) for node in order)


def node_traffic_bytes(node: gs.Node) -> int:
    """Return the bytes that one operator reads and writes."""
    tensors = {tensor.name: tensor for tensor in (*node.inputs, *node.outputs)}
    return sum(tensor_bytes(tensor) for name, tensor in tensors.items() if name)
