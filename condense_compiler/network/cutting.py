"""What to do about a network that has a part which cannot be compiled: where to cut it."""

import math
from collections.abc import Callable, Collection, Iterable

import onnx_graphsurgeon as gs

from condense_compiler.network.tensors import is_static

_FEW = 8  # tensors that are named
_SMALL = 16  # elements of an input that is likely to be a flag

Refused = Callable[[gs.Node], bool]


def advice(graph: gs.Graph, is_refused: Refused) -> str:
    """Return what to add to the message about a node or tensor that cannot be compiled.

    Args:
        graph: The graph, its shapes as far as they are known.
        is_refused: Tells whether a node cannot be compiled, whatever the shape of its results.
    """
    flags = _flags(node for node in graph.nodes if node.op == "If" and not node.domain)
    if flags:
        return f"; fix what it depends on: {' '.join(f'--set {name}=VALUE' for name in flags)}"
    return cut_at(_last_known(graph, is_refused))


def cut_at(names: Collection[str]) -> str:
    """Return what to add to a message where the network can be cut at some tensors."""
    if not names:
        return ""
    if len(names) > _FEW:
        shown = f"{', '.join(list(names)[:_FEW])} and {len(names) - _FEW} more"
        return f"; cut the network before it with --outputs, at the tensors {shown}"
    return f"; cut the network before it: --outputs {','.join(names)}"


def _last_known(graph: gs.Graph, is_refused: Refused) -> list[str]:
    """Return the tensors behind which nothing can be compiled, outputs that can be among them."""
    lost: set[int] = set()
    border: dict[str, None] = {}
    for node in graph.nodes:
        is_lost = is_refused(node) or any(id(tensor) in lost for tensor in node.inputs)
        if not is_lost and all(_is_known(tensor) for tensor in node.outputs):
            continue
        lost.update(id(tensor) for tensor in node.outputs)
        read = [t for t in node.inputs if t.name and id(t) not in lost and t.inputs]
        border |= dict.fromkeys(tensor.name for tensor in read)
    if not border:
        return []
    outputs = (tensor for tensor in graph.outputs if tensor.inputs and id(tensor) not in lost)
    return list(border | dict.fromkeys(tensor.name for tensor in outputs))


def _is_known(tensor: gs.Tensor) -> bool:
    if not tensor.name or isinstance(tensor, gs.Constant):
        return True
    known = tensor.dtype is not None and is_static(tensor.shape)
    return known and tensor.type == "tensor_type"


def _flags(conditionals: Iterable[gs.Node]) -> list[str]:
    """Return the small inputs that conditions are computed from, if nothing else matters."""
    found: dict[str, None] = {}
    pending = [node.inputs[0] for node in conditionals]
    seen: set[int] = set()
    while pending:
        tensor = pending.pop()
        if isinstance(tensor, gs.Constant) or id(tensor) in seen or not tensor.name:
            continue
        seen.add(id(tensor))
        if tensor.inputs:
            pending.extend(tensor.inputs[0].inputs)
        elif _elements(tensor) > _SMALL:
            return []
        else:
            found[tensor.name] = None
    return list(found)


def _elements(tensor: gs.Tensor) -> int:
    return math.prod(tensor.shape) if is_static(tensor.shape) else _SMALL + 1
