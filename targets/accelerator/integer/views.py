"""Operators that only say which values: views, parts, concatenations."""

from collections.abc import Mapping

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.operators.parts import Slice
from condense_compiler.operators.registry import parse_as
from condense_compiler.targets.accelerator.integer.arithmetic import significand
from condense_compiler.targets.accelerator.integer.collector import (
    Collector,
    Rule,
    pixels_of,
)
from condense_compiler.targets.accelerator.integer.joining import JOINING
from condense_compiler.targets.accelerator.integer.network import Convolution, Map, Scaling
from condense_compiler.targets.accelerator.integer.values import (
    Coded,
    Pairs,
    Parts,
    Raw,
    Shape,
    Value,
    stored,
)
from condense_compiler.targets.reference.functions import FUNCTIONS

_QUANTISING = ("DequantizeLinear", "QuantizeLinear")
_SHUFFLE = [0, 2, 1, 3, 4]  # swaps groups of channels and their members
_ONE = significand(1.0)


def _view(collector: Collector, node: gs.Node) -> list[Value]:
    value, target = collector.value(node.inputs[0]), tuple(node.outputs[0].shape)
    if node.op == "Transpose":
        sizes = node.inputs[0].shape
        order = node.attrs.get("perm", range(len(sizes))[::-1])
        moved = [axis for axis in order if sizes[axis] > 1]
        if moved != sorted(moved):
            if list(order) == _SHUFFLE and _groups_channels(value, target):
                return [_shuffle(collector, node)]
            raise UnsupportedError(f"{node.name}: a Transpose that moves data")
    if _is_row(value, target):
        return [_row(collector, node, pixels_of(target, node.name))]
    return [viewed(value, target, node.name)]


def viewed(value: Value, target: tuple[int, ...], name: str) -> Value:
    """Return a tensor under another shape, its channels and pixels where they are.

    Raises:
        UnsupportedError: Data would move among channels.
    """
    if (len(target) == 2 and target[0] == 1) or _groups_channels(value, target):
        return value
    shape = pixels_of(target, f"{name}: seen as")
    if shape == value.shape or shape[1:] == value.shape[1:] == (1, 1):
        return value
    raise UnsupportedError(f"{name}: a view that moves data among channels")


def _is_row(value: Value, target: tuple[int, ...]) -> bool:
    """Tell whether a map of one row is cut into channels in another way."""
    if len(target) == 2 or _groups_channels(value, target):
        return False
    shape = pixels_of(target, "a view")
    pixels = shape[1:] == value.shape[1:] == (1, 1)
    return shape != value.shape and not pixels and shape[1] == value.shape[1] == 1


def _row(collector: Collector, node: gs.Node, shape: Shape) -> Value:
    """Return a map of one row, cut into channels in another way; its bytes stay where they are."""
    collector.quantise_before(node)
    source = collector.map(node.inputs[0])
    if source.parent is not None:
        raise UnsupportedError(f"{node.name}: a {node.op} of a part of a map")
    collector.builder.seen_otherwise.add(source)
    return stored(Map(node.outputs[0].name, shape, source.scale, source.zero, source))


def _shuffle(collector: Collector, node: gs.Node) -> Value:
    """Return the channels in another order: a convolution over one pixel that copies codes."""
    collector.quantise_before(node)
    source = collector.map(node.inputs[0])
    _, groups, members, *_ = node.inputs[0].shape
    order = np.arange(source.shape[0]).reshape(groups, members).T.reshape(-1)
    weights = np.zeros((len(order), len(order), 1, 1), np.int8)
    weights[np.arange(len(order)), order] = 1
    channels = len(order)
    ones, shifts = (_ONE.multiplier,) * channels, (_ONE.shift,) * channels
    once = Scaling(ones, shifts, source.zero, -128, 127)
    output = Map(node.outputs[0].name, source.shape, source.scale, source.zero)
    operator = Convolution(node.name, (source,), output, weights=weights, scaling=once)
    operator.bias = np.zeros(channels, np.int64)
    operator.weight_zeros = np.zeros(channels, np.int8)
    collector.builder.operators.append(operator)
    return stored(output)


def _expand(collector: Collector, node: gs.Node) -> list[Value]:
    """Return a map of one pixel as it is, where operators on two maps use it for all pixels."""
    value = collector.value(node.inputs[0])
    if value.shape[1:] != (1, 1) or not _is_only_joined(node.outputs[0]):
        raise UnsupportedError(f"{node.name}: an Expand of other than one pixel, for two maps")
    return [value]


def _is_only_joined(tensor: gs.Tensor) -> bool:
    """Tell whether a tensor, or functions of it, are only joined with another one."""
    return bool(tensor.outputs) and all(_joins(reader) for reader in tensor.outputs)


def _joins(reader: gs.Node) -> bool:
    tensors = [t for t in reader.inputs if not isinstance(t, gs.Constant) and not t.is_empty()]
    if len(tensors) == 2:
        return reader.op in JOINING
    follows = reader.op in FUNCTIONS or reader.op in _QUANTISING
    return follows and _is_only_joined(reader.outputs[0])


def _groups_channels(value: Value, target: tuple[int, ...]) -> bool:
    """Tell whether a view groups channels, for a pooling that the passes could not fuse."""
    channels, height, width = value.shape
    return (
        target[0] == 1
        and target[3:] == (height, width)
        and (len(target) == 5 and target[1] * target[2] == channels)
    )


def _concatenate(collector: Collector, node: gs.Node) -> list[Value]:
    _channel_axis(node, node.attrs["axis"])
    values = [collector.value(tensor) for tensor in node.inputs]
    flat = [p for value in values for p in _parts_of(value)]
    channels = sum(part.shape[0] for part in flat)
    return [Parts(tuple(flat), (channels, *flat[0].shape[1:]))]


def _parts_of(value: Value) -> tuple[Raw | Coded, ...]:
    if isinstance(value, Parts):
        return value.parts
    return (value.result if isinstance(value, Pairs) else value,)


def _channel_axis(node: gs.Node, axis: int) -> None:
    if axis % len(node.inputs[0].shape) != 1:
        raise UnsupportedError(f"{node.name}: {node.op} along another axis than the channels")


def _split(collector: Collector, node: gs.Node) -> list[Value]:
    _channel_axis(node, node.attrs.get("axis", 0))
    source, channel, parts = collector.map(node.inputs[0]), 0, []
    for tensor in node.outputs:
        parts.append(_channels_of(node, source, channel, tensor))
        channel += tensor.shape[1]
    return list(parts)


def _slice(collector: Collector, node: gs.Node) -> list[Value]:
    operator = parse_as(Slice, node)
    channels = operator.channels()
    if channels is None:
        raise UnsupportedError(f"{node.name}: a Slice of other than consecutive channels")
    return [_channels_of(node, collector.map(node.inputs[0]), channels.start, node.outputs[0])]


def _channels_of(node: gs.Node, source: Map, channel: int, tensor: gs.Tensor) -> Value:
    if source.shape[1:] != source.root()[0].shape[1:]:
        raise UnsupportedError(f"{node.name}: a {node.op} of bytes that are cut in another way")
    shape = (tensor.shape[1], *source.shape[1:])
    return stored(Map(tensor.name, shape, source.scale, source.zero, source, channel))


_VIEWS = ("Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")

VIEW_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_VIEWS, _view),
    "Concat": _concatenate,
    "Expand": _expand,
    "Slice": _slice,
    "Split": _split,
}
