"""What numbers an output is computed with: that decides how exact it can be."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.tensors import element_type, type_name
from condense_compiler.operators.attributes import constant_input
from condense_compiler.operators.registry import definition_of

# Floating-point types with the distance of their numbers above one, the coarsest first.
EPSILONS: Mapping[str, float] = {
    "bfloat16": 2.0**-7,
    "float16": 2.0**-10,
    "float32": 2.0**-23,
    "float64": 2.0**-52,
}
_NAMES = {"float": "float32", "double": "float64"}  # what ONNX calls otherwise


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How an output is computed.

    Attributes:
        coarsest: The floating-point type with the fewest digits on the way to the output.
        quantised: Feature maps on the way are quantised.
        around_one: Its small values are differences of numbers around one.
        step: Distance of the values that the output can have, if it is dequantised; 1 if it
            holds quantised values. None where it is not known.
    """

    coarsest: str
    quantised: bool
    around_one: bool
    step: float | None

    @property
    def epsilon(self) -> float:
        """The distance of the coarsest type's numbers above one."""
        return EPSILONS[self.coarsest]


def arithmetic_of(network: Network) -> dict[str, Arithmetic]:
    """Return how each output of a network, as given, is computed."""
    return {output.name: _arithmetic(output) for output in network.graph.outputs}


def _arithmetic(output: gs.Tensor) -> Arithmetic:
    nodes = list(_nodes_behind(output))
    tensors = [output, *(t for node in nodes for t in node.inputs if isinstance(t, gs.Variable))]
    types = {_float_name(tensor) for tensor in tensors if not tensor.is_empty()}
    return Arithmetic(
        coarsest=next((name for name in EPSILONS if name in types), "float32"),
        quantised=any(_quantises(node) for node in nodes),
        around_one=any(definition_of(node).around_one for node in nodes),
        step=_step(output),
    )


def is_floating(tensor: gs.Tensor) -> bool:
    """Tell whether a tensor holds numbers of one of the floating-point types."""
    return _float_name(tensor) in EPSILONS


def _float_name(tensor: gs.Tensor) -> str:
    name = type_name(element_type(tensor))
    return _NAMES.get(name, name)


def _nodes_behind(output: gs.Tensor) -> Iterator[gs.Node]:
    """Yield every operator that a tensor is computed by."""
    seen: set[int] = set()
    waiting = list(output.inputs)
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        waiting += [producer for tensor in node.inputs for producer in tensor.inputs]


def _quantises(node: gs.Node) -> bool:
    """Tell whether an operator quantises a feature map."""
    constant = not node.inputs or isinstance(node.inputs[0], gs.Constant)
    return not constant and ("QuantizeLinear" in node.op or node.op.startswith("QLinear"))


def _step(output: gs.Tensor) -> float | None:
    """Return how far apart the values of a dequantised output lie: its scale."""
    scales: list[float] = []
    seen: set[int] = set()
    waiting = [output]
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen or isinstance(tensor, gs.Constant):
            continue
        seen.add(id(tensor))
        if not tensor.inputs:
            return None
        node = tensor.inputs[0]
        if node.op == "DequantizeLinear" and not node.domain:
            scale = constant_input(node, 1)
            if scale is None:
                return None
            scales.append(float(np.max(np.abs(scale.astype(np.float64)))))
        elif _quantises(node):
            scales.append(1.0)
        elif definition_of(node).keeps_steps:
            waiting += node.inputs
        else:
            return None
    return max(scales, default=None)
