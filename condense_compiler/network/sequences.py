"""Sequences of tensors whose parts are known when compiling, written as plain tensors.

SplitToSequence is a Split then, SequenceAt picks one of its parts, and so on; definitions: ONNX
operator specification. What depends on positions that are only known at run time stays as it is.
"""

from collections.abc import Callable, Mapping

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network.tensors import is_static, variables
from condense_compiler.operators.attributes import constant_input

Parts = list[gs.Tensor]
_AXES_ARE_INPUTS = 13  # the first opset in which Split, Squeeze and Unsqueeze read theirs


def replace_sequences(graph: gs.Graph, opset: int) -> bool:
    """Replace, in place, the readers of sequences whose parts are known.

    Returns:
        Whether anything was replaced; then shapes are to be inferred again.
    """
    if not any(node.op in _MAKERS or node.op in _READERS for node in graph.nodes):
        return False
    writer = _Writer(opset, graph.tensors())
    parts: dict[int, Callable[[], Parts]] = {}
    changed = False
    for node in list(graph.nodes):
        make, read = _MAKERS.get(node.op), _READERS.get(node.op)
        known = [parts[id(t)] for t in node.inputs[:1] if id(t) in parts]
        if make is not None and not node.domain:
            found = make(writer, node, known)
            if found is not None:
                parts[id(node.outputs[0])] = found
        if read is not None and known and not node.domain:
            changed |= read(writer, node, known[0])
    graph.nodes = [new for node in graph.nodes for new in writer.with_written(node)]
    if changed:  # what ONNX infers of sequences is not always what their parts are
        for tensor in variables(graph):
            if tensor.inputs:
                tensor.shape = None
    return changed | _drop_unread(graph)


def _drop_unread(graph: gs.Graph) -> bool:
    """Remove operators that make sequences which nothing reads any more."""
    outputs = {id(tensor) for tensor in graph.outputs}
    kept: list[gs.Node] = []
    for node in reversed(graph.nodes):
        is_copy = node.op == "Identity"
        makes = node.op in _MAKERS and (not is_copy or node.outputs[0].type == "sequence_type")
        if makes and not any(t.outputs or id(t) in outputs for t in node.outputs):
            node.inputs.clear()
            node.outputs.clear()
        else:
            kept.append(node)
    changed = len(kept) < len(graph.nodes)
    graph.nodes = kept[::-1]
    return changed


class _Writer:
    """Writes the operators on plain tensors."""

    def __init__(self, opset: int, tensors: Mapping[str, gs.Tensor]) -> None:
        self._opset = opset
        self._tensors = dict(tensors)
        self._written: dict[int, list[gs.Node]] = {}

    def with_written(self, node: gs.Node) -> list[gs.Node]:
        """Return a node, unless it was emptied, and what was written behind it."""
        kept = [node] if node.outputs else []
        return [*kept, *self._written.get(id(node), ())]

    def add(
        self, behind: gs.Node, op: str, inputs: Parts, outputs: Parts, **attributes: object
    ) -> None:
        """Write an operator behind a node."""
        made = gs.Node(op, f"{outputs[0].name}/{op}", attributes, inputs, outputs)
        self._written.setdefault(id(behind), []).append(made)

    def new(self, name: str) -> gs.Variable:
        """Return a tensor of a name that none has yet."""
        while name in self._tensors:
            name += "_"
        made = self._tensors[name] = gs.Variable(name)
        return made

    def made(self, names: list[str]) -> Parts:
        """Return tensors that an earlier walk has made; none unless it made all."""
        found = [self._tensors[name] for name in names if name in self._tensors]
        return found if len(found) == len(names) and all(t.inputs for t in found) else []

    def with_integers(
        self,
        behind: gs.Node,
        op: str,
        data: gs.Tensor,
        what: str,
        values: list[int],
        outputs: Parts,
        **more: int,
    ) -> None:
        """Write an operator that takes integers as an attribute, or as an input since opset 13."""
        if self._opset < _AXES_ARE_INPUTS:
            self.add(behind, op, [data], outputs, **{what: values}, **more)
            return
        constant = gs.Constant(f"{outputs[0].name}/{what}", np.array(values, np.int64))
        self.add(behind, op, [data, constant], outputs, **more)


# --- what makes sequences ---

Known = list[Callable[[], Parts]]
Make = Callable[[_Writer, gs.Node, Known], Callable[[], Parts] | None]


