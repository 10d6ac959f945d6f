"""Arithmetic and traffic of an ordered network."""

import onnx_graphsurgeon as gs

from condense_compiler.memory.order import Order
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.facts import facts_of


def total_macs(order: Order) -> int:
    """Return the multiply-accumulate operations of one run."""
    return sum(facts_of(node).macs(node) for node in order)


def total_traffic_bytes(order: Order) -> int:
    """Return the bytes that operators read and write, run one by one.

    Each operator reads its inputs, weights included, and writes its outputs, each tensor once.
    """
    return sum(node_traffic_bytes(node) for node in order)


def node_traffic_bytes(node: gs.Node) -> int:
    """Return the bytes that one operator reads and writes."""
    tensors = {tensor.name: tensor for tensor in (*node.inputs, *node.outputs)}
    return sum(tensor_bytes(tensor) for name, tensor in tensors.items() if name)
