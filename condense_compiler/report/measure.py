"""What a network needs before anything is done to it."""

from collections.abc import Mapping
from dataclasses import dataclass

from condense_compiler.memory.buffers import Buffer
from condense_compiler.memory.liveness import feature_map_buffers
from condense_compiler.memory.order import file_order
from condense_compiler.network import Network
from condense_compiler.report.cost import total_macs, total_traffic_bytes
from condense_compiler.report.records import (
    OperatorRecord,
    TensorRecord,
    record_operators,
    record_tensors,
)


@dataclass(frozen=True, slots=True)
class Given:
    """A network as given: operator by operator in its own order, every feature map stored.

    Attributes:
        name: What messages call the network.
        buffers: Its feature maps.
        operators: Its operators, in order.
        tensors: Types of its feature maps, by name.
        outputs: Names of its outputs.
        macs: Multiply-accumulate operations of one run.
        traffic_bytes: Bytes that its operators read and write.
    """

    name: str
    buffers: list[Buffer]
    operators: tuple[OperatorRecord, ...]
    tensors: Mapping[str, TensorRecord]
    outputs: frozenset[str]
    macs: int
    traffic_bytes: int

    @property
    def sum_bytes(self) -> int:
        """Size of all feature maps together."""
        return sum(buffer.size for buffer in self.buffers)


def measure_given(network: Network) -> Given:
    """Measure a network before passes change it."""
    order = file_order(network)
    return Given(
        name=network.name,
        buffers=feature_map_buffers(network, order),
        operators=record_operators(order),
        tensors=record_tensors(network.graph.inputs, order),
        outputs=frozenset(tensor.name for tensor in network.graph.outputs),
        macs=total_macs(order),
        traffic_bytes=total_traffic_bytes(order),
    )
