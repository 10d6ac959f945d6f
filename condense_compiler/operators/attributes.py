"""Reading what ONNX operators are told, as attributes or as inputs, whether given or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Shapes = tuple[Shape | None, ...]  # None: left out

DEFAULT_DOMAINS = (None, "", "ai.onnx")


def is_plain(node: gs.Node) -> bool:
    """Tell whether an operator is one of ONNX's own."""
    return node.domain in DEFAULT_DOMAINS


def constant_input(node: gs.Node, index: int) -> Array | None:
    """Return the value of a constant input; None where it is absent or computed at run time."""
    if index >= len(node.inputs) or not isinstance(node.inputs[index], gs.Constant):
        return None
    return np.asarray(node.inputs[index].values)


@dataclass(frozen=True, slots=True)
class Spelling:
    """A node as its file writes it.

    Attributes:
        node: The node; its tensors have static shapes.
        known: Values of tensors that are no constants but known all the same, by name.
    """

    node: gs.Node
    known: Mapping[str, Array] = field(default_factory=dict)

    @property
    def op(self) -> str:
        """The type of the operator."""
        return str(self.node.op)

    def has(self, index: int) -> bool:
        """Tell whether an optional input is given."""
        return index < len(self.node.inputs) and not self.node.inputs[index].is_empty()

    def constant(self, index: int) -> Array | None:
        """Return the value of an input; None where it is absent or computed at run time."""
        if not self.has(index):
            return None
        value = constant_input(self.node, index)
        return value if value is not None else self.known.get(self.node.inputs[index].name)

    def is_computed(self, index: int) -> bool:
        """Tell whether an input is given, but not its value."""
        return self.has(index) and self.constant(index) is None

    def gives(self, name: str) -> bool:
        """Tell whether an attribute is given."""
        return name in self.node.attrs

    def integer(self, name: str, default: int) -> int:
        """Return a number among the attributes."""
        return int(self.node.attrs.get(name, default))

    def number(self, name: str, default: float) -> float:
        """Return a number among the attributes."""
        return float(self.node.attrs.get(name, default))

    def text(self, name: str, default: str) -> str:
        """Return a text among the attributes."""
        value = self.node.attrs.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)

    def integers(self, name: str, index: int | None = None) -> Shape | None:
        """Return a list that is an attribute, or an input of newer versions of the operator.

        Returns:
            None where it is not given, or computed at run time.
        """
        value = self.node.attrs.get(name)
        if value is None and index is not None:
            value = self.constant(index)
        if isinstance(value, list | tuple):
            return tuple(map(int, value))
        return None if value is None else tuple(map(int, np.ravel(value)))

    def axis(self, name: str, default: int, rank: int) -> int:
        """Return an axis among the attributes, counted from the start."""
        return self.integer(name, default) % max(rank, 1)

    def tensors(self) -> tuple[str, Shapes, Shapes]:
        """Return what records begin with: the type, and the shapes of inputs and outputs."""
        return self.op, _shapes(self.node.inputs), _shapes(self.node.outputs)

    def shape(self, index: int = 0) -> Shape:
        """Return the shape of an input."""
        return tuple(self.node.inputs[index].shape)

    def result(self, index: int = 0) -> Shape:
        """Return the shape of an output."""
        return tuple(self.node.outputs[index].shape)


def _shapes(side: Sequence[gs.Tensor]) -> Shapes:
    return tuple([tuple(t.shape) if t.name and t.shape is not None else None for t in side])
