"""What a target lowers: operators in the order in which they run, and a place for every map."""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx
import onnx_graphsurgeon as gs

from condense_compiler.network import Network


@dataclass(frozen=True, slots=True)
class Step:
    """One operator, or a convolution and the addition behind it.

    Attributes:
        node: The operator.
        addition: An Add whose other operand the result is added to, right where that operand
            lies; the operator's own result is then stored nowhere. Either may have an epilogue.
    """

    node: gs.Node
    addition: gs.Node | None = None


@dataclass(frozen=True, slots=True)
class ScheduledProgram:
    """A network, scheduled and planned; how the plan was found is not told.

    Feature maps may share bytes: a view lies in what it is a view of, the parts of a
    concatenation in the concatenation, and a result may start where an input starts that its
    operator reads for the last time (`condense_compiler.operators.aliasing` says which operators
    allow that, and in what order they must then compute).

    Attributes:
        network: The rewritten network.
        steps: What has to run, in order. Operators with nothing to do, such as a Reshape or a
            concatenation whose parts were produced in place, have no step.
        offsets: Place of each feature map in the arena, in bytes, by tensor name. Graph inputs
            and outputs are feature maps too.
        arena_bytes: Size of the arena.
        memory_limit_bytes: What the feature maps are asked to fit, if anything; for targets that
            place what they store themselves.
        prepared: The model that results are compared with, if a target prepared one.
    """

    network: Network
    steps: tuple[Step, ...]
    offsets: Mapping[str, int]
    arena_bytes: int
    memory_limit_bytes: int | None = None
    prepared: onnx.ModelProto | None = None
