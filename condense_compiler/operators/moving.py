"""Operators that move values, or choose among them, without computing new ones.

What they do to values they do to quantised values as well, which mean the same all over a feature
map and are in the same order. Source: ONNX operator specification.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import onnx_graphsurgeon as gs


@dataclass(frozen=True, slots=True)
class Moving:
    """How an operator moves values.

    Attributes:
        joins: Every input holds values that are moved; otherwise the first one alone does.
        fill: Input that holds the value put where there is none; None if there is no such value.
        applies: Tells whether a node of this operator does nothing but move.
    """

    joins: bool = False
    fill: int | None = None
    applies: Callable[[gs.Node], bool] = lambda _node: True

    def data(self, node: gs.Node) -> range:
        """Return the indices of the inputs whose values are moved."""
        return range(len(node.inputs) if self.joins else 1)


def moving(node: gs.Node) -> Moving | None:
    """Return how a node moves values; None if it does anything else."""
    facts = _MOVING.get(node.op) if node.domain in (None, "", "ai.onnx") else None
    return facts if facts is not None and facts.applies(node) else None


def _text(node: gs.Node, attribute: str, default: str) -> str:
    value = node.attrs.get(attribute, default)
    return value.decode() if isinstance(value, bytes) else str(value)


def _is_nearest(node: gs.Node) -> bool:
    """Tell whether every pixel of a Resize is one that it reads."""
    cropped = _text(node, "coordinate_transformation_mode", "") == "tf_crop_and_resize"
    return _text(node, "mode", "nearest") == "nearest" and not cropped


def _has_one_output(node: gs.Node) -> bool:
    """Tell whether a pooling is not asked for the places of its maxima."""
    return all(tensor.is_empty() for tensor in node.outputs[1:])


_MOVING: Mapping[str, Moving] = {
    **dict.fromkeys(
        (
            *("DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND"),
            *("Identity", "ReduceMax", "ReduceMin", "Reshape", "ReverseSequence", "Slice"),
            *("SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
        ),
        Moving(),
    ),
    "Concat": Moving(joins=True),
    "MaxPool": Moving(applies=_has_one_output),
    "Pad": Moving(fill=2),
    "Resize": Moving(applies=_is_nearest),
}

# By name alone, whatever their attributes say.
MOVING_OPERATORS = frozenset(_MOVING)
