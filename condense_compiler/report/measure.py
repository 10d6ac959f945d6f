"""What a network needs before anything is done to it."""

from dataclasses import dataclass

from condense_compiler.memory.buffers import Buffer
from condense_compiler.memory.liveness import feature_map_buffers
from condense_compiler.memory.order import file_order
from condense_compiler.network import Network
from condense_compiler.report.cost import total_macs, total_traffic_bytes


@dataclass(frozen=True, slots=True)
class Given:
    """A network as given: operator by operator in its own order, every feature map stored.

    Attributes:
        buffers: Its feature maps.
        macs: Multiply-accumulate operations of one run.
        traffic_bytes: Bytes that its operators read and write.
    """

    buffers: list[Buffer]
    macs: int
    traffic_bytes: int

    @property
    def sum_bytes(self) -> int:
        """Size of all feature maps together."""
        return sum(buffer.size for buffer in self.buffers)


def measure_given(network: Network) -> Given:
    """Measure a network before passes change it."""
    order = file_order(network)
    buffers = feature_map_buffers(network, order)
    return Given(buffers, total_macs(order), total_traffic_bytes(order))
