"""Order problems from networks, tensor by tensor: every tensor is stored, nothing is a view."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import onnx_graphsurgeon as gs

from condense_compiler.memory.order import file_order
from condense_compiler.memory.scheduler import Accumulation, OrderProblem, Overwrite, StoredMap
from condense_compiler.network import Network
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.elementwise import UNARY

OVERWRITES = {*UNARY, "Add", "BatchNormalization", "Clip", "Div", "Dropout", "Mul", "Sub", "Sum"}
"""Operators that may write their result over any input of its size."""


def order_problem(network: Network) -> OrderProblem:
    """Return the problem of ordering a network's operators, numbered as they stand in the file."""
    nodes = file_order(network)
    tensors = {tensor.name: tensor for tensor in network.graph.inputs}
    writer: dict[str, int] = {}
    readers: defaultdict[str, set[int]] = defaultdict(set)
    for number, node in enumerate(nodes):
        tensors |= {tensor.name: tensor for tensor in node.outputs if tensor.name}
        writer |= {tensor.name: number for tensor in node.outputs if tensor.name}
        for tensor in node.inputs:
            readers[tensor.name].add(number)
    kept = {tensor.name for tensor in network.graph.outputs}
    maps = {
        name: StoredMap(
            tensor_bytes(tensor), writer.get(name), tuple(sorted(readers[name])), name in kept
        )
        for name, tensor in tensors.items()
    }
    overwrites = tuple(_overwrites(nodes, maps))
    return OrderProblem(
        operator_count=len(nodes),
        predecessors=((),) * len(nodes),  # the writers of what an operator reads, no more
        maps=tuple(maps.values()),
        overwrites=overwrites,
        accumulations=tuple(_accumulations(nodes, list(maps.values()), overwrites)),
    )


def _overwrites(nodes: Sequence[gs.Node], maps: dict[str, StoredMap]) -> Iterator[Overwrite]:
    position = {name: index for index, name in enumerate(maps)}
    for number, node in enumerate(nodes):
        if node.op in OVERWRITES:
            size = maps[node.outputs[0].name].size
            names = {tensor.name: None for tensor in node.inputs if tensor.name in maps}
            for name in names:
                if maps[name].size == size:
                    yield Overwrite(number, (position[name],), size)


def _accumulations(
    nodes: Sequence[gs.Node], maps: Sequence[StoredMap], overwrites: Sequence[Overwrite]
) -> Iterator[Accumulation]:
    """Yield each convolution that only an addition reads, with the other operand."""
    for overwrite in overwrites:
        consumer = overwrite.operator
        if nodes[consumer].op != "Add":
            continue
        (target,) = overwrite.maps
        for index, stored in enumerate(maps):
            private = stored.readers == (consumer,) and not stored.kept and index != target
            producer = stored.writer
            if private and producer is not None and nodes[producer].op == "Conv":
                if producer not in maps[target].readers and producer != maps[target].writer:
                    yield Accumulation(
                        producer, consumer, overwrite.maps, overwrite.saved_bytes
                    )
