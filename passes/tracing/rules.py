"""What every rule of the tracer works with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.operators.quantising import constant_values
from condense_compiler.operators.registry import Record, parse_as
from condense_compiler.passes.tracing.views import View


@dataclass(frozen=True, slots=True)
class Context:
    """A node whose result is asked for, and the views known so far."""

    node: gs.Node
    views: Mapping[str, View]
    opset: int

    def view(self, index: int = 0) -> View | None:
        """Return the view of an input, with this node added to those that computed it."""
        if index >= len(self.node.inputs):
            return None
        view = self.views.get(self.node.inputs[index].name)
        return view.through(self.node) if view is not None else None

    def constant(self, index: int) -> npt.NDArray[np.generic] | None:
        """Return the value of a constant input, dequantised; None where it is none, or absent."""
        inputs = self.node.inputs
        known = index < len(inputs) and not inputs[index].is_empty()
        return constant_values(inputs[index]) if known else None

    def read(self, record: type[Record]) -> Record:
        """Return the node, of a known type, as the record of that type."""
        return parse_as(record, self.node)

    def shape(self, output: int = 0) -> tuple[int, ...]:
        """Return the shape of an output."""
        return tuple(self.node.outputs[output].shape)


# Views of the node's outputs, in order; None where nothing is known.
Rule = Callable[[Context], Sequence[View | None]]
