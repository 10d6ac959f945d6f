"""From an ordered network to the buffers that a plan places."""

from collections.abc import Iterable, Sequence

import onnx_graphsurgeon as gs

from condense_compiler.memory.buffers import Buffer
from condense_compiler.memory.order import Order
from condense_compiler.network import Network
from condense_compiler.network.tensors import tensor_bytes, type_alignment


def feature_map_buffers(network: Network, order: Order) -> list[Buffer]:
    """Return one buffer for each feature map, alive from its operator to its last reader.

    While an operator runs, its inputs and its outputs are alive. Inputs of the network are alive
    from the first step, outputs to the last.
    """
    last_step = len(order)
    first = {tensor.name: 0 for tensor in network.graph.inputs}
    first |= {name: step for step, node in enumerate(order) for name in _names(node.outputs)}
    upper = {name: step + 1 for name, step in first.items()}
    for step, node in enumerate(order):
        upper |= {name: step + 1 for name in _names(node.inputs) if name in first}
    upper |= {tensor.name: last_step for tensor in network.graph.outputs if tensor.name in first}
    sizes = {tensor.name: tensor for tensor in _tensors(network, order)}
    return [
        Buffer(
            id=name,
            lower=lower,
            upper=max(upper[name], lower + 1),
            size=tensor_bytes(sizes[name]),
            alignment=type_alignment(sizes[name]),
        )
        for name, lower in first.items()
    ]


def largest_working_set(order: Order, buffers: Sequence[Buffer]) -> int:
    """Return the most bytes that one operator reads and writes.

    No order of the operators can have a smaller peak, since each must run at some step.
    """
    sizes = {buffer.id: buffer.size for buffer in buffers}
    working_sets = (
        sum(sizes[name] for name in {*_names(node.inputs), *_names(node.outputs)} if name in sizes)
        for node in order
    )
    return max(working_sets, default=0)


def _names(tensors: Iterable[gs.Tensor]) -> list[str]:
    return [tensor.name for tensor in tensors if not tensor.is_empty()]


def _tensors(network: Network, order: Order) -> Iterable[gs.Tensor]:
    yield from network.graph.inputs
    for node in order:
        yield from node.outputs
