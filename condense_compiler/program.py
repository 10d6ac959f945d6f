"""What a target lowers: operators in the order in which they run, and a place for every map."""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from condense_compiler.network import Network


@dataclass(frozen=True, slots=True)
class ScheduledProgram:
    """A network, scheduled and planned; how the plan was found is not told.

    Attributes:
        network: The rewritten network.
        steps: Its operators in the order in which they run.
        offsets: Place of each feature map in the arena, in bytes, by tensor name. Graph inputs
            and outputs are feature maps too.
        arena_bytes: Size of the arena.
    """

    network: Network
    steps: tuple[gs.Node, ...]
    offsets: Mapping[str, int]
    arena_bytes: int
