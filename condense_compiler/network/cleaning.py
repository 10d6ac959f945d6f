"""Small repairs of exported graphs: names that reports can point with, no outputs for nobody."""

import itertools

import onnx
import onnx_graphsurgeon as gs

_OPTIONAL = onnx.defs.OpSchema.FormalParameterOption.Optional

# Before opset 14, batch normalisation trains if it has more outputs than one.
_OUTPUTS_SAY_MODE = frozenset({"BatchNormalization"})


def name_nodes(graph: gs.Graph) -> None:
    """Name nodes without a name after their operator and position; make names unique."""
    taken: set[str] = {node.name for node in graph.nodes}
    seen: set[str] = set()
    for position, node in enumerate(graph.nodes):
        if not node.name or node.name in seen:
            stem = node.name or node.op
            candidates = (f"{stem}_{i}" for i in itertools.count(position))
            node.name = next(name for name in candidates if name not in taken)
            taken.add(node.name)
        seen.add(node.name)


def drop_unused_outputs(graph: gs.Graph) -> None:
    """Omit optional outputs that nothing reads, like the mask of a Dropout."""
    kept = {id(tensor) for tensor in graph.outputs}
    for node in graph.nodes:
        if len(node.outputs) > 1 and node.op not in _OUTPUTS_SAY_MODE:
            _drop_unused_outputs(node, kept)


def detach_strangers(graph: gs.Graph) -> None:
    """Make tensors forget readers that are not in the graph, like those in branches not taken."""
    own = {id(node) for node in graph.nodes}
    for tensor in graph.tensors().values():
        for reader in list(tensor.outputs):
            if id(reader) not in own:
                reader.inputs.clear()


def _drop_unused_outputs(node: gs.Node, kept: set[int]) -> None:
    if not onnx.defs.has(node.op, node.domain or ""):
        return
    formal = onnx.defs.get_schema(node.op, node.domain or "").outputs
    for i, tensor in enumerate(list(node.outputs)):
        optional = i < len(formal) and formal[i].option == _OPTIONAL
        if optional and not tensor.outputs and id(tensor) not in kept:
            node.outputs[i] = gs.Variable.empty()
    while node.outputs and not node.outputs[-1].name:
        node.outputs.pop()
