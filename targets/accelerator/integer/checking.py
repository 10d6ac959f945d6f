"""What can be refused at a glance, before a network is quantised."""

import onnx_graphsurgeon as gs

from condense_compiler.passes.tracing.trace import RULES as TRACED
from condense_compiler.targets.accelerator.integer.collector import pixels_of
from condense_compiler.targets.accelerator.integer.convolutions import check_weights
from condense_compiler.targets.accelerator.integer.lowering import RULES
from condense_compiler.targets.accelerator.integer.refusals import NodeError, blaming

_LAYERS = frozenset(("Conv", "Gemm", "MatMul"))


def is_dilated(node: gs.Node) -> bool:
    """Tell whether a window leaves out pixels, which ONNX Runtime cannot average as codes."""
    return set(node.attrs.get("dilations", [1])) != {1}


def check_operators(graph: gs.Graph) -> None:
    """Refuse a network with an operator that has no integer form, or that is no image.

    What only depends on values, or on what passes make of an operator, shows later.

    Raises:
        UnsupportedError: It has one.
    """
    for tensor in graph.inputs:
        if tensor.outputs:
            with blaming(tensor.outputs[0]):
                pixels_of(tuple(tensor.shape), tensor.name)
    for node in graph.nodes:
        if all(isinstance(tensor, gs.Constant) for tensor in node.inputs):
            continue
        if node.domain or node.op not in RULES.keys() | TRACED.keys():
            raise NodeError(node, f"the accelerator has no {node.op}")
        with blaming(node):
            if node.op in _LAYERS:
                check_weights(node)
