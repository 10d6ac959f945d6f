"""Disturbing every number of a network by next to nothing, to see what that does to its outputs.

Rounding happens in every operator, and each compiler rounds elsewhere. So each number that one
operator hands to another is multiplied by one plus or minus a unit in the last place, at random:
stochastic arithmetic (J. Vignes, "A stochastic arithmetic for reliable scientific computation",
1993), with factors that are shared along all axes but the last.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import replace_reads
from condense_compiler.network.tensors import element_type, numpy_type
from condense_compiler.operators.registry import definition_of
from condense_compiler.verification.exactness import is_floating
from condense_compiler.verification.inputs import Array, Feeds

_FACTOR, _TERM = "/disturbance/factor", "/disturbance/term"


def disturbed(network: Network) -> Network:
    """Return a network that multiplies what operators read by factors that are inputs.

    Behind functions whose small results are differences of numbers around one it adds terms, too.
    """
    copy = network.copy()
    graph = copy.graph
    nodes: list[gs.Node] = []
    for tensor in list(graph.inputs):
        nodes += _disturbed(graph, tensor, tuple(tensor.shape), ("Mul",))
    for node in graph.nodes:
        nodes.append(node)
        operators = ("Mul", "Add") if definition_of(node).around_one else ("Mul",)
        for tensor in node.outputs:
            nodes += _disturbed(graph, tensor, tuple(tensor.shape or ())[-1:], operators)
    graph.nodes = nodes
    return copy


def _disturbed(
    graph: gs.Graph, tensor: gs.Tensor, shape: tuple[int, ...], operators: Iterable[str]
) -> Iterator[gs.Node]:
    """Yield what changes a tensor for all that read it."""
    if tensor.is_empty() or not tensor.outputs or not is_floating(tensor):
        return
    readers = gs.Variable(f"{tensor.name}/disturbance", tensor.dtype, tensor.shape)
    replace_reads(tensor, readers)
    for op in operators:
        name = tensor.name + (_FACTOR if op == "Mul" else _TERM)
        change = gs.Variable(name, tensor.dtype, shape)
        graph.inputs.append(change)
        result = gs.Variable(f"{name}/result", tensor.dtype, tensor.shape)
        yield gs.Node(op, name, None, [tensor, change], [result])
        tensor = result
    replace_reads(readers, tensor)


def changes(network: Network, feeds: Feeds, unit: float, seed: int) -> dict[str, Array]:
    """Return the inputs of a disturbed network.

    Args:
        network: What `disturbed` returned.
        feeds: The other inputs.
        unit: How far factors are from one, and terms from zero.
        seed: Seed of the directions.
    """
    generator = np.random.default_rng(seed)

    def change(tensor: gs.Tensor) -> Array:
        dtype: np.dtype[Any] = numpy_type(element_type(tensor))
        nothing = 1.0 if tensor.name.endswith(_FACTOR) else 0.0
        return np.asarray(nothing + generator.choice((-unit, unit), tensor.shape), dtype)

    return {
        tensor.name: feeds[tensor.name] if tensor.name in feeds else change(tensor)
        for tensor in network.graph.inputs
    }
