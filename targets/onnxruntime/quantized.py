"""Fuses quantized layers (QDQ) that are pooled over channels, when a session is made.

A layer looks like this, however the model was quantized; what stands in brackets may be missing:

    DQ, DQ, [DQ] -> Conv -> Q -> DQ -> [activation -> Q -> DQ] -> grouping -> maximum
        -> [Q -> DQ] -> [MaxPool] -> Q

Grouping and maximum are Reshape and ReduceMax, or Split and Max, with or without Q and DQ between
them. All that happens to single bytes on the way becomes one table of 256 bytes. The fused
operator computes the same bytes as the plain ones.
"""

from collections import defaultdict
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, helper, numpy_helper

from condense_compiler.operators.fused import DOMAIN, ConvPool, Window
from condense_compiler.operators.quantized import QUANTIZED_OP

Array = npt.NDArray[Any]

_BYTES = (np.dtype(np.uint8), np.dtype(np.int8))
_OLDEST_OPSET = 13  # since then, Split has its parts as an input and ReduceMax takes bytes


class _NotFusableError(Exception):
    """A layer does not look like what can be fused."""


@dataclass(slots=True)
class _Graph:
    """A graph's nodes by what they read and write."""

    graph: onnx.GraphProto
    constants: dict[str, Array] = field(default_factory=dict)
    producers: dict[str, NodeProto] = field(default_factory=dict)
    readers: dict[str, list[NodeProto]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for tensor in self.graph.initializer:
            self.constants[tensor.name] = numpy_helper.to_array(tensor)
        for node in self.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            for name in node.output:
                self.producers[name] = node
            for name in node.input:
                self.readers[name].append(node)
        for value in self.graph.output:
            self.readers[value.name].append(NodeProto(op_type="output"))

    def constant(self, name: str) -> Array:
        if name not in self.constants:
            raise _NotFusableError(f"{name} is not constant")
        return self.constants[name]

    def producer(self, name: str, op: str) -> NodeProto:
        node = self.producers.get(name)
        if node is None or node.op_type != op:
            raise _NotFusableError(f"{name} is not made by {op}")
        return node

    def reader(self, name: str) -> NodeProto:
        """Return the one node that reads a tensor."""
        nodes = self.readers[name]
        if len(nodes) != 1:
            raise _NotFusableError(f"{name} is read {len(nodes)} times")
        return nodes[0]


@dataclass(frozen=True, slots=True)
class _Quantization:
    """A scale and a zero point, with the names of their tensors."""

    names: tuple[str, str]
    scale: Array
    zero: Array

    def quantize(self, values: Array) -> Array:
        """Return bytes as ONNX QuantizeLinear does."""
        limits = np.iinfo(self.zero.dtype)
        steps = np.rint(values / self.scale) + np.float32(self.zero)
        return np.clip(steps, limits.min, limits.max).astype(self.zero.dtype)

    def dequantize(self, steps: Array) -> Array:
        """Return numbers as ONNX DequantizeLinear does."""
        return (steps.astype(np.float32) - np.float32(self.zero)) * self.scale


# Activations of a single tensor: numbers and attributes -> numbers.
_ACTIVATIONS: Mapping[str, Any] = {
    "LeakyRelu": lambda x, a: np.where(x < 0, np.float32(a.get("alpha", 0.01)) * x, x),
    "Relu": lambda x, _: np.maximum(x, 0),
}


@dataclass(slots=True)
class _Walk:
    """How far a layer has been followed, from its convolution on."""

    graph: _Graph
    tensor: str
    quantization: _Quantization
    first: _Quantization
    steps: Array  # what each byte behind the convolution has become, in rising order
    is_bytes: bool = True
    window: int = 0
    members: tuple[int, ...] = ()
    spatial: Window | None = None

    def next(self) -> bool:
        """Follow one node; return False where the layer ends: at bytes, behind the maximum."""
        if self.is_bytes and self.window and self._ends():
            return False
        node = self.graph.reader(self.tensor)
        follow = {
            "DequantizeLinear": self._dequantize,
            "QuantizeLinear": self._quantize,
            "Reshape": self._reshape,
            "Split": self._split,
            "MaxPool": self._max_pool,
        }.get(node.op_type)
        if node.op_type in _ACTIVATIONS and not self.is_bytes:
            self._activate(node)
        elif follow is None:
            raise _NotFusableError(f"{node.op_type} is not part of a layer")
        else:
            follow(node)
        return True

    def _ends(self) -> bool:
        """Tell whether there is no spatial pooling to come."""
        if self.spatial is not None or len(self.graph.readers[self.tensor]) != 1:
            return True
        node = self.graph.reader(self.tensor)
        if node.op_type != "DequantizeLinear" or len(self.graph.readers[node.output[0]]) != 1:
            return True
        return self.graph.reader(node.output[0]).op_type not in ("MaxPool", "QuantizeLinear")

    def _dequantize(self, node: NodeProto) -> None:
        if _quantization(self.graph, node).zero != self.quantization.zero or not self.is_bytes:
            raise _NotFusableError("bytes are read with another zero point")
        self.quantization = _quantization(self.graph, node)
        self.tensor, self.is_bytes = node.output[0], False

    def _quantize(self, node: NodeProto) -> None:
        values = self.quantization.dequantize(self.steps)
        self.quantization = _quantization(self.graph, node)
        self.steps = self.quantization.quantize(values)
        self.tensor, self.is_bytes = node.output[0], True

    def _activate(self, node: NodeProto) -> None:
        quantize = self.graph.reader(node.output[0])
        if quantize.op_type != "QuantizeLinear":
            raise _NotFusableError(f"{node.op_type} is not followed by QuantizeLinear")
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        values = _ACTIVATIONS[node.op_type](self.quantization.dequantize(self.steps), attributes)
        self.quantization = _quantization(self.graph, quantize)
        self.steps = self.quantization.quantize(values.astype(np.float32))
        self.tensor, self.is_bytes = quantize.output[0], True

    def _same_bytes(self, tensor: str) -> str:
        """Step over Q and DQ that change nothing."""
        node = self.graph.reader(tensor)
        if node.op_type != "QuantizeLinear" or self.is_bytes:
            return tensor
        back = self.graph.reader(node.output[0])
        same = all(
            read.scale == self.quantization.scale and read.zero == self.quantization.zero
            for read in (_quantization(self.graph, node), _quantization(self.graph, back))
        )
        if back.op_type != "DequantizeLinear" or not same:
            raise _NotFusableError("parts are quantized anew")
        return str(back.output[0])

    def _reshape(self, node: NodeProto) -> None:
        shape = self.graph.constant(node.input[1])
        reduction = self.graph.reader(self._same_bytes(node.output[0]))
        if reduction.op_type != "ReduceMax" or len(shape) != 5 or self.window:
            raise _NotFusableError("not a grouped maximum")
        attributes = _attributes(reduction)
        axes = attributes.get("axes")
        if axes is None:
            axes = self.graph.constant(reduction.input[1]).tolist()
        if list(axes) != [2] or attributes.get("keepdims", 1):
            raise _NotFusableError("another axis than that of the groups' members")
        self.window = int(shape[2])
        self.tensor = reduction.output[0]

    def _split(self, node: NodeProto) -> None:
        parts = [self._same_bytes(name) for name in node.output]
        maxima = [self.graph.reader(name) for name in parts]
        is_maximum = all(m is maxima[0] for m in maxima) and maxima[0].op_type == "Max"
        if not is_maximum or _attributes(node).get("axis", 0) != 1 or self.window:
            raise _NotFusableError("not a maximum of parts")
        sizes = set(self.graph.constant(node.input[1]).tolist()) if len(node.input) > 1 else {0}
        if len(sizes) != 1 or sorted(maxima[0].input) != sorted(parts):
            raise _NotFusableError("parts differ in size")
        self.window = len(parts)
        self.members = (-1,)  # filled in when the number of channels is known
        self.tensor = maxima[0].output[0]

    def _max_pool(self, node: NodeProto) -> None:
        if not self.window or self.spatial is not None or len(node.output) > 1:
            raise _NotFusableError("a MaxPool at another place")
        self.spatial = _window(_attributes(node), ())
        self.tensor = node.output[0]


def fuse_quantized(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with its quantized layers fused; the model itself if it has none."""
    versions = {entry.domain: entry.version for entry in model.opset_import}
    is_quantized = any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    if not is_quantized or versions.get("", 0) < _OLDEST_OPSET:
        return model
    fused = onnx.ModelProto()
    fused.CopyFrom(model)
    graph = _Graph(fused.graph)
    layers = {}
    for node in fused.graph.node:
        if node.op_type == "Conv":
            try:
                layers[node.name or node.output[0]] = _fuse(graph, node)
            except _NotFusableError:
                continue
    if not layers:
        return model
    ends = {layer.output[0]: layer for layer in layers.values()}
    nodes = [ends.get(node.output[0], node) for node in fused.graph.node]
    del fused.graph.node[:]
    fused.graph.node.extend(_used(nodes, {value.name for value in fused.graph.output}))
    if DOMAIN not in versions:
        fused.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return fused


def _fuse(graph: _Graph, node: NodeProto) -> NodeProto:
    data = graph.producer(node.input[0], "DequantizeLinear")
    filters = graph.producer(node.input[1], "DequantizeLinear")
    weights, scales = graph.constant(filters.input[0]), _quantization(graph, filters)
    quantize = graph.reader(node.output[0])
    if quantize.op_type != "QuantizeLinear" or weights.dtype not in _BYTES:
        raise _NotFusableError("not a quantized convolution")
    first = _quantization(graph, quantize)
    limits = np.iinfo(first.zero.dtype)
    steps = np.arange(limits.min, limits.max + 1).astype(first.zero.dtype)
    walk = _Walk(graph, quantize.output[0], first, first, steps)
    walk = _follow(walk)
    if np.any(np.diff(walk.steps.astype(np.int32)) < 0):
        raise _NotFusableError("a larger number may become a smaller one before the maximum")
    wide = weights.shape[0]
    groups = wide // walk.window
    if walk.members:
        walk.members = tuple(
            part * groups + g for g in range(groups) for part in range(walk.window)
        )
    attributes = _attributes(node)
    recipe = ConvPool(
        _window(attributes, weights.shape[2:]),
        attributes.get("group", 1),
        "max",
        walk.window,
        walk.members,
        spatial=walk.spatial,
    )
    prefix = f"{node.name or node.output[0]}/fused"
    inputs = [
        data.input[0], *_quantization(graph, data).names,
        filters.input[0], *scales.names,
        *first.names,
        _bias(graph, node, _quantization(graph, data), scales, prefix),
        _table(graph, walk.steps, prefix),
    ]  # fmt: skip
    return helper.make_node(
        QUANTIZED_OP,
        inputs,
        [walk.tensor],
        name=prefix,
        domain=DOMAIN,
        **recipe.to_attributes(),
    )


def _follow(walk: _Walk) -> _Walk:
    """Follow a layer to its end, or to the last bytes where it could end."""
    last_end = None
    try:
        while walk.next():
            if walk.is_bytes and walk.window:
                last_end = copy(walk)
    except _NotFusableError:
        if last_end is None:
            raise
        return last_end
    return walk


def _bias(
    graph: _Graph, node: NodeProto, data: _Quantization, filters: _Quantization, prefix: str
) -> str:
    """Return the name of the bias in units of the products; empty if there is none."""
    if len(node.input) < 3 or not node.input[2]:
        return ""
    producer = graph.producers.get(node.input[2])
    unit = data.scale * filters.scale
    if producer is not None and producer.op_type == "DequantizeLinear":
        stored = graph.constant(producer.input[0])
        if stored.dtype == np.int32 and np.allclose(graph.constant(producer.input[1]), unit):
            return str(producer.input[0])
        raise _NotFusableError("a bias in other units")
    values = np.rint(graph.constant(node.input[2]) / unit).astype(np.int32)
    return _store(graph, f"{prefix}/bias", values)


def _table(graph: _Graph, steps: Array, prefix: str) -> str:
    """Store what each byte becomes, by its bits."""
    by_bits = np.roll(steps, 128) if steps.dtype == np.int8 else steps
    return _store(graph, f"{prefix}/table", by_bits)


def _store(graph: _Graph, name: str, values: Array) -> str:
    graph.graph.initializer.append(numpy_helper.from_array(values, name))
    return name


def _quantization(graph: _Graph, node: NodeProto) -> _Quantization:
    if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or len(node.input) < 3:
        raise _NotFusableError("a scale and a zero point are expected")
    names = (node.input[1], node.input[2])
    return _Quantization(names, graph.constant(names[0]), graph.constant(names[1]))


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def _window(attributes: Mapping[str, Any], kernel: tuple[int, ...]) -> Window:
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise _NotFusableError("pads are not given as numbers")
    kernel = tuple(attributes.get("kernel_shape", kernel))
    return Window(
        kernel,
        tuple(attributes.get("strides", (1,) * len(kernel))),
        tuple(attributes.get("pads", (0, 0) * len(kernel))),
        tuple(attributes.get("dilations", (1,) * len(kernel))),
        bool(attributes.get("ceil_mode", 0)),
    )


def _used(nodes: list[NodeProto], outputs: set[str]) -> list[NodeProto]:
    """Return the nodes whose results are used, in order."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    return kept[::-1]
