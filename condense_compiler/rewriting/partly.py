"""Applying a pass to a part of a network, without the pass knowing."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.rewriting.contract import Pass, PassOutcome

_HIDDEN = "condense.hidden"  # operator, domain, and what it reads


def apply_partly(rewrite: Pass, network: Network, without: Collection[str]) -> PassOutcome:
    """Apply a pass in place, but let it not recognise some nodes.

    Those nodes look to it like operators of an unknown domain that read something computed at run
    time, of which every pass keeps off. So it does what it would have done elsewhere.

    Args:
        rewrite: The pass.
        network: The network.
        without: Names of the nodes that it must not recognise.
    """
    with _hidden([node for node in network.graph.nodes if node.name in without]):
        return rewrite.apply(network)


@contextmanager
def _hidden(nodes: Collection[gs.Node]) -> Iterator[None]:
    kinds = [(node.op, node.domain) for node in nodes]
    mark = gs.Variable(_HIDDEN)
    for node in nodes:
        node.op = node.domain = _HIDDEN
        node.inputs.append(mark)
    yield
    for node, (op, domain) in zip(nodes, kinds, strict=True):
        node.op, node.domain = op, domain
        node.inputs = [tensor for tensor in node.inputs if tensor is not mark]
