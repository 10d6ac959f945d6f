"""Arithmetic and traffic of an ordered network."""

from collections.abc import Iterable

import onnx_graphsurgeon as gs

from condense_compiler.memory.order import Order
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.pooling import Pool
from condense_compiler.operators.registry import parse, without_epilogue


def total_macs(order: Order) -> int:
    """Return the multiply-accumulate operations of one run."""
    return sum(parse(node).macs() for node in order)


def total_operations(nodes: Iterable[gs.Node]) -> int:
    """Return the operations of one run: multiply-accumulates, and what pools look at."""
    operators = map(without_epilogue, nodes)
    return sum(each.looked_at() if isinstance(each, Pool) else each.macs() for each in operators)


def total_traffic_bytes(order: Order) -> int:
    """Return the bytes that operators read and write, run one by one.

    Each operator reads its inputs, weights included, and writes its outputs, each tensor once.
    """
    return sum(node_traffic_bytes(node) for node in order)


def node_traffic_bytes(node: gs.Node) -> int:
    """Return the bytes that one operator reads and writes."""
    tensors = {tensor.name: tensor for tensor in (*node.inputs, *node.outputs)}
    return sum(tensor_bytes(tensor) for name, tensor in tensors.items() if name)
