"""Names that nothing else has: ONNX Runtime makes new ones of those that it finds.

Its quantiser calls the codes of `x` `x_quantized`, and the copy of a bias `b` that two layers share
`b1`, whether the model has such a tensor or not; its optimiser tells by names where operators come
from. So it gets models whose names all end alike, and what it makes of them is renamed back.
"""

import re
from collections.abc import Callable, Iterator

import onnx

Rename = Callable[[str], str]

_PLAIN = re.compile(r"[tn](\d+)#")


def with_plain_names(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Rename]:
    """Return a model under names that no suffix makes equal, and what gives old names back.

    The latter keeps what was added to a name, and leaves names alone that are not of this kind.
    """
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    originals: list[str] = []
    known: dict[tuple[str, str], str] = {}

    def plain_name(kind: str, name: str) -> str:
        if (kind, name) not in known:
            known[kind, name] = f"{kind}{len(originals)}#"
            originals.append(name)
        return known[kind, name]

    for graph in _graphs(plain.graph):
        _rename(graph, lambda name: plain_name("t", name), lambda name: plain_name("n", name))
    return plain, lambda name: _PLAIN.sub(lambda found: originals[int(found[1])], name)


def name_back(model: onnx.ModelProto, original: Rename) -> None:
    """Give what was made of a model with plain names its own names, in place.

    Where what was made has a name that is taken by then, it gets another one.
    """
    taken: set[str] = set()
    tensors, nodes = _Back(original, taken), _Back(original, set())
    names = sorted(_names(model.graph), key=lambda name: (_PLAIN.fullmatch(name) is None, name))
    for name in names:  # own names first
        tensors(name)
    _rename(model.graph, tensors, nodes)


class _Back:
    """Names by plain ones, all different."""

    def __init__(self, original: Rename, taken: set[str]) -> None:
        self._original, self._taken = original, taken
        self._known: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        if name not in self._known:
            wanted = self._original(name)
            while wanted in self._taken:
                wanted += "_"
            self._taken.add(wanted)
            self._known[name] = wanted
        return self._known[name]


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _graphs(inner)


def _names(graph: onnx.GraphProto) -> set[str]:
    used = {name for node in graph.node for name in (*node.input, *node.output)}
    stored = {tensor.name for tensor in graph.initializer}
    ends = {value.name for value in (*graph.input, *graph.output)}
    return (used | stored | ends) - {""}


def _rename(graph: onnx.GraphProto, tensor: Rename, node_name: Rename) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [tensor(name) if name else "" for name in names]
        node.name = node_name(node.name) if node.name else ""
    for stored in graph.initializer:
        stored.name = tensor(stored.name)
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = tensor(value.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = tensor(sparse.values.name)
    for annotation in graph.quantization_annotation:
        annotation.tensor_name = tensor(annotation.tensor_name)