def _split(writer: _Writer, node: gs.Node, _known: Known) -> Callable[[], Parts] | None:
    """Split when somebody first reads a part, right where the sequence was made."""
    data, axis = node.inputs[0], int(node.attrs.get("axis", 0))
    shape = data.shape
    if not is_static(shape) or not -len(shape) <= axis < len(shape):
        return None
    axis %= len(shape)
    given = len(node.inputs) > 1 and not node.inputs[1].is_empty()
    sizes = _sizes(node, shape[axis]) if given else [1] * shape[axis]
    if sizes is None or not sizes:
        return None
    # ONNX ignores `keepdims` where a size is given; ONNX Runtime does not where that is 1.
    split = constant_input(node, 1)
    by_one = not given or (split is not None and split.ndim == 0 and int(split) == 1)
    squeezed = by_one and not node.attrs.get("keepdims", 1)
    name = node.outputs[0].name
    ending = "/squeezed" if squeezed else ""
    made = writer.made([f"{name}/{i}{ending}" for i in range(len(sizes))])

    def parts() -> Parts:
        if not made:
            made.extend(writer.new(f"{name}/{i}") for i in range(len(sizes)))
            writer.with_integers(node, "Split", data, "split", sizes, list(made), axis=axis)
            for i, part in enumerate(list(made) if squeezed else []):
                made[i] = writer.new(f"{name}/{i}{ending}")
                writer.with_integers(node, "Squeeze", part, "axes", [axis], [made[i]])
        return made

    return parts


def _sizes(node: gs.Node, total: int) -> list[int] | None:
    """Return the sizes of the parts, if they are known and right."""
    split = constant_input(node, 1)
    if split is None or split.size == 0:
        return None
    if split.ndim:
        sizes = [int(size) for size in split.reshape(-1)]
        return sizes if sum(sizes) == total and min(sizes) >= 0 else None
    size = int(split)
    return [min(size, total - start) for start in range(0, total, size)] if size > 0 else None


def _construct(_writer: _Writer, node: gs.Node, _known: Known) -> Callable[[], Parts]:
    members = list(node.inputs)
    return lambda: members


def _empty(_writer: _Writer, _node: gs.Node, _known: Known) -> Callable[[], Parts]:
    return list


def _same(_writer: _Writer, _node: gs.Node, known: Known) -> Callable[[], Parts] | None:
    return known[0] if known else None


def _insert(_writer: _Writer, node: gs.Node, known: Known) -> Callable[[], Parts] | None:
    if not known or not _position_is_known(node, 2):
        return None
    member, position = node.inputs[1], _position(node, 2)

    def parts() -> Parts:
        members = list(known[0]())
        members.insert(len(members) if position is None else position, member)
        return members

    return parts


def _erase(_writer: _Writer, node: gs.Node, known: Known) -> Callable[[], Parts] | None:
    if not known or not _position_is_known(node, 1):
        return None
    position = _position(node, 1)

    def parts() -> Parts:
        members = list(known[0]())
        gone = len(members) - 1 if position is None else position % max(len(members), 1)
        return members[:gone] + members[gone + 1 :]

    return parts


def _position_is_known(node: gs.Node, index: int) -> bool:
    given = len(node.inputs) > index and not node.inputs[index].is_empty()
    return not given or constant_input(node, index) is not None


def _position(node: gs.Node, index: int) -> int | None:
    """Return a constant position; None where it is left out."""
    value = constant_input(node, index)
    return None if value is None else int(value.reshape(-1)[0])


# --- what reads them ---

Read = Callable[[_Writer, gs.Node, Callable[[], Parts]], bool]


def _at(writer: _Writer, node: gs.Node, known: Callable[[], Parts]) -> bool:
    position = _position(node, 1)
    if position is None:
        return False
    members = known()
    if not -len(members) <= position < len(members):
        return False
    writer.add(node, "Identity", [members[position]], _released(node))
    return True


def _length(_writer: _Writer, node: gs.Node, known: Callable[[], Parts]) -> bool:
    count = len(known())
    _released(node)[0].to_constant(np.array(count, np.int64))
    return True


def _concatenate(writer: _Writer, node: gs.Node, known: Callable[[], Parts]) -> bool:
    members, axis = list(known()), int(node.attrs["axis"])
    if not members:
        return False
    outputs = _released(node)
    if node.attrs.get("new_axis", 0):
        for i, member in enumerate(members):
            members[i] = writer.new(f"{outputs[0].name}/{i}")
            writer.with_integers(node, "Unsqueeze", member, "axes", [axis], [members[i]])
    writer.add(node, "Concat", members, outputs, axis=axis)
    return True


def _released(node: gs.Node) -> Parts:
    """Disconnect a node; return its outputs, for another one to write."""
    outputs = list(node.outputs)
    node.inputs.clear()
    node.outputs.clear()
    return outputs


_MAKERS: Mapping[str, Make] = {
    "Identity": _same,
    "SequenceConstruct": _construct,
    "SequenceEmpty": _empty,
    "SequenceErase": _erase,
    "SequenceInsert": _insert,
    "SplitToSequence": _split,
}
_READERS: Mapping[str, Read] = {
    "ConcatFromSequence": _concatenate,
    "SequenceAt": _at,
    "SequenceLength": _length,
}
