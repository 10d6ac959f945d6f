"""From a network whose quantisation is written as arithmetic to an integer network."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.operators.attributes import int_list, pooling_window
from condense_compiler.operators.fused import Window, is_conv_pool
from condense_compiler.targets.accelerator.integer import convolutions
from condense_compiler.targets.accelerator.integer.building import NOWHERE, Builder, quantised
from condense_compiler.targets.accelerator.integer.functions import TENSOR, apply, evaluate
from condense_compiler.targets.accelerator.integer.network import (
    Binary,
    Convolution,
    IntegerNetwork,
    Map,
    Port,
    SpatialPooling,
)
from condense_compiler.targets.accelerator.integer.values import (
    Coded,
    Parts,
    Raw,
    Shape,
    Value,
    stored,
)
from condense_compiler.targets.reference.functions import FUNCTIONS

_VIEWS = ("Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


class NodeError(UnsupportedError):
    """A node that the accelerator cannot run."""

    def __init__(self, node: gs.Node, reason: str) -> None:
        super().__init__(reason)
        self.node = node


def lower_part(
    nodes: Sequence[gs.Node],
    inputs: Sequence[gs.Tensor],
    outputs: Sequence[gs.Tensor],
    known: Mapping[str, Port],
) -> IntegerNetwork:
    """Collect the integer operators of a part of a network.

    Args:
        nodes: The nodes, in their order.
        inputs: Tensors that they read from elsewhere.
        outputs: Tensors that are read elsewhere.
        known: Inputs that are quantised already, with their codes.

    Raises:
        NodeError: A node does something that the accelerator does not.
    """
    collector = _Collector({tensor.name for tensor in outputs})
    for tensor in inputs:
        collector.inputs[tensor.name] = tuple(tensor.shape)
        if tensor.name in known:
            collector.take_over(tensor.name, known[tensor.name])
    for node in nodes:
        with _blaming(node):
            collector.add(node)
    ports: dict[str, Port] = {}
    for tensor in outputs:
        with _blaming(tensor.inputs[0]):
            ports[tensor.name] = collector.output(tensor)
    read = {}
    for tensor in inputs:
        with _blaming(next(node for node in nodes if tensor in node.inputs)):
            read[tensor.name] = collector.input_port(tensor.name)
    return IntegerNetwork(tuple(collector.builder.operators), read, ports)


@contextmanager
def _blaming(node: gs.Node) -> Iterator[None]:
    try:
        yield
    except UnsupportedError as error:
        raise NodeError(node, str(error)) from None


def lower_network(graph: gs.Graph, nodes: Iterable[gs.Node]) -> IntegerNetwork:
    """Collect integer operators.

    Raises:
        UnsupportedError: A node does something that the accelerator does not.
    """
    return lower_part(list(nodes), graph.inputs, graph.outputs, {})


@dataclass(slots=True)
class _Collector:
    """Values of the tensors so far.

    Attributes:
        outputs: Names of the graph outputs.
        builder: Operators so far.
        values: Value of each tensor.
        inputs: Shapes of the graph inputs.
        ports: Graph inputs whose codes are known.
    """

    outputs: set[str]
    builder: Builder = field(default_factory=Builder)
    values: dict[str, Value] = field(default_factory=dict)
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)

    def add(self, node: gs.Node) -> None:
        """Lower one node."""
        results = self._lower(node)
        for tensor, value in zip(node.outputs, results, strict=True):
            readers = len(tensor.outputs) + (tensor.name in self.outputs)
            self.values[tensor.name] = self._settle(value, tensor.name) if readers > 1 else value

    def _lower(self, node: gs.Node) -> list[Value]:
        if is_conv_pool(node):
            return [convolutions.conv_pool(self.builder, self.map(node.inputs[0]), node)]
        rule = _RULES.get(node.op) if node.domain in (None, "", "ai.onnx") else None
        if rule is None:
            raise UnsupportedError(f"{node.name}: the accelerator has no {node.op}")
        return rule(self, node)

    def _settle(self, value: Value, name: str) -> Value:
        """Give a tensor with several readers a place, or the codes that it is a function of."""
        if isinstance(value, Raw):
            raise UnsupportedError(f"{name}: several operators read sums that are not quantised")
        if isinstance(value, Coded) and value.grid is None:
            return self.builder.store_base(value, name)
        if isinstance(value, Parts) and any(
            isinstance(part, Raw) or part.grid is None for part in value.parts
        ):
            raise UnsupportedError(f"{name}: several operators read values that are not quantised")
        return stored(self.builder.store(value, name))

    def value(self, tensor: gs.Tensor) -> Value:
        """Return the value of a tensor.

        Raises:
            UnsupportedError: It is a graph input that is read before it is quantised.
        """
        if tensor.name not in self.values:
            raise UnsupportedError(f"{tensor.name}: read without being quantised")
        return self.values[tensor.name]

    def map(self, tensor: gs.Tensor) -> Map:
        """Return a map that holds a tensor."""
        held = self.builder.store(self.value(tensor), tensor.name)
        self.values[tensor.name] = stored(held).with_shape(held.shape)
        return held

    def output(self, tensor: gs.Tensor) -> Port:
        """Return a graph output."""
        return Port(self.map(tensor), tuple(tensor.shape))

    def input_port(self, name: str) -> Port:
        """Return a graph input.

        Raises:
            UnsupportedError: Nothing quantises it.
        """
        if name not in self.ports:
            raise UnsupportedError(f"{name}: this input of the network is not quantised")
        return self.ports[name]

    def take_over(self, name: str, port: Port) -> None:
        """Take over codes from elsewhere as an input."""
        source = Map(name, port.map.shape, port.map.scale, port.map.zero)
        self.ports[name] = Port(source, port.shape)
        self.values[name] = stored(source)

    def quantise_input(self, node: gs.Node) -> Value:
        """Return the codes of a graph input, whose quantisation starts with this Div."""
        tensor = node.inputs[0]
        chain = _quantising_chain(node)
        if chain is None:
            raise UnsupportedError(f"{tensor.name}: this input of the network is not quantised")
        scale, lower, upper = chain
        zero = 0 if lower >= -128 and upper <= 127 else -128 - lower
        shape = pixels_of(self.inputs[tensor.name], tensor.name)
        if tensor.name not in self.ports:
            source = Map(tensor.name, shape, scale, zero)
            self.ports[tensor.name] = Port(source, self.inputs[tensor.name])
        source = self.ports[tensor.name].map
        if (source.scale, source.zero) != (scale, zero):
            raise UnsupportedError(f"{tensor.name}: this input is quantised in two ways")
        steps = np.arange(-128, 128, dtype=np.float32) - np.float32(zero)
        return Coded(source, shape, zero, steps, None)


def _quantising_chain(node: gs.Node) -> tuple[float, int, int] | None:
    """Return scale and limits of the Div, Round, Clip that a node starts."""
    nodes = [node]
    for op in ("Round", "Clip"):
        readers = nodes[-1].outputs[0].outputs
        if len(readers) != 1 or readers[0].op != op:
            return None
        nodes.append(readers[0])
    scale = _constant(node, 1) if node.op == "Div" else None
    if scale is None:
        return None
    return float(scale), int(_constant(nodes[2], 1)), int(_constant(nodes[2], 2))


def pixels_of(shape: tuple[int, ...], name: str) -> Shape:
    """Return channels, height and width of a tensor.

    Raises:
        UnsupportedError: It is a batch, or has other axes.
    """
    if shape[0] != 1 or not 2 <= len(shape) <= 4 or len(shape) == 3:
        raise UnsupportedError(
            f"{name}: shape {list(shape)}; the accelerator takes one image: [1, channels, height, "
            "width] or [1, channels]"
        )
    channels, height, width = (*shape[1:], 1, 1)[:3]
    return channels, height, width


def _constant(node: gs.Node, index: int) -> Any:
    """Return a scalar constant; None where the input is left out."""
    if index >= len(node.inputs) or node.inputs[index].is_empty():
        return None
    values = np.unique(np.asarray(node.inputs[index].values))
    if values.size != 1:
        raise UnsupportedError(f"{node.name}: {node.op} with one constant for each channel")
    return values[0]


def _elementwise(collector: _Collector, node: gs.Node) -> list[Value]:
    tensors = [t for t in node.inputs if not t.is_empty() and not isinstance(t, gs.Constant)]
    if len(tensors) == 2:
        return [_two_tensors(collector, node, tensors)]
    if tensors[0].name in collector.inputs and tensors[0].name not in collector.values:
        return [collector.quantise_input(node)]
    arguments = [
        TENSOR if tensor is tensors[0] else _constant(node, index)
        for index, tensor in enumerate(node.inputs)
    ]
    attributes = {k: v for k, v in node.attrs.items() if isinstance(v, int | float)}
    value = collector.value(tensors[0])
    return [apply(collector.builder, value, node.op, arguments, attributes, node.name)]


_KINDS = {"Add": "add", "Max": "max", "Min": "min", "Mul": "multiply", "Sub": "add"}


def _two_tensors(collector: _Collector, node: gs.Node, tensors: list[gs.Tensor]) -> Value:
    values = [collector.value(tensor) for tensor in tensors]
    first, second = values
    if isinstance(first, Coded) and isinstance(second, Coded) and first.base is second.base:
        result = evaluate(node.op, [first.values, second.values], {})
        return replace(first, values=result, grid=None, rounded=False)
    if node.op not in _KINDS:
        raise UnsupportedError(f"{node.name}: the accelerator has no {node.op} of two maps")
    maps = [collector.map(tensor) for tensor in tensors]
    sign = -1.0 if node.op == "Sub" else 1.0
    units = np.array([maps[0].scale, sign * maps[1].scale])
    if node.op == "Mul":
        units = np.array([maps[0].scale * maps[1].scale])
    if maps[0].size_bytes < maps[1].size_bytes:
        maps.reverse()
        units = units[::-1]
    one_pixel = (maps[0].shape[0], 1, 1)
    if maps[1].shape not in (maps[0].shape, one_pixel):
        raise UnsupportedError(f"{node.name}: {node.op} of {maps[0].shape} and {maps[1].shape}")
    operator = Binary(node.name, tuple(maps), NOWHERE, kind=_KINDS[node.op])
    return Raw(operator, maps[0].shape, units)


def _max_pool(collector: _Collector, node: gs.Node) -> list[Value]:
    window = pooling_window(node)
    value = collector.value(node.inputs[0])
    if _pools_behind(value):
        return [convolutions.pool_behind(value, window, node.name)]
    return [_pool_codes(collector, node, window)]


def _pools_behind(value: Value) -> bool:
    if not isinstance(value, Coded) or not value.is_increasing():
        return False
    return isinstance(value.base, Convolution) and value.base.spatial is None


def _pool_codes(collector: _Collector, node: gs.Node, window: Window) -> Value:
    source = collector.map(node.inputs[0])
    height, width = _two_axes(node, window).output_shape(source.shape[1:])
    operator = SpatialPooling(node.name, (source,), NOWHERE, window=window)
    shape = (source.shape[0], height, width)
    return replace(stored(source), base=operator, shape=shape)


def _two_axes(node: gs.Node, window: Window) -> Window:
    if len(window.kernel_shape) != 2:
        raise UnsupportedError(f"{node.name}: {node.op} over {len(window.kernel_shape)} axes")
    return window


def _average(collector: _Collector, node: gs.Node) -> list[Value]:
    window = _two_axes(node, pooling_window(node))
    padded = any(window.pads) and not node.attrs.get("count_include_pad", 0)
    if padded or window.ceil_mode:
        raise UnsupportedError(f"{node.name}: AveragePool whose windows differ in size")
    return [_mean(collector, node, window)]


def _global_average(collector: _Collector, node: gs.Node) -> list[Value]:
    axes = [2, 3] if node.op == "GlobalAveragePool" else int_list(node, "axes", 1)
    rank = len(node.inputs[0].shape)
    if rank != 4 or sorted(axis % rank for axis in axes or []) != [2, 3]:
        raise UnsupportedError(f"{node.name}: {node.op} over other axes than height and width")
    pixels = collector.map(node.inputs[0]).shape[1:]
    return [_mean(collector, node, Window(pixels, (1, 1), (0, 0, 0, 0), (1, 1)))]


def _mean(collector: _Collector, node: gs.Node, window: Window) -> Value:
    source = collector.map(node.inputs[0])
    height, width = window.output_shape(source.shape[1:])
    operator = SpatialPooling(node.name, (source,), NOWHERE, kind="average", window=window)
    taps = window.kernel_shape[0] * window.kernel_shape[1]
    return Raw(operator, (source.shape[0], height, width), np.array([source.scale / taps]))


def _view(collector: _Collector, node: gs.Node) -> list[Value]:
    value, target = collector.value(node.inputs[0]), tuple(node.outputs[0].shape)
    if node.op == "Transpose":
        moved = [axis for axis in node.attrs["perm"] if node.inputs[0].shape[axis] > 1]
        if moved != sorted(moved):
            raise UnsupportedError(f"{node.name}: a Transpose that moves data")
    if (len(target) == 2 and target[0] == 1) or _groups_channels(value, target):
        return [value]
    shape = pixels_of(target, node.name)
    if shape != value.shape and not (shape[1:] == value.shape[1:] == (1, 1)):
        raise UnsupportedError(f"{node.name}: a {node.op} that moves data among channels")
    return [value]


def _groups_channels(value: Value, target: tuple[int, ...]) -> bool:
    """Tell whether a view groups channels, for a pooling that the passes could not fuse."""
    channels, height, width = value.shape
    return (
        target[0] == 1
        and target[3:] == (height, width)
        and (len(target) == 5 and target[1] * target[2] == channels)
    )


def _reduce(collector: _Collector, node: gs.Node) -> list[Value]:
    """Pool pixels, or channels that a view grouped."""
    axes, rank = int_list(node, "axes", 1), len(node.inputs[0].shape)
    if rank != 5 or [axis % rank for axis in axes or []] != [2]:
        if node.op != "ReduceMean":
            raise UnsupportedError(f"{node.name}: {node.op} over other axes than grouped channels")
        return _global_average(collector, node)
    if node.op == "ReduceMin":
        raise UnsupportedError(f"{node.name}: ReduceMin of channels that are stored")
    source, group = collector.map(node.inputs[0]), node.inputs[0].shape[2]
    channels, height, width = source.shape
    if source.parent is not None:
        raise UnsupportedError(f"{node.name}: {node.op} of a part of a map")
    shape = (1, height * channels, width)
    by_row = Map(f"{source.name}/rows", shape, source.scale, source.zero, source)
    pooled = Map(
        f"{node.name}/pooled", (channels // group, height, width), source.scale, source.zero
    )
    window = Window((group, 1), (group, 1), (0, 0, 0, 0), (1, 1))
    kind = "max" if node.op == "ReduceMax" else "average"
    shape = (1, height * channels // group, width)
    result = Map(f"{pooled.name}/rows", shape, source.scale, source.zero, pooled)
    operator = SpatialPooling(node.name, (by_row,), result, kind=kind, window=window)
    if kind == "average":
        raise UnsupportedError(f"{node.name}: {node.op} of channels that are stored")
    collector.builder.operators.append(operator)
    return [stored(pooled)]


def _concatenate(collector: _Collector, node: gs.Node) -> list[Value]:
    _channel_axis(node, node.attrs["axis"])
    values = [collector.value(tensor) for tensor in node.inputs]
    flat = [p for v in values for p in (v.parts if isinstance(v, Parts) else (v,))]
    channels = sum(part.shape[0] for part in flat)
    return [Parts(tuple(flat), (channels, *flat[0].shape[1:]))]


def _channel_axis(node: gs.Node, axis: int) -> None:
    if axis % len(node.inputs[0].shape) != 1:
        raise UnsupportedError(f"{node.name}: {node.op} along another axis than the channels")


def _split(collector: _Collector, node: gs.Node) -> list[Value]:
    _channel_axis(node, node.attrs.get("axis", 0))
    source, channel, parts = collector.map(node.inputs[0]), 0, []
    for tensor in node.outputs:
        parts.append(_channels_of(source, channel, tensor))
        channel += tensor.shape[1]
    return list(parts)


def _slice(collector: _Collector, node: gs.Node) -> list[Value]:
    starts, axes = int_list(node, "starts", 1), int_list(node, "axes", 3)
    steps = int_list(node, "steps", 4)
    if starts is None or axes is None or len(axes) != 1 or steps not in (None, [1]):
        raise UnsupportedError(f"{node.name}: a Slice of other than consecutive channels")
    _channel_axis(node, axes[0])
    source = collector.map(node.inputs[0])
    return [_channels_of(source, starts[0] % source.shape[0], node.outputs[0])]


def _channels_of(source: Map, channel: int, tensor: gs.Tensor) -> Value:
    shape = (tensor.shape[1], *source.shape[1:])
    return stored(Map(tensor.name, shape, source.scale, source.zero, source, channel))


def _convolution(collector: _Collector, node: gs.Node) -> list[Value]:
    return [convolutions.conv(collector.map(node.inputs[0]), node)]


def _dense(collector: _Collector, node: gs.Node) -> list[Value]:
    return [convolutions.dense(collector.map(node.inputs[0]), node)]


Rule = Callable[[_Collector, gs.Node], list[Value]]

_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(FUNCTIONS, _elementwise),
    **dict.fromkeys(_VIEWS, _view),
    "AveragePool": _average,
    "Concat": _concatenate,
    "Conv": _convolution,
    "Gemm": _dense,
    "GlobalAveragePool": _global_average,
    "MatMul": _dense,
    "MaxPool": _max_pool,
    "ReduceMax": _reduce,
    "ReduceMean": _reduce,
    "ReduceMin": _reduce,
    "ReduceSum": _reduce,
    "Slice": _slice,
    "Split": _split,
}

__all__ = ["lower_network", "pixels_of", "quantised"]
