"""Removes operators that do nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import bypass
from condense_compiler.network.tensors import element_type
from condense_compiler.operators.attributes import constant_input, int_list
from condense_compiler.rewriting.contract import PassOutcome, Rewrite


@dataclass(frozen=True)
class CleanUp:
    """Remove operators whose result is their input: Identity, Dropout, full slices and the like."""

    name: ClassVar[str] = "clean_up"

    def apply(self, network: Network) -> PassOutcome:
        """Connect the readers of each such operator to its input."""
        rewrites = [
            Rewrite(node.name, node.op)
            for node in list(network.graph.nodes)
            if _does_nothing(node) and bypass(network.graph, node, node.inputs[0])
        ]
        network.graph.cleanup()
        return PassOutcome(tuple(rewrites))


def _does_nothing(node: gs.Node) -> bool:
    test = NEUTRAL.get(node.op)
    return test is not None and not node.domain and test(node)


def _always(_node: gs.Node) -> bool:
    return True


def _keeps_shape(node: gs.Node) -> bool:
    return bool(tuple(node.inputs[0].shape) == tuple(node.outputs[0].shape))


def _keeps_type(node: gs.Node) -> bool:
    return element_type(node.inputs[0]) == element_type(node.outputs[0])


def _keeps_order(node: gs.Node) -> bool:
    """Tell whether only axes of size one change places."""
    shape = node.inputs[0].shape
    permutation = node.attrs.get("perm", range(len(shape))[::-1])
    moved = [axis for axis in permutation if shape[axis] > 1]
    return _keeps_shape(node) and moved == sorted(moved)


def _is_whole(node: gs.Node) -> bool:
    steps = int_list(node, "steps", 4) if len(node.inputs) > 4 else [1]
    return _keeps_shape(node) and steps is not None and min(steps) > 0


def _pads_nothing(node: gs.Node) -> bool:
    pads = int_list(node, "pads", 1)
    return pads is not None and not any(pads)


def _is_single(node: gs.Node) -> bool:
    return len(node.inputs) == 1


def _is_neutral(value: float) -> Callable[[gs.Node], bool]:
    def test(node: gs.Node) -> bool:
        constant = constant_input(node, 1)
        return constant is not None and bool(np.all(constant == value)) and _keeps_shape(node)

    return test


# Operator -> whether this node of it returns its first input.
NEUTRAL: Mapping[str, Callable[[gs.Node], bool]] = {
    "Add": _is_neutral(0.0),
    "Cast": _keeps_type,
    "Concat": _is_single,
    "Div": _is_neutral(1.0),
    "Dropout": _always,
    "Expand": _keeps_shape,
    "Flatten": _keeps_shape,
    "Identity": _always,
    "Mul": _is_neutral(1.0),
    "Pad": _pads_nothing,
    "Reshape": _keeps_shape,
    "Slice": _is_whole,
    "Sub": _is_neutral(0.0),
    "Transpose": _keeps_order,
}
