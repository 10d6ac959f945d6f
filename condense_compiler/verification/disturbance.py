"""Disturbing every number of a network by next to nothing, to see what that does to its outputs.

Rounding happens in every operator, and each compiler rounds elsewhere. So each number that one
operator hands to another is multiplied by one plus or minus a unit in the last place, at random:
stochastic arithmetic (J. Vignes, "A stochastic arithmetic for reliable scientific computation",
1993), with factors that are shared along all axes but the last.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import replace_reads
from condense_compiler.network.tensors import element_type, numpy_type
from condense_compiler.verification.arithmetic import is_floating
from condense_compiler.verification.feeds import Array, Feeds

_SUFFIX = "/disturbance"


def disturbed(network: Network) -> Network:
    """Return a network that multiplies what operators read by factors that are inputs."""
    copy = network.copy()
    graph = copy.graph
    nodes: list[gs.Node] = []
    for tensor in list(graph.inputs):
        nodes += _multiplied(graph, tensor, tuple(tensor.shape))
    for node in graph.nodes:
        nodes.append(node)
        for tensor in node.outputs:
            nodes += _multiplied(graph, tensor, tuple(tensor.shape or ())[-1:])
    graph.nodes = nodes
    return copy


def _multiplied(graph: gs.Graph, tensor: gs.Tensor, shape: tuple[int, ...]) -> Iterator[gs.Node]:
    """Yield what multiplies a tensor for all that read it."""
    if tensor.is_empty() or not tensor.outputs or not is_floating(tensor):
        return
    factor = gs.Variable(f"{tensor.name}{_SUFFIX}", tensor.dtype, shape)
    product = gs.Variable(f"{tensor.name}{_SUFFIX}/product", tensor.dtype, tensor.shape)
    replace_reads(tensor, product)
    graph.inputs.append(factor)
    yield gs.Node("Mul", f"{tensor.name}{_SUFFIX}", None, [tensor, factor], [product])


def factors(network: Network, feeds: Feeds, unit: float, seed: int) -> dict[str, Array]:
    """Return the inputs of a disturbed network.

    Args:
        network: What `disturbed` returned.
        feeds: The other inputs.
        unit: How far the factors are from one.
        seed: Seed of the directions.
    """
    generator = np.random.default_rng(seed)

    def factor(tensor: gs.Tensor) -> Array:
        dtype: np.dtype[Any] = numpy_type(element_type(tensor))
        return np.asarray(1.0 + generator.choice((-unit, unit), tensor.shape), dtype)

    return {
        tensor.name: feeds[tensor.name] if tensor.name in feeds else factor(tensor)
        for tensor in network.graph.inputs
    }
