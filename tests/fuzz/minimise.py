"""Making a network that fails smaller while it fails the same way."""

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import helper

from fuzz.draft import Array, model_of, tensor_info

Fails = Callable[[onnx.ModelProto, dict[str, Array]], bool]


def minimised(
    model: onnx.ModelProto, feeds: Mapping[str, Array], values: Mapping[str, Array], fails: Fails
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Return the smallest network found that fails, and its input.

    Outputs are dropped, and results of operators become inputs, one after the other.

    Args:
        model: A network that fails.
        feeds: Its input.
        values: All that is computed from it, by name.
        fails: Whether a network fails in the way that is looked for.
    """
    current, inputs = model, dict(feeds)
    changed = True
    while changed:
        changed = False
        for smaller, fed in [
            *_with_one_output(current, inputs, values),
            *_without_one_output(current, inputs, values),
            *_with_results_fed(current, inputs, values),
        ]:
            if _size(smaller) < _size(current) and fails(smaller, fed):
                current, inputs, changed = smaller, fed, True
                break
    return current, inputs


def _size(model: onnx.ModelProto) -> tuple[int, int, int]:
    return len(model.graph.node), len(model.graph.output), len(model.graph.input)


Candidates = list[tuple[onnx.ModelProto, dict[str, Array]]]


def _with_one_output(
    model: onnx.ModelProto, feeds: dict[str, Array], values: Mapping[str, Array]
) -> Candidates:
    made = [name for node in model.graph.node for name in node.output if name in values]
    return [_pruned(model, feeds, values, [name]) for name in made]


def _without_one_output(
    model: onnx.ModelProto, feeds: dict[str, Array], values: Mapping[str, Array]
) -> Candidates:
    names = [output.name for output in model.graph.output]
    if len(names) < 2:
        return []
    return [_pruned(model, feeds, values, [n for n in names if n != name]) for name in names]


def _with_results_fed(
    model: onnx.ModelProto, feeds: dict[str, Array], values: Mapping[str, Array]
) -> Candidates:
    """Return the network with the results of each operator as inputs instead."""
    outputs = [output.name for output in model.graph.output]
    candidates: Candidates = []
    for node in reversed(model.graph.node):
        names = [name for name in node.output if name in values]
        left = [name for name in outputs if name not in names]
        if names and left:
            fed = feeds | {name: values[name] for name in names}
            candidates.append(_pruned(model, fed, values, left))
    return candidates


def _pruned(
    model: onnx.ModelProto,
    feeds: Mapping[str, Array],
    values: Mapping[str, Array],
    outputs: list[str],
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Return the part of a network that these outputs need, from these inputs."""
    needed, nodes = set(outputs), []
    for node in reversed(model.graph.node):
        if any(name in needed and name not in feeds for name in node.output):
            nodes.append(node)
            needed |= set(node.input)
    fed = {name: np.asarray(value) for name, value in feeds.items() if name in needed}
    graph = helper.make_graph(
        nodes[::-1],
        "minimised",
        [tensor_info(name, value) for name, value in fed.items()],
        [tensor_info(name, values[name]) for name in outputs],
        [tensor for tensor in model.graph.initializer if tensor.name in needed],
    )
    return model_of(graph, model.opset_import[0].version), fed
