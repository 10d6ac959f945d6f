"""From an old version of the ONNX operators to one in which codes may have a scale per channel.

Source: ONNX operator specification, the versions of each operator; for Resize and Upsample, whose
old versions leave the rounding open, what ONNX Runtime computes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_graphsurgeon as gs

from condense_compiler.errors import InputError, UnsupportedError
from condense_compiler.network.export import DEFAULT_DOMAINS
from condense_compiler.network.model_checks import check_model
from condense_compiler.network.network import Network

LIFTED_OPSET = 13  # the first in which DequantizeLinear has an axis


def lift(network: Network) -> bool:
    """Write a network, in place, in operators of opset 13, if it is in older ones.

    Returns:
        Whether anything had to be done.

    Raises:
        UnsupportedError: An operator has no counterpart there.
    """
    graph = network.graph
    if network.opset >= LIFTED_OPSET:
        return False
    lifting = _Lifting(network.opset, set(graph.tensors()))
    graph.nodes[:] = [new for node in graph.nodes for new in lifting.lifted(node)]
    others = [entry for entry in graph.import_domains if entry.domain not in DEFAULT_DOMAINS]
    graph.import_domains = [onnx.helper.make_opsetid("", LIFTED_OPSET), *others]
    graph.opset = LIFTED_OPSET
    try:
        check_model(network.skeleton())
    except InputError as error:
        raise UnsupportedError(
            f"{network.name}: cannot be written in opset {LIFTED_OPSET}: {error}; export it again "
            f"with opset {LIFTED_OPSET} or newer"
        ) from None
    return True


@dataclass(slots=True)
class _Lifting:
    """Nodes on their way.

    Attributes:
        opset: What the network is written in.
        taken: Names of tensors so far.
    """

    opset: int
    taken: set[str]

    def lifted(self, node: gs.Node) -> Sequence[gs.Node]:
        """Return what stands for a node: itself, changed in place, and what it needs around it."""
        rule = _RULES.get(node.op) if (node.domain or "") in DEFAULT_DOMAINS else None
        return (rule(self, node) or [node]) if rule is not None else [node]

    def name(self, wanted: str) -> str:
        """Return a name that no tensor has yet."""
        while wanted in self.taken:
            wanted += "'"
        self.taken.add(wanted)
        return wanted

    def constant(
        self, node: gs.Node, name: str, values: object, dtype: npt.DTypeLike = np.int64
    ) -> None:
        """Give a node one more input: a constant."""
        array: npt.NDArray[Any] = np.asarray(values, dtype)
        node.inputs.append(gs.Constant(self.name(f"{node.name}/{name}"), array))

    def attribute_to_input(self, node: gs.Node, name: str) -> None:
        """Turn a list of integers from an attribute to an input, if it is given."""
        if name in node.attrs:
            self.constant(node, name, node.attrs.pop(name))


Rule = Callable[[_Lifting, gs.Node], Sequence[gs.Node] | None]


def _as_input(name: str) -> Rule:
    return lambda lifting, node: lifting.attribute_to_input(node, name)


def _without(name: str) -> Rule:
    def rule(_lifting: _Lifting, node: gs.Node) -> None:
        node.attrs.pop(name, None)

    return rule


def _renamed(op: str) -> Rule:
    def rule(_lifting: _Lifting, node: gs.Node) -> None:
        node.op = op

    return rule


def _batch_norm(_lifting: _Lifting, node: gs.Node) -> None:
    if node.attrs.pop("spatial", 1) != 1:
        raise UnsupportedError(
            f"node '{node.name}' (BatchNormalization): one mean for each pixel (spatial = 0)"
        )


def _clip(lifting: _Lifting, node: gs.Node) -> None:
    """Turn the limits, which are never left out together, from attributes to inputs."""
    if lifting.opset >= 11:
        return
    limits = np.finfo(node.inputs[0].dtype)
    for name, default in (("min", limits.min), ("max", limits.max)):
        limit = np.clip(node.attrs.pop(name, default), limits.min, limits.max)
        lifting.constant(node, name, limit, node.inputs[0].dtype)


def _pad(lifting: _Lifting, node: gs.Node) -> None:
    if lifting.opset >= 11:
        return
    lifting.attribute_to_input(node, "pads")
    value = node.attrs.pop("value", 0.0)
    if node.attrs.get("mode", "constant") == "constant":
        lifting.constant(node, "value", value, node.inputs[0].dtype)


def _slice(lifting: _Lifting, node: gs.Node) -> None:
    if lifting.opset < 10:
        for name in ("starts", "ends", "axes"):
            lifting.attribute_to_input(node, name)


def _top_k(lifting: _Lifting, node: gs.Node) -> None:
    if lifting.opset < 10:
        lifting.constant(node, "k", [node.attrs.pop("k")])


def _resize(lifting: _Lifting, node: gs.Node) -> Sequence[gs.Node] | None:
    """Write Upsample, or Resize of opset 10, as Resize: positions are divided by the scale.

    The nearest position is rounded up along axes that shrink, down along the others: where a map
    grows and shrinks, it takes one operator for each.
    """
    if lifting.opset >= 11:
        return None
    node.op = "Resize"
    if "scales" in node.attrs:
        lifting.constant(node, "scales", node.attrs.pop("scales"), np.float32)
    node.inputs.insert(1, gs.Variable.empty())  # a region, which only cropping reads
    node.attrs["coordinate_transformation_mode"] = "asymmetric"
    if node.attrs.setdefault("mode", "nearest") != "nearest":
        return None
    before, after = node.inputs[0].shape, node.outputs[0].shape
    grown = [max(sizes) for sizes in zip(before, after, strict=True)]
    shrinks = grown != list(after)
    node.attrs["nearest_mode"] = "ceil" if shrinks else "floor"
    return [_growing(lifting, node, grown), node] if shrinks and grown != list(before) else None


def _growing(lifting: _Lifting, node: gs.Node, shape: list[int]) -> gs.Node:
    """Return the part of a Resize that makes axes longer; the node keeps the rest."""
    scales = np.asarray(node.inputs[2].values, np.float32)
    grown = gs.Variable(lifting.name(f"{node.name}/grown"), node.inputs[0].dtype, shape)
    name = lifting.name(f"{node.name}/growing")
    first = gs.Node("Resize", name, dict(node.attrs), node.inputs[:2], [grown])
    lifting.constant(first, "scales", np.maximum(scales, 1), np.float32)
    first.attrs["nearest_mode"] = "floor"
    node.inputs = [grown, node.inputs[1]]
    lifting.constant(node, "scales", np.minimum(scales, 1), np.float32)
    return first


def _softmax(lifting: _Lifting, node: gs.Node) -> Sequence[gs.Node]:
    """Normalise over all axes from `axis` on together, as was done before opset 13."""
    source, result = node.inputs[0], node.outputs[0]
    shape = [int(size) for size in source.shape]
    axis = int(node.attrs.pop("axis", 1)) % max(len(shape), 1)
    node.attrs["axis"] = axis
    if prod(shape[axis + 1 :]) == 1:
        return [node]
    rows = [prod(shape[:axis]), prod(shape[axis:])]
    flat, done = (
        gs.Variable(lifting.name(f"{node.name}/{part}"), source.dtype, rows)
        for part in ("rows", "normalised")
    )
    to_rows, back = (
        gs.Node("Reshape", lifting.name(f"{node.name}/{name}"), {}, [tensor], [])
        for name, tensor in (("to_rows", source), ("back", done))
    )
    node.inputs, node.outputs, node.attrs["axis"] = [flat], [done], 1
    to_rows.outputs, back.outputs = [flat], [result]
    lifting.constant(to_rows, "shape", rows)
    lifting.constant(back, "shape", shape)
    return [to_rows, node, back]


_RULES: Mapping[str, Rule] = {
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Dropout": _without("ratio"),  # only counts while training
    "Hardmax": _softmax,
    "LogSoftmax": _softmax,
    "Pad": _pad,
    "ReduceSum": _as_input("axes"),
    "Resize": _resize,
    "Scatter": _renamed("ScatterElements"),
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _as_input("split"),
    "Squeeze": _as_input("axes"),
    "TopK": _top_k,
    "Unsqueeze": _as_input("axes"),
    "Upsample": _resize,
}
