"""Which feature maps of a network in 8 bits are in floating point all the same, and why."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.on_codes import BY_PARTS, OPERATORS
from condense_compiler.operators.registry import moved

_QUANTISED = (np.dtype(np.int8), np.dtype(np.uint8))


@dataclass(frozen=True, slots=True)
class FloatMap:
    """A feature map between input and output that is not quantised.

    Attributes:
        tensor: Its name.
        node: The operator that computes it.
        bytes: What it takes.
        reason: Why it is not quantised.
    """

    tensor: str
    node: str
    bytes: int
    reason: str


def float_maps(graph: gs.Graph, order: Iterable[gs.Node]) -> list[FloatMap]:
    """Return the maps in floating point; none for a network without quantised maps.

    Args:
        graph: The compiled network.
        order: Its operators that run.
    """
    results = [(node, t) for node in order for t in node.outputs if not t.is_empty()]
    if not any(tensor.dtype in _QUANTISED for _, tensor in results):
        return []
    outputs = {tensor.name for tensor in graph.outputs}
    return [
        FloatMap(tensor.name, node.name, tensor_bytes(tensor), _reason(node, tensor))
        for node, tensor in results
        if tensor.name not in outputs and np.issubdtype(tensor.dtype, np.floating)
    ]


def _reason(node: gs.Node, tensor: gs.Tensor) -> str:
    if node.op == "DequantizeLinear":
        readers = sorted({f"{reader.op} '{reader.name}'" for reader in tensor.outputs})
        return f"read by {', '.join(readers)}, which reads values"
    if node.op in BY_PARTS:
        return f"{node.op} would hold the values of the whole map at one time"
    if node.op not in OPERATORS and moved(node) is None:
        return f"{node.op} has no integer form"
    quantised = any(reader.op == "QuantizeLinear" for reader in tensor.outputs)
    return "it reads values" if quantised else "its result is not quantised"
