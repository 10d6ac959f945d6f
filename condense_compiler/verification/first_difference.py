"""Comparing tensors inside of networks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.tensors import variables
from condense_compiler.verification.comparing import TOLERANCES, difference
from condense_compiler.verification.inputs import Array, Feeds
from condense_compiler.verification.original import Original


@dataclass(frozen=True, slots=True)
class FirstTensor:
    """The first tensor that differs.

    Attributes:
        tensor: Its name.
        node: Name of the operator that computes it.
        op: What operator that is.
        relative_difference: The largest difference, as a share of the largest magnitude.
    """

    tensor: str
    node: str
    op: str
    relative_difference: float


def first_difference(before: Network, after: Network, feeds: Feeds) -> FirstTensor | None:
    """Return the first tensor, in the order of computation, that a rewrite changed.

    Only tensors that exist on both sides under one name, of one type and shape, are compared, each
    within the tolerance of its type.
    """
    types = {t.name: (t.dtype, tuple(t.shape)) for t in computed(before)}
    common = [t.name for t in computed(after) if types.get(t.name) == (t.dtype, tuple(t.shape))]
    expected, actual = (
        Original(exposing(network, common).to_model()).run(feeds) for network in (before, after)
    )
    return first_of(after, expected, actual)


def first_of(
    network: Network, expected: Mapping[str, Array], actual: Mapping[str, Array]
) -> FirstTensor | None:
    """Return the first tensor of a network beyond the tolerance of its type."""
    for tensor in computed(network):
        if tensor.name not in expected:
            continue
        largest, magnitude = difference(actual[tensor.name], expected[tensor.name])
        if largest > _allowed(expected[tensor.name].dtype, magnitude):
            node = tensor.inputs[0]
            return FirstTensor(tensor.name, node.name, node.op, largest / magnitude)
    return None


def _allowed(dtype: np.dtype[Any], magnitude: float) -> float:
    """Return the difference that re-ordered arithmetic may cause; one step of quantised values."""
    if dtype.itemsize == 1 and dtype != np.bool_:
        return 1.0
    return TOLERANCES.get(str(dtype), 0.0) * magnitude


def exposing(network: Network, names: list[str]) -> Network:
    """Return a network that has only these tensors as outputs."""
    copy = network.copy()
    tensors = {tensor.name: tensor for tensor in variables(copy.graph)}
    copy.graph.outputs = [tensors[name] for name in names]
    copy.graph.cleanup()
    return copy


def computed(network: Network) -> Iterator[gs.Tensor]:
    """Yield the results of operators, each behind those that it is computed from."""
    for node in network.graph.nodes:
        yield from (t for t in node.outputs if not t.is_empty())
